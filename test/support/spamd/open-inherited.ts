/** Opens descriptor 3 as spamd opens an inherited socket, and prints what it says. */
import { parseSpamdOptions } from '../../../src/cli/spamd/parse-spamd-options.js'
import { OwnResources } from '../../../src/daemon/process/own-resources.js'
import { reasonOf } from '../../../src/platform/errno-text.js'

const parsed = parseSpamdOptions(['--listen-fd', '3'], {
  hostname: 'host.example',
  maxFiles: 1024,
  environment: { SPAMD_PORT: '8025', SPAMD_CFG_PORT: '8026', SPAMD_SYNC_PORT: '8025' },
})
if (!parsed.ok) throw new Error(parsed.stderr)
const text = await new OwnResources(parsed.config).openSmtpListeners().then(
  () => 'listening',
  (error: unknown) => reasonOf(error),
)
process.stdout.write(`${text}\n`, () => process.exit())
