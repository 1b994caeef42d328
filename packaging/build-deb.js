/**
 * Builds the Debian package: `npm run package:deb -- [--node 20,22,24] [--output FOLDER]`, after a build. It contains
 * the production dependencies and the native modules for each named Node, compiled against the headers in the npm
 * registry's packages of Node. Needs dpkg-deb, a compiler and libpcap-dev, and no root.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { billOfMaterials } from './bill-of-materials.js'
import { licenceList } from './licence-list.js'
import { layOutProductionTree } from './production-tree.js'

const root = resolve(import.meta.dirname, '..')
const { values } = parseArgs({
  options: {
    node: { type: 'string', default: '20,22,24' },
    output: { type: 'string', default: join(root, 'dist', 'packages') },
  },
})
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch]
if (architecture === undefined) fail(`no Debian architecture is known for ${process.arch}`)
if (process.platform !== 'linux') fail('a Debian package is built on Linux')

const work = mkdtempSync(join(tmpdir(), 'spamdctl-deb-'))
const stage = join(work, 'stage')
const library = join(stage, 'usr/lib/spamdctl')
const PROGRAMS = ['spamdctl', 'spamdb', 'spamlogd', 'spamd-setup', 'spamd']
const OWN_NATIVE = 'src/platform/native'
/** Native modules: the npm package and the file that it loads. */
const NATIVE = { 'better-sqlite3': 'better_sqlite3.node', pcap: 'pcap_binding.node' }

try {
  layOutPrograms()
  for (const major of values.node.split(',')) buildNativeModules(major.trim())
  layOutSystemFiles()
  layOutDocumentation()
  layOutControl()
  setModes(stage)
  mkdirSync(values.output, { recursive: true })
  const file = join(values.output, `spamdctl_${version}_${architecture}.deb`)
  run('dpkg-deb', ['--root-owner-group', '--build', '-Zxz', stage, file])
  process.stdout.write(`${file}\n`)
} finally {
  rmSync(work, { recursive: true, force: true })
}

function layOutPrograms() {
  layOutProductionTree({ root, work, target: library, docs: ['examples'], run })
  for (const name of [
    'better-sqlite3/deps',
    'better-sqlite3/src',
    'better-sqlite3/binding.gyp',
    'pcap/spec',
    'pcap/examples',
  ]) {
    rmSync(join(library, 'node_modules', name), { recursive: true, force: true })
  }
  rmSync(join(library, 'node_modules/nan/tools'), { recursive: true, force: true })
  mkdirSync(join(stage, 'usr/bin'), { recursive: true })
  for (const program of PROGRAMS) {
    const path = join(library, 'bin', `${program}.js`)
    const text = readFileSync(path, 'utf8')
    // Boot scripts and cron have a short PATH, and a privileged process must not search it.
    writeFileSync(path, text.replace(/^#!.*\n/, '#!/usr/bin/node\n'))
    symlinkSync(`../lib/spamdctl/bin/${program}.js`, join(stage, 'usr/bin', program))
  }
}

/** Compiles the native modules for one major version of Node, into native/ABI. */
function buildNativeModules(major) {
  if (!/^\d+$/.test(major)) fail(`not a major version of Node: ${major}`)
  const headers = nodeHeaders(major)
  const abi = /#define NODE_MODULE_VERSION (\d+)/.exec(
    readFileSync(join(headers, 'include/node/node_version.h'), 'utf8'),
  )[1]
  const target = join(library, 'native', abi)
  mkdirSync(target, { recursive: true })
  const gyp = join(dirname(npmCli()), '../node_modules/node-gyp/bin/node-gyp.js')
  // A setting of npm would take precedence over an argument.
  const compile = (folder, variables = {}) =>
    run(process.execPath, [gyp, 'rebuild', '--release'], folder, {
      npm_config_nodedir: headers,
      ...variables,
    })
  for (const [name, file] of Object.entries(NATIVE)) {
    const source = join(work, `build-${abi}`, 'node_modules', name)
    cpSync(join(root, 'node_modules', name), source, { recursive: true })
    rmSync(join(source, 'build'), { recursive: true, force: true })
    if (name === 'pcap') cpSync(join(root, 'node_modules/nan'), join(source, '../nan'), { recursive: true })
    // Without it, the module crashes the programs on Node 24, as its head explains.
    const wrap = `-include ${join(root, OWN_NATIVE, 'object-wrap.h')}`
    compile(source, { CXXFLAGS: wrap })
    const module = readFileSync(join(source, 'build/Release', file), 'latin1')
    // The module of pcap contains the version as a number.
    if (name === 'better-sqlite3' && !module.includes(`node_register_module_v${abi}`))
      fail(`${file} was not compiled for Node ${major}`)
    cpSync(join(source, 'build/Release', file), join(target, file))
    run('strip', ['--strip-unneeded', join(target, file)])
    linkNative(join('node_modules', name), file)
  }
  const own = join(work, `build-${abi}`, 'own')
  cpSync(join(root, OWN_NATIVE), own, { recursive: true })
  compile(own)
  for (const file of ['user_ids.node', 'nft_generation.node']) {
    cpSync(join(own, 'build/Release', file), join(target, file))
    run('strip', ['--strip-unneeded', join(target, file)])
    linkNative(OWN_NATIVE, file)
  }
}

/** The packages look where npm builds; postinst points `current` at the folder for the installed Node. */
function linkNative(folder, file) {
  const link = join(library, folder, 'build/Release', file)
  mkdirSync(dirname(link), { recursive: true })
  rmSync(link, { force: true })
  symlinkSync(join(relative(dirname(link), library), 'native/current', file), link)
}

/** A folder with include/node of the newest release of a major version. */
function nodeHeaders(major) {
  const name = `node-linux-${process.arch}`
  const folder = join(work, `node-${major}`)
  mkdirSync(folder)
  const [packed] = JSON.parse(
    run('npm', ['pack', '--json', '--pack-destination', folder, `${name}@^${major}.0.0`]),
  ).slice(-1)
  run('tar', ['-xzf', join(folder, packed.filename), '-C', folder, 'package/include'])
  return join(folder, 'package')
}

function npmCli() {
  return process.env.npm_execpath ?? fail('start this with: npm run package:deb')
}

function layOutSystemFiles() {
  const units = join(stage, 'usr/lib/systemd/system')
  copyFiles(join(root, 'docs/examples/systemd'), units, (name) => /\.(service|timer|socket|path)$/.test(name))
  const settings = join(stage, 'etc/spamd')
  copyFiles(join(root, 'docs/examples'), settings, (name) => /^(spamd\.conf|friends\.txt)$/.test(name))
  copyFiles(join(root, 'packaging/debian/default'), join(stage, 'etc/default'))
  place('packaging/debian/sysusers.conf', 'usr/lib/sysusers.d/spamdctl.conf')
  place('packaging/debian/tmpfiles.conf', 'usr/lib/tmpfiles.d/spamdctl.conf')
  place('packaging/debian/native-link', 'usr/lib/spamdctl/packaging/native-link')
  const completions = {
    bash: 'usr/share/bash-completion/completions/spamdctl',
    zsh: 'usr/share/zsh/vendor-completions/_spamdctl',
    fish: 'usr/share/fish/vendor_completions.d/spamdctl.fish',
  }
  for (const [shell, path] of Object.entries(completions)) {
    const text = run(process.execPath, [join(root, 'bin/spamdctl.js'), 'completion', shell])
    write(path, text)
  }
  // bash loads completions by the program's name.
  for (const program of PROGRAMS.slice(1)) {
    symlinkSync('spamdctl', join(stage, 'usr/share/bash-completion/completions', program))
  }
}

function layOutDocumentation() {
  for (const page of readdirSync(join(root, 'docs/man'))) {
    const section = page.at(-1)
    write(`usr/share/man/man${section}/${page}.gz`, gzip(readFileSync(join(root, 'docs/man', page))))
  }
  const folder = 'usr/share/doc/spamdctl'
  const date = run('git', ['-C', root, 'log', '-1', '--format=%cD']).trim()
  write(
    `${folder}/changelog.gz`,
    gzip(
      `spamdctl (${version}) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- spamdctl maintainers <maintainers@spamdctl.invalid>  ${date}\n`,
    ),
  )
  const changes = join(root, 'CHANGELOG.md')
  if (existsSync(changes)) write(`${folder}/CHANGELOG.md.gz`, gzip(readFileSync(changes)))
  place('packaging/debian/README.Debian', `${folder}/README.Debian`)
  write(`${folder}/copyright`, licenceList(library, readFileSync(join(root, 'LICENSE'), 'utf8')))
  symlinkSync('../../../lib/spamdctl/docs/examples', join(stage, folder, 'examples'))
  const sbom = billOfMaterials(library, run)
  write(`${folder}/sbom.cdx.json`, sbom)
}

function layOutControl() {
  for (const name of ['triggers', 'templates', 'config', 'postinst', 'prerm', 'postrm']) {
    place(`packaging/debian/${name}`, `DEBIAN/${name}`)
  }
  const kibibytes = run('du', ['-sk', '--exclude=DEBIAN', stage]).split('\t')[0]
  const control = readFileSync(join(root, 'packaging/debian/control'), 'utf8')
    .replace('@VERSION@', version)
    .replace('@ARCHITECTURE@', architecture)
    .replace('@SIZE@', kibibytes)
  write('DEBIAN/control', control)
  const etc = join(stage, 'etc')
  const conffiles = readdirSync(etc, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${join(entry.parentPath, entry.name).slice(stage.length)}\n`)
  write('DEBIAN/conffiles', conffiles.sort().join(''))
}

/** Sets modes that do not depend on the umask or the checkout: only programs and scripts are executable. */
function setModes(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) chmodSync(path, 0o755)
    else if (entry.isFile()) chmodSync(path, isProgram(path) ? 0o755 : 0o644)
  }
  chmodSync(folder, 0o755)
}

function isProgram(path) {
  const inStage = path.slice(stage.length + 1)
  return (
    /^DEBIAN\/(config|postinst|prerm|postrm)$/.test(inStage) ||
    inStage === 'usr/lib/spamdctl/packaging/native-link' ||
    PROGRAMS.some((program) => inStage === `usr/lib/spamdctl/bin/${program}.js`)
  )
}

function copyFiles(from, to, isWanted = () => true) {
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from)) if (isWanted(name)) cpSync(join(from, name), join(to, name))
}

function place(from, to) {
  write(to, readFileSync(join(root, from)))
}

function write(path, content) {
  const target = join(stage, path)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, content)
}

function gzip(content) {
  return gzipSync(content, { level: 9 })
}

function run(program, argv, cwd = root, variables = {}) {
  try {
    return execFileSync(program, argv, {
      cwd,
      env: { ...process.env, ...variables },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 * 1024 * 1024,
    })
  } catch (error) {
    return fail(`${basename(program)} ${argv.join(' ')}: ${error.stderr || error.message}`)
  }
}

function fail(message) {
  rmSync(work ?? '', { recursive: true, force: true })
  process.stderr.write(`package:deb: ${message}\n`)
  process.exit(1)
}
