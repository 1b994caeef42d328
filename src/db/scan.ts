import type { Entry, Tuple } from '../domain/entry.js'
import { hasPassed, isHostExpired, promoteTuple } from '../domain/greylist-rules.js'
import { isPinned, isTrapped } from '../domain/host-state.js'
import type { Connection } from './connection.js'
import { findRange, firstKey, type RangeKind } from './listing/key-ranges.js'
import type { Tables } from './manual-edits.js'
import type { SqlValue } from './sqlite-driver.js'
import type { ScanChanges, ScanCursor, ScanSlice } from './store.js'
import { entriesOfRange } from './tables/entry-rows.js'
import { wireValue } from './tables/wire-value.js'

/** Tables in the order of a scan. Spamtraps are never due. */
const SCAN_ORDER = ['HOST', 'GREY'] as const

/** Reads the entries among the next `limit` rows of a scan; see `Store.readScanSlice`. */
export function readSlice(
  connection: Connection,
  after: ScanCursor | undefined,
  limit: number,
  dueAt: number | undefined,
): ScanSlice {
  const { kind, key } = after === undefined ? startOf(SCAN_ORDER[0]) : parseCursor(after)
  const range = findRange(connection, kind, key, limit)
  const isWaiting = kind === 'GREY' && dueAt !== undefined
  const filter = isWaiting ? `expire <= ${Math.floor(dueAt)} OR pass <= ${Math.floor(dueAt)}` : undefined
  const entries: Entry[] = entriesOfRange(kind, range, filter)
  if (range.end !== undefined) return { entries, next: formatCursor(kind, range.end) }
  const nextKind = SCAN_ORDER[SCAN_ORDER.indexOf(kind) + 1]
  return { entries, next: nextKind === undefined ? undefined : formatCursor(nextKind, firstKey(nextKind)) }
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

/** Applies what a scan decided, each change tested again, within the caller's transaction. */
export function applyScanChanges(
  tables: Tables,
  changes: ScanChanges,
  policy: { whiteExpireSec: number },
  now: number,
): { deletedCount: number; promoted: string[] } {
  let deletedCount = 0
  for (const key of changes.expired) {
    if (key.kind === 'host' && deleteExpiredHost(tables, key.ip, now)) deletedCount += 1
    if (key.kind === 'tuple' && deleteExpiredTuple(tables, key, now)) deletedCount += 1
  }
  const promoted: string[] = []
  for (const tuple of changes.promoted) {
    if (promotePassed(tables, tuple, policy.whiteExpireSec, now)) promoted.push(tuple.ip)
  }
  for (const ip of changes.blocked) {
    const host = tables.hosts.get(ip)
    if (host === undefined || isTrapped(host) || isPinned(host)) continue
    if (tables.hosts.delete(ip)) deletedCount += 1
  }
  tables.tuples.ages.flush()
  return { deletedCount, promoted }
}

function deleteExpiredHost({ hosts }: Tables, ip: string, now: number): boolean {
  const host = hosts.get(ip)
  return host !== undefined && isHostExpired(host, now) && hosts.delete(ip)
}

function deleteExpiredTuple({ tuples }: Tables, tuple: Tuple, now: number): boolean {
  const times = tuples.get(tuple)
  return times !== undefined && times.expire <= now && tuples.delete(tuple)
}

/**
 * True when the address became WHITE. The tuple of an address that is WHITE already has done its work and
 * is removed as well; one whose address is TRAPPED stays, and so does that of a whole network, which names
 * no address to promote.
 */
function promotePassed(
  { hosts, tuples }: Tables,
  tuple: Tuple,
  whiteExpireSec: number,
  now: number,
): boolean {
  const times = tuples.get(tuple)
  if (times === undefined || !hasPassed(times, now) || tuple.ip.includes('/')) return false
  const isNew = hosts.insert(tuple.ip, promoteTuple(times, whiteExpireSec, now))
  if (!isNew) {
    const existing = hosts.get(tuple.ip)
    if (existing === undefined || isTrapped(existing)) return false
  }
  tuples.delete(tuple)
  return isNew
}
