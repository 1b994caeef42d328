/**
 * What is on record under one key: the entry as shown by listings, and the stamps by which two gateways merge
 * it. Values are never changed in place.
 */
import type { GreyEntry, HostEntry, PoolEntry, SpamtrapEntry } from './entry.js'
import type { Stamp } from './stamp.js'

/**
 * Stamps of an address. For a register whose fields the entry shows, only its stamps are kept here; the
 * fields of a register that is hidden by a stronger one are kept beside them.
 */
export interface HostMarks {
  /** R: the last reset (deletion, manual add or trap, removal because of a block list). */
  readonly reset?: Stamp | undefined
  /** W: when WHITE was granted and last refreshed; without `grant`, when the entry was created (older than stamps). */
  readonly white?: { readonly grant?: Stamp | undefined; readonly stamp: Stamp } | undefined
  /** T: when the address was last trapped. */
  readonly trap?: Stamp | undefined
  /** P: what an administrator fixed by hand; the comment is that of the entry. */
  readonly hand?: HandMark | undefined
  /** Fields of W while the entry is not WHITE. */
  readonly hiddenWhite?:
    | { readonly first: number; readonly pass: number; readonly expire: number }
    | undefined
  /** Fields of T while the entry is not TRAPPED. */
  readonly hiddenTrap?: { readonly first: number; readonly expire: number } | undefined
}

export interface HandMark {
  readonly stamp: Stamp
  readonly pinned: boolean
  readonly kind: HostEntry['kind']
  /** Removal time given by hand, seconds since the Epoch. */
  readonly expire?: number | undefined
}

/** Stamps of a tuple. */
export interface TupleMarks {
  /** The last reset of its address when the tuple was created. */
  readonly epoch?: Stamp | undefined
  /** Last sighting, seconds since the Epoch; that of creation when undefined. */
  readonly last?: number | undefined
  /** Nodes of the first and the last sighting; undefined is this database. */
  readonly firstNode?: number | undefined
  readonly lastNode?: number | undefined
}

/** `marks` without an entry is a deletion that other gateways must receive. */
export interface HeldHost {
  readonly entry: HostEntry | undefined
  /** undefined with an entry: older than stamps. */
  readonly marks: HostMarks | undefined
}

/** `marks` without an entry is a manual deletion that other gateways must receive. */
export interface HeldTuple {
  readonly entry: GreyEntry | undefined
  readonly marks: TupleMarks | undefined
}

export interface HeldSpamtrap {
  readonly entry: SpamtrapEntry | undefined
  /** Last change by hand. */
  readonly stamp: Stamp | undefined
}

export interface HeldPool {
  readonly entry: PoolEntry | undefined
  /** When it was last closed, by a trap or by hand: an older key does not open it again. */
  readonly reset: Stamp | undefined
}

/** What is on record under an unused key. */
export const NO_HOST: HeldHost = Object.freeze({ entry: undefined, marks: undefined })
export const NO_TUPLE: HeldTuple = Object.freeze({ entry: undefined, marks: undefined })
export const NO_SPAMTRAP: HeldSpamtrap = Object.freeze({ entry: undefined, stamp: undefined })
export const NO_POOL: HeldPool = Object.freeze({ entry: undefined, reset: undefined })
