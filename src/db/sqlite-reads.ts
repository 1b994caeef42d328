import type { AllowSource } from '../domain/allow.js'
import type { ChangeKey } from '../domain/change.js'
import type { MergeRecord } from '../domain/decide-merge.js'
import type { DeferredMails, DeferredQuery } from '../domain/deferred-mail.js'
import type { Draft, Selection } from '../domain/draft.js'
import type { Entry, EntryKey, EntryKind } from '../domain/entry.js'
import type { HistoryRow, HistorySettings } from '../domain/history.js'
import type { HourlyCount } from '../domain/hourly-counts.js'
import type { EntryQuery } from '../domain/query.js'
import type { Release } from '../domain/release.js'
import type { Connection } from './connection.js'
import { loadOnce } from './load-once.js'
import type {
  CheckReport,
  ClockReading,
  DamagedGap,
  EntryCounts,
  ExactForm,
  JournalSlice,
  LineForm,
  RecordSlice,
  ScanCursor,
  ScanScope,
  ScanSlice,
  SyncState,
} from './store.js'
import type { StoreRights } from './store-rights.js'
import { getEntry } from './tables/entry-rows.js'
import { Transactions } from './transactions.js'

const READ_CLOCK = `SELECT (SELECT time FROM journal_state), count(*),
  count(*) FILTER (WHERE expire <> 0 AND expire <= ?) FROM hosts WHERE pcount <> -1`

const scanSlices = loadOnce(() => import('./scan-slice.js'))

/**
 * The calls of the store that only read; `SqliteStore` adds those that change something. Every method delegates its work
 * to a separate module; what a one-key `spamdb` does not need is loaded on first use, because loading it would cost that
 * call more than its query.
 */
export abstract class SqliteReads {
  readonly location: string
  protected readonly connection: Connection
  protected readonly transactions: Transactions
  protected readonly rights: StoreRights | undefined

  constructor(connection: Connection, rights?: StoreRights) {
    this.location = connection.location
    this.connection = connection
    this.rights = rights
    this.transactions = new Transactions(connection)
  }

  async *list(query: EntryQuery = {}): AsyncGenerator<Entry[], void, undefined> {
    if (query.sort === undefined) {
      const { listInKeyOrder } = await import('./listing/listing.js')
      yield* listInKeyOrder(this.connection, query)
    } else {
      const { listSorted } = await import('./listing/sorted-listing.js')
      yield* listSorted(this.connection, query, query.sort)
    }
  }

  async *listText(query: EntryQuery = {}, form?: LineForm): AsyncGenerator<Uint8Array, void, undefined> {
    const { CLASSIC_FORM, listTextOf, renderEntries } = await import('./listing/listing-text.js')
    const wanted = form ?? CLASSIC_FORM
    if (query.sort === undefined && query.limit === undefined) {
      yield* listTextOf(this.connection, query, wanted)
    } else if (query.sort !== undefined) {
      const { listSortedText } = await import('./listing/sorted-listing.js')
      yield* listSortedText(this.connection, query, query.sort, wanted)
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
    yield* listReadable(this.connection, kinds, onGap, form)
  }

  async get(key: EntryKey): Promise<Entry | undefined> {
    return this.connection.read('get', () => getEntry(this.connection, key))
  }

  async count(query: EntryQuery = {}): Promise<EntryCounts> {
    const { countEntries } = await import('./listing/listing.js')
    return countEntries(this.connection, query)
  }

  async load(selection: Selection, draft: Draft): Promise<void> {
    this.connection.read('load', () => this.transactions.load(selection, draft))
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
    return this.connection.read('readScanSlice', () => readSlice(this.connection, after, limit, options))
  }

  async readJournal(after: number, limit: number): Promise<JournalSlice> {
    return this.connection.read('readJournal', () => this.transactions.journal.read(after, limit))
  }

  async journalPosition(name: string): Promise<number | undefined> {
    return this.connection.read('journalPosition', () => this.transactions.journal.position(name))
  }

  async readRecords(keys: readonly ChangeKey[]): Promise<MergeRecord[]> {
    const { recordsOf } = await import('./merge-records.js')
    return this.connection.read('readRecords', () => recordsOf(this.transactions, keys))
  }

  async listRecords(after: ScanCursor | undefined, limit: number): Promise<RecordSlice> {
    const { recordSlice } = await import('./merge-records.js')
    return this.connection.read('listRecords', () => recordSlice(this.transactions, after, limit))
  }

  async syncState(): Promise<SyncState> {
    const { readSyncState } = await import('./sync-state.js')
    return this.connection.read('syncState', () => readSyncState(this.connection, this.transactions))
  }

  async readHistory(options: {
    after: number
    limit: number
    ip?: string | undefined
  }): Promise<HistoryRow[]> {
    return this.connection.read('readHistory', () => this.transactions.history.read(options))
  }

  async newestHistory(): Promise<number> {
    return this.connection.read('newestHistory', () => this.transactions.history.newest())
  }

  async readCounts(sinceSec: number): Promise<HourlyCount[]> {
    return this.connection.read('readCounts', () => this.transactions.counts.read(sinceSec))
  }

  async historySettings(): Promise<HistorySettings> {
    return this.connection.read('historySettings', () => this.transactions.history.settings())
  }

  async readClock(now: number): Promise<ClockReading> {
    return this.connection.read('readClock', () => {
      const row = this.connection.prepareRaw(READ_CLOCK).get(Math.floor(now)) as [number, number, number]
      const [newestMs, whiteCount, expiringCount] = row
      return { newestSec: Math.floor(newestMs / 1000), whiteCount, expiringCount }
    })
  }

  async readAllowed(): Promise<AllowSource[]> {
    return this.connection.read('readAllowed', () => this.transactions.allowed.all())
  }

  async readDeferred(query: DeferredQuery): Promise<DeferredMails> {
    const { readDeferredMails } = await import('./deferred-mails.js')
    return this.connection.read('readDeferred', () => readDeferredMails(this.connection, query))
  }

  async readReleases(): Promise<Release[]> {
    return this.connection.read('readReleases', () =>
      this.transactions.releases.all().map(({ entry }) => entry),
    )
  }

  async countTuplesBefore(times: readonly number[]): Promise<number[]> {
    const { countTuplesBefore } = await import('./listing/listing.js')
    return this.connection.read('count', () => countTuplesBefore(this.connection, times))
  }

  async tupleCount(): Promise<number> {
    return this.connection.read('tupleCount', () => this.transactions.tuples.ages.total())
  }

  async backup(targetPath: string): Promise<void> {
    const { backupDatabase } = await import('./file/backup-database.js')
    await backupDatabase(this.connection, targetPath, this.rights)
  }

  async check(): Promise<CheckReport> {
    const { checkDatabase } = await import('./file/check-database.js')
    return checkDatabase(this.connection)
  }
}
