#!/usr/bin/env node
'use strict'
const { endWith, loadProgram, runWithOclif } = require('./load-program.js')

loadProgram('spamdb')
  .then(async ({ processIo, rawArguments, runSpamdb }) => {
    const io = processIo(() => runWithOclif('spamdb'))
    process.exitCode = await runSpamdb(rawArguments(process.argv.slice(2)), io)
  })
  .catch(endWith)
