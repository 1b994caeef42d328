import { applySighting } from '../domain/sighting.js'
import type { Sighting, SightingOutcome } from './store.js'
import type { HostTable } from './tables/host-table.js'

/** Applies what the log watcher saw, in order, within the caller's transaction. */
export function applySightings(
  hosts: HostTable,
  sightings: readonly Sighting[],
  options: { whiteExpireSec: number; untrap: boolean },
  now: number,
): SightingOutcome[] {
  return sightings.map(({ ip, count }) => {
    const existing = hosts.get(ip)
    const decision = applySighting(existing, count, options, now)
    if (decision.host !== undefined) hosts.put(ip, existing, decision.host)
    return decision.outcome
  })
}
