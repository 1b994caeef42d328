/**
 * Completes the ports of OpenBSD and FreeBSD: `npm run package:ports -- [--output FOLDER]`, after a build. Each gets
 * the archive with the production packages (the same for both), its list of files, and the rc.d scripts. Needs tar
 * and no root; runs on any system.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { billOfMaterials } from './bill-of-materials.js'
import { licenceList } from './licence-list.js'
import { portFiles } from './port-files.js'
import { layOutProductionTree } from './production-tree.js'

const root = resolve(import.meta.dirname, '..')
const { values } = parseArgs({
  options: { output: { type: 'string', default: join(root, 'dist', 'packages') } },
})
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
/** A variable of the ports tree of OpenBSD. */
const TRUEPREFIX = `$${'{TRUEPREFIX}'}`
const SCRIPTS = ['spamdctl_spamd', 'spamdctl_spamlogd']
const FREEBSD_SCRIPTS = [...SCRIPTS, 'spamdctl_hold', 'spamdctl_pull']

const work = mkdtempSync(join(tmpdir(), 'spamdctl-ports-'))
try {
  const tree = join(work, `spamdctl-${version}`)
  layOutProductionTree({ root, work, target: tree, docs: ['examples', 'man'], run })
  mkdirSync(join(tree, 'packaging'))
  cpSync(join(root, 'packaging/remove-build-files'), join(tree, 'packaging/remove-build-files'))
  writeFileSync(join(tree, 'LICENCES'), licenceList(tree, readFileSync(join(root, 'LICENSE'), 'utf8')))
  const sbom = billOfMaterials(tree, run)
  writeFileSync(join(tree, 'sbom.cdx.json'), sbom)
  const files = portFiles(tree)
  layOutOpenbsd(files.openbsd)
  layOutFreebsd(files.freebsd)
  const archive = `spamdctl-${version}-vendored.tar.gz`
  // Sorted, with one owner and one time, so that the same commit gives the same archive.
  const stamp = run('git', ['-C', root, 'log', '-1', '--format=%cI']).trim()
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', `--mtime=${stamp}`]
  run('tar', [...same, '-czf', join(values.output, archive), '-C', work, basename(tree)])
  for (const name of ['openbsd', 'freebsd', archive]) process.stdout.write(`${join(values.output, name)}\n`)
} finally {
  rmSync(work, { recursive: true, force: true })
}

function layOutOpenbsd(files) {
  const target = copyPort('openbsd')
  const head = readFileSync(join(target, 'pkg/PLIST.head'), 'utf8')
  rmSync(join(target, 'pkg/PLIST.head'))
  writeFileSync(join(target, 'pkg/PLIST'), `${head}${files.join('\n')}\n`)
  for (const name of SCRIPTS) {
    // Only the prefix differs from the shipped script.
    const script = readFileSync(join(root, 'docs/examples/openbsd/rc.d', name), 'utf8')
    writeFileSync(join(target, 'pkg', `${name}.rc`), script.replaceAll('/usr/local', TRUEPREFIX))
  }
}

function layOutFreebsd(files) {
  const target = copyPort('freebsd')
  writeFileSync(join(target, 'pkg-plist'), `${files.join('\n')}\n`)
  for (const name of FREEBSD_SCRIPTS) {
    const script = readFileSync(join(root, 'docs/examples/freebsd/rc.d', name), 'utf8')
    writeFileSync(join(target, 'files', `${name}.in`), script.replaceAll('/usr/local', '%%PREFIX%%'))
  }
}

/** Copies a port's folder, with the version in its Makefile. */
function copyPort(system) {
  const target = join(values.output, system)
  rmSync(target, { recursive: true, force: true })
  mkdirSync(join(target, system === 'openbsd' ? 'pkg' : 'files'), { recursive: true })
  for (const name of readdirSync(join(root, 'packaging', system))) {
    cpSync(join(root, 'packaging', system, name), join(target, name), { recursive: true })
  }
  const makefile = readFileSync(join(target, 'Makefile'), 'utf8')
  writeFileSync(join(target, 'Makefile'), makefile.replace('@VERSION@', version))
  return target
}

function run(program, argv, cwd = root) {
  try {
    return execFileSync(program, argv, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 * 1024 * 1024,
    })
  } catch (error) {
    rmSync(work, { recursive: true, force: true })
    process.stderr.write(`package:ports: ${program} ${argv.join(' ')}: ${error.stderr || error.message}\n`)
    return process.exit(1)
  }
}
