/** The history for people on a server, partitioned by day; domain/history.ts says what it keeps. */
import { CHANGE_RULES, type ChangeRule } from '../../domain/change.js'
import type { Draft } from '../../domain/draft.js'
import {
  DEFAULT_HISTORY,
  type EventSteps,
  type HistoryRow,
  type HistorySettings,
  type HistorySummary,
  isKept,
  isUndoable,
  stepsOfRows,
  UNDOABLE_RULES,
} from '../../domain/history.js'
import {
  decisionFields,
  decodeRow,
  encodeFields,
  encodeKey,
  type Row as HistoryColumns,
  KINDS,
  parseSettings,
  SUMMARY,
} from '../history-rows.js'
import type { PgLink, Statements } from './pg-link.js'
import { columnsOf } from './pg-rows.js'

const SETTINGS = "SELECT value FROM spamd.settings WHERE name = 'history'"
const SAVE_SETTINGS = `INSERT INTO spamd.settings VALUES ('history', $1)
  ON CONFLICT (name) DO UPDATE SET value = excluded.value`
const APPEND = `INSERT INTO spamd.history (event, at, rule, actor, kind, key, before, after)
  SELECT coalesce(event, nextval('spamd.history_events')), at, rule, actor, kind, key, before, after
  FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[])
    k(event, at, rule, actor, kind, key, before, after)`
const NEXT_EVENT = "SELECT nextval('spamd.history_events')"
const COLUMNS = 'seq, event, at, rule, actor, kind, key, before, after'
const NEWEST = 'SELECT coalesce(max(seq), 0) FROM spamd.history'
/** Late ones have a smaller number than what was read before, by a transaction that was in progress then. */
const IS_NEW = `(seq > $1 OR ($2::text IS NOT NULL AND (xid >= pg_snapshot_xmax($2::pg_snapshot)
  OR xid = ANY (ARRAY(SELECT pg_snapshot_xip($2::pg_snapshot))))))`
/** With the snapshot of the same moment in front of each row, and one row of NULL when there is none. */
const lookFor = (condition: string): string => `SELECT pg_current_snapshot()::text, h.*
  FROM (SELECT) AS one LEFT JOIN LATERAL (
    SELECT ${COLUMNS} FROM spamd.history WHERE ${condition} ORDER BY seq LIMIT $3
  ) AS h ON true ORDER BY h.seq`
const FORWARD = lookFor(IS_NEW)
/** Keys of an address and of its tuples begin alike; there is no index for them, see the steps of the schema. */
const OF_ADDRESS = lookFor(`(key = $4 OR starts_with(key, $4 || ' ')) AND ${IS_NEW}`)
const OF_EVENT = `SELECT ${COLUMNS} FROM spamd.history WHERE event = $1 ORDER BY seq`
const UNDOABLE = UNDOABLE_RULES.map((rule) => CHANGE_RULES.indexOf(rule)).join(', ')
/** A manual change of an exception cannot be undone, but must not be skipped: `isDecided` in SQL. */
const IS_DECISION = `rule = ${CHANGE_RULES.indexOf('allow')} AND after IS NOT NULL
  AND NOT starts_with(after, '["ended"')`
const LAST_EVENT = `SELECT event FROM spamd.history WHERE rule IN (${UNDOABLE}) OR (${IS_DECISION}) ORDER BY seq DESC LIMIT 1`
const DROP_MODES = {
  off: 'DELETE FROM spamd.history',
  hosts: 'DELETE FROM spamd.history WHERE kind IN (1, 2, 4)',
} as const
const DROP_OVER =
  'DELETE FROM spamd.history WHERE seq IN (SELECT seq FROM spamd.history ORDER BY seq LIMIT $1)'
const ROW_COUNT = 'SELECT count(*) FROM spamd.history'
const KEEP = 'SELECT spamd.keep_history($1::date, $2::date)'

/** Another program may have changed the settings. */
const SETTINGS_LIFE_MS = 10_000
const DAY_SEC = 86_400
/** Rows that one statement removes for the limit of rows, and statements a minute: 16,000 rows a second keep pace with any server. */
const TRIM_ROWS = 5000
const TRIM_SLICES = 200

/** The history as one store reads and writes it. */
export class PgHistory {
  readonly #link: PgLink
  #settings: { value: HistorySettings; readMs: number } | undefined
  /** Event of all that people change through this store: a command is one event. */
  #commandEvent: number | undefined
  /** Where the last look ended, with what it could not see yet. */
  #lastLook: { newest: number; snapshot: string } | undefined

  constructor(link: PgLink) {
    this.#link = link
  }

  /** Appends the changes of the running transaction. */
  async append(
    { changes, changedSec }: Pick<Draft, 'changes' | 'changedSec'>,
    send: (sql: string, values: readonly unknown[]) => void,
    statements: Statements,
  ): Promise<void> {
    if (changes.length === 0) return
    const settings = await this.#settingsWithin(statements)
    if (settings.mode === 'off') return
    const kept = changes.filter((change) => isKept(change, settings))
    if (kept.length === 0) return
    const event = await this.#eventFor(kept[0]!.cause.rule, statements)
    const rows = kept.map(({ key, before, after, cause }) => [
      event,
      Math.floor(changedSec),
      CHANGE_RULES.indexOf(cause.rule),
      cause.actor ?? (settings.mode === 'full' ? cause.recipient : undefined) ?? null,
      KINDS.indexOf(key.kind),
      encodeKey(key),
      encodeFields(before.entry),
      encodeFields(after.entry),
    ])
    send(APPEND, columnsOf(rows, 8))
  }

  /** One row a text for an event that is of no entry, or too large for a row each. */
  async appendSummaries(
    {
      rule,
      at,
      summaries,
      actor,
    }: { rule: ChangeRule; at: number; summaries: readonly HistorySummary[]; actor?: string | undefined },
    send: (sql: string, values: readonly unknown[]) => void,
    statements: Statements,
  ): Promise<void> {
    if (summaries.length === 0 || (await this.#settingsWithin(statements)).mode === 'off') return
    const event = (await this.#eventFor(rule, statements)) ?? (await newEvent(statements))
    const same = [event, Math.floor(at), CHANGE_RULES.indexOf(rule), actor ?? null, SUMMARY]
    send(APPEND, [
      ...same.map((value) => summaries.map(() => value)),
      summaries.map(({ text }) => text),
      summaries.map(() => null),
      summaries.map(({ decision }) =>
        decision === undefined ? null : JSON.stringify(decisionFields(decision)),
      ),
    ])
  }

  newest(): Promise<number> {
    return this.#link.read('newestHistory', async (statements) => {
      const [row] = await statements.rows(NEWEST)
      return row![0] as number
    })
  }

  /** See `Store.readHistory`. Rows committed late by a slow transaction are found by the next poll. */
  read({
    after,
    limit,
    ip,
  }: {
    after: number
    limit: number
    ip?: string | undefined
  }): Promise<HistoryRow[]> {
    return this.#link.read('readHistory', async (statements) => {
      const late = this.#lastLook?.newest === after ? this.#lastLook.snapshot : null
      const rows =
        ip === undefined
          ? await statements.rows(FORWARD, [after, late, limit])
          : await statements.rows(OF_ADDRESS, [after, late, limit, ip])
      const snapshot = rows[0]![0] as string
      const found = rows
        .filter(([, seq]) => seq !== null)
        .map(([, ...columns]) => decodeRow(columns as unknown as HistoryColumns))
      const newest = found.reduce((largest, { seq }) => Math.max(largest, seq), after)
      // Behind a look that was cut off by its limit, rows are asked for by their number.
      this.#lastLook = found.length < limit ? { newest, snapshot } : undefined
      return found
    })
  }

  settings(): Promise<HistorySettings> {
    return this.#link.read('historySettings', (statements) => this.#settingsWithin(statements))
  }

  saveSettings(settings: HistorySettings): Promise<void> {
    return this.#link.write('saveHistorySettings', async (statements) => {
      if (settings.mode !== 'full') await statements.rows(DROP_MODES[settings.mode])
      await statements.rows(SAVE_SETTINGS, [JSON.stringify(settings)])
      this.#settings = undefined
    })
  }

  /** See `stepsOfRows`. */
  async stepsOf(event: number, statements: Statements): Promise<EventSteps> {
    const rows = await statements.rows(OF_EVENT, [event])
    return stepsOfRows(rows.map((row) => decodeRow(row as unknown as HistoryColumns)))
  }

  async lastUndoable(statements: Statements): Promise<number | undefined> {
    const [row] = await statements.rows(LAST_EVENT)
    return row?.[0] as number | undefined
  }

  /**
   * Makes the partitions of today and tomorrow and drops what is older than the settings say: by the clock of the server,
   * since that of one gateway must not drop what all of them recorded.
   */
  async keepUp(): Promise<void> {
    let overCount = await this.#link.read('keepHistory', async (statements, { skewSec }) => {
      const now = Math.floor(Date.now() / 1000) + skewSec
      const { keepSec, keepRows } = await this.#settingsWithin(statements)
      const dropBefore = dayOf(now - keepSec)
      for (const day of [now, now + DAY_SEC]) await statements.rows(KEEP, [dayOf(day), dropBefore])
      const [row] = await statements.rows(ROW_COUNT)
      return (row![0] as number) - keepRows
    })
    // A call each: what clients wait for goes in between.
    for (let slice = 0; slice < TRIM_SLICES && overCount > 0; slice += 1) {
      const count = Math.min(overCount, TRIM_ROWS)
      await this.#link.read('keepHistory', (statements) => statements.rows(DROP_OVER, [count]))
      overCount -= count
    }
  }

  async #settingsWithin(statements: Statements): Promise<HistorySettings> {
    const known = this.#settings
    if (known !== undefined && performance.now() - known.readMs < SETTINGS_LIFE_MS) return known.value
    const [row] = await statements.rows(SETTINGS)
    const text = row?.[0] as string | undefined
    const value = text === undefined ? DEFAULT_HISTORY : parseSettings(text)
    this.#settings = { value, readMs: performance.now() }
    return value
  }

  async #eventFor(rule: ChangeRule, statements: Statements): Promise<number | null> {
    if (!isUndoable(rule)) return null
    this.#commandEvent ??= await newEvent(statements)
    return this.#commandEvent
  }
}

async function newEvent(statements: Statements): Promise<number> {
  const [row] = await statements.rows(NEXT_EVENT)
  return row![0] as number
}

function dayOf(sec: number): string {
  return new Date(sec * 1000).toISOString().slice(0, 10)
}
