/**
 * The change journal: one row for every change of an entry, written in the transaction of the change, so that
 * whoever keeps something in step with the entries reads what happened since its last look and nothing else.
 */
import { CHANGE_RULES, type Change, type ChangeRule, keyText } from '../domain/change.js'
import type { EntryKey, EntryKind } from '../domain/entry.js'
import { type ClockState, HybridClock, type Stamp } from '../domain/stamp.js'
import type { Connection } from './connection.js'
import { newNode, StoredNodes } from './node-numbers.js'
import type { SqlValue } from './sqlite-driver.js'
import { decodeStamp, encodeStamp } from './tables/marks-codec.js'

/** One change, as those who keep something in step see it. */
export interface JournalRow {
  /** Goes up by one from row to row, over all programs and restarts. */
  seq: number
  stamp: Stamp
  /**
   * What changed. undefined: so much at once that no key is named (a large import, a merge): compare everything.
   */
  key: EntryKey | undefined
  /** Kind of the entry before and after; undefined is none. Equal for a change of times, counts or comment. */
  before: EntryKind | undefined
  after: EntryKind | undefined
  rule: ChangeRule
  /** Peer or user, where the rule does not say who. */
  actor: string | undefined
}

/** Changes in order; see `Store.readJournal`. */
export interface JournalSlice {
  rows: JournalRow[]
  /** Number of the newest change of all. Equal to the last row's: there is nothing more. */
  newest: number
  /**
   * Changes behind `after` are gone from the journal, or the database is another one than before: look at
   * everything once (listings are consistent with `newest` or newer), then go on from `newest`.
   */
  isBehind: boolean
}

/** So many changes are kept for readers that register no position, also when every other has read them. */
const KEPT_ROWS = 20_000
/** Longest journal: a consumer that is further behind is faster with a full comparison. */
const MAX_ROWS = 1_000_000
/** Rows older than this go whoever waits for them; consumers that were not seen for so long do not count. */
const MAX_AGE_SEC = 7 * 24 * 60 * 60
/** Rows that one transaction removes at most, and how many must be due before it does. */
const TRIM_ROWS = 4000

const KINDS: readonly (EntryKind | undefined)[] = [undefined, 'WHITE', 'TRAPPED', 'SPAMTRAP', 'GREY']
const KEY_KINDS = ['host', 'tuple', 'spamtrap'] as const
/** No key: everything. */
const EVERYTHING = -1

const STATE = 'SELECT node, home, time, counter, seq, trimmed FROM journal_state'
const SAVE = 'UPDATE journal_state SET node = ?, home = ?, time = ?, counter = ?, seq = ?, trimmed = ?'
const APPEND = 'INSERT INTO journal VALUES (?, ?, ?, ?, ?, CAST(? AS TEXT))'
const READ = `SELECT seq, stamp, kinds, rule, actor, CAST(key AS BLOB) AS key FROM journal
  WHERE seq > ? ORDER BY seq LIMIT ?`
const DROP = 'DELETE FROM journal WHERE seq <= ?'
const STAMP_AT = 'SELECT stamp FROM journal WHERE seq = ?'
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

interface StoredRow {
  seq: number
  stamp: Buffer
  kinds: number
  rule: number
  actor: string | null
  key: Buffer | null
}

/** The journal of one open database. */
export class Journal {
  readonly nodes: StoredNodes
  readonly #connection: Connection
  readonly #home: string

  /** `home` tells this database from copies of it; see `homeOf`. */
  constructor(connection: Connection, home: string) {
    this.#connection = connection
    this.#home = home
    this.nodes = new StoredNodes(connection)
  }

  /** Begins the journal's part of a write transaction, which the caller has opened. */
  begin(now: number): JournalWriter {
    const state = this.#connection.prepare(STATE).get() as StateRow
    if (state.home !== this.#home) {
      state.home = this.#home
      state.node = this.nodes.numberOf(newNode())
    }
    return new JournalWriter(this.#connection, this.nodes, state, now)
  }

  read(after: number, limit: number): JournalSlice {
    const { seq: newest, trimmed } = this.#connection.prepare(STATE).get() as StateRow
    if (after < trimmed || after > newest) return { rows: [], newest, isBehind: true }
    if (after === newest || limit <= 0) return { rows: [], newest, isBehind: false }
    const rows = this.#connection.prepare(READ).all(after, limit) as StoredRow[]
    return { rows: rows.map((row) => this.#decode(row)), newest, isBehind: false }
  }

  position(name: string): number | undefined {
    const row = this.#connection.prepare(POSITION).get(name) as { position: number } | undefined
    return row?.position
  }

  savePosition(name: string, position: number | undefined, now: number): void {
    if (position === undefined) this.#connection.prepare(DROP_POSITION).run(name)
    else this.#connection.prepare(SAVE_POSITION).run(name, position, now)
  }

  #decode({ seq, stamp, kinds, rule, actor, key }: StoredRow): JournalRow {
    return {
      seq,
      stamp: decodeStamp(stamp, this.nodes),
      key: key === null ? undefined : decodeKey(kinds, key.toString('latin1')),
      before: kinds === EVERYTHING ? undefined : KINDS[Math.floor(kinds / 5) % 5],
      after: kinds === EVERYTHING ? undefined : KINDS[kinds % 5],
      rule: CHANGE_RULES[rule] ?? 'merge',
      actor: actor ?? undefined,
    }
  }
}

/** Appends the changes of one transaction; `finish` comes before the commit. */
export class JournalWriter {
  readonly clock: HybridClock
  readonly #connection: Connection
  readonly #nodes: StoredNodes
  readonly #state: StateRow
  readonly #now: number

  constructor(connection: Connection, nodes: StoredNodes, state: StateRow, now: number) {
    this.#connection = connection
    this.#nodes = nodes
    this.#state = state
    this.#now = now
    this.clock = new HybridClock(nodes.nodeOf(state.node), state)
  }

  append(changes: readonly Change[]): void {
    const insert = this.#connection.prepare(APPEND)
    for (const change of changes) {
      const { key, stamp, cause } = change
      // That tuples end by time or for want of room is told by no message, and would double the journal.
      if (key.kind === 'tuple' && (cause.rule === 'expiry' || cause.rule === 'limit')) continue
      this.#state.seq += 1
      const { seq } = this.#state
      const rule = CHANGE_RULES.indexOf(cause.rule)
      const encoded = encodeStamp(stamp, this.#nodes)
      insert.run(seq, encoded, kindsOf(change), rule, cause.actor ?? null, keyValue(key))
    }
  }

  /** One row for more changes than are worth a row each. */
  appendEverything(rule: ChangeRule, stamp: Stamp): void {
    this.#state.seq += 1
    const code = CHANGE_RULES.indexOf(rule)
    const encoded = encodeStamp(stamp, this.#nodes)
    this.#connection.prepare(APPEND).run(this.#state.seq, encoded, EVERYTHING, code, null, null)
  }

  finish(): void {
    const { node, home, seq } = this.#state
    const { time, counter } = this.clock.state
    this.#trim()
    this.#connection.prepare(SAVE).run(node, home, time, counter, seq, this.#state.trimmed)
  }

  /** Removes rows that nobody needs any more, a slice at a time. */
  #trim(): void {
    const { seq, trimmed } = this.#state
    if (seq - trimmed < KEPT_ROWS + TRIM_ROWS) return
    const row = this.#connection.prepare(SLOWEST).get(this.#now - MAX_AGE_SEC) as { position: number | null }
    const isOld = this.#isOld(trimmed + TRIM_ROWS)
    const needed = isOld ? seq : Math.max(row.position ?? seq, seq - MAX_ROWS)
    const upTo = Math.min(needed, seq - KEPT_ROWS, trimmed + TRIM_ROWS)
    if (upTo <= trimmed) return
    this.#connection.prepare(DROP).run(upTo)
    this.#state.trimmed = upTo
  }

  #isOld(seq: number): boolean {
    const row = this.#connection.prepare(STAMP_AT).get(seq) as { stamp: Buffer } | undefined
    return row !== undefined && decodeStamp(row.stamp, this.#nodes).time < (this.#now - MAX_AGE_SEC) * 1000
  }
}

function kindsOf(change: Change): number {
  const keyKind = KEY_KINDS.indexOf(change.key.kind)
  const before = change.before.entry?.kind
  const after = change.after.entry?.kind
  return (keyKind * 5 + KINDS.indexOf(before)) * 5 + KINDS.indexOf(after)
}

/** The fields of a key joined by NUL, as the journal keeps it. */
function keyValue(key: EntryKey): SqlValue {
  const text = keyText(key)
  return PLAIN_ASCII.test(text) ? text : Buffer.from(text, 'latin1')
}

const PLAIN_ASCII = /^[\x00-\x7f]*$/

function decodeKey(kinds: number, text: string): EntryKey | undefined {
  switch (KEY_KINDS[Math.floor(kinds / 25)]) {
    case 'host':
      return { kind: 'host', ip: text }
    case 'spamtrap':
      return { kind: 'spamtrap', address: text.slice(1) }
    case 'tuple': {
      const [ip = '', helo = '', from = '', to = ''] = text.split('\0')
      return { kind: 'tuple', ip, helo, from, to }
    }
    default:
      return undefined
  }
}
