/**
 * The history for people, written in the transaction of the change. Row 0 holds its settings, so that all programs
 * keep to the same. What only repeats (a tuple tried again, a white host seen again) leaves no row, and neither does
 * a tuple that ends by time or for want of room: the counters of the hour have these.
 */
import { CHANGE_RULES, type Change, type ChangeKey, type ChangeRule } from '../domain/change.js'
import type { Entry } from '../domain/entry.js'
import {
  DEFAULT_HISTORY,
  HISTORY_MODES,
  type HistoryRow,
  type HistorySettings,
  UNDOABLE_RULES,
  type UndoStep,
} from '../domain/history.js'
import { poolKeyOf } from '../domain/pool-key.js'
import type { Release } from '../domain/release.js'
import type { Connection } from './connection.js'

const SETTINGS = 'SELECT after FROM history WHERE seq = 0'
const SAVE_SETTINGS =
  "INSERT OR REPLACE INTO history (seq, event, at, rule, kind, key, after) VALUES (0, 0, 0, 0, -1, '', ?)"
const NEWEST = 'SELECT coalesce(max(seq), 0) FROM history'
const OLDEST = 'SELECT seq, at FROM history WHERE seq > 0 ORDER BY seq LIMIT 1'
const APPEND =
  'INSERT INTO history (seq, event, at, rule, actor, kind, key, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'
const DROP = 'DELETE FROM history WHERE seq > 0 AND seq <= ?'
const COLUMNS = 'seq, event, at, rule, actor, kind, key, before, after'
const FORWARD = `SELECT ${COLUMNS} FROM history WHERE seq > ? ORDER BY seq LIMIT ?`
/**
 * Keys of an address and of its tuples begin alike. No index finds them: its pages, one for each change of an address at
 * random, cost every batch of attempts or sightings a third more, and a million rows are read through in a tenth of a second.
 */
const OF_ADDRESS = `SELECT ${COLUMNS} FROM history WHERE (key = ? OR (key >= ? AND key < ?)) AND seq > ? ORDER BY seq LIMIT ?`
const OF_EVENT = `SELECT ${COLUMNS} FROM history WHERE seq >= ? AND event = ? ORDER BY seq`
const LAST_EVENT = `SELECT event FROM history WHERE seq > 0 AND rule IN (${UNDOABLE_RULES.map((rule) => CHANGE_RULES.indexOf(rule)).join(', ')}) ORDER BY seq DESC LIMIT 1`

const DROP_MODES = {
  off: 'DELETE FROM history WHERE seq > 0',
  hosts: 'DELETE FROM history WHERE seq > 0 AND kind IN (1, 2, 4)',
} as const

/** Rows that one transaction removes at most, and after how many new ones it looks. */
const TRIM_ROWS = 2000
/** Kinds of keys, stored by position: append, never reorder. */
export const KINDS = ['host', 'tuple', 'spamtrap', 'summary', 'release', 'pool'] as const
export const SUMMARY = KINDS.indexOf('summary')

/** One row in the order of its columns. */
export type Row = [
  number,
  number,
  number,
  number,
  string | null,
  number,
  string,
  string | null,
  string | null,
]

/** The history of one open database. */
export class History {
  readonly #connection: Connection
  /** Event of all that people change through this connection: a command is one event. */
  #commandEvent: number | undefined
  /** The settings as they were last read, with their text. */
  #known: { text: string; settings: HistorySettings } | undefined
  #appendedCount = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Appends the changes of the running transaction. */
  append(changes: readonly Change[]): void {
    if (changes.length === 0) return
    const settings = this.settings()
    if (settings.mode === 'off') return
    let seq = this.newest()
    let event: number | undefined
    const statement = this.#connection.prepare(APPEND)
    for (const change of changes) {
      if (!isKept(change, settings)) continue
      seq += 1
      event ??= this.#eventFor(change.cause.rule, seq)
      const { key, before, after, cause, stamp } = change
      statement.run(
        seq,
        event,
        Math.floor(stamp.time / 1000),
        CHANGE_RULES.indexOf(cause.rule),
        cause.actor ?? (settings.mode === 'full' ? cause.recipient : undefined) ?? null,
        KINDS.indexOf(key.kind),
        encodeKey(key),
        encodeFields(before.entry),
        encodeFields(after.entry),
      )
      this.#appendedCount += 1
    }
    this.#trim(settings, seq, changes[0]!.stamp.time / 1000)
  }

  /** One row for an event that is too large for a row each. */
  appendSummary(rule: ChangeRule, at: number, summary: string): void {
    if (this.settings().mode === 'off') return
    const seq = this.newest() + 1
    const event = this.#eventFor(rule, seq)
    this.#connection
      .prepare(APPEND)
      .run(seq, event, Math.floor(at), CHANGE_RULES.indexOf(rule), null, SUMMARY, summary, null, null)
  }

  /** Number of the newest row; 0 without any. */
  newest(): number {
    if (!this.#connection.hasMarks) return 0
    return this.#connection.prepare(NEWEST).pluck().get() as number
  }

  settings(): HistorySettings {
    if (!this.#connection.hasMarks) return DEFAULT_HISTORY
    const text = this.#connection.prepare(SETTINGS).pluck().get() as string | undefined
    if (text === undefined) return DEFAULT_HISTORY
    if (this.#known?.text !== text) this.#known = { text, settings: parseSettings(text) }
    return this.#known.settings
  }

  /** Stores the settings, and removes what they say shall not be kept. */
  saveSettings(settings: HistorySettings): void {
    if (settings.mode !== 'full') this.#connection.prepare(DROP_MODES[settings.mode]).run()
    this.#connection.prepare(SAVE_SETTINGS).run(JSON.stringify(settings))
  }

  /** Rows behind `after`, oldest first, at most `limit`; with `ip` those of one address and its tuples. */
  read({ after, limit, ip }: { after: number; limit: number; ip?: string | undefined }): HistoryRow[] {
    if (!this.#connection.hasMarks) return []
    const rows =
      ip === undefined
        ? this.#connection.prepareRaw(FORWARD).all(after, limit)
        : this.#connection.prepareRaw(OF_ADDRESS).all(ip, `${ip} `, `${ip}!`, after, limit)
    return (rows as Row[]).map(decodeRow)
  }

  /** See `stepsOfRows`. */
  stepsOf(event: number): EventSteps {
    return stepsOfRows((this.#connection.prepareRaw(OF_EVENT).all(event, event) as Row[]).map(decodeRow))
  }

  /** The last event that can be taken back. */
  lastUndoable(): number | undefined {
    if (!this.#connection.hasMarks) return undefined
    return this.#connection.prepare(LAST_EVENT).pluck().get() as number | undefined
  }

  #eventFor(rule: ChangeRule, seq: number): number {
    if (!UNDOABLE_RULES.includes(rule)) return seq
    this.#commandEvent ??= seq
    return this.#commandEvent
  }

  #trim({ keepSec, keepRows }: HistorySettings, newest: number, now: number): void {
    if (this.#appendedCount < TRIM_ROWS / 2) return
    this.#appendedCount = 0
    const oldest = this.#connection.prepare(OLDEST).get() as { seq: number; at: number } | undefined
    if (oldest === undefined) return
    const isOld = oldest.at < now - keepSec
    const overCount = newest - oldest.seq + 1 - keepRows
    if (!isOld && overCount <= 0) return
    this.#connection.prepare(DROP).run(oldest.seq + Math.min(TRIM_ROWS, isOld ? TRIM_ROWS : overCount) - 1)
  }
}

/** Settings from their text; what it does not say is the default. */
export function parseSettings(text: string): HistorySettings {
  const { mode, keepSec, keepRows } = JSON.parse(text) as Partial<HistorySettings>
  return {
    mode: HISTORY_MODES.find((name) => name === mode) ?? DEFAULT_HISTORY.mode,
    keepSec: keepSec ?? DEFAULT_HISTORY.keepSec,
    keepRows: keepRows ?? DEFAULT_HISTORY.keepRows,
  }
}

/** What one event did. */
export interface EventSteps {
  steps: UndoStep[]
  /** False when it was too large to be kept entry by entry. */
  isWhole: boolean
  /** undefined: there is no such event. */
  rule: ChangeRule | undefined
}

/** What an event did to each key, in order, from its rows; `summary` rows are left out and told by `isWhole`. */
export function stepsOfRows(rows: readonly HistoryRow[]): EventSteps {
  const steps = new Map<string, UndoStep>()
  for (const { key, before, after } of rows) {
    // Events of releases are not undone, but cancelled.
    if (key === undefined || key.kind === 'release') continue
    if (before?.kind === 'RELEASE' || after?.kind === 'RELEASE') continue
    const text = encodeKey(key)
    const known = steps.get(text)
    if (known === undefined) steps.set(text, { key, before, after })
    else known.after = after
  }
  return {
    steps: [...steps.values()],
    isWhole: rows.every(({ key }) => key !== undefined),
    rule: rows[0]?.rule,
  }
}

/** True for a change that the history keeps; see the head of this file. */
export function isKept({ key, before, after, cause }: Change, { mode }: HistorySettings): boolean {
  // The key of a pool counts what its own tuples tell.
  if (key.kind === 'tuple' && poolKeyOf(key) !== undefined) return false
  if (key.kind !== 'host' && key.kind !== 'pool' && mode === 'hosts') return false
  const isRepeat = before.entry !== undefined && before.entry.kind === after.entry?.kind
  // How often one was used is told by the addresses that became WHITE.
  if (key.kind === 'release') return cause.rule === 'release' && endOf(before) !== endOf(after)
  if (cause.rule === 'attempt' || cause.rule === 'sighting') return !isRepeat
  if (key.kind === 'tuple')
    return cause.rule !== 'expiry' && cause.rule !== 'limit' && cause.rule !== 'block-list'
  return true
}

function endOf({ entry }: Change['before']): number | undefined {
  return entry?.kind === 'RELEASE' ? entry.expire : undefined
}

/** A key as rows of the history hold it. */
export function encodeKey(key: ChangeKey): string {
  switch (key.kind) {
    case 'host':
    case 'pool':
      return key.ip
    case 'spamtrap':
      return `@${key.address}`
    case 'tuple':
      return `${key.ip} ${JSON.stringify([key.helo, key.from, key.to])}`
    case 'release':
      return `!${key.id}`
  }
}

function decodeKey(kind: number, text: string): ChangeKey | undefined {
  switch (KINDS[kind]) {
    case 'host':
      return { kind: 'host', ip: text }
    case 'pool':
      return { kind: 'pool', ip: text }
    case 'spamtrap':
      return { kind: 'spamtrap', address: text.slice(1) }
    case 'tuple': {
      const at = text.indexOf(' ')
      const [helo, from, to] = JSON.parse(text.slice(at + 1)) as [string, string, string]
      return { kind: 'tuple', ip: text.slice(0, at), helo, from, to }
    }
    case 'release':
      return { kind: 'release', id: text.slice(1) }
    default:
      return undefined
  }
}

/** The fields that the key does not tell: the last is the comment, or the key of a pool. */
export function encodeFields(entry: Change['before']['entry']): string | null {
  if (entry === undefined) return null
  if (entry.kind === 'RELEASE') return JSON.stringify(entry)
  if (entry.kind === 'SPAMTRAP') return JSON.stringify([entry.kind, entry.first, entry.comment])
  const { kind, first, pass, expire, bcount, pcount } = entry
  const comment = entry.kind === 'GREY' ? undefined : entry.kind === 'POOL' ? entry.pool : entry.comment
  return JSON.stringify([
    kind,
    first,
    pass,
    expire,
    bcount,
    pcount,
    ...(comment === undefined ? [] : [comment]),
  ])
}

function decodeFields(key: ChangeKey | undefined, text: string | null): HistoryRow['before'] {
  if (text === null || key === undefined) return undefined
  if (key.kind === 'release') return JSON.parse(text) as Release
  const fields = JSON.parse(text) as [Entry['kind'], number, number, number, number, number, string?]
  if (key.kind === 'spamtrap') {
    const [, first, comment] = fields as unknown as [string, number, (string | null)?]
    return { kind: 'SPAMTRAP', address: key.address, first, ...(comment == null ? {} : { comment }) }
  }
  const [kind, first, pass, expire, bcount, pcount, comment] = fields
  const times = { first, pass, expire, bcount, pcount }
  if (key.kind === 'tuple') {
    const { ip, helo, from, to } = key
    return { kind: 'GREY', ip, helo, from, to, ...times }
  }
  if (key.kind === 'pool') return { kind: 'POOL', ip: key.ip, pool: comment ?? '', ...times }
  const host = { kind: kind as 'WHITE' | 'TRAPPED', ip: key.ip, ...times }
  return comment === undefined ? host : { ...host, comment }
}

/** A row as read, in the order of its columns. */
export function decodeRow([seq, event, at, rule, actor, kind, keyText, before, after]: Row): HistoryRow {
  const key = decodeKey(kind, keyText)
  return {
    seq,
    event,
    at,
    rule: CHANGE_RULES[rule] ?? 'merge',
    actor: actor ?? undefined,
    key,
    before: decodeFields(key, before),
    after: decodeFields(key, after),
    summary: key === undefined ? keyText : undefined,
  }
}
