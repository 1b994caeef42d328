/**
 * Sorting all rows in SQLite: the rows of every kind become those of one temporary table, in order, and lines or entries are
 * made of a page of it at a time. Entries that become objects, texts and objects again took ten times as long.
 */
import { ENTRY_KINDS, type Entry, type EntryKind } from '../../domain/entry.js'
import type { EntryQuery, SortField } from '../../domain/query.js'
import { addressSortKey } from '../../domain/query-match.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'
import type { LineForm } from '../store.js'
import { hasSpecialBytes } from '../tables/special-bytes.js'
import { RANGE_ROWS, sourceOf } from './key-ranges.js'
import { planKind } from './kind-plan.js'
import { lineSqlOf } from './line-forms.js'
import { isFinished, renderEntries } from './listing-text.js'

/**
 * The end of a query; empty without a limit: with any LIMIT, even -1, SQLite inserts each row into a tree instead of
 * sorting runs, which takes three times as long.
 */
export function limitSql(limit: number | undefined): string {
  return limit === undefined ? '' : ` LIMIT ${limit}`
}

/** SQLite refuses more terms than 500. */
const MAX_TERMS = 400
/** Cache while it sorts, in KiB: larger runs, fewer merges. */
const SORT_CACHE_KIB = 16_384
/** SQL function: the order of addresses, by family and number. */
const ADDRESS_KEY = 'spamd_address_key'

/** Columns of the sorted table: those of all kinds, NULL where a kind has none. */
const COLUMNS = [
  'ip',
  'address',
  'helo',
  '"from"',
  '"to"',
  'first',
  'pass',
  'expire',
  'bcount',
  'pcount',
  'comment',
  'pool',
] as const
type Column = (typeof COLUMNS)[number]

const TIMES = ['first', 'pass', 'expire', 'bcount', 'pcount'] as const
const HOST_COLUMNS: readonly Column[] = ['ip', ...TIMES, 'comment']
const COLUMNS_OF: Readonly<Record<EntryKind, readonly Column[]>> = {
  WHITE: HOST_COLUMNS,
  TRAPPED: HOST_COLUMNS,
  SPAMTRAP: ['address', 'first', 'comment'],
  GREY: ['ip', 'helo', '"from"', '"to"', ...TIMES],
  POOL: ['ip', 'pool', ...TIMES],
}
/** What equal entries are ordered by: as in a listing without order. */
const TIES = 'rank, address, ip, helo, "from", "to"'

/** Entries of a query in order, in one temporary table. */
export class SortedRows {
  readonly #connection: Connection
  readonly #table: string

  private constructor(connection: Connection, table: string) {
    this.#connection = connection
    this.#table = table
  }

  /** undefined when SQLite cannot tell exactly what is wanted. */
  static open(connection: Connection, query: EntryQuery, field: SortField): SortedRows | undefined {
    const terms = termsOf(connection, query, field)
    if (terms === undefined || terms.length > MAX_TERMS) return undefined
    const table = `temp.sorted_${connection.nextTemporaryNumber()}`
    const direction = query.isDescending === true ? 'DESC' : 'ASC'
    const rows = terms.length === 0 ? NO_ROWS : terms.map(({ sql }) => sql).join(' UNION ALL ')
    const { database } = connection
    connection.read('list', () => {
      if (field === 'ip') database.function(ADDRESS_KEY, { deterministic: true }, addressKeyOf)
      const usualCache = database.pragma('cache_size', { simple: true }) as number
      database.pragma(`cache_size = -${SORT_CACHE_KIB}`)
      try {
        database
          .prepare(
            `CREATE TABLE ${table} AS SELECT * FROM (${rows})
             ORDER BY sort_key IS NULL, sort_key ${direction}, ${TIES}${limitSql(query.limit)}`,
          )
          .run(...terms.flatMap(({ values }) => values))
      } finally {
        database.pragma(`cache_size = ${usualCache}`)
      }
    })
    return new SortedRows(connection, table)
  }

  /** The lines of all entries, in chunks. */
  *lines(form: LineForm): Generator<Uint8Array> {
    const sqlOf = ENTRY_KINDS.map((kind) => lineSqlOf(form.name, kind))
    const line = `CASE rank ${sqlOf.map((sql, rank) => `WHEN ${rank} THEN ${sql.line}`).join(' ')} END`
    const special = [...new Set(sqlOf.map((sql) => sql.special))].join(' + ')
    const select = `SELECT CAST(group_concat(${line}, '') AS BLOB), count(*), ${special}
      FROM (SELECT * FROM ${this.#table} WHERE rowid > ? ORDER BY rowid LIMIT ${RANGE_ROWS})`
    for (let after = 0; ; after += RANGE_ROWS) {
      const [bytes, lineCount, specialCount] = this.#connection.read('listText', () =>
        this.#connection.prepareRaw(select).get(after),
      ) as [Buffer | null, number, number]
      if (bytes === null) return
      const isPlain =
        specialCount === 0 && !hasSpecialBytes(bytes, lineCount) && isFinished(form, bytes, lineCount)
      yield isPlain ? bytes : renderEntries(form, this.#page(after))
    }
  }

  /** All entries, in chunks. */
  *entries(): Generator<Entry[]> {
    for (let after = 0; ; after += RANGE_ROWS) {
      const entries = this.#page(after)
      if (entries.length === 0) return
      yield entries
    }
  }

  close(): void {
    const { database } = this.#connection
    if (database.open) database.exec(`DROP TABLE ${this.#table}`)
  }

  #page(after: number): Entry[] {
    const select = `SELECT rank, ${COLUMNS.map(asRead).join(', ')} FROM ${this.#table} WHERE rowid > ? ORDER BY rowid LIMIT ${RANGE_ROWS}`
    return this.#connection.read('list', () =>
      (this.#connection.prepareRaw(select).all(after) as Row[]).map(entryOf),
    )
  }
}

type Text = Buffer | null
type Row = [
  rank: number,
  ip: Text,
  address: Text,
  helo: Text,
  from: Text,
  to: Text,
  first: number,
  pass: number,
  expire: number,
  bcount: number,
  pcount: number,
  comment: string | null,
  pool: Text,
]

/** Bytes from the wire need not be UTF-8; a comment is ordinary text. */
function asRead(column: Column): string {
  return ['ip', 'address', 'helo', '"from"', '"to"', 'pool'].includes(column)
    ? `CAST(${column} AS BLOB)`
    : column
}

function entryOf([
  rank,
  ip,
  address,
  helo,
  from,
  to,
  first,
  pass,
  expire,
  bcount,
  pcount,
  comment,
  pool,
]: Row): Entry {
  const kind = ENTRY_KINDS[rank]!
  const times = { first, pass, expire, bcount, pcount }
  const note = comment === null ? {} : { comment }
  switch (kind) {
    case 'WHITE':
    case 'TRAPPED':
      return { kind, ip: textOf(ip), ...times, ...note }
    case 'SPAMTRAP':
      return { kind, address: textOf(address), first, ...note }
    case 'POOL':
      return { kind, ip: textOf(ip), pool: textOf(pool), ...times }
    case 'GREY':
      return { kind, ip: textOf(ip), helo: textOf(helo), from: textOf(from), to: textOf(to), ...times }
  }
}

function textOf(bytes: Text): string {
  return bytes?.toString('latin1') ?? ''
}

function addressKeyOf(ip: unknown): string {
  return addressSortKey(String(ip))
}

const NO_ROWS = `SELECT NULL AS sort_key, 0 AS rank, ${COLUMNS.map((column) => `NULL AS ${column}`).join(', ')} WHERE 0`

/** A SELECT for each part of each kind; undefined when one of them lets through more than is wanted. */
function termsOf(
  connection: Connection,
  query: EntryQuery,
  field: SortField,
): { sql: string; values: readonly SqlValue[] }[] | undefined {
  const terms: { sql: string; values: readonly SqlValue[] }[] = []
  for (const [rank, kind] of ENTRY_KINDS.entries()) {
    const plan = planKind(query, kind)
    if (plan === undefined) continue
    if (!plan.isExact) return undefined
    const has = (column: Column): boolean => COLUMNS_OF[kind].includes(column)
    const columns = COLUMNS.map((column) => (has(column) ? column : `NULL AS ${column}`)).join(', ')
    for (const scope of plan.scopes) {
      const { sql, values } = sourceOf(connection, kind, scope, plan.filter)
      terms.push({
        sql: `SELECT ${sortKeySql(kind, field)} AS sort_key, ${rank} AS rank, ${columns} ${sql}`,
        values,
      })
    }
  }
  return terms
}

/** See `sortKeyOf`. */
function sortKeySql(kind: EntryKind, field: SortField): string {
  if (field === 'kind') return `'${kind}'`
  if (kind === 'SPAMTRAP') return field === 'first' ? field : 'NULL'
  if (field === 'ip') return `${ADDRESS_KEY}(ip)`
  if (field === 'helo' || field === 'from' || field === 'to') return kind === 'GREY' ? `"${field}"` : 'NULL'
  return field
}
