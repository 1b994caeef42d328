/**
 * The kinds of entry of the greylist database.
 * Source: spamdb(8); an address is WHITE or TRAPPED, never both, with any number of GREY tuples beside it.
 */
export const ENTRY_KINDS = ['WHITE', 'TRAPPED', 'SPAMTRAP', 'GREY', 'POOL'] as const
/** The kinds of the original, which are meant where no kind is named. */
export const CLASSIC_KINDS = ['WHITE', 'TRAPPED', 'SPAMTRAP', 'GREY'] as const
export type EntryKind = (typeof ENTRY_KINDS)[number]

/**
 * Text as received over the wire: one character per byte (latin-1), so that any byte survives storing and
 * printing unchanged. Convert with `Buffer.from(text, 'latin1')`.
 */
export type WireText = string

/** Times and counts that WHITE, TRAPPED and GREY share. Times are seconds since the Epoch. */
export interface EntryTimes {
  /** Creation. */
  first: number
  /** GREY: time at which the host passed (equal to `expire`: not yet). */
  pass: number
  /** Removal time; 0 (EXPIRE_NEVER) pins a WHITE or TRAPPED entry. */
  expire: number
  /** Times blocked. */
  bcount: number
  /** Times passed; -1 for TRAPPED. */
  pcount: number
}

/** Maximum length of a comment in bytes of UTF-8: as long as one field of a tuple. */
export const MAX_COMMENT_BYTES = 1023

/** A whole address that is WHITE or TRAPPED. `ip` is canonical (see `canonicalIp`). */
export interface HostEntry extends EntryTimes {
  kind: 'WHITE' | 'TRAPPED'
  ip: string
  comment?: string
}

/** A spamtrap address: lower case, without angle brackets. */
export interface SpamtrapEntry {
  kind: 'SPAMTRAP'
  address: WireText
  /** Creation, seconds since the Epoch. */
  first: number
  comment?: string
}

/** The four fields that identify a GREY tuple; `helo`, `from` and `to` keep case and angle brackets. */
export interface Tuple {
  ip: string
  helo: WireText
  from: WireText
  to: WireText
}

/** A greylisted delivery attempt. */
export interface GreyEntry extends Tuple, EntryTimes {
  kind: 'GREY'
}

/**
 * A network whose mail bypasses spamd because a pool of senders in it retried; see pool-key.ts. `bcount`
 * counts the attempts of its key, `pcount` the retries that extended it.
 */
export interface PoolEntry extends EntryTimes {
  kind: 'POOL'
  /** The network, `192.0.2.0/24`. */
  ip: string
  /** Text of the key that passed. */
  pool: string
  comment?: never
}

export type Entry = HostEntry | SpamtrapEntry | GreyEntry | PoolEntry

/** Identifies one entry. */
export type EntryKey =
  | { kind: 'host'; ip: string }
  | { kind: 'spamtrap'; address: WireText }
  | ({ kind: 'tuple' } & Tuple)
  | { kind: 'pool'; ip: string }
