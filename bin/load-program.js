'use strict'
/**
 * Loads a program for a fast start. The files of bin/ are CommonJS (bin/package.json), since starting Node's
 * loader of ES modules costs a fifth of the whole run of a one-key spamdb.
 */
const { existsSync, readFileSync, statSync } = require('node:fs')
const path = require('node:path')

const root = path.dirname(__dirname)
/** The sources were updated but not built again. */
class StaleBuild extends Error {}

const NATIVE_CODES = ['ERR_DLOPEN_FAILED', 'MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND']

/**
 * Reports in one line what is missing to run any program (the build, packages, or native modules for this version of
 * Node), with the command that fixes it. Returns false for every other failure.
 */
function tellMissing(error) {
  const program = path.basename(require.main.filename, '.js')
  const text = String(error?.message)
  const tell = (what, hint) => {
    process.stderr.write(`${program}: ${what}\n${program}: hint: ${hint}\n`)
    process.exitCode = 1
    return true
  }
  if (error instanceof StaleBuild)
    return tell('the programs were built from other sources', `run "npm run setup" in ${root}`)
  // Node has the name of what is missing in its text only.
  const missing = /Cannot find (?:module|package) '([^']+)'/.exec(text)?.[1]
  if (!NATIVE_CODES.includes(error?.code) && error?.code !== 'ENOENT' && error?.code !== 'EACCES')
    return false
  // So has the loader of the system, under one code for everything.
  if (
    /NODE_MODULE_VERSION|was compiled against|invalid ELF|wrong ELF|ERR_DLOPEN/.test(`${text} ${error.code}`)
  ) {
    return tell(
      `a native module was built for another Node than this one (${process.version})`,
      `run "npm rebuild" in ${root}`,
    )
  }
  const lost = missing ?? error.path ?? ''
  if (error.code === 'EACCES')
    return (
      lost.startsWith(root) &&
      tell(
        `cannot read ${lost}: Permission denied`,
        `the programs must be readable for every user: chmod -R go+rX ${root}`,
      )
    )
  if (lost.startsWith(path.join(root, 'dist'))) {
    return tell('the programs are not built', `run "npm run setup" in ${root}`)
  }
  if (missing === undefined) return false
  return tell(`the package ${path.basename(lost)} is missing`, `run "npm run setup" in ${root}`)
}
exports.tellMissing = tellMissing

/** Ends a program whose promise was rejected: with one line for a known cause, otherwise as Node does. */
exports.endWith = (error) => {
  if (!tellMissing(error)) throw error
}

/**
 * The exports of a bundle made by scripts/bundle-programs.js, with V8's code cache if it has one; undefined if there is no bundle or if
 * it is older than `modulePath`, which shows the time of the build.
 */
function loadBundle(name, modulePath) {
  const bundlePath = path.join(root, 'dist', 'fast', `${name}.cjs`)
  const bundle = statSync(bundlePath, { throwIfNoEntry: false })
  if (bundle === undefined || bundle.mtimeMs < statSync(modulePath).mtimeMs) return undefined
  return loadScript(name)(require, root, path)
}

/** The function that a bundle is. */
function loadScript(name) {
  const bundlePath = path.join(root, 'dist', 'fast', `${name}.cjs`)
  const { Script } = require('node:vm')
  const script = new Script(readFileSync(bundlePath, 'latin1'), {
    filename: bundlePath,
    cachedData: cacheOf(path.join(root, 'dist', 'fast', `${name}.cache`)),
  })
  return script.runInThisContext()
}
exports.loadScript = loadScript

/** Bundles of daemons have none. */
const cacheOf = (cachePath) => (existsSync(cachePath) ? readFileSync(cachePath) : undefined)

/** The program of dist/src/programs/NAME.js: from its bundle, otherwise from the modules themselves. */
exports.loadProgram = async (name) => {
  const modulePath = path.join(root, 'dist', 'src', 'programs', `${name}.js`)
  const { program } =
    loadBundle(name, modulePath) ?? (await import(require('node:url').pathToFileURL(modulePath).href))
  if (program === undefined) throw new StaleBuild()
  return program
}

/** Commands that run for years: they would keep the bundle, which contains every command, in memory. */
const DAEMONS = ['spamd', 'spamlogd']

/** Passes the given words, then the arguments of the call, to oclif; for help and for programs without a fast start. */
exports.runWithOclif = async (...words) => {
  const program = path.basename(require.main.filename, '.js')
  const given = process.argv.slice(2)
  const called = [...words, ...(given.length === 1 && given[0] === '-h' ? ['--help'] : given)]
  const modulePath = path.join(root, 'dist', 'src', 'cli', 'oclif-program.js')
  const isDaemon = DAEMONS.includes(called[0]) && !called.includes('--help')
  if (isDaemon) return await runOclifItself(program, called, await import('../dist/src/cli/oclif-program.js'))
  const runOclif = async (asked) => {
    const bundle = loadBundle('spamdctl', modulePath) ?? (await import('../dist/src/cli/oclif-program.js'))
    await runOclifItself(program, asked, bundle)
  }
  const light = loadBundle('commands', modulePath)
  if (light === undefined) return await runOclif(called)
  light.guardStandardOutput(program)
  try {
    const isDone =
      require('./show-help.js').showHelp(path.join(root, 'dist', 'fast', 'help.json'), called) ||
      (await light.runLightly(called, light.loaders, runOclif))
    if (isDone) await failedWrites()
    else await runOclif(called)
  } catch (error) {
    if (!tellMissing(error)) await (await import('@oclif/core')).handle(error)
  }
}

/** The caller may end the process at once: a failed write must be reported first. */
const failedWrites = () => new Promise(setImmediate)

async function runOclifItself(program, called, bundle) {
  const { guardStandardOutput, handle, runOclif, tellUnknownCommand } = bundle
  // After an update of the sources only, the older build lacks what this file calls.
  if (handle === undefined) throw new StaleBuild()
  guardStandardOutput(program)
  try {
    await runOclif(called, root, bundle.loaders)
    await failedWrites()
  } catch (error) {
    if (!tellMissing(error) && !tellUnknownCommand(program, error)) await handle(error)
  }
}
