import { CLASSIC_KINDS, type EntryKind } from '../../domain/entry.js'
import type { EntryQuery } from '../../domain/query.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import { parseCidr } from '../../ip/cidr.js'
import { textRangesOf } from '../../ip/text-ranges.js'

/** How a kind is stored on a server: its table, the columns of its key as the server sends and compares them. */
export interface KindTable {
  table: string
  key: readonly { column: string; asText: string; asValue: (parameter: string) => string }[]
  /** SQL condition. */
  condition: string
}

const plain = (column: string) => ({
  column,
  asText: column,
  asValue: (parameter: string) => parameter,
})
const bytes = (column: string) => ({
  column,
  asText: `convert_from(${column}, 'LATIN1')`,
  asValue: (parameter: string) => `convert_to(${parameter}, 'LATIN1')`,
})

/** By kind, and all addresses whatever their kind. */
export const KIND_TABLES: Readonly<Record<EntryKind | 'HOST', KindTable>> = {
  HOST: { table: 'hosts', key: [plain('ip')], condition: "kind <> '-'" },
  // Not "= 'WHITE'": of a table without statistics, the server expects so few of them that it sorts all for each page.
  WHITE: { table: 'hosts', key: [plain('ip')], condition: "kind <> 'TRAPPED' AND kind <> '-'" },
  TRAPPED: { table: 'hosts', key: [plain('ip')], condition: "kind = 'TRAPPED'" },
  SPAMTRAP: { table: 'spamtraps', key: [bytes('address')], condition: 'NOT is_removed' },
  POOL: { table: 'pools', key: [plain('network')], condition: 'NOT is_removed' },
  GREY: {
    table: 'tuples',
    key: [plain('ip'), bytes('helo'), bytes('sender'), bytes('recipient')],
    condition: 'NOT is_removed',
  },
}

/** Columns that an entry shows, after its key. */
export const SHOWN_COLUMNS: Readonly<Record<EntryKind | 'HOST', string>> = {
  HOST: 'first, pass, expire, bcount, pcount, comment',
  WHITE: 'first, pass, expire, bcount, pcount, comment',
  TRAPPED: 'first, pass, expire, bcount, pcount, comment',
  SPAMTRAP: 'first, comment',
  POOL: 'pool, first, pass, expire, bcount, pcount',
  GREY: 'first, pass, expire, bcount, pcount',
}

/** What the server can decide of a query for one kind. */
export interface ServerQuery {
  /** Where to look, in the order of the key; `low` belongs to it, `high` does not. Undefined is everywhere. */
  scopes: readonly ({ low: string; high: string } | undefined)[]
  conditions: readonly string[]
  /** False when `compileQuery` has to look at what is left. */
  isExact: boolean
}

/** The plan for one kind; undefined when the query wants nothing of it. Throws RangeError for a bad network. */
// eslint-disable-next-line complexity -- one clause for each field of a query, all narrowing one plan
export function planServerQuery(query: EntryQuery, kind: EntryKind): ServerQuery | undefined {
  const wanted: readonly EntryKind[] = query.kinds ?? CLASSIC_KINDS
  if (!wanted.includes(kind)) return undefined
  const { ip, network, expiresBy, createdBefore } = query
  if (kind === 'SPAMTRAP' && (ip ?? network ?? expiresBy) !== undefined) return undefined
  if (kind !== 'GREY' && (query.helo ?? query.from ?? query.to) !== undefined) return undefined
  const conditions: string[] = []
  let scopes: ServerQuery['scopes'] = [undefined]
  let isExact = (query.helo ?? query.from ?? query.to) === undefined
  if (network !== undefined) {
    const parsed = parseCidr(network)
    if (parsed === undefined) throw new RangeError(`not a network: ${network}`)
    scopes = textRangesOf(parsed).ranges
    isExact = false
  }
  // The first text behind one address: no text has NUL.
  if (ip !== undefined) scopes = [{ low: ip, high: `${ip}\u0001` }]
  const bound = (sql: string, value: number): void => {
    if (Number.isFinite(value)) conditions.push(`${sql} ${Math.ceil(value)}`)
    else isExact = false
  }
  if (expiresBy !== undefined) {
    if (kind !== 'GREY') conditions.push(`expire <> ${EXPIRE_NEVER}`)
    bound('expire <=', Math.floor(expiresBy))
  }
  if (createdBefore !== undefined) bound('first <', createdBefore)
  return { scopes, conditions, isExact }
}
