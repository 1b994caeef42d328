#!/usr/bin/env node
'use strict'
const { endWith, loadProgram, runWithOclif } = require('./load-program.js')

loadProgram('spamdb')
  .then(async (program) => {
    process.exitCode = await program(process.argv.slice(2), () => runWithOclif('spamdb'))
  })
  .catch(endWith)
