/**
 * Joins the modules of a program into one CommonJS file. Programs that must start fast get V8's code cache beside it:
 * loading forty modules one by one takes more than twice as long as starting Node. Daemons get none; they are bundled
 * because a hundred modules cost 3 to 6 MiB in each process. Run after tsc. The programs also run from dist/ alone;
 * bin/load-program.js prefers the bundle if there is one.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import { build } from 'esbuild'
import { leaveOut, PART, partsEntry, sharingCode, splitModules, takeShared } from './split-bundle.js'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const require = createRequire(import.meta.url)
const outFolder = join(root, 'dist', 'fast')

/** What a bundled daemon starts as a process or thread of its own is a bundle, too. */
const STARTED_MODULE = /new URL\('\.\/(spamd-child|store-worker)\.js', import\.meta\.url\)/g

/**
 * Changes that a bundler does not make by itself. Modules find their own location (`import.meta.url`) as before. And
 * src/db/sqlite-driver.ts loads better-sqlite3 through a `require` that no bundler follows: its JavaScript becomes
 * part of the bundle, while the compiled addon stays where npm put it.
 */
const ownModules = {
  name: 'own-modules',
  setup({ onLoad }) {
    onLoad({ filter: /\.js$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8')
      if (!text.includes('import.meta.url')) return undefined
      const contents = text
        .replaceAll(STARTED_MODULE, (_, name) => `new URL(__urlOf('dist/fast/${name}.cjs'))`)
        .replaceAll('import.meta.url', `__urlOf(${JSON.stringify(relative(root, path))})`)
      return { contents: path.endsWith('sqlite-driver.js') ? withBundledSqlite(contents, path) : contents }
    })
  },
}

function withBundledSqlite(text, path) {
  const replacements = [
    [/const Database = require\(entry\)/, 'const Database = BundledSqlite'],
    // The bundle has received its path: otherwise it would load one more module of Node and parse a URL to find it.
    [/createRequire\(__urlOf\([^)]*\)\)/, '__nodeRequire'],
    [/require\.resolve\('better-sqlite3'\)/, '__findSqlite()'],
  ]
  let result = `import BundledSqlite from 'better-sqlite3'\n${text}`
  for (const [found, wanted] of replacements) {
    if (!found.test(text))
      throw new Error(`${path} loads better-sqlite3 in another way than this script knows`)
    result = result.replace(found, wanted)
  }
  return result
}

/**
 * Modules that a bare Node has not loaded at start, and that most calls do not need: in a bundle they are loaded when
 * one of their names is first used. Loaded eagerly, they took half of the time that `spamdb KEY` took beyond `node -e
 * 0`.
 */
const LAZY_MODULES = [
  'child_process',
  'crypto',
  'dgram',
  'dns',
  'dns/promises',
  'fs/promises',
  'module',
  'net',
  'os',
  'perf_hooks',
  'readline',
  'readline/promises',
  'stream',
  'timers/promises',
  'tls',
  'tty',
  'v8',
  'worker_threads',
  'zlib',
].map((name) => `node:${name}`)

/**
 * The `require` of a bundle. The placeholder for a module has the names of its exports, and loads it when one is
 * used.
 */
const LAZY_REQUIRE = `const __lazyNames = new Set(${JSON.stringify(LAZY_MODULES)});
const __lazy = (load) => { let loaded; const get = () => loaded ??= load(); return new Proxy({}, {
  get: (_, name) => get()[name], has: (_, name) => name in get(), ownKeys: () => Reflect.ownKeys(get()),
  getOwnPropertyDescriptor: (_, name) => { const found = Reflect.getOwnPropertyDescriptor(get(), name); return found && { ...found, configurable: true } } }) };
const require = Object.assign((name) => name.startsWith('${PART}') ? __part(name.slice(${PART.length})) : __lazyNames.has(name) ? __lazy(() => __nodeRequire(name)) : __nodeRequire(name), { resolve: __nodeRequire.resolve });
`

/** Location of better-sqlite3: nearly always where npm puts it; checking that is faster than Node's search. */
const FIND_SQLITE = `const __findSqlite = () => {
const usual = path.join(rootPath, 'node_modules', 'better-sqlite3', 'lib', 'index.js');
return require('node:fs').existsSync(usual) ? usual : __nodeRequire.resolve('better-sqlite3') };
`

/**
 * The bundle: a function of Node's `require`, the root of the package and `node:path` that returns the exports
 * of its entry; with `isStarted` a file that Node runs. A second bundle also gets the modules of the first one.
 */
async function bundle({ entry, prelude = '', alias = {}, plugins = [], isStarted = false }) {
  const { outputFiles } = await build({
    ...optionsFor(entry(), alias),
    plugins: [...plugins, ownModules],
    write: false,
  })
  const text = `(function (__nodeRequire, rootPath, path, __shared) { ${LAZY_REQUIRE}${FIND_SQLITE}const module = { exports: {} }; const __urlOf = (file) => require('node:url').pathToFileURL(path.join(rootPath, file)).href
${prelude}${outputFiles[0].text}
return module.exports })`
  return isStarted
    ? `${text}(require, require('node:path').resolve(__dirname, '../..'), require('node:path'))\n`
    : text
}

function optionsFor(contents, alias) {
  return {
    stdin: { contents, resolveDir: root },
    absWorkingDir: root,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    // oclif looks for the last two in a checkout of a program in TypeScript.
    external: ['undici', 'pcap', 'pg', 'ts-node', 'typescript'],
    plugins: [ownModules],
    alias,
    // Code run by node:vm cannot use import().
    supported: { 'dynamic-import': false },
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'warning',
  }
}

/** The bundle of a program, and one of what most of its calls never load: see split-bundle.js. */
async function splitBundle({ name, entry, kept }) {
  const split = await splitModules(optionsFor(entry(), {}), kept, root)
  const partsText = await bundle({ entry: () => partsEntry(split), plugins: [takeShared(split, root)] })
  const prelude = `let __parts; const __part = (name) => (__parts ??= __nodeRequire(path.join(rootPath, 'bin', 'load-program.js'))
.loadScript(${JSON.stringify(`${name}-parts`)})(__nodeRequire, rootPath, path, module.exports.shareModules()).parts)[name]();
`
  const text = await bundle({
    entry: () => `${entry()}\n${sharingCode(split)}`,
    prelude,
    plugins: [leaveOut(split, root)],
  })
  return { text, partsText }
}

const programs = [
  {
    name: 'spamdb',
    entry: () =>
      "export * from './dist/src/programs/spamdb.js'; export { runSpamdb } from './dist/src/cli/spamdb/spamdb-main.js'",
    warmUp: warmUpSpamdb,
    // Everything but these that import() loads is in a second bundle.
    kept: [
      'dist/src/db/listing/listing-text.js',
      'dist/src/app/database/key-lines.js',
      'dist/src/platform/gathered-input.js',
    ],
  },
  {
    name: 'spamd-setup',
    entry: () =>
      "export * from './dist/src/programs/spamd-setup.js'; export { runSetupProgram } from './dist/src/cli/setup/setup-main.js'",
    warmUp: warmUpSetup,
  },
  {
    name: 'spamdctl',
    entry: entryOfOclif,
    // oclif reads its own package.json.
    prelude: "const __dirname = path.dirname(require.resolve('@oclif/core'));",
    warmUp: warmUpOclif,
  },
  {
    name: 'commands',
    entry: entryOfCommands,
    alias: { '@oclif/core': './dist/src/cli/light-oclif.js' },
    warmUp: warmUpCommands,
  },
]

/** Daemons, and what spamd starts. */
const daemons = [
  { name: 'spamd', entry: () => "export * from './dist/src/programs/spamd.js'" },
  { name: 'spamlogd', entry: () => "export * from './dist/src/programs/spamlogd.js'" },
  { name: 'spamd-child', entry: () => "import './dist/src/daemon/spamd-child.js'", isStarted: true },
  { name: 'store-worker', entry: () => "import './dist/src/daemon/store/store-worker.js'", isStarted: true },
]

/** Our commands by id, each with a function that loads it when it is called. */
function commandLoaders(isWanted = () => true) {
  const folder = join(root, 'dist', 'commands')
  const files = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.js'))
  const loaders = files
    .map((file) => ({ file, id: file.replace(/(?:[/\\\\]index)?\.js$/, '').replaceAll(/[/\\\\]/g, ':') }))
    .filter(({ id }) => isWanted(id))
    .map(
      ({ file, id }) => `${JSON.stringify(id)}: () => import(${JSON.stringify(`./dist/commands/${file}`)})`,
    )
  return `{ ${loaders.join(', ')} }`
}

/** oclif with all our commands and its own `help`. */
function entryOfOclif() {
  return `export * from './dist/src/cli/oclif-program.js'
export const loaders = {
  spamdctl: ${commandLoaders()},
  '@oclif/plugin-help': { help: () => import('./node_modules/@oclif/plugin-help/lib/commands/help.js') },
}`
}

/** Daemons do not need a bundle, and completions need the tables of oclif. */
const HEAVY_COMMANDS = ['spamd', 'spamlogd', 'completion']

/** The commands without oclif. */
function entryOfCommands() {
  return `export * from './dist/src/cli/light-oclif.js'
export { guardStandardOutput } from './dist/src/cli/guard-output.js'
export const loaders = ${commandLoaders((id) => !HEAVY_COMMANDS.includes(id))}`
}

/** Help and one short command; their output is discarded. */
async function warmUpOclif({ loaders, runOclif }) {
  await printed(async (db) => {
    for (const argv of [['--help'], ['export', '--help'], ...shortCalls(db)]) {
      await runOclif(argv, root, loaders)
    }
  })
}

async function warmUpCommands({ loaders, runLightly }) {
  await printed(async (db) => {
    for (const argv of shortCalls(db)) await runLightly(argv, loaders, async () => undefined)
  })
}

const shortCalls = (db) => [
  ['spamdb', '--db', db, '-a', '192.0.2.1'],
  ['export', '--db', db, '--kind', 'SPAMTRAP'],
]

/** The output of calls in this process, which get the path of an empty database. */
async function printed(run) {
  const folder = mkdtempSync(join(tmpdir(), 'spamdctl-bundle-'))
  const { write } = process.stdout
  const texts = []
  process.stdout.write = (text) => texts.push(String(text)) > 0
  try {
    const db = join(folder, 'spamd.sqlite')
    writeFileSync(db, '')
    await run(db)
  } finally {
    process.stdout.write = write
    process.exitCode = 0
    rmSync(folder, { recursive: true })
  }
  return texts.join('')
}

/** Every help page for 80 columns, with and without colours, as shown by bin/show-help.js. */
async function layOutHelp(runBundle) {
  const { commands } = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8'))
  const names = Object.keys(commands).map((id) => id.replaceAll(':', ' '))
  const topics = names.filter((name) => name.includes(' ')).map((name) => name.split(' ')[0])
  const pages = {}
  process.env.OCLIF_COLUMNS = '80'
  for (const [style, color] of Object.entries({ plain: '0', styled: '1' })) {
    process.env.FORCE_COLOR = color
    // oclif decides about colours when it is loaded.
    const { loaders, runOclif } = runBundle()
    for (const name of ['', ...new Set([...names, ...topics])]) {
      const words = name === '' ? [] : name.split(' ')
      pages[name] = {
        ...pages[name],
        [style]: await printed(() => runOclif([...words, '--help'], root, loaders)),
      }
    }
  }
  delete process.env.OCLIF_COLUMNS
  delete process.env.FORCE_COLOR
  const agent = /spamdctl\/\S+ \S+ node-\S+/.exec(pages[''].plain)?.[0]
  if (agent === undefined) throw new Error('the help of spamdctl does not name its version as expected')
  return { agent, pages }
}

/** Runs the code that most calls run, so that the code cache contains it compiled. */
async function warmUpSpamdb({ runSpamdb }) {
  const folder = mkdtempSync(join(tmpdir(), 'spamdctl-bundle-'))
  try {
    const db = join(folder, 'spamd.sqlite')
    writeFileSync(db, '')
    const io = {
      writeOut: () => undefined,
      writeError: () => undefined,
      stdin: (async function* () {})(),
      environment: { SPAMD_DB: db },
      clock: { nowSec: () => 1, monotonicMs: () => 1 },
      showHelp: async () => undefined,
    }
    const many = Array.from({ length: 40 }, (_, index) => `198.51.100.${index}`)
    for (const argv of [
      ['-a', '192.0.2.1', '2001:db8::1'],
      ['192.0.2.1'],
      [],
      ['-d', '192.0.2.1'],
      ['-a', ...many],
      ['--human'],
    ]) {
      await runSpamdb(argv, io)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function warmUpSetup({ runSetupProgram }) {
  const folder = mkdtempSync(join(tmpdir(), 'spamdctl-bundle-'))
  try {
    const list = join(folder, 'list')
    const conf = join(folder, 'spamd.conf')
    writeFileSync(list, '192.0.2.0/24\n198.51.100.1 - 198.51.100.9\n2001:db8::1 # text\n')
    writeFileSync(conf, `all:b:w:\nb:black:msg="x":file=${list}:\nw:white:file=${list}:\n`)
    const io = {
      writeOut: () => undefined,
      writeError: () => undefined,
      terminal: undefined,
      environment: { SPAMD_CONF: conf, SPAMD_STATE_DIR: join(folder, 'state'), SPAMD_CFG_PORT: '1' },
      clock: { nowSec: () => 1, monotonicMs: () => 1 },
      sleep: async () => undefined,
      random: () => 0,
      showHelp: async () => undefined,
      goToBackground: async () => undefined,
    }
    for (const argv of [['-n', '--output', join(folder, 'out')], ['-d']]) await runSetupProgram(argv, io)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The bundle is read as latin-1, which is fastest; V8 rejects the cache if the text has another length. */
function writeBundle(name, text) {
  if (/[^\u0000-\u00ff]/.test(text)) throw new Error(`the bundle of ${name} has characters beyond latin-1`)
  writeFileSync(join(outFolder, `${name}.cjs`), text, 'latin1')
}

/** Writes what V8 compiled in a run. */
function writeCache(name, script) {
  writeFileSync(join(outFolder, `${name}.cache`), script.createCachedData())
}

// V8 may take a cache for another text of the same length.
rmSync(outFolder, { recursive: true, force: true })
mkdirSync(outFolder, { recursive: true })
// Second bundles are compiled here, too, so that their caches can be made.
const partsScripts = new Map()
require('../bin/load-program.js').loadScript = (name) => {
  const filename = join(outFolder, `${name}.cjs`)
  const script = new Script(readFileSync(filename, 'latin1'), { filename })
  partsScripts.set(name, script)
  return script.runInThisContext()
}
// What is started, first: whoever finds the bundle of a daemon finds that as well.
for (const program of daemons.toReversed()) writeBundle(program.name, await bundle(program))
for (const program of programs) {
  const { name, warmUp, kept } = program
  const { text, partsText } =
    kept !== undefined ? await splitBundle(program) : { text: await bundle(program) }
  if (partsText !== undefined) writeBundle(`${name}-parts`, partsText)
  const script = new Script(text, { filename: join(outFolder, `${name}.cjs`) })
  const runBundle = () => script.runInThisContext()(require, root, require('node:path'))
  await warmUp(runBundle())
  writeBundle(name, text)
  writeCache(name, script)
  if (name === 'spamdctl')
    writeFileSync(join(outFolder, 'help.json'), JSON.stringify(await layOutHelp(runBundle)))
}
for (const [name, script] of partsScripts) writeCache(name, script)
