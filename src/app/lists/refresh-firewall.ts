import type { Firewall } from '../../firewall/backend.js'
import { parseCidr } from '../../ip/cidr.js'
import { formatCidrs } from '../../ip/cidr-text.js'
import { EMPTY_SET, IpRangeCollector, type IpRangeSet, subtractSet, unionOf } from '../../ip/ip-range-set.js'
import { BLOCKED_TABLE } from './blocked-table.js'
import { linesDigest, tableDigest } from './list-key.js'

/** What became of the table. */
export interface TableResult {
  set: IpRangeSet
  /** Of its content, see `tableDigest`. */
  digest: string
  outcome: 'replaced' | 'as wanted'
}

/**
 * Makes the table of blocked networks hold `wanted`. With `keepsPresent` nothing that is in the table now is taken out.
 * With `lastDigest`, of what the table was given last, a table that is still to hold the same is read, and written only
 * when it does not. Errors: those of the firewall.
 */
export async function replaceBlockedTable(
  firewall: Firewall,
  wanted: IpRangeSet,
  { keepsPresent, lastDigest }: { keepsPresent: boolean; lastDigest: string | undefined },
): Promise<TableResult> {
  const present = keepsPresent ? await readBlockedTable(firewall) : undefined
  const set = keepsPresent ? unionOf([wanted, present ?? EMPTY_SET]) : wanted
  const content = formatCidrs(set)
  const digest = tableDigest(content)
  if (lastDigest === digest && (await holds(firewall, set, digest)))
    return { set, digest, outcome: 'as wanted' }
  await firewall.replaceTable(BLOCKED_TABLE, content)
  return { set, digest, outcome: 'replaced' }
}

/** True when the table holds, line by line, what it was last given. */
export async function isBlockedTableAsGiven(firewall: Firewall, digest: string): Promise<boolean> {
  const lines = await firewall.readTable(BLOCKED_TABLE)
  return lines !== undefined && linesDigest(lines) === digest
}

async function holds(firewall: Firewall, set: IpRangeSet, digest: string): Promise<boolean> {
  const lines = await firewall.readTable(BLOCKED_TABLE)
  if (lines === undefined) return false
  if (linesDigest(lines) === digest) return true
  // A packet filter may list the same networks in another order or cut in another way.
  return tableDigest(formatCidrs(setOfLines(lines))) === tableDigest(formatCidrs(set))
}

/** The present content of the table; undefined when there is no such table. */
export async function readBlockedTable(firewall: Firewall): Promise<IpRangeSet | undefined> {
  const lines = await firewall.readTable(BLOCKED_TABLE)
  return lines === undefined ? undefined : setOfLines(lines)
}

/** The addresses that match the entries of a table. */
function setOfLines(lines: readonly string[]): IpRangeSet {
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
