'use strict'
/**
 * Loads a program for a fast start. The files of bin/ are CommonJS (bin/package.json), since starting Node's
 * loader of ES modules costs a fifth of the whole run of a one-key spamdb.
 */
const { readFileSync, statSync } = require('node:fs')
const path = require('node:path')

const root = path.dirname(__dirname)

/**
 * The exports of dist/src/cli/NAME/NAME-program.js: from the bundle that scripts/bundle-programs.js made, with V8's
 * code cache, else (no bundle, or one older than the build) from the modules themselves.
 */
exports.loadProgram = async (name) => {
  const modulePath = path.join(root, 'dist', 'src', 'cli', name, `${name}-program.js`)
  const bundlePath = path.join(root, 'dist', 'fast', `${name}.cjs`)
  const bundle = statSync(bundlePath, { throwIfNoEntry: false })
  if (bundle === undefined || bundle.mtimeMs < statSync(modulePath).mtimeMs) {
    return await import(require('node:url').pathToFileURL(modulePath).href)
  }
  const { Script } = require('node:vm')
  const script = new Script(readFileSync(bundlePath, 'latin1'), {
    filename: bundlePath,
    cachedData: readFileSync(path.join(root, 'dist', 'fast', `${name}.cache`)),
  })
  return script.runInThisContext()(require, root, path)
}

/** Hands the words of the call to oclif, behind those given; for help and for programs without a fast start. */
exports.runWithOclif = async (...words) => {
  const { handle, run } = await import('@oclif/core')
  const { guardStandardOutput, tellUnknownCommand } = await import('../dist/src/cli/oclif-program.js')
  const program = path.basename(require.main.filename, '.js')
  guardStandardOutput(program)
  try {
    // Not oclif's execute: it writes to standard output once more, and dies of that on a full disk.
    await run([...words, ...process.argv.slice(2)], { root, userPlugins: false })
    // The caller may end the process at once: a failed write must be told first.
    await new Promise(setImmediate)
  } catch (error) {
    if (!tellUnknownCommand(program, error)) await handle(error)
  }
}
