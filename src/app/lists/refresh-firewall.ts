import type { Firewall } from '../../firewall/backend.js'
import { parseCidr } from '../../ip/cidr.js'
import { formatCidrs } from '../../ip/cidr-text.js'
import { EMPTY_SET, IpRangeCollector, type IpRangeSet, subtractSet, unionOf } from '../../ip/ip-range-set.js'
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
  const isException = (line: string) => line.startsWith('!')
  if (!lines.some(isException)) return setOf(lines)
  // In pf the longest entry that holds an address decides: the longer a prefix, the later it is applied.
  const byLength = new Map<number, string[]>()
  for (const line of lines) {
    const length = Number(line.slice(line.indexOf('/') + 1))
    const sameLength = byLength.get(length)
    if (sameLength === undefined) byLength.set(length, [line])
    else sameLength.push(line)
  }
  let set = EMPTY_SET
  for (const [, sameLength] of [...byLength].sort(([left], [right]) => left - right)) {
    const exceptions = sameLength.filter(isException).map((line) => line.slice(1))
    set = subtractSet(unionOf([set, setOf(sameLength)]), setOf(exceptions))
  }
  return set
}

/** The addresses of CIDR text; what is none, or holds every address, is left out. */
function setOf(lines: readonly string[]): IpRangeSet {
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
