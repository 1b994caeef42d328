import type { Entry } from '../domain/entry.js'
import { TRAPPED_PCOUNT } from '../domain/host-state.js'
import { EXPIRE_NEVER } from '../domain/times.js'
import type { Connection } from './connection.js'
import { findRange, firstKey } from './listing/key-ranges.js'
import type { SqlValue } from './sqlite-driver.js'
import type { ScanCursor, ScanSlice } from './store.js'
import { entriesOfRange } from './tables/entry-rows.js'
import type { EntryRows, RangeKind } from './tables/kind-tables.js'
import { wireValue } from './tables/wire-value.js'

/** Tables in the order of a scan. Spamtraps are never due. */
const SCAN_ORDER = ['HOST', 'GREY', 'POOL'] as const

/** Reads the entries among the next `limit` rows of a scan; see `Store.readScanSlice`. */
export function readSlice(
  connection: Connection,
  after: ScanCursor | undefined,
  limit: number,
  due: { dueAt?: number; whiteSince?: number },
): ScanSlice {
  const { kind, key } = after === undefined ? startOf(SCAN_ORDER[0]) : parseCursor(after)
  const range = findRange(connection, kind, key, limit)
  const { sql, values } = filterFor(kind, due)
  const dueTimes = due.dueAt === undefined ? undefined : dueTimesOf(kind, range)
  const mayHaveEntries = dueTimes === undefined || sql === undefined || isAnyDue(dueTimes, due)
  const entries: Entry[] = mayHaveEntries ? entriesOfRange(kind, range, sql, values) : []
  const nextDueSec = dueTimes === undefined ? undefined : nextDue(dueTimes, due.dueAt!)
  if (range.end !== undefined) return { entries, next: formatCursor(kind, range.end), nextDueSec }
  const nextKind = SCAN_ORDER[SCAN_ORDER.indexOf(kind) + 1]
  const next = nextKind === undefined ? undefined : formatCursor(nextKind, firstKey(nextKind))
  return { entries, next, nextDueSec }
}

/** When the first of the rows is due (Infinity: never), and the latest time at which one is WHITE. */
interface DueTimes {
  firstSec: number
  lastWhiteSec: number
}

/** Contains no times of the scan, so that one pass over the rows is sufficient if nothing is due. */
const DUE_TIMES: Readonly<Record<ScanKind, string>> = {
  GREY: 'min(min(expire, pass)), NULL',
  HOST: `min(expire) FILTER (WHERE expire <> ${EXPIRE_NEVER}), max(pass) FILTER (WHERE pcount <> ${TRAPPED_PCOUNT})`,
  // Each scan reads again which networks are open.
  POOL: 'min(0), NULL',
}

function dueTimesOf(kind: ScanKind, range: EntryRows): DueTimes {
  const [firstSec, lastWhiteSec] = range.select(DUE_TIMES[kind]) as (number | null)[]
  return { firstSec: firstSec ?? Infinity, lastWhiteSec: lastWhiteSec ?? -Infinity }
}

function isAnyDue(
  { firstSec, lastWhiteSec }: DueTimes,
  { dueAt = 0, whiteSince = Infinity }: { dueAt?: number; whiteSince?: number },
): boolean {
  return firstSec <= dueAt || lastWhiteSec >= Math.floor(whiteSince)
}

/** An address that becomes WHITE at a later time is let in by the first scan after it. */
function nextDue({ firstSec, lastWhiteSec }: DueTimes, dueAt: number): number {
  return lastWhiteSec > dueAt ? Math.min(firstSec, dueAt) : firstSec
}

const DUE_TUPLES = 'expire <= ? OR pass <= ?'
const DUE_HOSTS = `(expire <> ${EXPIRE_NEVER} AND expire <= ?) OR (pcount <> ${TRAPPED_PCOUNT} AND pass >= ?)`

/**
 * The condition of the rows that a scan wants; all rows without `sql`. Times are bound values: statements are cached by
 * their text, and with times in it each scan would leave some behind.
 */
function filterFor(
  kind: ScanKind,
  { dueAt, whiteSince }: { dueAt?: number; whiteSince?: number },
): { sql?: string; values?: readonly SqlValue[] } {
  if (dueAt === undefined) return {}
  const due = Math.floor(dueAt)
  if (kind === 'GREY') return { sql: DUE_TUPLES, values: [due, due] }
  if (kind !== 'HOST' || whiteSince === undefined) return {}
  return { sql: DUE_HOSTS, values: [due, Math.floor(whiteSince)] }
}

type ScanKind = Extract<RangeKind, (typeof SCAN_ORDER)[number]>

function startOf(kind: ScanKind): { kind: ScanKind; key: SqlValue[] } {
  return { kind, key: firstKey(kind) }
}

/** The kind and the bytes of its key in base64, joined by commas. */
function formatCursor(kind: ScanKind, key: readonly SqlValue[]): ScanCursor {
  return [kind, ...key.map((value) => Buffer.from(value as string | Buffer).toString('base64'))].join(',')
}

function parseCursor(cursor: ScanCursor): { kind: ScanKind; key: SqlValue[] } {
  const [name, ...parts] = cursor.split(',')
  const kind = SCAN_ORDER.find((candidate) => candidate === name)
  if (kind === undefined || parts.length !== firstKey(kind).length) {
    throw new TypeError(`not a scan cursor: ${cursor}`)
  }
  return { kind, key: parts.map((part) => wireValue(Buffer.from(part, 'base64').toString('latin1'))) }
}
