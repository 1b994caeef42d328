/**
 * The only interface to the greylist database, for every program. Each call is one transaction and is
 * asynchronous, because a shared database server may be behind it (src/db/postgres); time is always an
 * argument.
 *
 * Errors: calls reject with `AppError`, codes `ERR_DB_OPEN`, `ERR_DB_BUSY` (locked past the busy time-out),
 * `ERR_DB_FULL`, `ERR_DB_READONLY`, `ERR_DB_CORRUPT`, `ERR_DB_GONE` (file vanished or replaced),
 * `ERR_DB_AWAY` (no server answers), `ERR_DB_IO`. Their message is the reason alone (`No space left on
 * device`), for callers to put behind what they wanted to do. After a rejection nothing of that call is
 * stored.
 */
import type { AllowEdit, AllowSource } from '../domain/allow.js'
import type { Change, ChangeKey, HostChange } from '../domain/change.js'
import type { MergeOutcome, MergeRecord } from '../domain/decide-merge.js'
import type { DeferredMails, DeferredQuery } from '../domain/deferred-mail.js'
import type { Draft, Selection } from '../domain/draft.js'
import type { Entry, EntryKey, EntryKind } from '../domain/entry.js'
import type { HistoryRow, HistorySettings, UndoOutcome } from '../domain/history.js'
import type { HourlyCount } from '../domain/hourly-counts.js'
import type { MarkLives } from '../domain/old-marks.js'
import type { EntryQuery } from '../domain/query.js'
import type { Release } from '../domain/release.js'
import type {
  AttemptFinding,
  EditOutcome,
  GreyPolicy,
  ManualEdit,
  ReleaseEdit,
  ReleaseOutcome,
  ScanChanges,
  Sighting,
  SightingOptions,
  SightingOutcome,
  SyncChange,
  SyncOutcome,
  TupleAttempt,
  TupleOutcome,
  UpsertCounts,
} from '../domain/requests.js'
import type { JournalRow, JournalSlice } from './journal.js'
import type { LineFormName } from './listing/line-forms.js'

export type * from '../domain/requests.js'
export type { JournalRow, JournalSlice }

/** What a caller needs of a result. */
export interface ChangesOption {
  /** The changes are not needed: the result may have none. */
  forgetsChanges?: boolean | undefined
}

/** See `Store.edit`. */
export interface EditOptions extends ChangesOption {
  /** The user, when known; for the history. */
  actor?: string | undefined
}

/** The outcome of each request, in order, and every change that was stored. */
export interface Changed<Outcome, Kind = Change> {
  outcomes: Outcome[]
  changes: Kind[]
}

export type ScanScope = 'all' | 'hosts' | 'nothing'

/** Where a scan continues; opaque, made by the store. */
export type ScanCursor = string

/** Entries in scan order, possibly none, and where to continue; `next` is undefined at the end. */
export interface ScanSlice {
  entries: Entry[]
  next: ScanCursor | undefined
  /**
   * With `dueAt`, the earliest time at which an examined row is due, if nothing changes it; not later than `dueAt` if one is due
   * or if this cannot be predicted; Infinity: never. Undefined: not known.
   */
  nextDueSec?: number | undefined
}

export type EntryCounts = Record<EntryKind, number>

export interface CheckReport {
  isSound: boolean
  /** Findings of SQLite's integrity check; empty when sound. */
  problems: string[]
  schemaVersion: number
  /** undefined when damage prevents counting. */
  counts: EntryCounts | undefined
  sizeBytes: number
}

/** Entries of one kind that damage hides: those between two that could be read; undefined is beyond the ends. */
export interface DamagedGap {
  kind: EntryKind
  after: Entry | undefined
  before: Entry | undefined
}

/** The database's view of the time, and what would expire if the clock were trusted. */
export interface ClockReading {
  /** Newest change on record, seconds since the Epoch; 0 when there is none. */
  newestSec: number
  whiteCount: number
  /** WHITE entries whose time is over, pinned ones not among them. */
  expiringCount: number
}

/** A form of listing whose lines the store makes by itself where it can; `render` gives the same lines, as latin-1. */
export interface LineForm {
  name: LineFormName
  render(entries: readonly Entry[]): string
}

/**
 * The form of an export, whose lines the store makes by itself where they are those of the classic listing; `render`
 * gives all others, as latin-1, and is called in their order.
 */
export interface ExactForm {
  render(entries: readonly Entry[]): string
  /** True as long as lines of this kind depend on the entries before them, so that `render` must make them. */
  needsEntries(kind: EntryKind): boolean
}

/** Limits and times that a merge needs. */
export type MergePolicy = Pick<GreyPolicy, 'passSec' | 'maxTuplesPerAddress' | 'maxTuples' | 'maxTupleBytes'>

/** Records, possibly none, and where to continue. */
export interface RecordSlice {
  records: MergeRecord[]
  next: ScanCursor | undefined
}

/** How far another gateway was followed; `node` is the number of its database. */
export interface SyncPeer {
  node: number
  /** Its address or name as last heard; empty for this database itself. */
  name: string
  /** All its changes up to this number of its journal were merged. */
  position: number
  /** The newest number that it announced: greater than `position` when changes were missed. */
  newest: number
  /**
   * Messages up to this number were accepted or are too old; for this database: numbers up to here may have
   * been used.
   */
  number: number
  /** When it was last heard, seconds since the Epoch. */
  heard: number
}

export interface SyncState {
  /** undefined: nothing was ever changed here. */
  node: number | undefined
  newest: number
  peers: SyncPeer[]
}

/** See `Store.merge`. */
export interface MergeOptions {
  policy: MergePolicy
  actor?: string | undefined
  peer?: SyncPeer | undefined
  isMove?: boolean
}

export interface Store {
  /** Path of the database as opened. */
  readonly location: string
  /** Matching entries in bounded chunks; readers never hold a lock while the consumer is slow. */
  list(query?: EntryQuery): AsyncIterable<Entry[]>
  /**
   * Lines as raw bytes, in bounded chunks: the fast path of `list`. Without a form those of spamdb's classic
   * listing; in `json` each line has its comma and line feed in front.
   */
  listText(query?: EntryQuery, form?: LineForm): AsyncIterable<Uint8Array>
  /**
   * The lines of everything readable of the given kinds, in bounded chunks, even if the file is damaged: a kind
   * with damage is read from both ends, and the gap is reported to `onGap`.
   */
  listReadable(
    kinds: readonly EntryKind[],
    onGap: (gap: DamagedGap) => void,
    form: ExactForm,
  ): AsyncIterable<Uint8Array>
  get(key: EntryKey): Promise<Entry | undefined>
  count(query?: EntryQuery): Promise<EntryCounts>
  /**
   * Loads what is on record for a selection into a draft, for a decision that is not stored (a dry run). What
   * the draft already contains is kept.
   */
  load(selection: Selection, draft: Draft): Promise<void>
  /** Applies edits within one transaction, those of one key in order. */
  edit(edits: readonly ManualEdit[], now: number, options?: EditOptions): Promise<Changed<EditOutcome>>
  /**
   * Stores whole entries (import): replaces what is under the same key, or skips it with `ifMissing`. A
   * comment is kept when the new entry has none. `now` stamps the changes; without it they are later than any
   * other.
   */
  upsert(entries: readonly Entry[], options: { ifMissing: boolean; now?: number }): Promise<UpsertCounts>
  /**
   * As `upsert` for any number of entries in one transaction and bounded memory, several times faster: the
   * write lock is held only while they are merged, after the last batch has arrived. More than `maxDecided`,
   * which is a few thousand unless given, are one row without a key in the journal and one in the history.
   */
  upsertAll(
    batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
    options: { ifMissing: boolean; now?: number; maxDecided?: number },
  ): Promise<UpsertCounts>
  /** The log watcher's update (spamlogd.md section 3). */
  recordSightings(
    sightings: readonly Sighting[],
    options: SightingOptions & ChangesOption,
    now: number,
  ): Promise<Changed<SightingOutcome>>
  /** The greylister's update (greylisting.md section 4). Changes of tuples are in the journal only. */
  recordAttempts(
    attempts: readonly TupleAttempt[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<TupleOutcome, HostChange>>
  /**
   * DNS results for attempts that were recorded (decide-findings.ts); `now` is the time of the attempts, so
   * the duration of the queries does not matter.
   */
  recordFindings(
    findings: readonly AttemptFinding[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<TupleOutcome, HostChange>>
  /**
   * What a scan that begins now must do: on a server one gateway at a time removes expired entries (`all`),
   * every other compares its tables with all addresses occasionally and when `isAsked` (`hosts`), and
   * otherwise has nothing to do.
   */
  beginScan(options?: { isAsked?: boolean }): Promise<ScanScope>
  /**
   * Examines the next `limit` rows (addresses, then tuples; spamtraps are never due). With `dueAt`, tuples
   * that neither expired nor passed by then are left out, which makes a scan of many waiting tuples cheap.
   * With `whiteSince` too, so are addresses that did not expire by then, except those WHITE since that time.
   */
  readScanSlice(
    after: ScanCursor | undefined,
    limit: number,
    options?: { dueAt?: number; whiteSince?: number },
  ): Promise<ScanSlice>
  applyScan(
    changes: ScanChanges,
    policy: Pick<GreyPolicy, 'whiteExpireSec'>,
    now: number,
  ): Promise<{ deletedCount: number; promoted: string[] }>
  /** Entries received from peers (greylisting.md section 9, recommended receiver); all or nothing. */
  applySync(
    changes: readonly SyncChange[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<SyncOutcome, HostChange>>
  /**
   * The changes of entries by any program behind position `after`, oldest first, at most `limit` (0 only asks for
   * `newest`). Costs some microseconds when there is nothing new, so it may be asked every second.
   *
   * To keep something in step: take `newest` of a first call, look at all entries once, then read from there and
   * look each key up again (`get`): a row says that and how an entry changed, not what it is by now, and reading a
   * row twice does no harm. When a slice `isBehind`, do the whole once more. Entries that end by time change
   * nothing until a scan removes them; tuples that end so, or are evicted, leave no row.
   *
   * Who goes on where it left off after a restart keeps its position under a name (`saveJournalPosition`): rows
   * that such a reader has not seen are kept, for a week or a million rows at most, otherwise the last 20,000.
   * On a server, changes of tuples leave no row, numbers are those of this process, and rows are kept for an hour.
   */
  readJournal(after: number, limit: number): Promise<JournalSlice>
  /** The stored position of a reader; undefined when it has none. */
  journalPosition(name: string): Promise<number | undefined>
  /** Stores the position up to which a reader has processed changes; undefined removes the reader. */
  saveJournalPosition(name: string, position: number | undefined, now: number): Promise<void>
  /**
   * What is on record under keys, with its stamps, as sent to other gateways; keys without anything are left
   * out.
   */
  readRecords(keys: readonly ChangeKey[]): Promise<MergeRecord[]>
  /** The next `limit` records of all, in no order that matters; `next` is undefined at the end. */
  listRecords(after: ScanCursor | undefined, limit: number): Promise<RecordSlice>
  /**
   * Merges records of another gateway with what is on record, each by the rules of domain/merge.ts; in the
   * same transaction `peer`, if given, is added to what is known of that gateway. For a database that is moved
   * (`isMove`) the history records nothing, and the journal records that everything may have changed.
   */
  merge(
    records: readonly MergeRecord[],
    options: MergeOptions,
    now: number,
  ): Promise<Changed<MergeOutcome, HostChange>>
  /** Number of this database, its newest change, and how far other gateways were followed. */
  syncState(): Promise<SyncState>
  /**
   * Adds what is known of gateways (numbers only increase); assigns a number to a database that has none,
   * even with an empty list.
   */
  saveSyncPeers(peers: readonly SyncPeer[], now: number): Promise<void>
  /**
   * How many seconds the stamps of changes are ahead of the clock, which was once ahead; 0 up to the difference that others
   * accept. With `follow` the next ones follow the clock again.
   */
  stampsAhead(follow: 'stay' | 'follow', now: number): Promise<number>
  /**
   * Of the next `limit` marks of deletions after a cursor, removes those that no entry of any gateway can be older
   * than (domain/old-marks.ts). Returns where to continue.
   */
  dropOldMarks(
    after: ScanCursor | undefined,
    limit: number,
    lives: MarkLives,
    now: number,
  ): Promise<{ droppedCount: number; next: ScanCursor | undefined }>
  /** Rows of the history behind `after`, oldest first; with `ip` those of one address and its tuples. */
  readHistory(options: { after: number; limit: number; ip?: string | undefined }): Promise<HistoryRow[]>
  /** Number of the newest row of the history; 0 without any. */
  newestHistory(): Promise<number>
  /** Counters of the hours from `sinceSec` on; see domain/hourly-counts.ts. */
  readCounts(sinceSec: number): Promise<HourlyCount[]>
  /** Adds to the hourly counters of `now`, seconds since the Epoch, what no change of an entry shows. */
  addCounts(counts: readonly Omit<HourlyCount, 'hour'>[], now: number): Promise<void>
  historySettings(): Promise<HistorySettings>
  saveHistorySettings(settings: HistorySettings): Promise<void>
  /**
   * Undoes an event by people (`last`: the last one), in one transaction, as an event of its own. With
   * `isDryRun` only reports. Rejects with `ERR_HISTORY_EVENT` for an event that does not exist or cannot be
   * undone.
   */
  undo(
    event: number | 'last',
    options: { force: boolean; isDryRun: boolean; actor: string | undefined },
    now: number,
  ): Promise<UndoOutcome & { event: number }>
  /** Sources of exceptions with their networks, by name. */
  readAllowed(): Promise<AllowSource[]>
  /**
   * Stores and removes sources in order, within one transaction, and records in the history what changed and
   * by whom; false where there was nothing to remove.
   */
  editAllowed(edits: readonly AllowEdit[], now: number, actor?: string): Promise<boolean[]>
  /**
   * Mail that was deferred from several addresses, those from the most first, up to `limit`. Needs the history for
   * more than the last hours; a few seconds for a million tries.
   */
  readDeferred(query: DeferredQuery): Promise<DeferredMails>
  /** All releases on record, the oldest first: also those that ended within the last week. */
  readReleases(): Promise<Release[]>
  /** Creates and cancels releases in order, within one transaction. `actor` is the user, when known. */
  editReleases(
    edits: readonly ReleaseEdit[],
    now: number,
    options?: { actor?: string | undefined },
  ): Promise<Changed<ReleaseOutcome>>
  /** For each time how many tuples, those of pools among them, began before it; one pass over all of them. */
  countTuplesBefore(times: readonly number[]): Promise<number[]>
  /** Number of tuples, from a counter that the database keeps. */
  tupleCount(): Promise<number>
  /** The data by which one decides whether a clock that says `now`, in seconds, can be right. */
  readClock(now: number): Promise<ClockReading>
  /** Copies the live database to a new file with SQLite's online backup. */
  backup(targetPath: string): Promise<void>
  check(): Promise<CheckReport>
  close(): Promise<void>
}
