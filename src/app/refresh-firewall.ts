import type { Firewall } from '../firewall/backend.js'
import { parseCidr } from '../ip/cidr.js'
import { formatCidrs } from '../ip/cidr-text.js'
import { EMPTY_SET, IpRangeCollector, type IpRangeSet, unionOf } from '../ip/ip-range-set.js'
import { BLOCKED_TABLE } from './blocked-table.js'

/**
 * Replaces the table of blocked networks by `wanted`. With `keepsPresent` nothing that is in the table now
 * is taken out. Returns what the table holds afterwards. Errors: those of the firewall.
 */
export async function replaceBlockedTable(
  firewall: Firewall,
  wanted: IpRangeSet,
  keepsPresent: boolean,
): Promise<IpRangeSet> {
  const set = keepsPresent ? unionOf([wanted, (await readBlockedTable(firewall)) ?? EMPTY_SET]) : wanted
  await firewall.replaceTable(BLOCKED_TABLE, formatCidrs(set))
  return set
}

/** The present content of the table; undefined when there is no such table. */
export async function readBlockedTable(firewall: Firewall): Promise<IpRangeSet | undefined> {
  const lines = await firewall.readTable(BLOCKED_TABLE)
  if (lines === undefined) return undefined
  const collector = new IpRangeCollector()
  for (const line of lines) {
    const cidr = parseCidr(line)
    if (cidr === undefined || cidr.prefixLength === 0) continue
    const words = new DataView(cidr.bytes.buffer, cidr.bytes.byteOffset)
    if (cidr.family === 4) {
      const first = words.getUint32(0)
      collector.ipv4.addRange(first, first + 2 ** (32 - cidr.prefixLength) - 1)
    } else {
      collector.addIpv6Prefix(
        Uint32Array.from([0, 4, 8, 12], (at) => words.getUint32(at)),
        0,
        cidr.prefixLength,
      )
    }
  }
  return collector.takeSet()
}
