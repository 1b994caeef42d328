/**
 * The change journal: one row for every change of an entry, written in the transaction of the change, so that
 * a reader that follows the entries sees exactly what happened since its last poll.
 */
import type { AlikeChanges } from '../domain/alike-changes.js'
import type { Change, ChangeRule } from '../domain/change.js'
import type { Tuple } from '../domain/entry.js'
import { isPoolTuple } from '../domain/pool-key.js'
import { type ClockState, HybridClock, type Stamp, stampBehind } from '../domain/stamp.js'
import type { Connection } from './connection.js'
import { decodeRows, encodeAlike, encodeChange, encodeEverything, type JournalRow } from './journal-rows.js'
import { newNode, StoredNodes } from './node-numbers.js'

export type { JournalRow }

/** Changes in order; see `Store.readJournal`. */
export interface JournalSlice {
  rows: JournalRow[]
  /** Number of the newest change of all. Equal to the last row's: there is nothing more. */
  newest: number
  /**
   * Changes after `after` are gone from the journal, or this is a different database: read everything once
   * (listings are consistent with `newest` or newer), then continue from `newest`.
   */
  isBehind: boolean
}

/**
 * This many changes are kept for readers without a registered position, even when all others have read them.
 */
const KEPT_ROWS = 20_000
/** Maximum length of the journal: a consumer that is further behind is faster with a full comparison. */
const MAX_ROWS = 1_000_000
/**
 * Older rows are removed even if a consumer has not read them; consumers not seen for this long are ignored.
 */
const MAX_AGE_SEC = 7 * 24 * 60 * 60
/** Rows that one transaction removes at most, and how many must be due before it does. */
const TRIM_ROWS = 4000

/** Changes that share one row of the table: a statement for each would cost more than the change itself. */
const CHUNK_ROWS = 500

const STATE = 'SELECT node, home, time, counter, seq, trimmed FROM journal_state'
const SAVE = 'UPDATE journal_state SET node = ?, home = ?, time = ?, counter = ?, seq = ?, trimmed = ?'
const APPEND = 'INSERT INTO journal VALUES (?, ?, ?, ?)'
const READ = 'SELECT first, rows FROM journal WHERE last > ? ORDER BY last LIMIT 1'
const DROP = 'DELETE FROM journal WHERE last <= ?'
const OLDEST = 'SELECT last, time FROM journal ORDER BY last LIMIT 1'
const SLOWEST = 'SELECT min(position) AS position FROM journal_consumers WHERE seen >= ?'
const POSITION = 'SELECT position FROM journal_consumers WHERE name = ?'
const SAVE_POSITION = 'INSERT OR REPLACE INTO journal_consumers VALUES (?, ?, ?)'
const DROP_POSITION = 'DELETE FROM journal_consumers WHERE name = ?'

interface StateRow extends ClockState {
  node: number
  home: string
  seq: number
  trimmed: number
}

/** The journal of one open database. */
export class Journal {
  readonly nodes: StoredNodes
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
    this.nodes = new StoredNodes(connection)
  }

  /** Begins the journal's part of a write transaction, which the caller has opened. */
  begin(now: number): JournalWriter {
    const state = this.#connection.prepare(STATE).get() as StateRow
    const { home } = this.#connection
    if (state.home !== home) {
      state.home = home
      state.node = this.nodes.numberOf(newNode())
    }
    return new JournalWriter(this.#connection, this.nodes, state, now)
  }

  read(after: number, limit: number): JournalSlice {
    const { seq: newest, trimmed } = this.#connection.prepare(STATE).get() as StateRow
    if (after < trimmed || after > newest) return { rows: [], newest, isBehind: true }
    if (after === newest || limit <= 0) return { rows: [], newest, isBehind: false }
    const rows: JournalRow[] = []
    for (let last = after; last < newest && rows.length < limit; ) {
      const chunk = this.#connection.prepare(READ).get(last) as { first: number; rows: Buffer } | undefined
      if (chunk === undefined) break
      for (const row of decodeRows(chunk.rows, chunk.first, this.nodes)) {
        if (row.seq > last && rows.length < limit) rows.push(row)
      }
      last = rows.at(-1)?.seq ?? newest
    }
    return { rows, newest, isBehind: false }
  }

  /** Number of this database and of its newest change; undefined for one that was copied and not changed since. */
  identity(): { node: number | undefined; newest: number } {
    const { node, home, seq } = this.#connection.prepare(STATE).get() as StateRow
    return { node: home === this.#connection.home ? this.nodes.nodeOf(node) : undefined, newest: seq }
  }

  /** See `Store.stampsAhead`. */
  stampsAhead(now: number): number {
    return new HybridClock(0, this.#connection.prepare(STATE).get() as StateRow).aheadSec(now)
  }

  /** Lets stamps that are ahead follow the clock again, in a transaction of the caller; returns how far ahead they were. */
  followClock(now: number): number {
    const state = this.#connection.prepare(STATE).get() as StateRow
    const clock = new HybridClock(0, state)
    const aheadSec = clock.aheadSec(now)
    if (aheadSec === 0) return 0
    clock.settle(now)
    const { time, counter } = clock.state
    this.#connection.prepare(SAVE).run(state.node, state.home, time, counter, state.seq, state.trimmed)
    return aheadSec
  }

  position(name: string): number | undefined {
    const row = this.#connection.prepare(POSITION).get(name) as { position: number } | undefined
    return row?.position
  }

  savePosition(name: string, position: number | undefined, now: number): void {
    if (position === undefined) this.#connection.prepare(DROP_POSITION).run(name)
    else this.#connection.prepare(SAVE_POSITION).run(name, position, now)
  }
}

/** Appends the changes of one transaction; `finish` comes before the commit. */
export class JournalWriter {
  readonly clock: HybridClock
  readonly #connection: Connection
  readonly #nodes: StoredNodes
  readonly #state: StateRow
  readonly #now: number
  #waiting = ''
  #waitingCount = 0

  constructor(connection: Connection, nodes: StoredNodes, state: StateRow, now: number) {
    this.#connection = connection
    this.#nodes = nodes
    this.#state = state
    this.#now = now
    this.clock = new HybridClock(nodes.nodeOf(state.node), state)
  }

  append(changes: readonly Change[]): void {
    for (const change of changes) {
      const { key, cause } = change
      if (key.kind === 'tuple' && concernsNobody(key, cause.rule)) continue
      this.#add(encodeChange(change, this.#nodes))
    }
  }

  /** One row for each; those without or with a record one after the other are stored as one. */
  appendAlike({ ips, first, again }: AlikeChanges): void {
    const isKnown = again?.isKnown ?? []
    for (let start = 0, end = 0; start < ips.length; start = end) {
      do end += 1
      while (end < ips.length && isKnown[end] === isKnown[start])
      const before = isKnown[start] === true ? first.after : first.before
      const change = { ...first, before, stamp: stampBehind(first.stamp, start) }
      this.#add(encodeAlike(change, ips.slice(start, end), this.#nodes), end - start)
    }
  }

  /** One row for more changes than are worth a row each. */
  appendEverything(rule: ChangeRule, stamp: Stamp): void {
    this.#add(encodeEverything(rule, stamp, this.#nodes))
  }

  #add(row: string, count = 1): void {
    this.#state.seq += count
    this.#waiting += row
    this.#waitingCount += count
    if (this.#waitingCount >= CHUNK_ROWS) this.#write()
  }

  #write(): void {
    if (this.#waitingCount === 0) return
    const { seq } = this.#state
    const bytes = Buffer.from(this.#waiting, 'latin1')
    this.#connection.prepare(APPEND).run(seq, seq - this.#waitingCount + 1, this.#now, bytes)
    this.#waiting = ''
    this.#waitingCount = 0
  }

  finish(): void {
    this.#write()
    const { node, home, seq } = this.#state
    const { time, counter } = this.clock.state
    this.#trim()
    this.#connection.prepare(SAVE).run(node, home, time, counter, seq, this.#state.trimmed)
  }

  /** Removes rows that are no longer needed, a slice at a time. */
  #trim(): void {
    const { seq, trimmed } = this.#state
    if (seq - trimmed < KEPT_ROWS + TRIM_ROWS) return
    const oldest = this.#connection.prepare(OLDEST).get() as { last: number; time: number } | undefined
    const isOld = oldest !== undefined && oldest.time < this.#now - MAX_AGE_SEC
    const row = this.#connection.prepare(SLOWEST).get(this.#now - MAX_AGE_SEC) as { position: number | null }
    const needed = isOld ? seq : Math.max(row.position ?? seq, seq - MAX_ROWS)
    const upTo = Math.min(needed, seq - KEPT_ROWS, trimmed + TRIM_ROWS)
    if (upTo <= trimmed) return
    this.#connection.prepare(DROP).run(upTo)
    this.#state.trimmed = upTo
  }
}

/**
 * Expiries and evictions of tuples are not sent to anyone, and would double the journal; each gateway counts the
 * attempts of pools by its own settings.
 */
function concernsNobody(key: Tuple, rule: ChangeRule): boolean {
  return rule === 'expiry' || rule === 'limit' || isPoolTuple(key)
}
