import type { Entry, EntryKey } from './entry.js'

/** The key of an entry. */
export function keyOf(entry: Entry): EntryKey {
  switch (entry.kind) {
    case 'WHITE':
    case 'TRAPPED':
      return { kind: 'host', ip: entry.ip }
    case 'SPAMTRAP':
      return { kind: 'spamtrap', address: entry.address }
    case 'POOL':
      return { kind: 'pool', ip: entry.ip }
    case 'GREY':
      return { kind: 'tuple', ip: entry.ip, helo: entry.helo, from: entry.from, to: entry.to }
  }
}
