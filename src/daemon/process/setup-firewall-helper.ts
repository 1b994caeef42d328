/** The process that keeps root for the packet filter while spamd-setup has none: see setup-firewall.ts. */
import { escapeControl } from '../../codec/escape.js'
import { selectFirewall } from '../../firewall/select.js'
import { currentSystem } from '../../platform/settings.js'
import { PrivilegedParent } from './privileged-parent.js'
import { SETUP_TABLES } from './privileged-protocol.js'
import type { HelperSettings } from './setup-firewall.js'
import { NO_RESOURCES } from './spamd-resources.js'

const { firewall: choice, pfctl, nft } = JSON.parse(process.argv[2] ?? '{}') as HelperSettings

process.chdir('/')
const parent = new PrivilegedParent({
  resources: NO_RESOURCES,
  firewall: selectFirewall({
    choice,
    pfctl,
    nft,
    system: currentSystem(),
    onNotice: (message) => process.stderr.write(`spamd-setup: ${escapeControl(message)}\n`),
  }),
  controlSocket: {},
  tables: SETUP_TABLES,
  send: (message) =>
    new Promise((resolve, reject) => {
      process.send!(message, undefined, {}, (error) => (error === null ? resolve() : reject(error)))
    }),
})
process.on('disconnect', () => process.exit(0))
process.on('message', (message) => {
  try {
    parent.take(message)
  } catch {
    // Nothing of ours speaks like that.
    process.exit(1)
  }
})
