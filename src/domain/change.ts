import type { Tuple, WireText } from './entry.js'
import type { HeldHost, HeldPool, HeldSpamtrap, HeldTuple } from './held.js'
import type { HeldRelease } from './release.js'
import type { Stamp } from './stamp.js'

/** Why an entry changed: the rule that decided so. Stored by position: append, never reorder. */
export const CHANGE_RULES = [
  /** `spamdb -a`, `-d` and the like. */
  'manual',
  'import',
  /** A delivery attempt made, counted or restarted a tuple. */
  'attempt',
  /** A tuple that was retried after passtime made its address WHITE. */
  'promotion',
  /** A spamtrap or a domain that is not allowed. */
  'trap',
  /** -M: the low-priority MX was tried first. */
  'low-priority-mx',
  /** The log watcher saw the address. */
  'sighting',
  /** The same, with the option that releases a TRAPPED address. */
  'untrap',
  /** The entry expired. */
  'expiry',
  /** A WHITE address, or that of a tuple that passed, is on a block list, or an open network holds one that is. */
  'block-list',
  /** Evicted to stay within the limits on tuples. */
  'limit',
  /** A message of a sync peer. */
  'peer',
  /** The state of another gateway was merged. */
  'merge',
  'undo',
  'release',
  /** A pool of senders retried, or an attempt was counted for its key. */
  'pool',
  /** SPF says that the sender is forged. */
  'spf-fail',
  /** The address is on a DNS allow list. */
  'dns-list',
  /** An exception of `spamdctl allow`. */
  'allow',
] as const
export type ChangeRule = (typeof CHANGE_RULES)[number]

/** What made a change. */
export interface Cause {
  rule: ChangeRule
  /** Who: address of a peer, name of a user; undefined when the rule is enough. */
  actor?: string | undefined
  /** The recipient that was a trap; only for the history. */
  recipient?: WireText | undefined
}

interface ChangeOf<Key, Held> {
  key: Key
  before: Held
  after: Held
  stamp: Stamp
  cause: Cause
  /** Index of the request in the batch that made the change. */
  request: number
}

/** A change for each kind of key. */
export type HostChange = ChangeOf<{ kind: 'host'; ip: string }, HeldHost>
/** See `HostChange`. */
export type TupleChange = ChangeOf<{ kind: 'tuple' } & Tuple, HeldTuple>
/** See `HostChange`. */
export type SpamtrapChange = ChangeOf<{ kind: 'spamtrap'; address: WireText }, HeldSpamtrap>

/** See `HostChange`. */
export type PoolChange = ChangeOf<{ kind: 'pool'; ip: string }, HeldPool>

/** See `HostChange`; a release is not an entry, but is reported in the same way. */
export type ReleaseChange = ChangeOf<{ kind: 'release'; id: string }, HeldRelease>

/** One change of one entry: the entry before and after, when, and why. */
export type Change = HostChange | TupleChange | SpamtrapChange | PoolChange | ReleaseChange
/** What can change. */
export type ChangeKey = Change['key']

/** True for a change of a WHITE or TRAPPED entry. */
export function isHostChange(change: Change): change is HostChange {
  return change.key.kind === 'host'
}

/**
 * A key as one text, for maps: no field of a key holds NUL, and the kinds cannot be confused (a pool has
 * `/`).
 */
export function keyText(key: ChangeKey): string {
  switch (key.kind) {
    case 'host':
    case 'pool':
      return key.ip
    case 'spamtrap':
      return `@${key.address}`
    case 'tuple':
      return tupleText(key)
    case 'release':
      return `!${key.id}`
  }
}

/** The four fields of a tuple as one text. */
export function tupleText({ ip, helo, from, to }: Tuple): string {
  return `${ip}\0${helo}\0${from}\0${to}`
}
