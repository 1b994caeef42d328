#!/bin/sh
':' //; unset NODE_UNIQUE_ID NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE; exec env MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=131072 MALLOC_TRIM_THRESHOLD_=131072 node --expose-gc '--inspect-port=[fe80::1]:0' "$0" "$@"
'use strict'
// The line above is for sh: it directs Node's inspector, which SIGUSR1 opens, to an address where it cannot listen
// (inspector-guard.ts), lets us free memory without a context of its own (free-memory.ts),
// and lets glibc return memory, as for the child (child-launch.ts).
process.on('SIGUSR1', () => undefined)
const { endWith, loadProgram, runWithOclif } = require('./load-program.js')

// A daemon stays small: oclif is loaded only for help.
loadProgram('spamlogd')
  .then(async (program) => {
    const exitCode = await program(process.argv.slice(2), () => runWithOclif('spamlogd'))
    // A capture that has ended may still keep the event loop alive (see live-capture.ts), so the end is explicit.
    process.exit(exitCode)
  })
  .catch(endWith)
