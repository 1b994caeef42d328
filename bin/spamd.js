#!/bin/sh
':' //; exec node '--inspect-port=[fe80::1]:0' "$0" "$@"
'use strict'
// The line above is for sh: Node's inspector, which SIGUSR1 opens, is sent where it cannot listen (inspector-guard.ts).
process.on('SIGUSR1', () => undefined)
const { endWith, loadProgram, runWithOclif } = require('./load-program.js')

// A daemon stays small: oclif is loaded for help only.
loadProgram('spamd')
  .then(async (program) => {
    const exitCode = await program(process.argv.slice(2), () => runWithOclif('spamd'))
    // A helper that hangs must not hold up the end.
    process.exit(exitCode)
  })
  .catch(endWith)
