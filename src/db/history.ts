/**
 * The history for people, written in the transaction of the change; domain/history.ts says what is kept.
 *
 * The rows of a transaction share rows of the table, CHUNK_ROWS each, as an array of JSON: a statement for
 * each change would cost as much as the change itself. Additions that are alike are one element of it. Row 0
 * holds the settings, so that all programs keep to the same. There is no index by address: writing its
 * pages, a random one for each change, would cost every batch of attempts or sightings a third more, and a
 * million rows are scanned in a fifth of a second.
 */
import type { AlikeChanges } from '../domain/alike-changes.js'
import { CHANGE_RULES, type Change, type ChangeKey, type ChangeRule } from '../domain/change.js'
import {
  DEFAULT_HISTORY,
  type EventSteps,
  type HistoryRow,
  type HistorySettings,
  type HistorySummary,
  isByHand,
  isKept,
  isUndoable,
  stepsOfRows,
} from '../domain/history.js'
import type { Connection } from './connection.js'
import {
  decisionFields,
  decisionOf,
  type EntryFields,
  entryOf,
  fieldsOf,
  KINDS,
  parseSettings,
  SUMMARY,
} from './history-rows.js'

const STATE = 'SELECT (SELECT rows FROM history WHERE last = 0), (SELECT max(last) FROM history)'
const SAVE_SETTINGS = 'INSERT OR REPLACE INTO history VALUES (0, 0, 0, 0, 0, ?)'
const OLDEST = 'SELECT first, at FROM history WHERE last > 0 ORDER BY last LIMIT 1'
const APPEND = 'INSERT INTO history (last, first, event, at, by_hand, rows) VALUES (?, ?, ?, ?, ?, ?)'
const DROP = 'DELETE FROM history WHERE last > 0 AND last <= ?'
const DROP_OLD = `${DROP} AND at < ?`
const COLUMNS = 'last, first, event, at, rows'
const NEXT = `SELECT ${COLUMNS} FROM history WHERE last > ? ORDER BY last LIMIT 1`
/** The text of an address is searched in all rows at once, before they are parsed. */
const NEXT_WITH = `SELECT ${COLUMNS} FROM history WHERE last > ? AND instr(rows, ?) > 0 ORDER BY last LIMIT 1`
const OF_EVENT = `SELECT ${COLUMNS} FROM history WHERE last >= ? AND event = ? ORDER BY last`
const LAST_EVENT = 'SELECT event FROM history WHERE last > 0 AND by_hand = 1 ORDER BY last DESC LIMIT 1'
const DROP_ALL = 'DELETE FROM history WHERE last > 0'
/** Elements of a chunk for additions that are alike, of which some have a record; before they are stored. */
const APPEND_ALIKE = `INSERT INTO history (last, first, event, at, by_hand, rows)
  SELECT @last, @start, @event, @sec, @byHand, '[' || group_concat(@head || CASE WHEN ip IS NULL THEN @added ELSE
  @kind || first || ',' || pass || ',' || expire || ',' || bcount || ',' || pcount || '],' || @kind || first || ',' ||
  ifnull(@pass, pass) || ',' || @expire || ',' || bcount || ',' || (pcount + CAST(@passes AS INTEGER)) || ']' END
  || ',' || json_quote(value) || ']') || ']' FROM json_each(@ips) LEFT JOIN hosts ON ip = value`
const REPLACE = 'UPDATE history SET rows = ? WHERE last = ?'

/** Changes that share one row of the table. */
const CHUNK_ROWS = 500
/**
 * Maximum number of rows removed per transaction, unless it added more, and after how many new ones this is
 * checked.
 */
const TRIM_ROWS = 2000
/** Kinds whose rows contain senders and recipients. */
const PERSONAL_KINDS: ReadonlySet<number> = new Set(
  (['tuple', 'spamtrap', 'release'] as const).map((kind) => KINDS.indexOf(kind)),
)

/**
 * One change in a chunk: positions in KINDS and CHANGE_RULES, actor, fields before and after, and the parts of its key.
 * 0 for one that was removed. deferred-history.ts reads them too.
 */
export type ChunkRow = [number, number, string | null, EntryFields, EntryFields, ...string[]] | 0

/** Stands for as many rows as it has addresses; everything else in them is the same. */
type AlikeRow = [number, number, string | null, EntryFields, EntryFields, string[]]
type Chunk = [last: number, first: number, event: number, at: number, rows: string]

/** The history of one open database. */
export class History {
  readonly #connection: Connection
  /** Event of all manual changes through this connection: a command is one event. */
  #commandEvent: number | undefined
  /** Event of all other changes of the running transaction. */
  #transactionEvent: number | undefined
  /** The settings as they were last read, with their text. */
  #known: { text: string; settings: HistorySettings } | undefined
  #appendedCount = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Begins the history's part of a write transaction: what follows is one event. */
  begin(): void {
    this.#transactionEvent = undefined
  }

  /** Appends changes of the running transaction, which were made at `nowSec`, seconds since the Epoch. */
  append(changes: readonly Change[], nowSec: number): void {
    if (changes.length === 0) return
    const { settings, newest } = this.#state()
    if (settings.mode === 'off') return
    const kept = changes.filter((change) => isKept(change, settings))
    if (kept.length === 0) return
    const event = this.#eventFor(kept[0]!.cause.rule, newest + 1)
    for (let start = 0; start < kept.length; start += CHUNK_ROWS) {
      const at = { first: newest + start + 1, event, sec: Math.floor(nowSec) }
      this.#appendChunk(kept.slice(start, start + CHUNK_ROWS), at, settings)
    }
    this.#appendedCount += kept.length
    this.#trim(settings, newest + kept.length, nowSec)
  }

  /**
   * The same for alike additions, with the list of their addresses as JSON: one row each, stored as one unless some have
   * a record. They must not be stored yet.
   */
  appendAlike({ ips, first, again, changedSec }: AlikeChanges, ipsJson: string): void {
    const { settings, newest } = this.#state()
    if (settings.mode === 'off' || !isKept(first, settings)) return
    const [kind, rule, actor, before, after] = rowOf(first, settings.mode)
    const event = this.#eventFor(first.cause.rule, newest + 1)
    const at = { first: newest + 1, event, sec: Math.floor(changedSec) }
    const byHand = isByHand(first.cause.rule)
    if (again === undefined) {
      const alike = JSON.stringify([kind, rule, actor, before, after]).slice(0, -1)
      this.#putChunk(at, ips.length, byHand, `[${alike},${ipsJson}]]`)
    } else {
      const texts = {
        head: `${JSON.stringify([kind, rule, actor]).slice(0, -1)},`,
        added: JSON.stringify([before, after]).slice(1, -1),
        kind: `["${first.after.entry!.kind}",`,
        pass: again.pass?.toString() ?? null,
        expire: again.expire.toString(),
        passes: again.passes,
      }
      for (let start = 0; start < ips.length; start += CHUNK_ROWS) {
        const part = ips.slice(start, start + CHUNK_ROWS)
        const last = newest + start + part.length
        const place = { last, start: newest + start + 1, event, sec: at.sec, byHand: Number(byHand) }
        this.#connection.prepare(APPEND_ALIKE).run({ ...place, ...texts, ips: JSON.stringify(part) })
      }
    }
    this.#appendedCount += ips.length
    this.#trim(settings, newest + ips.length, changedSec)
  }

  /**
   * One row per text, at most CHUNK_ROWS, for an event that concerns no entry, or is too large for a row
   * each.
   */
  appendSummaries(rule: ChangeRule, at: number, summaries: readonly HistorySummary[], actor?: string): void {
    const { settings, newest } = this.#state()
    if (summaries.length === 0 || settings.mode === 'off') return
    const code = CHANGE_RULES.indexOf(rule)
    const rows = summaries.slice(0, CHUNK_ROWS).map(({ text, decision }): ChunkRow => {
      return [SUMMARY, code, actor ?? null, null, decisionFields(decision), text]
    })
    this.#connection
      .prepare(APPEND)
      .run(
        newest + rows.length,
        newest + 1,
        this.#eventFor(rule, newest + 1),
        Math.floor(at),
        Number(isByHand(rule, summaries)),
        JSON.stringify(rows),
      )
  }

  /** Number of the newest row; 0 without any. */
  newest(): number {
    return this.#connection.hasMarks ? this.#state().newest : 0
  }

  settings(): HistorySettings {
    return this.#connection.hasMarks ? this.#state().settings : DEFAULT_HISTORY
  }

  /** Stores the settings, and removes what must no longer be kept. */
  saveSettings(settings: HistorySettings): void {
    if (settings.mode === 'off') this.#connection.prepare(DROP_ALL).run()
    if (settings.mode === 'hosts') this.#dropPersonal()
    this.#connection.prepare(SAVE_SETTINGS).run(JSON.stringify(settings))
  }

  /** Rows behind `after`, oldest first, at most `limit`; with `ip` those of one address and its tuples. */
  read({ after, limit, ip }: { after: number; limit: number; ip?: string | undefined }): HistoryRow[] {
    if (!this.#connection.hasMarks) return []
    const found: HistoryRow[] = []
    for (let last = after; found.length < limit; ) {
      const chunk = this.#next(last, ip)
      if (chunk === undefined) break
      for (const row of rowsOf(chunk)) {
        if (row.seq > after && found.length < limit && (ip === undefined || isOf(row, ip))) found.push(row)
      }
      last = chunk[0]
    }
    return found
  }

  /** See `stepsOfRows`. */
  stepsOf(event: number): EventSteps {
    const chunks = this.#connection.prepareRaw(OF_EVENT).all(event, event) as Chunk[]
    return stepsOfRows(chunks.flatMap((chunk) => [...rowsOf(chunk)]))
  }

  /** The last manual event: undo reverts it, or must report that it cannot. */
  lastUndoable(): number | undefined {
    if (!this.#connection.hasMarks) return undefined
    return this.#connection.prepare(LAST_EVENT).pluck().get() as number | undefined
  }

  #state(): { settings: HistorySettings; newest: number } {
    const [text, newest] = this.#connection.prepareRaw(STATE).get() as [string | null, number | null]
    if (text !== null && this.#known?.text !== text) this.#known = { text, settings: parseSettings(text) }
    return { settings: text === null ? DEFAULT_HISTORY : this.#known!.settings, newest: newest ?? 0 }
  }

  #next(after: number, ip: string | undefined): Chunk | undefined {
    if (ip === undefined) return this.#connection.prepareRaw(NEXT).get(after) as Chunk | undefined
    const start = JSON.stringify(ip)
    return this.#connection.prepareRaw(NEXT_WITH).get(after, start) as Chunk | undefined
  }

  #appendChunk(changes: readonly Change[], at: ChunkPlace, { mode }: HistorySettings): void {
    const rows = changes.map((change) => rowOf(change, mode))
    this.#putChunk(
      at,
      changes.length,
      changes.some(({ cause }) => isByHand(cause.rule)),
      JSON.stringify(rows),
    )
  }

  #putChunk({ first, event, sec }: ChunkPlace, count: number, byHand: boolean, rows: string): void {
    this.#connection.prepare(APPEND).run(first + count - 1, first, event, sec, Number(byHand), rows)
  }

  #eventFor(rule: ChangeRule, seq: number): number {
    if (isUndoable(rule)) {
      this.#commandEvent ??= seq
      return this.#commandEvent
    }
    this.#transactionEvent ??= seq
    return this.#transactionEvent
  }

  /** Rows keep their numbers: removed ones leave a gap. */
  #dropPersonal(): void {
    for (let last = 0; ; ) {
      const chunk = this.#next(last, undefined)
      if (chunk === undefined) return
      last = chunk[0]
      const rows = JSON.parse(chunk[4]) as (ChunkRow | AlikeRow)[]
      const left = rows.map((row) => (row !== 0 && PERSONAL_KINDS.has(row[0]) ? 0 : row))
      this.#connection.prepare(REPLACE).run(JSON.stringify(left), last)
    }
  }

  #trim({ keepSec, keepRows }: HistorySettings, newest: number, now: number): void {
    if (this.#appendedCount < TRIM_ROWS / 2) return
    const atMost = Math.max(TRIM_ROWS, this.#appendedCount * 2)
    this.#appendedCount = 0
    const oldest = this.#connection.prepareRaw(OLDEST).get() as [number, number] | undefined
    if (oldest === undefined) return
    const [first, at] = oldest
    const oldSec = Math.floor(now - keepSec)
    if (at < oldSec) this.#connection.prepare(DROP_OLD).run(first + atMost, oldSec)
    const overCount = newest - first + 1 - keepRows
    if (overCount > 0) this.#connection.prepare(DROP).run(first + Math.min(atMost, overCount) - 1)
  }
}

/** Where a chunk is put: number of its first row, event and time. */
interface ChunkPlace {
  first: number
  event: number
  sec: number
}

function rowOf({ key, before, after, cause }: Change, mode: HistorySettings['mode']): Exclude<ChunkRow, 0> {
  return [
    KINDS.indexOf(key.kind),
    CHANGE_RULES.indexOf(cause.rule),
    cause.actor ?? (mode === 'full' ? cause.recipient : undefined) ?? null,
    fieldsOf(before.entry),
    fieldsOf(after.entry),
    ...partsOf(key),
  ]
}

function isAlikeRow(row: ChunkRow | AlikeRow): row is AlikeRow {
  return row !== 0 && Array.isArray(row[5])
}

/** The rows of a chunk as if each had been stored separately. */
function eachOf(rows: readonly (ChunkRow | AlikeRow)[]): readonly ChunkRow[] {
  if (!rows.some(isAlikeRow)) return rows as readonly ChunkRow[]
  return rows.flatMap((row): ChunkRow[] => {
    if (!isAlikeRow(row)) return [row]
    const [kind, rule, actor, before, after, ips] = row
    return ips.map((ip) => [kind, rule, actor, before, after, ip])
  })
}

/** The rows of a chunk, oldest first. */
function* rowsOf([, first, event, at, text]: Chunk): Generator<HistoryRow> {
  for (const [index, row] of eachOf(JSON.parse(text) as (ChunkRow | AlikeRow)[]).entries()) {
    if (row === 0) continue
    const [kind, rule, actor, before, after, ...parts] = row
    const key = keyOf(kind, parts)
    yield {
      seq: first + index,
      event,
      at,
      rule: CHANGE_RULES[rule] ?? 'merge',
      actor: actor ?? undefined,
      key,
      before: entryOf(key, before),
      after: entryOf(key, after),
      summary: undefined,
      ...(key === undefined ? { summary: parts[0], decision: decisionOf(after) } : {}),
    }
  }
}

function isOf({ key }: HistoryRow, ip: string): boolean {
  return key !== undefined && 'ip' in key && key.ip === ip
}

function partsOf(key: ChangeKey): string[] {
  switch (key.kind) {
    case 'host':
    case 'pool':
      return [key.ip]
    case 'spamtrap':
      return [key.address]
    case 'tuple':
      return [key.ip, key.helo, key.from, key.to]
    case 'release':
      return [key.id]
  }
}

function keyOf(
  kind: number,
  [name = '', helo = '', from = '', to = '']: readonly string[],
): ChangeKey | undefined {
  switch (KINDS[kind]) {
    case 'host':
      return { kind: 'host', ip: name }
    case 'pool':
      return { kind: 'pool', ip: name }
    case 'spamtrap':
      return { kind: 'spamtrap', address: name }
    case 'tuple':
      return { kind: 'tuple', ip: name, helo, from, to }
    case 'release':
      return { kind: 'release', id: name }
    default:
      return undefined
  }
}
