/**
 * Replaces table `spamd` by COUNT networks: `replace-table.ts PFCTL COUNT`, a separate process so that tests can kill
 * it.
 */
import { selectFirewall } from '../../src/firewall/select.js'
import { contentOf, networks } from './table-content.js'

const [pfctl = '', count = '0'] = process.argv.slice(2)
const firewall = selectFirewall({ choice: 'pf', pfctl, nft: '', system: 'openbsd' })
await firewall.replaceTable({ name: 'spamd', content: 'networks' }, contentOf(networks(Number(count))))
