#!/usr/bin/env node
'use strict'
const { endWith, loadProgram, runWithOclif } = require('./load-program.js')

loadProgram('setup')
  .then(async ({ setupProcess, runSetupProgram }) => {
    const io = setupProcess(
      () => runWithOclif('setup'),
      async (settings) => {
        const { startSetupFirewall } = await import('../dist/src/daemon/process/setup-firewall.js')
        return startSetupFirewall(settings)
      },
    )
    process.exitCode = await runSetupProgram(process.argv.slice(2), io)
  })
  .catch(endWith)
