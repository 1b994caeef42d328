import type { Entry } from '../../domain/entry.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import type { ScanCursor, ScanSlice } from '../store.js'
import type { PgLink, Row } from './pg-link.js'
import { readPage } from './pg-listing.js'

/** Parts of a scan in their order; of the tuples either all or, with `dueAt`, those that passed or expired. */
const PARTS = ['HOST', 'PASSED', 'EXPIRED', 'GREY', 'POOL'] as const
type Part = (typeof PARTS)[number]

const TEXTS = ['helo', 'sender', 'recipient'].map((column) => `convert_from(${column}, 'LATIN1')`).join(', ')

/** Tuples in the order of a time that an index has: the work of a page does not depend on how many are due. */
const dueSql = (column: 'pass' | 'expire', condition: string): string =>
  `SELECT ${column}, ip, digest, ${TEXTS}, first, pass, expire, bcount, pcount FROM spamd.tuples
   WHERE ${column} <= $1 AND ${column} >= $2 AND (${column}, ip, digest) > ($2, $3, $4::uuid) AND ${condition}
   ORDER BY ${column}, ip, digest LIMIT $5`
const PASSED = dueSql('pass', 'pass < expire AND NOT is_removed AND expire > $1')
const EXPIRED = dueSql('expire', 'NOT is_removed')
const BEFORE_ALL = ['-1', '', '00000000-0000-0000-0000-000000000000']

/** Reads the entries among the next `limit` rows of a scan; see `Store.readScanSlice`. */
export async function readScanSlice(
  link: PgLink,
  after: ScanCursor | undefined,
  limit: number,
  {
    dueAt,
    whiteSince,
    isHostsOnly,
  }: { dueAt: number | undefined; whiteSince: number | undefined; isHostsOnly: boolean },
): Promise<ScanSlice> {
  const { part, key } = after === undefined ? { part: PARTS[0], key: undefined } : parseCursor(after)
  const { entries, end } =
    part === 'PASSED' || part === 'EXPIRED'
      ? await readDue(link, part, Math.floor(dueAt ?? 0), key ?? BEFORE_ALL, limit)
      : await readPage(link, 'readScanSlice', part, key, limit, {
          conditions: part === 'HOST' ? soughtBriefly(dueAt, whiteSince) : [],
        })
  if (end !== undefined) return { entries, next: formatCursor(part, end) }
  const parts: readonly Part[] = isHostsOnly
    ? ['HOST', 'POOL']
    : dueAt === undefined
      ? ['HOST', 'GREY', 'POOL']
      : ['HOST', 'PASSED', 'EXPIRED', 'POOL']
  const nextPart = parts[parts.indexOf(part) + 1]
  return { entries, next: nextPart === undefined ? undefined : formatCursor(nextPart, undefined) }
}

/**
 * What a brief scan looks at of the addresses: those that are over, or WHITE since a time. The server chooses, so that a million
 * that are of no interest do not travel.
 */
function soughtBriefly(dueAt: number | undefined, whiteSince: number | undefined): string[] {
  if (dueAt === undefined || whiteSince === undefined) return []
  const isDue = `expire <> ${EXPIRE_NEVER} AND expire <= ${Math.floor(dueAt)}`
  return [`(${isDue} OR kind = 'WHITE' AND pass >= ${Math.ceil(whiteSince)})`]
}

async function readDue(
  link: PgLink,
  part: 'PASSED' | 'EXPIRED',
  dueAt: number,
  after: readonly string[],
  limit: number,
): Promise<{ entries: Entry[]; end: readonly string[] | undefined }> {
  const rows = await link.read('readScanSlice', (statements) =>
    statements.rows(part === 'PASSED' ? PASSED : EXPIRED, [dueAt, ...after, limit]),
  )
  const last = rows.length < limit ? undefined : rows.at(-1)
  return { entries: rows.map(tupleOf), end: last?.slice(0, 3).map(String) }
}

function tupleOf(row: Row): Entry {
  const [, ip, , helo, from, to, first, pass, expire, bcount, pcount] = row as [
    number,
    string,
    string,
    string,
    string,
    string,
    number,
    number,
    number,
    number,
    number,
  ]
  return { kind: 'GREY', ip, helo, from, to, first, pass, expire, bcount, pcount }
}

/** The part and its key in base64, joined by commas. */
function formatCursor(part: Part, key: readonly string[] | undefined): ScanCursor {
  return [part, ...(key ?? []).map((text) => Buffer.from(text, 'latin1').toString('base64'))].join(',')
}

function parseCursor(cursor: ScanCursor): { part: Part; key: readonly string[] | undefined } {
  const [name, ...texts] = cursor.split(',')
  const part = PARTS.find((candidate) => candidate === name)
  if (part === undefined) throw new TypeError(`not a scan cursor: ${cursor}`)
  const key = texts.map((text) => Buffer.from(text, 'base64').toString('latin1'))
  return { part, key: key.length === 0 ? undefined : key }
}
