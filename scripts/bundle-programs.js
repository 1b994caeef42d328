/**
 * Joins the modules of a program that must start fast into one CommonJS file with V8's code cache beside it:
 * loading forty modules one by one costs more than twice what Node itself needs to start. Run after tsc.
 * The programs also run from dist/ alone; bin/load-program.cjs prefers the bundle when it is there.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const require = createRequire(import.meta.url)
const outFolder = join(root, 'dist', 'fast')

/** The modules of one bundle in the order in which they were found; the first one is the entry. */
function collectModules(entryPath) {
  const ids = new Map([[entryPath, 0]])
  const texts = []
  for (const path of ids.keys()) {
    const idOf = (specifier) => {
      const target = resolve(dirname(path), specifier)
      const file = target.endsWith('.js') ? target : `${target}.js`
      if (!ids.has(file)) ids.set(file, ids.size)
      return ids.get(file)
    }
    const isOurs = !path.includes('node_modules')
    const text = isOurs ? toCommonJs(path) : readFileSync(path, 'utf8')
    const linked = text.replace(/\brequire\((["'])([^"']+)\1\)/g, (call, _quote, specifier) => {
      if (specifier.startsWith('.')) return `__load(${idOf(specifier)})`
      return isOurs ? `__node('${specifier}')` : call
    })
    // Our modules may have a \`require\` of their own; those of packages use Node's.
    texts.push(`(exports, module, ${isOurs ? '__node' : 'require'}) => {${linked}\n}`)
  }
  return { ids, texts }
}

function toCommonJs(path) {
  const { outputText } = ts.transpileModule(readFileSync(path, 'utf8'), {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2023, removeComments: true },
  })
  return outputText.replaceAll('import.meta.url', `__urlOf(${JSON.stringify(relative(root, path))})`)
}

/**
 * The bundle: a function of Node's `require` and the root of the package that returns the exports of its
 * entry. better-sqlite3 is part of it (it is fetched through `createRequire`, which is led here), its compiled
 * addon is not.
 */
function bundle(entryPath) {
  const sqlitePath = require.resolve('better-sqlite3')
  const { ids, texts } = collectModules(entryPath)
  const sqlite = collectModules(sqlitePath)
  const usesSqlite = texts.some((text) => text.includes('better-sqlite3'))
  return `(function (require, rootPath, path) {
'use strict'
const link = (texts, nodeRequire) => {
  const loaded = []
  const load = (id) => {
    if (loaded[id] === undefined) {
      const module = (loaded[id] = { exports: {} })
      texts(load)[id](module.exports, module, nodeRequire)
    }
    return loaded[id].exports
  }
  return load
}
const __urlOf = (file) => require('node:url').pathToFileURL(path.join(rootPath, file)).href
${
  usesSqlite
    ? `const loadSqlite = link((__load) => [${sqlite.texts.join(',\n')}], require)
const sqlitePath = path.join(rootPath, ${JSON.stringify(relative(root, sqlitePath))})
const createRequire = (url) => {
  const real = () => require('node:module').createRequire(url)
  const led = (id) => (id === sqlitePath ? loadSqlite(0) : real()(id))
  led.resolve = (id) => (id === 'better-sqlite3' && require('node:fs').existsSync(sqlitePath) ? sqlitePath : real().resolve(id))
  return led
}
const ledRequire = (id) => (id === 'node:module' ? { createRequire } : require(id))`
    : 'const ledRequire = require'
}
return link((__load) => [${texts.join(',\n')}], ledRequire)(${ids.get(entryPath)})
})`
}

const programs = [
  { name: 'spamdb', entry: 'dist/src/cli/spamdb-program.js', warmUp: warmUpSpamdb },
  { name: 'setup', entry: 'dist/src/cli/setup-program.js', warmUp: warmUpSetup },
]

/** Runs what most calls run, so that the code cache holds it compiled. */
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
    for (const argv of [['-a', '192.0.2.1', '2001:db8::1'], ['192.0.2.1'], [], ['-d', '192.0.2.1']]) {
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

const { Script } = require('node:vm')
mkdirSync(outFolder, { recursive: true })
for (const { name, entry, warmUp } of programs) {
  const text = bundle(join(root, entry))
  const script = new Script(text, { filename: join(outFolder, `${name}.cjs`) })
  await warmUp(script.runInThisContext()(require, root, require('node:path')))
  writeFileSync(join(outFolder, `${name}.cjs`), text)
  writeFileSync(join(outFolder, `${name}.cache`), script.createCachedData())
}
