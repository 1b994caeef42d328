import type { Entry, EntryKey, EntryKind } from '../domain/entry.js'
import type { EntryQuery } from '../domain/query.js'
import type { Connection } from './connection.js'
import { applyEdits, type Tables } from './manual-edits.js'
import type {
  CheckReport,
  DamagedGap,
  EditOutcome,
  EntryCounts,
  GreyPolicy,
  ManualEdit,
  ScanChanges,
  ScanCursor,
  ScanSlice,
  Sighting,
  SightingOutcome,
  Store,
  SyncChange,
  SyncOutcome,
  TupleAttempt,
  TupleOutcome,
  UpsertCounts,
} from './store.js'
import { getEntry } from './tables/entry-rows.js'
import { HostTable } from './tables/host-table.js'
import { SpamtrapTable } from './tables/spamtrap-table.js'
import type { TupleLimits } from './tables/tuple-limits.js'
import { TupleTable } from './tables/tuple-table.js'

/**
 * The store on one SQLite file. Every method hands its work to a module of its own; what a one-key `spamdb`
 * does not need is loaded on first use, since loading it would cost that call more than its query.
 */
export class SqliteStore implements Store {
  readonly location: string
  readonly #connection: Connection
  readonly #tables: Tables
  #limits: TupleLimits | undefined

  constructor(connection: Connection) {
    this.location = connection.location
    this.#connection = connection
    this.#tables = {
      hosts: new HostTable(connection),
      tuples: new TupleTable(connection),
      spamtraps: new SpamtrapTable(connection),
    }
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

  async *listText(query: EntryQuery = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { formatEntries, isWholeKinds, listTextOfKinds } = await import('./listing/listing-text.js')
    if (isWholeKinds(query)) {
      yield* listTextOfKinds(this.#connection, query.kinds)
    } else {
      for await (const entries of this.list(query)) yield formatEntries(entries)
    }
  }

  async *listReadable(
    kinds: readonly EntryKind[],
    onGap: (gap: DamagedGap) => void,
  ): AsyncGenerator<Entry[], void, undefined> {
    const { listReadable } = await import('./listing/readable-entries.js')
    yield* listReadable(this.#connection, kinds, onGap)
  }

  async get(key: EntryKey): Promise<Entry | undefined> {
    return this.#connection.read('get', () => getEntry(this.#connection, key))
  }

  async count(query: EntryQuery = {}): Promise<EntryCounts> {
    const { countEntries } = await import('./listing/listing.js')
    return countEntries(this.#connection, query)
  }

  async edit(edits: readonly ManualEdit[], now: number): Promise<EditOutcome[]> {
    return this.#write('edit', () => applyEdits(this.#tables, edits, now))
  }

  async upsert(entries: readonly Entry[], options: { ifMissing: boolean }): Promise<UpsertCounts> {
    const { upsertEntries } = await import('./upsert-entries.js')
    return this.#write('upsert', () => upsertEntries(this.#tables, entries, options))
  }

  async upsertAll(
    batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
    options: { ifMissing: boolean },
  ): Promise<UpsertCounts> {
    const { loadEntries } = await import('./bulk-load.js')
    this.#tables.tuples.ages.reset()
    return loadEntries(this.#connection, this.#tables, batches, options)
  }

  async recordSightings(
    sightings: readonly Sighting[],
    options: { whiteExpireSec: number; untrap: boolean },
    now: number,
  ): Promise<SightingOutcome[]> {
    const { applySightings } = await import('./sightings.js')
    return this.#write('recordSightings', () => applySightings(this.#tables.hosts, sightings, options, now))
  }

  async recordAttempts(
    attempts: readonly TupleAttempt[],
    policy: GreyPolicy,
    now: number,
  ): Promise<TupleOutcome[]> {
    const { applyAttempts, beginAttempts } = await import('./attempts.js')
    const limits = await this.#openLimits()
    return this.#write('recordAttempts', () =>
      applyAttempts(beginAttempts(this.#tables, limits, policy, now), attempts),
    )
  }

  async readScanSlice(
    after: ScanCursor | undefined,
    limit: number,
    options: { dueAt?: number } = {},
  ): Promise<ScanSlice> {
    const { readSlice } = await import('./scan.js')
    return this.#connection.read('readScanSlice', () =>
      readSlice(this.#connection, after, limit, options.dueAt),
    )
  }

  async applyScan(
    changes: ScanChanges,
    policy: GreyPolicy,
    now: number,
  ): Promise<{ deletedCount: number; promoted: string[] }> {
    const { applyScanChanges } = await import('./scan.js')
    return this.#write('applyScan', () => applyScanChanges(this.#tables, changes, policy, now))
  }

  async applySync(changes: readonly SyncChange[], policy: GreyPolicy, now: number): Promise<SyncOutcome[]> {
    const [{ beginAttempts }, { applySyncChanges }] = await Promise.all([
      import('./attempts.js'),
      import('./sync-changes.js'),
    ])
    const limits = await this.#openLimits()
    return this.#write('applySync', () =>
      applySyncChanges(beginAttempts(this.#tables, limits, policy, now), changes),
    )
  }

  async backup(targetPath: string): Promise<void> {
    const { backupDatabase } = await import('./file/backup-database.js')
    await backupDatabase(this.#connection, targetPath)
  }

  async check(): Promise<CheckReport> {
    const { checkDatabase } = await import('./file/check-database.js')
    return checkDatabase(this.#connection)
  }

  async close(): Promise<void> {
    this.#connection.close()
  }

  #write<Result>(call: string, body: () => Result): Result {
    this.#tables.tuples.ages.reset()
    return this.#connection.write(call, body)
  }

  async #openLimits(): Promise<TupleLimits> {
    const { TupleLimits: Limits } = await import('./tables/tuple-limits.js')
    this.#limits ??= new Limits(this.#tables.tuples)
    return this.#limits
  }
}
