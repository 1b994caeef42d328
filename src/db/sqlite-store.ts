import { type AllowEdit, type AllowSource, tellAllowEdits } from '../domain/allow.js'
import { type ChangeKey, type HostChange, isHostChange } from '../domain/change.js'
import type { MergeOutcome, MergeRecord } from '../domain/decide-merge.js'
import type { DeferredMails, DeferredQuery } from '../domain/deferred-mail.js'
import type { Draft, Selection } from '../domain/draft.js'
import type { Entry, EntryKey, EntryKind } from '../domain/entry.js'
import type { HistoryRow, HistorySettings, UndoOutcome } from '../domain/history.js'
import type { HourlyCount } from '../domain/hourly-counts.js'
import type { EntryQuery } from '../domain/query.js'
import type { Release } from '../domain/release.js'
import type { Connection } from './connection.js'
import { editInParts } from './edit-in-parts.js'
import type {
  AttemptFinding,
  Changed,
  CheckReport,
  ClockReading,
  DamagedGap,
  EditOptions,
  EditOutcome,
  EntryCounts,
  ExactForm,
  GreyPolicy,
  JournalSlice,
  LineForm,
  ManualEdit,
  MergeOptions,
  RecordSlice,
  ReleaseEdit,
  ReleaseOutcome,
  ScanChanges,
  ScanCursor,
  ScanScope,
  ScanSlice,
  Sighting,
  SightingOptions,
  SightingOutcome,
  Store,
  SyncChange,
  SyncOutcome,
  SyncPeer,
  SyncState,
  TupleAttempt,
  TupleOutcome,
  UpsertCounts,
} from './store.js'
import type { StoreRights } from './store-rights.js'
import { getEntry } from './tables/entry-rows.js'
import type { TupleLimits } from './tables/tuple-limits.js'
import { type Decided, Transactions } from './transactions.js'

const READ_CLOCK = `SELECT (SELECT time FROM journal_state), count(*),
  count(*) FILTER (WHERE expire <> 0 AND expire <= ?) FROM hosts WHERE pcount <> -1`

/**
 * Called by daemons all the time: asking the loader for a loaded module costs as much as a lookup in the
 * table.
 */
const attemptRules = once(() => import('../domain/decide-attempts.js'))
const poolRules = once(() => import('../domain/decide-pools.js'))
const sightingRules = once(() => import('../domain/decide-sightings.js'))
const scanSlices = once(() => import('./scan-slice.js'))
const scanRules = once(() => import('../domain/decide-scan.js'))
const syncRules = once(() => import('../domain/decide-sync.js'))

function once<Module>(load: () => Promise<Module>): () => Module | Promise<Module> {
  let loaded: Module | undefined
  return () =>
    loaded ??
    load().then((module) => {
      loaded = module
      return module
    })
}

/**
 * The store on one SQLite file. Every method delegates its work to a separate module; what a one-key `spamdb`
 * does not need is loaded on first use, because loading it would cost that call more than its query.
 */
export class SqliteStore implements Store {
  readonly location: string
  readonly #connection: Connection
  readonly #transactions: Transactions
  readonly #rights: StoreRights | undefined
  #limits: TupleLimits | undefined

  constructor(connection: Connection, rights?: StoreRights) {
    this.location = connection.location
    this.#connection = connection
    this.#rights = rights
    this.#transactions = new Transactions(connection)
  }

  async *list(query: EntryQuery = {}): AsyncGenerator<Entry[], void, undefined> {
    if (query.sort === undefined) {
      const { listInKeyOrder } = await import('./listing/listing.js')
      yield* listInKeyOrder(this.#connection, query)
    } else {
      const { listSorted } = await import('./listing/sorted-listing.js')
      yield* listSorted(this.#connection, query, query.sort)
    }
  }

  async *listText(query: EntryQuery = {}, form?: LineForm): AsyncGenerator<Uint8Array, void, undefined> {
    const { CLASSIC_FORM, listTextOf, renderEntries } = await import('./listing/listing-text.js')
    const wanted = form ?? CLASSIC_FORM
    if (query.sort === undefined && query.limit === undefined) {
      yield* listTextOf(this.#connection, query, wanted)
    } else if (query.sort !== undefined) {
      const { listSortedText } = await import('./listing/sorted-listing.js')
      yield* listSortedText(this.#connection, query, query.sort, wanted)
    } else {
      for await (const entries of this.list(query)) yield renderEntries(wanted, entries)
    }
  }

  async *listReadable(
    kinds: readonly EntryKind[],
    onGap: (gap: DamagedGap) => void,
    form: ExactForm,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { listReadable } = await import('./listing/readable-entries.js')
    yield* listReadable(this.#connection, kinds, onGap, form)
  }

  async get(key: EntryKey): Promise<Entry | undefined> {
    return this.#connection.read('get', () => getEntry(this.#connection, key))
  }

  async count(query: EntryQuery = {}): Promise<EntryCounts> {
    const { countEntries } = await import('./listing/listing.js')
    return countEntries(this.#connection, query)
  }

  async load(selection: Selection, draft: Draft): Promise<void> {
    this.#connection.read('load', () => this.#transactions.load(selection, draft))
  }

  async edit(
    edits: readonly ManualEdit[],
    now: number,
    options: EditOptions = {},
  ): Promise<Changed<EditOutcome>> {
    return editInParts(this.#transactions, edits, now, options)
  }

  async upsert(
    entries: readonly Entry[],
    { ifMissing, now = 0 }: { ifMissing: boolean; now?: number },
  ): Promise<UpsertCounts> {
    const { decideImport, selectEntries } = await import('../domain/decide-import.js')
    return this.#transactions.decide('upsert', now, selectEntries(entries), (draft) =>
      decideImport(draft, entries, { ifMissing }),
    ).outcomes
  }

  async upsertAll(
    batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
    { ifMissing, now = 0 }: { ifMissing: boolean; now?: number },
  ): Promise<UpsertCounts> {
    const { loadEntries } = await import('./bulk-load.js')
    return loadEntries(this.#connection, this.#transactions, batches, { ifMissing }, now)
  }

  async recordSightings(
    sightings: readonly Sighting[],
    options: SightingOptions,
    now: number,
  ): Promise<Changed<SightingOutcome>> {
    const { decideSightings, selectSightings } = await sightingRules()
    return this.#transactions.decide('recordSightings', now, selectSightings(sightings), (draft) =>
      decideSightings(draft, sightings, options),
    )
  }

  async recordAttempts(
    attempts: readonly TupleAttempt[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<TupleOutcome, HostChange>> {
    const [{ decideAttempts, selectAttempts }, { selectPools }, limits] = await Promise.all([
      attemptRules(),
      poolRules(),
      this.#openLimits(),
    ])
    const decided = this.#transactions.decide(
      'recordAttempts',
      now,
      selectAttempts(attempts, policy),
      (draft) => decideAttempts(draft, attempts, policy),
      {
        further: (draft) => selectPools(draft, attempts, policy),
        after: (outcomes) => noteEvicted(outcomes, limits.evictOverLimits(policy, now)),
      },
    )
    return hostChangesOf(decided)
  }

  async recordFindings(
    findings: readonly AttemptFinding[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<TupleOutcome, HostChange>> {
    const [{ decideFindings, selectFindings }, limits] = await Promise.all([
      import('../domain/decide-findings.js'),
      this.#openLimits(),
    ])
    const decided = this.#transactions.decide(
      'recordFindings',
      now,
      selectFindings(findings, policy),
      (draft) => decideFindings(draft, findings, policy),
      { after: (outcomes) => noteEvicted(outcomes, limits.evictOverLimits(policy, now)) },
    )
    return hostChangesOf(decided)
  }

  async beginScan(): Promise<ScanScope> {
    return 'all'
  }

  async readScanSlice(
    after: ScanCursor | undefined,
    limit: number,
    options: { dueAt?: number; whiteSince?: number } = {},
  ): Promise<ScanSlice> {
    const { readSlice } = await scanSlices()
    return this.#connection.read('readScanSlice', () => readSlice(this.#connection, after, limit, options))
  }

  async applyScan(
    changes: ScanChanges,
    policy: Pick<GreyPolicy, 'whiteExpireSec'>,
    now: number,
  ): Promise<{ deletedCount: number; promoted: string[] }> {
    const { decideScan, selectScan } = await scanRules()
    return this.#transactions.decide('applyScan', now, selectScan(changes), (draft) =>
      decideScan(draft, changes, policy),
    ).outcomes
  }

  async applySync(
    changes: readonly SyncChange[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<SyncOutcome, HostChange>> {
    const { decideSync, selectSync } = await syncRules()
    const decided = this.#transactions.decide('applySync', now, selectSync(changes), (draft) =>
      decideSync(draft, changes, policy),
    )
    return hostChangesOf(decided)
  }

  async readJournal(after: number, limit: number): Promise<JournalSlice> {
    return this.#connection.read('readJournal', () => this.#transactions.journal.read(after, limit))
  }

  async journalPosition(name: string): Promise<number | undefined> {
    return this.#connection.read('journalPosition', () => this.#transactions.journal.position(name))
  }

  async saveJournalPosition(name: string, position: number | undefined, now: number): Promise<void> {
    this.#connection.write('saveJournalPosition', () =>
      this.#transactions.journal.savePosition(name, position, now),
    )
  }

  async readRecords(keys: readonly ChangeKey[]): Promise<MergeRecord[]> {
    const { recordsOf } = await import('./merge-records.js')
    return this.#connection.read('readRecords', () => recordsOf(this.#transactions, keys))
  }

  async listRecords(after: ScanCursor | undefined, limit: number): Promise<RecordSlice> {
    const { recordSlice } = await import('./merge-records.js')
    return this.#connection.read('listRecords', () => recordSlice(this.#transactions, after, limit))
  }

  async merge(
    records: readonly MergeRecord[],
    options: MergeOptions,
    now: number,
  ): Promise<Changed<MergeOutcome, HostChange>> {
    const { policy, actor, peer, isMove } = options
    const [{ decideMerge, selectMerge }, { putSyncPeer }, limits] = await Promise.all([
      import('../domain/decide-merge.js'),
      import('./sync-state.js'),
      this.#openLimits(),
    ])
    const decided = this.#transactions.decide(
      'merge',
      now,
      selectMerge(records, policy),
      (draft) => decideMerge(draft, records, policy, { rule: 'merge', actor }),
      {
        isMove,
        after: () => {
          limits.evictOverLimits(policy, now)
          if (peer !== undefined) putSyncPeer(this.#connection, peer)
        },
      },
    )
    return hostChangesOf(decided)
  }

  async syncState(): Promise<SyncState> {
    const { readSyncState } = await import('./sync-state.js')
    return this.#connection.read('syncState', () => readSyncState(this.#connection, this.#transactions))
  }

  async saveSyncPeers(peers: readonly SyncPeer[], now: number): Promise<void> {
    const { putSyncPeer } = await import('./sync-state.js')
    this.#transactions.write('saveSyncPeers', now, () => {
      for (const peer of peers) putSyncPeer(this.#connection, peer)
    })
  }

  async dropOldMarks(
    after: ScanCursor | undefined,
    limit: number,
    options: { keepSec: number; keepTupleSec: number },
    now: number,
  ): Promise<{ droppedCount: number; next: ScanCursor | undefined }> {
    const { dropOldMarks } = await import('./merge-records.js')
    return dropOldMarks(this.#connection, this.#transactions, { after, limit, now, ...options })
  }

  async readHistory(options: {
    after: number
    limit: number
    ip?: string | undefined
  }): Promise<HistoryRow[]> {
    return this.#connection.read('readHistory', () => this.#transactions.history.read(options))
  }

  async newestHistory(): Promise<number> {
    return this.#connection.read('newestHistory', () => this.#transactions.history.newest())
  }

  async readCounts(sinceSec: number): Promise<HourlyCount[]> {
    return this.#connection.read('readCounts', () => this.#transactions.counts.read(sinceSec))
  }

  async addCounts(counts: readonly Omit<HourlyCount, 'hour'>[], now: number): Promise<void> {
    this.#connection.write('addCounts', () => this.#transactions.counts.addNamed(counts, now))
  }

  async historySettings(): Promise<HistorySettings> {
    return this.#connection.read('historySettings', () => this.#transactions.history.settings())
  }

  async saveHistorySettings(settings: HistorySettings): Promise<void> {
    this.#connection.write('saveHistorySettings', () => this.#transactions.history.saveSettings(settings))
  }

  async undo(
    wanted: number | 'last',
    options: { force: boolean; isDryRun: boolean; actor: string | undefined },
    now: number,
  ): Promise<UndoOutcome & { event: number }> {
    const { undoEvent } = await import('./undo.js')
    return undoEvent(this.#connection, this.#transactions, wanted, options, now)
  }

  async readClock(now: number): Promise<ClockReading> {
    return this.#connection.read('readClock', () => {
      const row = this.#connection.prepareRaw(READ_CLOCK).get(Math.floor(now)) as [number, number, number]
      const [newestMs, whiteCount, expiringCount] = row
      return { newestSec: Math.floor(newestMs / 1000), whiteCount, expiringCount }
    })
  }

  async readAllowed(): Promise<AllowSource[]> {
    return this.#connection.read('readAllowed', () => this.#transactions.allowed.all())
  }

  async editAllowed(edits: readonly AllowEdit[], now: number, actor?: string): Promise<boolean[]> {
    const { allowed, history } = this.#transactions
    return this.#transactions.write('editAllowed', now, ({ clock }) => {
      const known = new Map(allowed.all().map((source) => [source.name, source]))
      history.appendSummaries('allow', now, tellAllowEdits(known, edits), actor)
      return edits.map((edit) => allowed.apply(edit, clock.next(now)))
    })
  }

  async readDeferred(query: DeferredQuery): Promise<DeferredMails> {
    const { readDeferredMails } = await import('./deferred-mails.js')
    return this.#connection.read('readDeferred', () => readDeferredMails(this.#connection, query))
  }

  async readReleases(): Promise<Release[]> {
    return this.#connection.read('readReleases', () =>
      this.#transactions.releases.all().map(({ entry }) => entry),
    )
  }

  async editReleases(
    edits: readonly ReleaseEdit[],
    now: number,
    { actor }: { actor?: string | undefined } = {},
  ): Promise<Changed<ReleaseOutcome>> {
    const { decideReleases, selectReleases } = await import('../domain/decide-release.js')
    return this.#transactions.decide('editReleases', now, selectReleases(), (draft) =>
      decideReleases(draft, edits, actor),
    )
  }

  async countTuplesBefore(times: readonly number[]): Promise<number[]> {
    const { countTuplesBefore } = await import('./listing/listing.js')
    return this.#connection.read('count', () => countTuplesBefore(this.#connection, times))
  }

  async tupleCount(): Promise<number> {
    return this.#connection.read('tupleCount', () => this.#transactions.tuples.ages.total())
  }

  async backup(targetPath: string): Promise<void> {
    const { backupDatabase } = await import('./file/backup-database.js')
    await backupDatabase(this.#connection, targetPath, this.#rights)
  }

  async check(): Promise<CheckReport> {
    const { checkDatabase } = await import('./file/check-database.js')
    return checkDatabase(this.#connection)
  }

  async close(): Promise<void> {
    try {
      this.#connection.close()
    } finally {
      this.#rights?.release()
    }
  }

  async #openLimits(): Promise<TupleLimits> {
    if (this.#limits !== undefined) return this.#limits
    const { TupleLimits: Limits } = await import('./tables/tuple-limits.js')
    this.#limits ??= new Limits(this.#connection, this.#transactions.tuples)
    return this.#limits
  }
}

/** Changes of addresses alone: those of tuples are many, and daemons read them from another thread. */
function hostChangesOf<Outcome>({ outcomes, changes }: Decided<Outcome[]>): Changed<Outcome, HostChange> {
  return { outcomes, changes: changes.filter(isHostChange) }
}

/** What is evicted for the total counts with the last attempt of the batch. */
function noteEvicted(outcomes: readonly TupleOutcome[], count: number): void {
  const last = outcomes.at(-1)
  if (last !== undefined) last.evictedCount += count
}
