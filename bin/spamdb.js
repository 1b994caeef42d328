#!/usr/bin/env node
// The plain run loads no oclif: a one-key call costs little more than starting Node.
import { processIo } from '../dist/src/cli/process-io.js'
import { runSpamdb } from '../dist/src/cli/spamdb-main.js'

const showHelp = async () => {
  const { execute } = await import('@oclif/core')
  await execute({ dir: import.meta.url, args: ['spamdb', '--help'] })
}

process.exitCode = await runSpamdb(process.argv.slice(2), processIo(showHelp))
