#!/usr/bin/env node
'use strict'
const { endWith, loadProgram, runWithOclif } = require('./load-program.js')

loadProgram('spamd-setup')
  .then(async (program) => {
    process.exitCode = await program(process.argv.slice(2), () => runWithOclif('setup'))
  })
  .catch(endWith)
