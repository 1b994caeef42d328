#!/bin/sh
':' //; unset NODE_UNIQUE_ID NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE; exec node '--inspect-port=[fe80::1]:0' "$0" "$@"
'use strict'
// The line above is for sh, since this program also runs the daemons: see spamd.js.
const { endWith, runWithOclif } = require('./load-program.js')

runWithOclif().catch(endWith)
