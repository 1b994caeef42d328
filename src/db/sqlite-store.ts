import { type AllowEdit, tellAllowEdits } from '../domain/allow.js'
import { type HostChange, isHostChange } from '../domain/change.js'
import type { MergeOutcome, MergeRecord } from '../domain/decide-merge.js'
import type { Entry } from '../domain/entry.js'
import type { HistorySettings, UndoOutcome } from '../domain/history.js'
import type { HourlyCount } from '../domain/hourly-counts.js'
import type { MarkLives } from '../domain/old-marks.js'
import { editInParts } from './edit-in-parts.js'
import { loadOnce } from './load-once.js'
import { SqliteReads } from './sqlite-reads.js'
import type {
  AttemptFinding,
  Changed,
  ChangesOption,
  EditOptions,
  EditOutcome,
  GreyPolicy,
  ManualEdit,
  MergeOptions,
  ReleaseEdit,
  ReleaseOutcome,
  ScanChanges,
  ScanCursor,
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
} from './store.js'
import type { TupleLimits } from './tables/tuple-limits.js'
import type { Decided } from './transactions.js'

const attemptRules = loadOnce(() => import('../domain/decide-attempts.js'))
const poolRules = loadOnce(() => import('../domain/decide-pools.js'))
const sightingRules = loadOnce(() => import('../domain/decide-sightings.js'))
const sightingGroups = loadOnce(() => import('./sightings-in-groups.js'))
const scanRules = loadOnce(() => import('../domain/decide-scan.js'))
const syncRules = loadOnce(() => import('../domain/decide-sync.js'))

/** The store on one SQLite file: `SqliteReads`, and the calls that change something. */
export class SqliteStore extends SqliteReads implements Store {
  #limits: TupleLimits | undefined

  async edit(
    edits: readonly ManualEdit[],
    now: number,
    options: EditOptions = {},
  ): Promise<Changed<EditOutcome>> {
    return editInParts(this.transactions, edits, now, options)
  }

  async upsert(
    entries: readonly Entry[],
    { ifMissing, now = 0 }: { ifMissing: boolean; now?: number },
  ): Promise<UpsertCounts> {
    const { decideImport, selectEntries } = await import('../domain/decide-import.js')
    return this.transactions.decide('upsert', now, selectEntries(entries), (draft) =>
      decideImport(draft, entries, { ifMissing }),
    ).outcomes
  }

  async upsertAll(
    batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
    { ifMissing, now = 0, maxDecided }: { ifMissing: boolean; now?: number; maxDecided?: number },
  ): Promise<UpsertCounts> {
    const { loadEntries } = await import('./bulk-load.js')
    return loadEntries(this.connection, this.transactions, batches, { ifMissing, maxDecided }, now)
  }

  async recordSightings(
    sightings: readonly Sighting[],
    options: SightingOptions & ChangesOption,
    now: number,
  ): Promise<Changed<SightingOutcome>> {
    if (options.forgetsChanges === true) {
      const { sightInGroups } = await sightingGroups()
      return { outcomes: sightInGroups(this.transactions, sightings, options, now), changes: [] }
    }
    const { decideSightings, selectSightings } = await sightingRules()
    return this.transactions.decide('recordSightings', now, selectSightings(sightings), (draft) =>
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
    const decided = this.transactions.decide(
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
    const decided = this.transactions.decide(
      'recordFindings',
      now,
      selectFindings(findings, policy),
      (draft) => decideFindings(draft, findings, policy),
      { after: (outcomes) => noteEvicted(outcomes, limits.evictOverLimits(policy, now)) },
    )
    return hostChangesOf(decided)
  }

  async applyScan(
    changes: ScanChanges,
    policy: Pick<GreyPolicy, 'whiteExpireSec'>,
    now: number,
  ): Promise<{ deletedCount: number; promoted: string[] }> {
    const { decideScan, selectScan } = await scanRules()
    return this.transactions.decide('applyScan', now, selectScan(changes), (draft) =>
      decideScan(draft, changes, policy),
    ).outcomes
  }

  async applySync(
    changes: readonly SyncChange[],
    policy: GreyPolicy,
    now: number,
  ): Promise<Changed<SyncOutcome, HostChange>> {
    const { decideSync, selectSync } = await syncRules()
    const decided = this.transactions.decide('applySync', now, selectSync(changes), (draft) =>
      decideSync(draft, changes, policy),
    )
    return hostChangesOf(decided)
  }

  async saveJournalPosition(name: string, position: number | undefined, now: number): Promise<void> {
    this.connection.write('saveJournalPosition', () =>
      this.transactions.journal.savePosition(name, position, now),
    )
  }

  async merge(
    records: readonly MergeRecord[],
    options: MergeOptions,
    now: number,
  ): Promise<Changed<MergeOutcome, HostChange>> {
    const { policy, actor, peer, isMove } = options
    const [{ decideMerge, outcomesOfMoved, selectMerge, splitMoved }, { putSyncPeer }, limits] =
      await Promise.all([import('../domain/decide-merge.js'), import('./sync-state.js'), this.#openLimits()])
    const moved = isMove === true ? splitMoved(records, now) : undefined
    const isAdded = moved !== undefined && this.transactions.addMoved(moved, now)
    const rest = isAdded ? moved.others : records
    if (isAdded && rest.length === 0) return { outcomes: outcomesOfMoved(moved.isOther, []), changes: [] }
    const selection = selectMerge(rest, policy)
    // The moved entries were within the limits.
    if (isMove === true) selection.maxTuplesPerAddress = undefined
    const decided = this.transactions.decide(
      'merge',
      now,
      selection,
      (draft) => decideMerge(draft, rest, policy, { rule: 'merge', actor }),
      {
        isMove,
        after: () => {
          limits.evictOverLimits(policy, now)
          if (peer !== undefined) putSyncPeer(this.connection, peer)
        },
      },
    )
    if (isAdded) decided.outcomes = outcomesOfMoved(moved.isOther, decided.outcomes)
    return hostChangesOf(decided)
  }

  async saveSyncPeers(peers: readonly SyncPeer[], now: number): Promise<void> {
    const { putSyncPeer } = await import('./sync-state.js')
    this.transactions.write('saveSyncPeers', now, () => {
      for (const peer of peers) putSyncPeer(this.connection, peer)
    })
  }

  async stampsAhead(follow: 'stay' | 'follow', now: number): Promise<number> {
    const { journal } = this.transactions
    if (follow === 'stay') return this.connection.read('stampsAhead', () => journal.stampsAhead(now))
    return this.connection.write('stampsAhead', () => journal.followClock(now))
  }

  async dropOldMarks(
    after: ScanCursor | undefined,
    limit: number,
    lives: MarkLives,
    now: number,
  ): Promise<{ droppedCount: number; next: ScanCursor | undefined }> {
    const { dropOldMarks } = await import('./merge-records.js')
    return dropOldMarks(this.connection, this.transactions, { after, limit, lives, now })
  }

  async addCounts(counts: readonly Omit<HourlyCount, 'hour'>[], now: number): Promise<void> {
    this.connection.write('addCounts', () => this.transactions.counts.addNamed(counts, now))
  }

  async saveHistorySettings(settings: HistorySettings): Promise<void> {
    this.connection.write('saveHistorySettings', () => this.transactions.history.saveSettings(settings))
  }

  async undo(
    wanted: number | 'last',
    options: { force: boolean; isDryRun: boolean; actor: string | undefined },
    now: number,
  ): Promise<UndoOutcome & { event: number }> {
    const { undoEvent } = await import('./undo.js')
    return undoEvent(this.connection, this.transactions, wanted, options, now)
  }

  async editAllowed(edits: readonly AllowEdit[], now: number, actor?: string): Promise<boolean[]> {
    const { allowed, history } = this.transactions
    return this.transactions.write('editAllowed', now, ({ clock }) => {
      const known = new Map(allowed.all().map((source) => [source.name, source]))
      history.appendSummaries('allow', now, tellAllowEdits(known, edits, now), actor)
      return edits.map((edit) => allowed.apply(edit, clock.next(now)))
    })
  }

  async editReleases(
    edits: readonly ReleaseEdit[],
    now: number,
    { actor }: { actor?: string | undefined } = {},
  ): Promise<Changed<ReleaseOutcome>> {
    const { decideReleases, selectReleases } = await import('../domain/decide-release.js')
    return this.transactions.decide('editReleases', now, selectReleases(), (draft) =>
      decideReleases(draft, edits, actor),
    )
  }

  async close(): Promise<void> {
    try {
      this.connection.close()
    } finally {
      this.rights?.release()
    }
  }

  async #openLimits(): Promise<TupleLimits> {
    if (this.#limits !== undefined) return this.#limits
    const { TupleLimits: Limits } = await import('./tables/tuple-limits.js')
    this.#limits ??= new Limits(this.connection, this.transactions.tuples)
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
