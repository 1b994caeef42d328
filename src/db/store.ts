/**
 * The one door to the greylist database, for every program. Each call is one transaction and is
 * asynchronous, so that a shared database server can stand behind it later; time is always an argument.
 *
 * Errors: calls reject with `AppError`, codes `ERR_DB_OPEN`, `ERR_DB_BUSY` (locked past the busy
 * time-out), `ERR_DB_FULL`, `ERR_DB_READONLY`, `ERR_DB_CORRUPT`, `ERR_DB_GONE` (file vanished or replaced),
 * `ERR_DB_IO`. Their message is the reason alone (`No space left on device`), for callers to put behind
 * what they wanted to do. After a rejection nothing of that call is stored.
 */
import type { Entry, EntryKey, EntryKind, Tuple, WireText } from '../domain/entry.js'
import type { EntryQuery } from '../domain/query.js'

/** One change by an administrator. `ip` is canonical, `address` normalised; see database.md section 6. */
export type ManualEdit =
  | { operation: 'add'; kind: 'WHITE' | 'TRAPPED'; ip: string; options?: AddOptions }
  | { operation: 'add'; kind: 'SPAMTRAP'; address: WireText; options?: AddOptions }
  | { operation: 'delete'; key: EntryKey }
  /** Oldest GREY tuple of an address, or all of them. */
  | { operation: 'delete-tuples'; ip: string; all: boolean }

export interface AddOptions {
  /** Leave an existing entry of any kind under that key as it is. */
  ifMissing?: boolean
  /** Removal time in place of the kind's default, seconds since the Epoch; 0 pins the entry. */
  expire?: number
  comment?: string
}

/** `missing`: nothing to delete. `skipped`: `ifMissing` found an entry. */
export type EditOutcome = 'added' | 'updated' | 'deleted' | 'missing' | 'skipped'

/** An address seen by the log watcher, with how often since the last batch. */
export interface Sighting {
  ip: string
  count: number
}

export type SightingOutcome = 'added' | 'refreshed' | 'untrapped' | 'left-trapped'

/** Settings of the greylister that decide on tuples; all life times in seconds. */
export interface GreyPolicy {
  passSec: number
  greyExpireSec: number
  whiteExpireSec: number
  trapExpireSec: number
  /** Oldest tuples of one address are evicted beyond this number. */
  maxTuplesPerAddress: number
  /** Oldest tuples of all are evicted beyond this number. */
  maxTuples: number
}

/** One RCPT of a greylisted client, local or received from a sync peer. */
export interface TupleAttempt {
  /** Key of the tuple; `tuple.ip` is the client or, with --grey-prefix, its network (`192.0.2.0/24`). */
  tuple: Tuple
  /** Canonical client address: what is whitelisted or trapped. */
  clientIp: string
  /** Recipient as normalised for the trap test (greylisting.md section 3). */
  trapKey: WireText
  /** The recipient's domain is not an allowed one: trap. */
  isDomainTrap: boolean
  /** The low-priority MX was tried first: trap, unless the tuple is known already. */
  isLowPriorityMx: boolean
  /** False while the client is on a block list: the tuple is counted but never promoted. */
  mayPromote: boolean
}

export interface TupleOutcome {
  result: 'new' | 'repeated' | 'promoted' | 'trapped' | 'trapped-mx'
  /** The address got an entry, WHITE or TRAPPED, where it had none, or one that -M wrote over. */
  isNewHost: boolean
  /** Tuples evicted to stay within the limits. */
  evictedCount: number
}

/** Where a scan goes on; opaque, made by the store. */
export type ScanCursor = string

/** Entries in scan order, possibly none, and where to go on; `next` is undefined at the end. */
export interface ScanSlice {
  entries: Entry[]
  next: ScanCursor | undefined
}

/** What a scan decided for one slice. Each change is re-checked against the entry as it is by then. */
export interface ScanChanges {
  /** Entries whose `expire` has come: deleted when still expired at `now`. */
  expired: EntryKey[]
  /** Tuples to promote: WHITE entry made from the tuple, tuple removed, unless the address is TRAPPED. */
  promoted: Tuple[]
  /** WHITE addresses found on a block list: deleted unless pinned. */
  blocked: string[]
}

/** A change received from a sync peer; deletions are greyd's types 4 and 5. */
export type SyncChange =
  | { type: 'GREY'; attempt: TupleAttempt }
  | { type: 'WHITE' | 'TRAPPED'; ip: string; expire: number }
  | { type: 'delete'; ip: string }

/** `created`: a new entry; `applied`: an existing one was changed or deleted, or a tuple recorded. */
export type SyncOutcome = 'created' | 'applied' | 'ignored'

export type EntryCounts = Record<EntryKind, number>

export interface UpsertCounts {
  added: number
  updated: number
  skipped: number
}

export interface CheckReport {
  isSound: boolean
  /** Findings of SQLite's integrity check; empty when sound. */
  problems: string[]
  schemaVersion: number
  /** undefined when damage hinders counting. */
  counts: EntryCounts | undefined
  sizeBytes: number
}

/** Entries of one kind that damage hides: those between two that could be read; undefined is beyond the ends. */
export interface DamagedGap {
  kind: EntryKind
  after: Entry | undefined
  before: Entry | undefined
}

export interface Store {
  /** Path of the database as opened. */
  readonly location: string
  /** Matching entries in bounded chunks; readers never hold a lock while the consumer is slow. */
  list(query?: EntryQuery): AsyncIterable<Entry[]>
  /** The lines of spamdb's classic listing as raw bytes, in bounded chunks: the fast path of `list`. */
  listText(query?: EntryQuery): AsyncIterable<Uint8Array>
  /**
   * All that can be read of the given kinds, in bounded chunks, whatever else of the file is damaged: a kind
   * with damage is read from both ends, and what lies between is told to `onGap`.
   */
  listReadable(kinds: readonly EntryKind[], onGap: (gap: DamagedGap) => void): AsyncIterable<Entry[]>
  get(key: EntryKey): Promise<Entry | undefined>
  count(query?: EntryQuery): Promise<EntryCounts>
  /** Applies edits in order within one transaction; outcomes in the same order. */
  edit(edits: readonly ManualEdit[], now: number): Promise<EditOutcome[]>
  /**
   * Stores whole entries (import): replaces what is under the same key, or skips it with `ifMissing`. A
   * comment stays when the new entry has none.
   */
  upsert(entries: readonly Entry[], options: { ifMissing: boolean }): Promise<UpsertCounts>
  /**
   * As `upsert` for any number of entries in one transaction and bounded memory, several times faster: the
   * write lock is held only while they are merged, after the last batch has arrived.
   */
  upsertAll(
    batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
    options: { ifMissing: boolean },
  ): Promise<UpsertCounts>
  /** The log watcher's update (spamlogd.md section 3), outcomes in order. */
  recordSightings(
    sightings: readonly Sighting[],
    options: { whiteExpireSec: number; untrap: boolean },
    now: number,
  ): Promise<SightingOutcome[]>
  /** The greylister's update (greylisting.md section 4), outcomes in order. */
  recordAttempts(attempts: readonly TupleAttempt[], policy: GreyPolicy, now: number): Promise<TupleOutcome[]>
  /**
   * Looks at the next `limit` rows (addresses, then tuples; spamtraps are never due). With `dueAt`, tuples
   * that neither expired nor passed by then are left out, which makes a scan of many waiting tuples cheap.
   */
  readScanSlice(
    after: ScanCursor | undefined,
    limit: number,
    options?: { dueAt?: number },
  ): Promise<ScanSlice>
  applyScan(
    changes: ScanChanges,
    policy: GreyPolicy,
    now: number,
  ): Promise<{ deletedCount: number; promoted: string[] }>
  /** Entries received from peers (greylisting.md section 9, recommended receiver); all or nothing. */
  applySync(changes: readonly SyncChange[], policy: GreyPolicy, now: number): Promise<SyncOutcome[]>
  /** Copies the live database to a new file with SQLite's online backup. */
  backup(targetPath: string): Promise<void>
  check(): Promise<CheckReport>
  close(): Promise<void>
}
