#!/bin/sh
':' //; unset NODE_UNIQUE_ID NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE; exec node '--inspect-port=[fe80::1]:0' "$0" "$@"
'use strict'
// The line above is for sh: commands of method exec run as the same user and may signal us; see spamd.js.
const { endWith, loadProgram, runWithOclif } = require('./load-program.js')

loadProgram('spamd-setup')
  .then(async (program) => {
    process.exitCode = await program(process.argv.slice(2), () => runWithOclif('setup'))
  })
  .catch(endWith)
