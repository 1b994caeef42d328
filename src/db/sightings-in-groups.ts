import { decideAlikeSightings, isPlainSighting } from '../domain/alike-sightings.js'
import { decideSightings, selectSightings } from '../domain/decide-sightings.js'
import type { Sighting, SightingOptions, SightingOutcome } from '../domain/requests.js'
import type { HybridClock } from '../domain/stamp.js'
import { LEAST_ALIKE } from './edit-in-parts.js'
import { keyListOf } from './tables/key-list.js'
import type { Transactions } from './transactions.js'

/**
 * Sightings in one transaction, whose changes nobody needs: those that change alike are stored together, by groups, then
 * the others one by one. The order of stamps of different addresses means nothing.
 */
export function sightInGroups(
  transactions: Transactions,
  sightings: readonly Sighting[],
  options: SightingOptions,
  now: number,
): SightingOutcome[] {
  const outcomes = Array<SightingOutcome>(sightings.length)
  transactions.write('recordSightings', now, (journal) => {
    const at = { clock: journal.clock, now }
    const { groups, others } = group(transactions, sightings, at)
    for (const { places, count, hasRecord } of groups) {
      const ips = places.map((place) => sightings[place]!.ip)
      const changes = decideAlikeSightings(at, { ips, count, hasRecord }, options)
      transactions.storeAlike(journal, changes)
      const { expire } = changes.first.after.entry!
      const outcome: SightingOutcome = { result: hasRecord ? 'refreshed' : 'added', expire }
      for (const place of places) outcomes[place] = outcome
    }
    const rest = others.map((place) => sightings[place]!)
    const decided = transactions.decideWithin(journal, now, selectSightings(rest), (draft) =>
      decideSightings(draft, rest, options),
    )
    for (const [index, place] of others.entries()) outcomes[place] = decided.outcomes[index]!
  })
  return outcomes
}

interface PlaceGroup {
  places: number[]
  count: number
  hasRecord: boolean
}

/** The places of sightings that change alike, in groups that are worth it, and those of all others in order. */
function group(
  { hosts, removed }: Transactions,
  sightings: readonly Sighting[],
  { clock, now }: { clock: HybridClock; now: number },
): { groups: PlaceGroup[]; others: number[] } {
  const ips = sightings.map(({ ip }) => ip)
  const list = keyListOf(ips)
  if (list === undefined) return { groups: [], others: [...ips.keys()] }
  const codes = new Uint8Array(ips.length).fill(NEW)
  for (const known of hosts.knownOf(list, clock.node)) {
    codes[known.place] = isPlainSighting(known, clock, now) ? KNOWN : OTHER
  }
  if (!removed.isEmpty) for (const place of removed.placesOf(list)) codes[place] = OTHER
  const seen = new Set<string>()
  const found = new Map<number, PlaceGroup>()
  const others: number[] = []
  for (const [place, { ip, count }] of sightings.entries()) {
    const code = codes[place]!
    // The second sighting of an address finds what the first one left.
    if (code === OTHER || seen.size === seen.add(ip).size) others.push(place)
    else {
      const key = count * 2 + code
      const places = found.get(key)?.places
      if (places === undefined) found.set(key, { places: [place], count, hasRecord: code === KNOWN })
      else places.push(place)
    }
  }
  const groups = [...found.values()]
  const small = groups.filter(({ places }) => places.length < LEAST_ALIKE).flatMap(({ places }) => places)
  return {
    groups: groups.filter(({ places }) => places.length >= LEAST_ALIKE),
    others: small.length === 0 ? others : [...others, ...small].sort((one, other) => one - other),
  }
}

/** Codes of sightings: of an address without a record, with one that changes as others do, with another one. */
const NEW = 0
const KNOWN = 1
const OTHER = 2
