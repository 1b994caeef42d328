/** Replaces table `spamd` by so many networks: `replace-table.ts PFCTL COUNT`, a process of its own to be killed. */
import { selectFirewall } from '../../src/firewall/select.js'
import { contentOf, networks } from './table-content.js'

const [pfctl = '', count = '0'] = process.argv.slice(2)
const firewall = selectFirewall({ choice: 'pf', pfctl, nft: '', system: 'openbsd' })
await firewall.replaceTable({ name: 'spamd', content: 'networks' }, contentOf(networks(Number(count))))
