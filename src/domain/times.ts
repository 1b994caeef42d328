/** Default lifetimes of the greylister, all in seconds. Source: grey.h of OpenBSD spamd. */
export const PASS_SEC = 25 * 60
/** Life of a GREY tuple, from its first sighting. */
export const GREY_EXPIRE_SEC = 4 * 60 * 60
/** Life of a WHITE entry: 36 days. */
export const WHITE_EXPIRE_SEC = 36 * 24 * 60 * 60
/** Life of a TRAPPED entry. */
export const TRAP_EXPIRE_SEC = 24 * 60 * 60
/** Life of a network that a pool of senders opened, from its last completed retry: a week. */
export const POOL_EXPIRE_SEC = 7 * 24 * 60 * 60
/** Life of what learn-only mode lets through. */
export const LEARN_EXPIRE_SEC = 24 * 60 * 60
/** Usable bytes of HELO, sender and recipient (MAX_MAIL less its terminator). */
export const MAX_FIELD_BYTES = 1023
/** Value of `expire` that means "never": pinned entries, and every SPAMTRAP. */
export const EXPIRE_NEVER = 0
/**
 * How long the mark of a deletion is kept: as long as any automatic entry that it concerns can live. A
 * gateway that was away for longer must fetch a fresh copy instead of merging.
 */
export const KEEP_RESET_SEC = 36 * 24 * 60 * 60

/** How many tuples there may be unless an administrator says otherwise. */
export const DEFAULT_TUPLE_LIMITS = {
  /** About 1 GB of tuples; a flood beyond it evicts its own oldest tuples. */
  maxTuples: 5_000_000,
  /** Twice the texts of five million tuples of usual length. */
  maxTupleBytes: 2 ** 30,
  /** A mailing list host with this many recipients still passes. */
  maxTuplesPerAddress: 10_000,
} as const
