import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import type { AllowSource } from '../../domain/allow.js'
import type { ChangeKey } from '../../domain/change.js'
import { selectKey } from '../../domain/decide-edits.js'
import type { MergeRecord } from '../../domain/decide-merge.js'
import type { DeferredMails, DeferredQuery } from '../../domain/deferred-mail.js'
import { type Draft, emptySelection, type Selection } from '../../domain/draft.js'
import { ENTRY_KINDS, type Entry, type EntryKey, type EntryKind } from '../../domain/entry.js'
import { entryIn, type HistoryRow, type HistorySettings } from '../../domain/history.js'
import type { HourlyCount } from '../../domain/hourly-counts.js'
import type { EntryQuery } from '../../domain/query.js'
import type { Release } from '../../domain/release.js'
import { CLASSIC_FORM } from '../listing/listing-text.js'
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
  SyncState,
} from '../store.js'
import { readAllowed } from './pg-allow.js'
import { readDeferred } from './pg-deferred.js'
import { PgHistory } from './pg-history.js'
import { PgJournal } from './pg-journal.js'
import { PgLease } from './pg-lease.js'
import { PgTupleLimits } from './pg-limits.js'
import type { PgLink } from './pg-link.js'
import { countOnServer, listOnServer, listTextOnServer } from './pg-listing.js'
import { checkServer } from './pg-maintenance.js'
import { listRecords, readRecords } from './pg-records.js'
import { readReleases } from './pg-releases.js'
import { countTuplesBefore, readClock, readCounts, readSyncState, readTupleCount } from './pg-sums.js'
import { PgTransactions } from './pg-transactions.js'

/** Rows for the counters of gateways: ten times as many as anyone has gateways. */
const SLOTS = 10_000

/**
 * The calls of the store on a server that only read; `PgStore` adds those that change something. Every method delegates its
 * work to a separate module.
 */
export abstract class PgReads {
  readonly location: string
  protected readonly link: PgLink
  protected readonly history: PgHistory
  protected readonly journal: PgJournal
  protected readonly limits: PgTupleLimits
  protected readonly lease: PgLease
  protected readonly transactions: PgTransactions
  protected readonly slot = createHash('sha256').update(hostname()).digest().readUInt32BE() % SLOTS

  /** `node` is the number of the database on the server. */
  constructor(link: PgLink, node: number) {
    this.location = link.location
    this.link = link
    this.history = new PgHistory(link)
    this.journal = new PgJournal(link)
    this.limits = new PgTupleLimits(link)
    this.lease = new PgLease(link, this.history, this.journal)
    this.transactions = new PgTransactions(link, this.history, this.limits, { slot: this.slot, node })
  }

  list(query: EntryQuery = {}): AsyncIterable<Entry[]> {
    return listOnServer(this.link, query)
  }

  listText(query: EntryQuery = {}, form: LineForm = CLASSIC_FORM): AsyncIterable<Uint8Array> {
    return listTextOnServer(this.link, query, form)
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
    const draft = this.transactions.draftToRead(0)
    await this.load(selection, draft)
    return entryIn(draft, key)
  }

  count(query: EntryQuery = {}): Promise<EntryCounts> {
    return countOnServer(this.link, query)
  }

  load(selection: Selection, draft: Draft): Promise<void> {
    return this.link.read('load', (statements) =>
      this.transactions.load(statements, selection, draft, { hosts: false, spamtraps: false }),
    )
  }

  readAllowed(): Promise<AllowSource[]> {
    return readAllowed(this.link)
  }

  readDeferred(query: DeferredQuery): Promise<DeferredMails> {
    return readDeferred(this.link, query)
  }

  async readJournal(after: number, limit: number): Promise<JournalSlice> {
    const slice = await this.journal.read(after, limit)
    const { rows, newest, isBehind } = slice
    const isCut = (rows.at(-1)?.seq ?? newest) < newest
    if (limit > 0 && (isBehind || isCut || rows.some(({ key }) => key === undefined))) this.lease.noteMissed()
    return slice
  }

  journalPosition(name: string): Promise<number | undefined> {
    return this.journal.position(name)
  }

  readRecords(keys: readonly ChangeKey[]): Promise<MergeRecord[]> {
    return readRecords(this.transactions, keys)
  }

  listRecords(after: ScanCursor | undefined, limit: number): Promise<RecordSlice> {
    return listRecords(this.transactions, after, limit)
  }

  syncState(): Promise<SyncState> {
    return readSyncState(this.link, this.transactions.node)
  }

  readHistory(options: { after: number; limit: number; ip?: string | undefined }): Promise<HistoryRow[]> {
    return this.history.read(options)
  }

  newestHistory(): Promise<number> {
    return this.history.newest()
  }

  readCounts(sinceSec: number): Promise<HourlyCount[]> {
    return readCounts(this.link, sinceSec)
  }

  historySettings(): Promise<HistorySettings> {
    return this.history.settings()
  }

  readReleases(): Promise<Release[]> {
    return this.link.read('readReleases', async (statements) =>
      (await readReleases(statements)).map(({ entry }) => entry),
    )
  }

  countTuplesBefore(times: readonly number[]): Promise<number[]> {
    return countTuplesBefore(this.link, times)
  }

  tupleCount(): Promise<number> {
    return readTupleCount(this.link)
  }

  readClock(now: number): Promise<ClockReading> {
    return readClock(this.link, now)
  }

  check(): Promise<CheckReport> {
    return checkServer(this.link)
  }
}
