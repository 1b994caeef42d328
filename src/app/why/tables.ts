/** Whether the packet filter's tables hold an address now, through the seam of probes. */
import { familyOf } from '../../ip/address.js'
import type { Settings } from '../../platform/settings.js'
import type { SystemProbe } from '../../platform/system-probe.js'
import { isDenied, whyNothing } from '../doctor/context.js'

export interface TableHit {
  table: string
  isIn: boolean
}

const POOLS = 'spamd-white-net'
const ALLOWED = 'spamd-allow'
/** In the order in which the example rules ask them; two of them only where pools and exceptions are in use. */
const TABLES = ['nospamd', ALLOWED, 'spamd', 'spamd-white', POOLS] as const

/** Asks each table that is there; `ip` is canonical. `reason` says why the packet filter cannot be seen. */
export async function testTables(
  probe: SystemProbe,
  settings: Settings,
  ip: string,
  uses: { pools: boolean; exceptions: boolean },
): Promise<TableHit[] | { reason: string }> {
  const tables = TABLES.filter(
    (name) => (name !== POOLS || uses.pools) && (name !== ALLOWED || uses.exceptions),
  )
  if (settings.firewall === 'pf') return testPf(probe, settings, tables, ip)
  if (settings.firewall === 'nft') return testNft(probe, settings, tables, ip)
  return { reason: `SPAMD_FIREWALL is ${settings.firewall}` }
}

async function testPf(
  probe: SystemProbe,
  settings: Settings,
  tables: readonly string[],
  ip: string,
): Promise<TableHit[] | { reason: string }> {
  const hits: TableHit[] = []
  for (const table of tables) {
    const tested = await probe.run(settings.pfctl, ['-t', table, '-T', 'test', ip])
    if (isDenied(tested)) return { reason: 'pfctl needs root' }
    if (tested.kind !== 'ended') return { reason: whyNothing('pfctl', tested) }
    // Status 0: all given addresses are in the table; 2: not all; 1: no such table, or another failure.
    if (tested.status === 0) hits.push({ table, isIn: true })
    else if (/[0-9]+\/[0-9]+ addresses match/.test(tested.stderr + tested.stdout) || tested.status === 2) {
      hits.push({ table, isIn: false })
    }
  }
  return hits
}

async function testNft(
  probe: SystemProbe,
  settings: Settings,
  tables: readonly string[],
  ip: string,
): Promise<TableHit[] | { reason: string }> {
  const suffix = familyOf(ip) === 6 ? '6' : ''
  const hits: TableHit[] = []
  for (const table of tables) {
    const words = ['get', 'element', 'inet', 'spamd', `${table}${suffix}`, '{', ip, '}']
    const tested = await probe.run(settings.nft, words)
    if (isDenied(tested)) return { reason: 'nft needs root or CAP_NET_ADMIN' }
    if (tested.kind !== 'ended') return { reason: whyNothing('nft', tested) }
    hits.push({ table, isIn: tested.status === 0 })
  }
  return hits
}
