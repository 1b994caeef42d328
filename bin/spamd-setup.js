#!/usr/bin/env node
'use strict'
const { loadProgram, runWithOclif } = require('./load-program.js')

loadProgram('setup').then(async ({ setupProcess, runSetupProgram }) => {
  const io = setupProcess(() => runWithOclif('setup'))
  process.exitCode = await runSetupProgram(process.argv.slice(2), io)
})
