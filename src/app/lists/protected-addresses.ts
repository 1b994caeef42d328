/**
 * Addresses that no downloaded list may block: the site itself, and what its administrator specifies. Pure.
 */
import { canonicalIp } from '../../ip/address.js'
import { formatCidrs } from '../../ip/cidr-text.js'
import { EMPTY_SET, unionOf } from '../../ip/ip-range-set.js'
import { intersectSet, overlaps } from '../../ip/set-size.js'
import { setOfCidrs } from '../../ip/special-use.js'
import { toDisplayText } from '../wire-text.js'
import type { CombinedList, ListPart, Protection } from './combine-lists.js'
import type { Problem } from './configured-list.js'

/** Networks that are named; more are only counted. */
const MAX_NAMED = 3

/**
 * Protects the addresses of the `:never:` lists and `ownAddresses`, in any spelling; anything that is not an
 * address is ignored.
 */
export function protectionOf(parts: readonly ListPart[], ownAddresses: readonly string[]): Protection {
  const never = parts.filter(({ isNever }) => isNever)
  const own = ownAddresses.map(canonicalIp).filter((address) => address !== undefined)
  return {
    set: unionOf([setOfCidrs(own), ...never.map(({ set }) => set ?? EMPTY_SET)]),
    failed: never.filter(({ set }) => set === undefined).map(({ name }) => name),
  }
}

/**
 * For each downloaded black list whose content is known, by its name: the protected addresses that it holds, as a line
 * for people; undefined when there are none.
 */
export function describeProtected(
  parts: readonly ListPart[],
  protection: Protection,
): Map<string, Problem | undefined> {
  const found = new Map<string, Problem | undefined>()
  for (const { name, colour, isDownloaded, set } of parts) {
    if (colour !== 'black' || !isDownloaded || set === undefined) continue
    if (!overlaps(set, protection.set)) {
      found.set(name, undefined)
      continue
    }
    const { ipv4, ipv6 } = formatCidrs(intersectSet(set, protection.set))
    const cidrs = Buffer.concat([ipv4.text, ipv6.text]).toString('latin1').trim().split('\n')
    const more = cidrs.length > MAX_NAMED ? ` and ${cidrs.length - MAX_NAMED} more` : ''
    const shown = `${cidrs.slice(0, MAX_NAMED).join(', ')}${more}`
    found.set(name, {
      message: `warning: blacklist ${toDisplayText(name)} contains protected addresses, which are not blocked: ${shown}`,
      hint: "protected addresses are this host's own, its default gateway and those of lists with :never:",
      isError: false,
    })
  }
  return found
}

/** Minimum entries of a black list for a warning that its white lists empty it. */
const EMPTIED_ENTRIES = 100

/** A line for each black list of 100 or more entries of which its white lists leave nothing. */
export function describeEmptied(parts: readonly ListPart[], combined: readonly CombinedList[]): Problem[] {
  const problems: Problem[] = []
  for (const { name, emptiedBy } of combined) {
    const entries = parts.find((part) => part.name === name && part.colour === 'black')?.entries ?? 0
    if (emptiedBy.length === 0 || entries < EMPTIED_ENTRIES) continue
    const white = emptiedBy.map(toDisplayText).join(', ')
    problems.push({
      message: `warning: blacklist ${toDisplayText(name)}: nothing is left of its ${entries} entries after whitelist ${white}`,
      hint: 'check the white list for a network that is too wide',
      isError: false,
    })
  }
  return problems
}
