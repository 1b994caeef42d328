#!/bin/sh
':' //; exec node '--inspect-port=[fe80::1]:0' "$0" "$@"
'use strict'
// The line above is for sh: Node's inspector, which SIGUSR1 opens, is sent where it cannot listen (inspector-guard.ts).
process.on('SIGUSR1', () => undefined)
const { endWith, runWithOclif } = require('./load-program.js')

runWithOclif('spamd').catch(endWith)
