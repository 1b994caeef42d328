import { countCidrs } from '../../ip/cidr-text.js'
import { type IpRangeSet, subtractSet } from '../../ip/ip-range-set.js'
import type { Change } from './refresh-report.js'

/** How many networks (CIDR blocks) are added, removed and unchanged between two sets. Pure. */
export function countChange(before: IpRangeSet, after: IpRangeSet): Change {
  const added = subtractSet(after, before)
  return {
    added: blocksOf(added),
    removed: blocksOf(subtractSet(before, after)),
    unchanged: blocksOf(subtractSet(after, added)),
  }
}

function blocksOf(set: IpRangeSet): number {
  const { ipv4, ipv6 } = countCidrs(set)
  return ipv4 + ipv6
}
