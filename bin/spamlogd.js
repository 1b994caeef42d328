#!/bin/sh
':' //; exec node '--inspect-port=[fe80::1]:0' "$0" "$@"
'use strict'
// The line above is for sh: Node's inspector, which SIGUSR1 opens, is sent where it cannot listen (inspector-guard.ts).
process.on('SIGUSR1', () => undefined)
const { endWith, runWithOclif } = require('./load-program.js')

// A daemon stays small: oclif is loaded for help only.
const modules = [
  'cli/spamlogd/spamlogd-main',
  'daemon/spamlogd/run-spamlogd',
  'daemon/spamlogd/spamlogd-machine',
  'daemon/spamlogd/white-announcer',
]
const load = (name) => import(`../dist/src/${name}.js`)
Promise.all(modules.map(load))
  .then(async ([cli, daemon, machines, announcers]) => {
    const machine = machines.systemMachine()
    const exitCode = await cli.runSpamlogdCall(process.argv.slice(2), {
      ...machine,
      showHelp: () => runWithOclif('spamlogd'),
      run: (options) =>
        daemon.runSpamlogd(options, {
          machine,
          openAnnouncer: (given, logger) => announcers.openWhiteAnnouncer(given, logger, machine),
        }),
    })
    // An ended capture may still hold the event loop (see live-capture.ts), so the end is explicit.
    process.exit(exitCode)
  })
  .catch(endWith)
