/** Between sets of addresses and CIDR text. */
import { collectNetwork } from '../../codec/spf/gathered-ranges.js'
import { parseCidr } from '../../ip/cidr.js'
import { formatCidrs } from '../../ip/cidr-text.js'
import { IpRangeCollector, type IpRangeSet } from '../../ip/ip-range-set.js'
import { overlaps } from '../../ip/set-size.js'

/** The addresses of canonical CIDR text; anything else is ignored. */
export function setOfNetworks(networks: readonly string[]): IpRangeSet {
  const collector = new IpRangeCollector()
  for (const text of networks) {
    const network = parseCidr(text)
    if (network !== undefined) collectNetwork(collector, network)
  }
  return collector.takeSet()
}

/** The fewest networks that hold exactly a set, ascending, IPv4 first. */
export function networksOf(set: IpRangeSet): string[] {
  const { ipv4, ipv6 } = formatCidrs(set)
  return [ipv4.text, ipv6.text]
    .flatMap((text) => Buffer.from(text).toString('latin1').split('\n'))
    .filter((line) => line !== '')
}

/** True when a set holds a canonical address. */
export function holdsAddress(set: IpRangeSet, ip: string): boolean {
  return overlaps(set, setOfNetworks([ip]))
}
