import type { AllowEdit } from '../../domain/allow.js'
import { type HostChange, isHostChange } from '../../domain/change.js'
import { decideAttempts, selectAttempts } from '../../domain/decide-attempts.js'
import { decideEdits, selectEdits } from '../../domain/decide-edits.js'
import { decideFindings, selectFindings } from '../../domain/decide-findings.js'
import { decideImport, selectEntries } from '../../domain/decide-import.js'
import {
  decideMerge,
  type MergeOutcome,
  type MergeRecord,
  outcomesOfMoved,
  selectMerge,
  selectMove,
} from '../../domain/decide-merge.js'
import { selectPools } from '../../domain/decide-pools.js'
import { decideReleases, selectReleases } from '../../domain/decide-release.js'
import { decideScan, selectScan } from '../../domain/decide-scan.js'
import { decideSightings, selectSightings } from '../../domain/decide-sightings.js'
import { decideSync, selectSync } from '../../domain/decide-sync.js'
import type { Draft, Selection } from '../../domain/draft.js'
import type { Entry } from '../../domain/entry.js'
import type { HistorySettings, UndoOutcome } from '../../domain/history.js'
import type { HourlyCount } from '../../domain/hourly-counts.js'
import type { MarkLives } from '../../domain/old-marks.js'
import { AppError } from '../../platform/app-error.js'
import type {
  AttemptFinding,
  Changed,
  EditOptions,
  EditOutcome,
  GreyPolicy,
  ManualEdit,
  MergeOptions,
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
  TupleAttempt,
  TupleOutcome,
  UpsertCounts,
} from '../store.js'
import { editAllowed } from './pg-allow.js'
import { importEntries } from './pg-import.js'
import type { Statements } from './pg-link.js'
import { undoOnServer } from './pg-maintenance.js'
import { addMovedHosts } from './pg-move.js'
import { PgReads } from './pg-reads.js'
import { dropOldMarks } from './pg-records.js'
import { readScanSlice } from './pg-scan.js'
import { addCounts, saveSyncPeers, sendSyncPeer } from './pg-sums.js'
import type { Decided } from './pg-transactions.js'
import type { TupleBalance } from './pg-writes.js'
import { readFew } from './read-few.js'

/** Up to this many entries of an import are decided one by one; for more, bulk statements are faster. */
const DECIDED_ENTRIES = 5000

/**
 * The store on a PostgreSQL server, shared by many gateways (docs/protocol/cluster.md): `PgReads`, and the calls that
 * change something.
 */
export class PgStore extends PgReads implements Store {
  async edit(
    edits: readonly ManualEdit[],
    now: number,
    { actor, forgetsChanges }: EditOptions = {},
  ): Promise<Changed<EditOutcome>> {
    const cause = { rule: 'manual', actor } as const
    const decision = (draft: Draft): EditOutcome[] => decideEdits(draft, edits, cause)
    const options = { locksSpamtraps: true }
    const decided = await this.transactions.decide('edit', now, selectEdits(edits), decision, options)
    return forgetsChanges === true ? { ...decided, changes: [] } : decided
  }

  async upsert(
    entries: readonly Entry[],
    { ifMissing, now = 0 }: { ifMissing: boolean; now?: number },
  ): Promise<UpsertCounts> {
    const decision = (draft: Draft): UpsertCounts => decideImport(draft, entries, { ifMissing })
    const options = { locksSpamtraps: true }
    return (await this.transactions.decide('upsert', now, selectEntries(entries), decision, options)).outcomes
  }

  /**
   * A few entries are decided like edits, so that undo can reverse them. For more, a transaction on the server stays
   * open while `batches` are read; if it conflicts with another one, it is not repeated.
   */
  async upsertAll(
    batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
    {
      ifMissing,
      now = 0,
      maxDecided = DECIDED_ENTRIES,
    }: { ifMissing: boolean; now?: number; maxDecided?: number },
  ): Promise<UpsertCounts> {
    const { few, all } = await readFew(batches, maxDecided)
    if (few !== undefined) return this.upsert(few, { ifMissing, now })
    return this.link.write(
      'upsertAll',
      async (statements, commit, { skewSec }) => {
        const at = now > 0 ? now + skewSec : 0
        const { counts, balance } = await importEntries(statements, all, {
          ifMissing,
          stamp: () => this.transactions.clock.next(at),
          now: at,
          history: this.history,
          decide: (entries) =>
            this.transactions.decideUntold(statements, at, selectEntries(entries), (draft) =>
              decideImport(draft, entries, { ifMissing }),
            ),
        })
        const sent = this.#settle(balance, statements)
        commit()
        await sent
        this.link.tellOthers()
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
    return this.transactions.decide('recordSightings', now, selectSightings(sightings), decision)
  }

  async recordAttempts(
    attempts: readonly TupleAttempt[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<TupleOutcome, HostChange>> {
    const decision = (draft: Draft): TupleOutcome[] => decideAttempts(draft, attempts, policy)
    const selection = selectAttempts(attempts, policy)
    const further = (draft: Draft): Selection => selectPools(draft, attempts, policy)
    const decided = await this.transactions.decide('recordAttempts', now, selection, decision, { further })
    return hostChangesOf(await this.#withEvicted(decided, policy))
  }

  async recordFindings(
    findings: readonly AttemptFinding[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<TupleOutcome, HostChange>> {
    const decision = (draft: Draft): TupleOutcome[] => decideFindings(draft, findings, policy)
    const selection = selectFindings(findings, policy)
    const decided = await this.transactions.decide('recordFindings', now, selection, decision)
    return hostChangesOf(await this.#withEvicted(decided, policy))
  }

  editAllowed(edits: readonly AllowEdit[], now: number, actor?: string): Promise<boolean[]> {
    return editAllowed(this.link, this.history, edits, { now, actor })
  }

  beginScan(options: { isAsked?: boolean } = {}): Promise<ScanScope> {
    return this.lease.beginScan(options)
  }

  async readScanSlice(
    after: ScanCursor | undefined,
    limit: number,
    { dueAt, whiteSince }: { dueAt?: number; whiteSince?: number } = {},
  ): Promise<ScanSlice> {
    const { scope } = this.lease
    if (after !== undefined && scope === 'all') await this.lease.renew()
    const options = { dueAt, whiteSince, isHostsOnly: scope === 'hosts' }
    const slice = await readScanSlice(this.link, after, limit, options)
    if (slice.next === undefined && whiteSince === undefined) this.lease.noteCompared()
    return slice
  }

  async applyScan(
    changes: ScanChanges,
    policy: Pick<GreyPolicy, 'whiteExpireSec'>,
    now: number,
  ): Promise<{ deletedCount: number; promoted: string[] }> {
    // Expired entries are removed by the gateway that holds the lease; each one checks its own block lists.
    const wanted = this.lease.scope === 'hosts' ? { ...changes, expired: [] } : changes
    const decision = (draft: Draft) => decideScan(draft, wanted, policy)
    return (await this.transactions.decide('applyScan', now, selectScan(wanted), decision)).outcomes
  }

  async applySync(
    changes: readonly SyncChange[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<SyncOutcome, HostChange>> {
    const decision = (draft: Draft): SyncOutcome[] => decideSync(draft, changes, policy)
    return hostChangesOf(await this.transactions.decide('applySync', now, selectSync(changes), decision))
  }

  saveJournalPosition(name: string, position: number | undefined, _now: number): Promise<void> {
    return this.journal.savePosition(name, position)
  }

  async merge(
    records: readonly MergeRecord[],
    options: MergeOptions,
    now: number,
  ): Promise<Changed<MergeOutcome, HostChange>> {
    if (options.isMove === true && options.peer === undefined) {
      const isOther = await addMovedHosts(this.transactions, records, now)
      const others = isOther === undefined ? records : records.filter((_, index) => isOther[index])
      const outcomes = others.length === 0 ? [] : (await this.#merge(others, options, now)).outcomes
      return { outcomes: isOther === undefined ? outcomes : outcomesOfMoved(isOther, outcomes), changes: [] }
    }
    return this.#merge(records, options, now)
  }

  async #merge(
    records: readonly MergeRecord[],
    options: MergeOptions,
    now: number,
  ): Promise<Changed<MergeOutcome, HostChange>> {
    const { policy, actor, peer, isMove } = options
    const decision = (draft: Draft): MergeOutcome[] =>
      decideMerge(draft, records, policy, { rule: 'merge', actor })
    const decided = await this.transactions.decide('merge', now, selectMerge(records, policy), decision, {
      locksSpamtraps: true,
      isMove,
      firstSelection: isMove === true ? selectMove(records) : undefined,
      also: peer === undefined ? undefined : (send) => sendSyncPeer(peer, send),
    })
    await this.#evict(policy)
    return hostChangesOf(decided)
  }

  saveSyncPeers(peers: readonly SyncPeer[], _now: number): Promise<void> {
    return saveSyncPeers(this.link, peers)
  }

  /** Each process has a clock of its own. */
  async stampsAhead(follow: 'stay' | 'follow', now: number): Promise<number> {
    const { clock } = this.transactions
    const aheadSec = clock.aheadSec(now)
    if (follow === 'follow' && aheadSec > 0) clock.settle(now)
    return aheadSec
  }

  dropOldMarks(
    _after: ScanCursor | undefined,
    limit: number,
    lives: MarkLives,
    now: number,
  ): Promise<{ droppedCount: number; next: ScanCursor | undefined }> {
    return dropOldMarks(this.transactions, limit, lives, now)
  }

  addCounts(counts: readonly Omit<HourlyCount, 'hour'>[], now: number): Promise<void> {
    return addCounts(this.link, this.slot, counts, now)
  }

  saveHistorySettings(settings: HistorySettings): Promise<void> {
    return this.history.saveSettings(settings)
  }

  undo(
    wanted: number | 'last',
    options: { force: boolean; isDryRun: boolean; actor: string | undefined },
    now: number,
  ): Promise<UndoOutcome & { event: number }> {
    return undoOnServer(this.transactions, this.history, wanted, options, now)
  }

  editReleases(
    edits: readonly ReleaseEdit[],
    now: number,
    { actor }: { actor?: string | undefined } = {},
  ): Promise<Changed<ReleaseOutcome>> {
    const decision = (draft: Draft): ReleaseOutcome[] => decideReleases(draft, edits, actor)
    return this.transactions.decide('editReleases', now, selectReleases(), decision)
  }

  async backup(_targetPath: string): Promise<void> {
    throw new AppError('ERR_DB_OPEN', 'a database on a server is not copied by this command', {
      hint: 'run pg_dump --format=custom --schema=spamd --file=FILE, and pg_restore to restore it',
    })
  }

  async close(): Promise<void> {
    await this.lease.giveBack()
    await this.link.close()
  }

  /** What is evicted for the total counts with the last attempt of the batch. */
  async #withEvicted(decided: Decided<TupleOutcome[]>, policy: GreyPolicy): Promise<Decided<TupleOutcome[]>> {
    const last = decided.outcomes.at(-1)
    if (last !== undefined) last.evictedCount += await this.#evict(policy)
    return decided
  }

  #evict(policy: Pick<GreyPolicy, 'maxTuples' | 'maxTupleBytes'>): Promise<number> {
    return this.limits.evictOverLimits(policy, (balance, statements) => this.#settle(balance, statements))
  }

  /** Stores a change of the totals of tuples. */
  async #settle(balance: TupleBalance, statements: Statements): Promise<void> {
    const sent: Promise<unknown>[] = []
    this.transactions.sendCounts({ changes: [], changedSec: 0 }, balance, (sql, values) =>
      sent.push(statements.rows(sql, values)),
    )
    await Promise.all(sent)
  }
}

/** Changes of addresses alone: those of tuples are many, and daemons read them from another thread. */
function hostChangesOf<Outcome>({ outcomes, changes }: Decided<Outcome[]>): Changed<Outcome, HostChange> {
  return { outcomes, changes: changes.filter(isHostChange) }
}
