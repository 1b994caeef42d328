/**
 * The changes of addresses and spamtraps by any gateway, as each store reads them: rows of transactions that
 * its previous look could not see. A transaction that runs for hours blocks nobody, and one that ends late is
 * not missed: the list of running transactions in the snapshot of the previous poll decides, not an
 * increasing number.
 */
import type { Change, ChangeRule } from '../../domain/change.js'
import type { Stamp } from '../../domain/stamp.js'
import type { JournalSlice } from '../journal.js'
import { decodeRows, encodeChange, encodeEverything, type JournalRow } from '../journal-rows.js'
import type { PgLink, Row, ServerIdentity, Statements } from './pg-link.js'

/** Nodes are stored as they are. */
const NODES = { numberOf: (node: number) => node, nodeOf: (number: number) => number }

const APPEND = 'INSERT INTO spamd.journal (rows) VALUES ($1)'
/**
 * Rows not visible before: transactions begun after the snapshot, or in progress in it. One statement, so that both see the
 * same moment. Planned once per connection, since planning takes four times as long as an empty poll. The snapshot is in a
 * subquery so that a generic plan is as good, and rows are in the order of their index so that any plan uses it.
 */
const READ = `SELECT pg_current_snapshot()::text, extract(epoch FROM now())::float8::text, j.rows
  FROM (SELECT) AS one LEFT JOIN LATERAL (
    (SELECT rows, seq FROM spamd.journal WHERE xid >= (SELECT pg_snapshot_xmax($1::pg_snapshot)) ORDER BY xid LIMIT $2)
    UNION ALL
    (SELECT rows, seq FROM spamd.journal WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::pg_snapshot))) ORDER BY xid LIMIT $2)
  ) AS j ON true ORDER BY j.seq`
const NOW = 'SELECT pg_current_snapshot()::text, extract(epoch FROM now())::float8::text'
const POSITION =
  'SELECT position, snapshot, timeline, extract(epoch FROM at)::float8::text FROM spamd.journal_readers WHERE name = $1'
const SAVE_POSITION = `INSERT INTO spamd.journal_readers (name, position, snapshot, timeline, at)
  VALUES ($1, $2, $3, $4, to_timestamp($5::float8))
  ON CONFLICT (name) DO UPDATE SET position = excluded.position, snapshot = excluded.snapshot, timeline = excluded.timeline,
    at = excluded.at`
const DROP_POSITION = 'DELETE FROM spamd.journal_readers WHERE name = $1'
/** Rows are removed after an hour if no registered reader waits for them, and after a week in any case. */
const TRIM = `DELETE FROM spamd.journal WHERE ctid IN (SELECT ctid FROM spamd.journal WHERE at < greatest(
    now() - interval '7 days',
    least(now() - interval '1 hour',
      (SELECT min(at) FROM spamd.journal_readers WHERE at > now() - interval '7 days') - interval '10 minutes')) LIMIT 2000)`
/** A look that is older than this may have missed rows that were trimmed. */
const MAX_AGE_SEC = 50 * 60
/** Transactions that one look reads; behind more of them a full comparison is quicker. */
const MAX_TRANSACTIONS = 20_000
/** Polls that are remembered, for readers that continue from the middle of one. */
const KEPT_WINDOWS = 16

/** Where a reader stands: a number of this process for a snapshot of the server. */
interface Position {
  snapshot: string
  timeline: string
  /** By the clock of the server, seconds since the Epoch. */
  atSec: number
}

/** What one look from `after` found: rows numbered behind `start`; only looks from 0 share their numbers. */
interface Window {
  after: number
  start: number
  rows: JournalRow[]
}

/** Adds the changes of a transaction to the journal: those of tuples would double it, and concern no other gateway. True when there was something. */
export function appendJournal(
  changes: readonly Change[],
  send: (sql: string, values: readonly unknown[]) => void,
): boolean {
  const rows = changes.filter(({ key }) => key.kind !== 'tuple').map((change) => encodeChange(change, NODES))
  if (rows.length > 0) send(APPEND, [Buffer.from(rows.join(''), 'latin1')])
  return rows.length > 0
}

/** One row for more changes than are worth a row each. */
export function appendEverything(
  rule: ChangeRule,
  stamp: Stamp,
  send: (sql: string, values: readonly unknown[]) => void,
): void {
  send(APPEND, [Buffer.from(encodeEverything(rule, stamp, NODES), 'latin1')])
}

/** The journal as one store reads it. */
export class PgJournal {
  readonly #link: PgLink
  readonly #positions = new Map<number, Position>()
  readonly #windows: Window[] = []
  /** Numbers of another process, or of before a restart, are none of ours. */
  #next = Date.now() * 1000

  constructor(link: PgLink) {
    this.#link = link
  }

  /** See `Store.readJournal`; 0 is the start of what the server still has. */
  read(after: number, limit: number): Promise<JournalSlice> {
    const known = this.#windows.findLast(isInside(after))
    if (known !== undefined && limit > 0) return Promise.resolve(sliceOf(known, after, limit))
    return this.#link.read('readJournal', async (statements, server) => {
      if (limit <= 0) return { rows: [], newest: await this.#newest(statements, server), isBehind: false }
      const position = this.#positions.get(after)
      if (after !== 0 && (position === undefined || isTooOld(position, server))) {
        return { rows: [], newest: await this.#newest(statements, server), isBehind: true }
      }
      return this.#look(statements, server, after, position, limit)
    })
  }

  /** See `Store.journalPosition`. */
  position(name: string): Promise<number | undefined> {
    return this.#link.read('journalPosition', async (statements) => {
      const [row] = await statements.rows(POSITION, [name])
      if (row === undefined) return undefined
      const [position, snapshot, timeline, atSec] = row as [number, string, string, string]
      this.#positions.set(position, { snapshot, timeline, atSec: Number(atSec) })
      return position
    })
  }

  /** See `Store.saveJournalPosition`. A position inside of a look is kept as the start of that look. */
  savePosition(name: string, position: number | undefined): Promise<void> {
    return this.#link.read('saveJournalPosition', async (statements, server) => {
      if (position === undefined) {
        await statements.rows(DROP_POSITION, [name])
        return
      }
      const number = this.#windows.findLast(isInside(position))?.after ?? position
      // A reader that begins with everything the server still has, has no position yet.
      if (number === 0) return
      const known = this.#positions.get(number)
      if (known === undefined) throw new RangeError(`no position of this journal: ${position}`)
      await statements.rows(SAVE_POSITION, [name, number, known.snapshot, server.timeline, known.atSec])
    })
  }

  /** Removes what nobody needs any more, a slice at a time. */
  trim(): Promise<void> {
    return this.#link.read('trimJournal', async (statements) => {
      await statements.rows(TRIM)
    })
  }

  async #newest(statements: Statements, { timeline }: ServerIdentity): Promise<number> {
    const [row] = await statements.rows(NOW)
    const [snapshot, atSec] = row as [string, string]
    this.#next += 1
    this.#remember(this.#next, { snapshot, timeline, atSec: Number(atSec) })
    return this.#next
  }

  async #look(
    statements: Statements,
    { timeline }: ServerIdentity,
    after: number,
    position: Position | undefined,
    limit: number,
  ): Promise<JournalSlice> {
    const found = await statements.pages(READ, [position?.snapshot ?? '1:1:', MAX_TRANSACTIONS])
    const [snapshot, atSec] = found[0] as unknown as [string, string]
    const now: Position = { snapshot, timeline, atSec: Number(atSec) }
    if (found.length >= MAX_TRANSACTIONS) {
      this.#next += 1
      this.#remember(this.#next, now)
      return { rows: [], newest: this.#next, isBehind: true }
    }
    const start = after === 0 ? 0 : this.#next + 1
    const rows = rowsOf(found, start)
    if (rows.length === 0) {
      if (after !== 0) this.#remember(after, now)
      return { rows, newest: after, isBehind: false }
    }
    const window = { after, start, rows }
    this.#windows.push(window)
    if (this.#windows.length > KEPT_WINDOWS) this.#windows.shift()
    const end = start + rows.length
    this.#next = Math.max(this.#next, end)
    this.#remember(end, now)
    return sliceOf(window, start, limit)
  }

  #remember(number: number, position: Position): void {
    this.#positions.delete(number)
    this.#positions.set(number, position)
    const [oldest] = this.#positions.keys()
    if (this.#positions.size > KEPT_WINDOWS * 2 && oldest !== undefined) this.#positions.delete(oldest)
  }
}

function isTooOld({ timeline, atSec }: Position, server: ServerIdentity): boolean {
  return timeline !== server.timeline || Date.now() / 1000 + server.skewSec - atSec > MAX_AGE_SEC
}

/** True of a look whose rows a reader has read in part, up to a number. */
function isInside(number: number): (window: Window) => boolean {
  return ({ start, rows }) => number > start && number < start + rows.length
}

function rowsOf(found: readonly Row[], after: number): JournalRow[] {
  const rows: JournalRow[] = []
  for (const [, , bytes] of found) {
    if (bytes !== null) rows.push(...decodeRows(bytes as Buffer, after + rows.length + 1, NODES))
  }
  return rows
}

function sliceOf({ start, rows }: Window, after: number, limit: number): JournalSlice {
  return {
    rows: rows.slice(after - start, after - start + limit),
    newest: start + rows.length,
    isBehind: false,
  }
}
