/**
 * A spamd in one process, for tests that kill it: argv is a JSON object with the folder of its files and its options.
 * Prints its SMTP port once it accepts connections, and ends with its parent.
 */

import { parseSpamdOptions } from '../../../src/cli/spamd/parse-spamd-options.js'
import { systemClock } from '../../../src/platform/clock.js'
import { createTestDaemon, daemonEnvironment } from './test-daemon.js'

const { folder, options } = JSON.parse(process.argv[2]!) as { folder: string; options: string[] }
const parsed = parseSpamdOptions(options, {
  hostname: 'mx.example.test',
  maxFiles: undefined,
  environment: daemonEnvironment(folder),
})
if (!parsed.ok) throw new Error(parsed.stderr)
const { service, logger, resources } = createTestDaemon(parsed.config, systemClock)
await service.start()
process.stdout.write(`${resources.smtpPort}\n`)
process.stdin.resume().on('data', () => {
  const lines = logger.lines.filter(({ level }) => level !== 'info' && level !== 'debug')
  const state = { smtp: service.smtp.counters, grey: service.greylister?.counters, lines }
  process.stdout.write(`${JSON.stringify(state)}\n`)
})
process.stdin.on('end', () => process.exit())
