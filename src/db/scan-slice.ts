import type { Entry } from '../domain/entry.js'
import { TRAPPED_PCOUNT } from '../domain/host-state.js'
import { EXPIRE_NEVER } from '../domain/times.js'
import type { Connection } from './connection.js'
import { findRange, firstKey } from './listing/key-ranges.js'
import type { SqlValue } from './sqlite-driver.js'
import type { ScanCursor, ScanSlice } from './store.js'
import { entriesOfRange } from './tables/entry-rows.js'
import type { RangeKind } from './tables/kind-tables.js'
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
  const entries: Entry[] = entriesOfRange(kind, range, filterFor(kind, due))
  if (range.end !== undefined) return { entries, next: formatCursor(kind, range.end) }
  const nextKind = SCAN_ORDER[SCAN_ORDER.indexOf(kind) + 1]
  return { entries, next: nextKind === undefined ? undefined : formatCursor(nextKind, firstKey(nextKind)) }
}

/** The condition of the rows that a scan wants; undefined for all. */
function filterFor(
  kind: ScanKind,
  { dueAt, whiteSince }: { dueAt?: number; whiteSince?: number },
): string | undefined {
  if (dueAt === undefined) return undefined
  const due = Math.floor(dueAt)
  if (kind === 'GREY') return `expire <= ${due} OR pass <= ${due}`
  if (kind !== 'HOST' || whiteSince === undefined) return undefined
  return `(expire <> ${EXPIRE_NEVER} AND expire <= ${due}) OR (pcount <> ${TRAPPED_PCOUNT} AND pass >= ${Math.floor(whiteSince)})`
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
