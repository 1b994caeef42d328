import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import type { AllowEdit, AllowSource } from '../../domain/allow.js'
import { type ChangeKey, type HostChange, isHostChange } from '../../domain/change.js'
import { decideAttempts, selectAttempts } from '../../domain/decide-attempts.js'
import { decideEdits, selectEdits, selectKey } from '../../domain/decide-edits.js'
import { decideFindings, selectFindings } from '../../domain/decide-findings.js'
import { decideImport, selectEntries } from '../../domain/decide-import.js'
import { decideMerge, type MergeOutcome, type MergeRecord, selectMerge } from '../../domain/decide-merge.js'
import { selectPools } from '../../domain/decide-pools.js'
import { decideReleases, selectReleases } from '../../domain/decide-release.js'
import { decideScan, selectScan } from '../../domain/decide-scan.js'
import { decideSightings, selectSightings } from '../../domain/decide-sightings.js'
import { decideSync, selectSync } from '../../domain/decide-sync.js'
import type { DeferredMails, DeferredQuery } from '../../domain/deferred-mail.js'
import { type Draft, emptySelection, type Selection } from '../../domain/draft.js'
import { ENTRY_KINDS, type Entry, type EntryKey, type EntryKind } from '../../domain/entry.js'
import { entryIn, type HistoryRow, type HistorySettings, type UndoOutcome } from '../../domain/history.js'
import type { HourlyCount } from '../../domain/hourly-counts.js'
import type { EntryQuery } from '../../domain/query.js'
import type { Release } from '../../domain/release.js'
import { AppError } from '../../platform/app-error.js'
import { CLASSIC_FORM } from '../listing/listing-text.js'
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
} from '../store.js'
import { editAllowed, readAllowed } from './pg-allow.js'
import { readDeferred } from './pg-deferred.js'
import { PgHistory } from './pg-history.js'
import { importEntries } from './pg-import.js'
import { PgJournal } from './pg-journal.js'
import { PgLease } from './pg-lease.js'
import { PgTupleLimits } from './pg-limits.js'
import type { PgLink, Statements } from './pg-link.js'
import { countOnServer, listOnServer, listTextOnServer } from './pg-listing.js'
import { checkServer, undoOnServer } from './pg-maintenance.js'
import { dropOldMarks, listRecords, readRecords } from './pg-records.js'
import { readReleases } from './pg-releases.js'
import { readScanSlice } from './pg-scan.js'
import {
  addCounts,
  countTuplesBefore,
  readClock,
  readCounts,
  readSyncState,
  readTupleCount,
  saveSyncPeers,
  sendSyncPeer,
} from './pg-sums.js'
import { type Decided, PgTransactions } from './pg-transactions.js'
import type { TupleBalance } from './pg-writes.js'

/** Gateways whose counters may share a row: a power of ten more than anybody has. */
const SLOTS = 10_000

/** The store on a PostgreSQL server, shared by many gateways; see docs/protocol/cluster.md. */
export class PgStore implements Store {
  readonly location: string
  readonly #link: PgLink
  readonly #history: PgHistory
  readonly #journal: PgJournal
  readonly #limits: PgTupleLimits
  readonly #lease: PgLease
  readonly #transactions: PgTransactions
  readonly #slot = createHash('sha256').update(hostname()).digest().readUInt32BE() % SLOTS

  /** `node` is the number of the database on the server. */
  constructor(link: PgLink, node: number) {
    this.location = link.location
    this.#link = link
    this.#history = new PgHistory(link)
    this.#journal = new PgJournal(link)
    this.#limits = new PgTupleLimits(link)
    this.#lease = new PgLease(link, this.#history, this.#journal)
    this.#transactions = new PgTransactions(link, this.#history, this.#limits, { slot: this.#slot, node })
  }

  list(query: EntryQuery = {}): AsyncIterable<Entry[]> {
    return listOnServer(this.#link, query)
  }

  listText(query: EntryQuery = {}, form: LineForm = CLASSIC_FORM): AsyncIterable<Uint8Array> {
    return listTextOnServer(this.#link, query, form)
  }

  async *listReadable(
    kinds: readonly EntryKind[],
    // A server that finds damage ends the query.
    _onGap: (gap: DamagedGap) => void,
    { render }: ExactForm,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    for (const kind of ENTRY_KINDS) {
      if (!kinds.includes(kind)) continue
      for await (const entries of this.list({ kinds: [kind] })) yield Buffer.from(render(entries), 'latin1')
    }
  }

  async get(key: EntryKey): Promise<Entry | undefined> {
    const selection = emptySelection()
    selectKey(selection, key)
    const draft = this.#transactions.draftToRead(0)
    await this.load(selection, draft)
    return entryIn(draft, key)
  }

  count(query: EntryQuery = {}): Promise<EntryCounts> {
    return countOnServer(this.#link, query)
  }

  load(selection: Selection, draft: Draft): Promise<void> {
    return this.#link.read('load', (statements) =>
      this.#transactions.load(statements, selection, draft, { hosts: false, spamtraps: false }),
    )
  }

  async edit(
    edits: readonly ManualEdit[],
    now: number,
    { actor, forgetsChanges }: EditOptions = {},
  ): Promise<Changed<EditOutcome>> {
    const cause = { rule: 'manual', actor } as const
    const decision = (draft: Draft): EditOutcome[] => decideEdits(draft, edits, cause)
    const options = { locksSpamtraps: true }
    const decided = await this.#transactions.decide('edit', now, selectEdits(edits), decision, options)
    return forgetsChanges === true ? { ...decided, changes: [] } : decided
  }

  async upsert(
    entries: readonly Entry[],
    { ifMissing, now = 0 }: { ifMissing: boolean; now?: number },
  ): Promise<UpsertCounts> {
    const decision = (draft: Draft): UpsertCounts => decideImport(draft, entries, { ifMissing })
    const options = { locksSpamtraps: true }
    return (await this.#transactions.decide('upsert', now, selectEntries(entries), decision, options))
      .outcomes
  }

  /** A transaction on the server that stays open while `batches` are read; one that loses against another is not done again. */
  async upsertAll(
    batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
    { ifMissing, now = 0 }: { ifMissing: boolean; now?: number },
  ): Promise<UpsertCounts> {
    const { clock } = this.#transactions
    return this.#link.write(
      'upsertAll',
      async (statements, commit) => {
        const stamp = () => clock.next(now)
        const { counts, balance } = await importEntries(statements, batches, {
          ifMissing,
          stamp,
          now,
          history: this.#history,
        })
        const sent = this.#settle(balance, statements)
        commit()
        await sent
        this.#link.tellOthers()
        return counts
      },
      { isRepeatable: false },
    )
  }

  recordSightings(
    sightings: readonly Sighting[],
    options: SightingOptions,
    now: number,
  ): Promise<Changed<SightingOutcome>> {
    const decision = (draft: Draft): SightingOutcome[] => decideSightings(draft, sightings, options)
    return this.#transactions.decide('recordSightings', now, selectSightings(sightings), decision)
  }

  async recordAttempts(
    attempts: readonly TupleAttempt[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<TupleOutcome, HostChange>> {
    const decision = (draft: Draft): TupleOutcome[] => decideAttempts(draft, attempts, policy)
    const selection = selectAttempts(attempts, policy)
    const further = (draft: Draft): Selection => selectPools(draft, attempts, policy)
    const decided = await this.#transactions.decide('recordAttempts', now, selection, decision, { further })
    return hostChangesOf(await this.#withEvicted(decided, policy))
  }

  async recordFindings(
    findings: readonly AttemptFinding[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<TupleOutcome, HostChange>> {
    const decision = (draft: Draft): TupleOutcome[] => decideFindings(draft, findings, policy)
    const selection = selectFindings(findings, policy)
    const decided = await this.#transactions.decide('recordFindings', now, selection, decision)
    return hostChangesOf(await this.#withEvicted(decided, policy))
  }

  readAllowed(): Promise<AllowSource[]> {
    return readAllowed(this.#link)
  }

  editAllowed(edits: readonly AllowEdit[], now: number, actor?: string): Promise<boolean[]> {
    return editAllowed(this.#link, this.#history, edits, { now, actor })
  }

  readDeferred(query: DeferredQuery): Promise<DeferredMails> {
    return readDeferred(this.#link, query)
  }

  beginScan(options: { isAsked?: boolean } = {}): Promise<ScanScope> {
    return this.#lease.beginScan(options)
  }

  async readScanSlice(
    after: ScanCursor | undefined,
    limit: number,
    { dueAt, whiteSince }: { dueAt?: number; whiteSince?: number } = {},
  ): Promise<ScanSlice> {
    const { scope } = this.#lease
    if (after !== undefined && scope === 'all') await this.#lease.renew()
    const options = { dueAt, whiteSince, isHostsOnly: scope === 'hosts' }
    const slice = await readScanSlice(this.#link, after, limit, options)
    if (slice.next === undefined && whiteSince === undefined) this.#lease.noteCompared()
    return slice
  }

  async applyScan(
    changes: ScanChanges,
    policy: Pick<GreyPolicy, 'whiteExpireSec'>,
    now: number,
  ): Promise<{ deletedCount: number; promoted: string[] }> {
    // Expired entries are removed by the gateway that holds the lease; each one checks its own block lists.
    const wanted = this.#lease.scope === 'hosts' ? { ...changes, expired: [] } : changes
    const decision = (draft: Draft) => decideScan(draft, wanted, policy)
    return (await this.#transactions.decide('applyScan', now, selectScan(wanted), decision)).outcomes
  }

  async applySync(
    changes: readonly SyncChange[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<SyncOutcome, HostChange>> {
    const decision = (draft: Draft): SyncOutcome[] => decideSync(draft, changes, policy)
    return hostChangesOf(await this.#transactions.decide('applySync', now, selectSync(changes), decision))
  }

  async readJournal(after: number, limit: number): Promise<JournalSlice> {
    const slice = await this.#journal.read(after, limit)
    const { rows, newest, isBehind } = slice
    const isCut = (rows.at(-1)?.seq ?? newest) < newest
    if (limit > 0 && (isBehind || isCut || rows.some(({ key }) => key === undefined)))
      this.#lease.noteMissed()
    return slice
  }

  journalPosition(name: string): Promise<number | undefined> {
    return this.#journal.position(name)
  }

  saveJournalPosition(name: string, position: number | undefined, _now: number): Promise<void> {
    return this.#journal.savePosition(name, position)
  }

  readRecords(keys: readonly ChangeKey[]): Promise<MergeRecord[]> {
    return readRecords(this.#transactions, keys)
  }

  listRecords(after: ScanCursor | undefined, limit: number): Promise<RecordSlice> {
    return listRecords(this.#transactions, after, limit)
  }

  async merge(
    records: readonly MergeRecord[],
    options: MergeOptions,
    now: number,
  ): Promise<Changed<MergeOutcome, HostChange>> {
    const { policy, actor, peer, isMove } = options
    const decision = (draft: Draft): MergeOutcome[] =>
      decideMerge(draft, records, policy, { rule: 'merge', actor })
    const decided = await this.#transactions.decide('merge', now, selectMerge(records, policy), decision, {
      locksSpamtraps: true,
      isMove,
      also: peer === undefined ? undefined : (send) => sendSyncPeer(peer, send),
    })
    await this.#evict(policy)
    return hostChangesOf(decided)
  }

  syncState(): Promise<SyncState> {
    return readSyncState(this.#link, this.#transactions.node)
  }

  saveSyncPeers(peers: readonly SyncPeer[], _now: number): Promise<void> {
    return saveSyncPeers(this.#link, peers)
  }

  dropOldMarks(
    _after: ScanCursor | undefined,
    limit: number,
    options: { keepSec: number; keepTupleSec: number },
    now: number,
  ): Promise<{ droppedCount: number; next: ScanCursor | undefined }> {
    return dropOldMarks(this.#transactions, limit, options, now)
  }

  readHistory(options: { after: number; limit: number; ip?: string | undefined }): Promise<HistoryRow[]> {
    return this.#history.read(options)
  }

  newestHistory(): Promise<number> {
    return this.#history.newest()
  }

  readCounts(sinceSec: number): Promise<HourlyCount[]> {
    return readCounts(this.#link, sinceSec)
  }

  addCounts(counts: readonly Omit<HourlyCount, 'hour'>[], now: number): Promise<void> {
    return addCounts(this.#link, this.#slot, counts, now)
  }

  historySettings(): Promise<HistorySettings> {
    return this.#history.settings()
  }

  saveHistorySettings(settings: HistorySettings): Promise<void> {
    return this.#history.saveSettings(settings)
  }

  undo(
    wanted: number | 'last',
    options: { force: boolean; isDryRun: boolean; actor: string | undefined },
    now: number,
  ): Promise<UndoOutcome & { event: number }> {
    return undoOnServer(this.#transactions, this.#history, wanted, options, now)
  }

  readReleases(): Promise<Release[]> {
    return this.#link.read('readReleases', async (statements) =>
      (await readReleases(statements)).map(({ entry }) => entry),
    )
  }

  editReleases(
    edits: readonly ReleaseEdit[],
    now: number,
    { actor }: { actor?: string | undefined } = {},
  ): Promise<Changed<ReleaseOutcome>> {
    const decision = (draft: Draft): ReleaseOutcome[] => decideReleases(draft, edits, actor)
    return this.#transactions.decide('editReleases', now, selectReleases(), decision)
  }

  countTuplesBefore(times: readonly number[]): Promise<number[]> {
    return countTuplesBefore(this.#link, times)
  }

  tupleCount(): Promise<number> {
    return readTupleCount(this.#link)
  }

  readClock(now: number): Promise<ClockReading> {
    return readClock(this.#link, now)
  }

  async backup(_targetPath: string): Promise<void> {
    throw new AppError('ERR_DB_OPEN', 'a database on a server is not copied by this command', {
      hint: 'run pg_dump --format=custom --schema=spamd --file=FILE, and pg_restore to restore it',
    })
  }

  check(): Promise<CheckReport> {
    return checkServer(this.#link)
  }

  async close(): Promise<void> {
    await this.#lease.giveBack()
    await this.#link.close()
  }

  /** What is evicted for the total counts with the last attempt of the batch. */
  async #withEvicted(decided: Decided<TupleOutcome[]>, policy: GreyPolicy): Promise<Decided<TupleOutcome[]>> {
    const last = decided.outcomes.at(-1)
    if (last !== undefined) last.evictedCount += await this.#evict(policy)
    return decided
  }

  #evict(policy: Pick<GreyPolicy, 'maxTuples' | 'maxTupleBytes'>): Promise<number> {
    return this.#limits.evictOverLimits(policy, (balance, statements) => this.#settle(balance, statements))
  }

  /** Stores a change of the totals of tuples. */
  async #settle(balance: TupleBalance, statements: Statements): Promise<void> {
    const sent: Promise<unknown>[] = []
    this.#transactions.sendCounts({ changes: [], changedSec: 0 }, balance, (sql, values) =>
      sent.push(statements.rows(sql, values)),
    )
    await Promise.all(sent)
  }
}

/** Changes of addresses alone: those of tuples are many, and daemons read them from another thread. */
function hostChangesOf<Outcome>({ outcomes, changes }: Decided<Outcome[]>): Changed<Outcome, HostChange> {
  return { outcomes, changes: changes.filter(isHostChange) }
}
