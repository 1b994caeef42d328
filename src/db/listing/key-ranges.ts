import type { TextRange } from '../../ip/text-ranges.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'
import {
  type EntryRows,
  KIND_TABLES,
  type RangeKind,
  type RowTable,
  rowSourceOf,
} from '../tables/kind-tables.js'
import { wireValue } from '../tables/wire-value.js'

/** Rows of one range: enough that the cost of a statement does not show, few enough for bounded memory. */
export const RANGE_ROWS = 2000

/** A stretch of rows in the order of their key. */
export interface KeyRange extends EntryRows {
  /** Key of its last row (of its first when descending), where the next range begins; undefined at the end. */
  end: SqlValue[] | undefined
}

/** A part of a kind: what one address has, or all whose address has a text from `low` to before `high`. */
export type KeyScope = { ip: string } | TextRange

/** Columns of the visible part of an entry: a sort needs no others. */
const ENTRY_COLUMNS: Readonly<Record<RowTable, string>> = {
  hosts: 'ip, first, pass, expire, bcount, pcount, comment',
  spamtraps: 'address, first, comment',
  tuples: 'ip, helo, "from", "to", first, pass, expire, bcount, pcount',
  pools: 'ip, pool, first, pass, expire, bcount, pcount',
}

/** A key of the given kind that sorts before all others. */
export function firstKey(kind: RangeKind): SqlValue[] {
  return KIND_TABLES[kind].columns.map(() => '')
}

/**
 * The `rowCount` rows that follow the key `after`, without `after` itself, or the first ones; with `scope` only
 * those inside it. An aggregate such as group_concat sees them in the order of the key, which is the order of the table.
 */
export function findRange(
  connection: Connection,
  kind: RangeKind,
  after: readonly SqlValue[] | undefined,
  rowCount: number,
  scope?: KeyScope,
): KeyRange {
  return findRangeFrom(connection, kind, after, rowCount, UP, scope)
}

/** Evaluates SQL aggregates, separated by commas, over all rows of a kind inside `scope` that meet `filter`. */
export function selectWhole(
  connection: Connection,
  kind: RangeKind,
  aggregates: string,
  scope?: KeyScope,
  filter?: string,
): readonly unknown[] {
  const { table, condition } = KIND_TABLES[kind]
  const within = scopeCondition(scope, true)
  const where = `${condition}${within.sql}${filter === undefined ? '' : ` AND (${filter})`}`
  // Without WHERE, SQLite counts the rows of a page at once.
  const ofRows = where === 'true' ? '' : ` WHERE ${where}`
  const statement = connection.prepare(`SELECT ${aggregates} FROM ${rowSourceOf(connection, table)}${ofRows}`)
  return statement.raw().get(...within.values) as unknown[]
}

/** SQL from FROM on, with its values: the rows of a kind inside `scope` that meet `filter`. */
export function sourceOf(
  connection: Connection,
  kind: RangeKind,
  scope: KeyScope | undefined,
  filter: string | undefined,
): { sql: string; values: readonly SqlValue[] } {
  const { table, condition } = KIND_TABLES[kind]
  const within = scopeCondition(scope, true)
  const where = `${condition}${within.sql}${filter === undefined ? '' : ` AND (${filter})`}`
  return { sql: `FROM ${rowSourceOf(connection, table)} WHERE ${where}`, values: within.values }
}

/** What `findFirst` sorts by and how many rows it takes. */
export interface FirstOf {
  /** SQL terms in front of the key; empty for the order of the key. */
  order: string
  limit: number
}

/**
 * The rows of a kind inside `scope` that meet `filter` and come first in an order: SQLite keeps no more of them while
 * it looks at all.
 */
export function findFirst(
  connection: Connection,
  kind: RangeKind,
  scope: KeyScope | undefined,
  filter: string | undefined,
  { order, limit }: FirstOf,
): KeyRange {
  const { table, columns } = KIND_TABLES[kind]
  const { sql, values } = sourceOf(connection, kind, scope, filter)
  const orderBy = [...(order === '' ? [] : [order]), ...columns].join(', ')
  const rows = `SELECT ${ENTRY_COLUMNS[table]} ${sql} ORDER BY ${orderBy} LIMIT ${limit}`
  return {
    end: undefined,
    select: (aggregates) => {
      const statement = connection.prepare(`SELECT ${aggregates} FROM (${rows})`)
      return statement.raw().get(...values) as unknown[]
    },
  }
}

/** The `rowCount` rows that precede the key `before`, without `before` itself; undefined is after the last. */
export function findRangeBefore(
  connection: Connection,
  kind: RangeKind,
  before: readonly SqlValue[] | undefined,
  rowCount: number,
): KeyRange {
  return findRangeFrom(connection, kind, before, rowCount, DOWN)
}

const UP = { beyond: '>', upTo: '<=', order: 'ASC' }
const DOWN = { beyond: '<', upTo: '>=', order: 'DESC' }

// eslint-disable-next-line max-params -- one statement, of which each parameter is a part
function findRangeFrom(
  connection: Connection,
  kind: RangeKind,
  start: readonly SqlValue[] | undefined,
  rowCount: number,
  direction: typeof UP,
  scope?: KeyScope,
): KeyRange {
  const { table, columns, condition } = KIND_TABLES[kind]
  const key = rowValue(columns)
  const bounds = start ?? []
  const beyond =
    start === undefined
      ? ''
      : ` AND ${key} ${direction.beyond} ${rowValue(columns.map((_, index) => boundText(start[index])))}`
  const within = scopeCondition(scope, start === undefined)
  const from = `FROM ${rowSourceOf(connection, table)} WHERE ${condition}${within.sql}${beyond}`
  const blobs = columns.map((column) => `CAST(${column} AS BLOB)`).join(', ')
  const order = columns.map((column) => `${column} ${direction.order}`).join(', ')
  const findEnd = `SELECT ${blobs} ${from} ORDER BY ${order} LIMIT 1 OFFSET ?`
  const found = connection
    .prepare(findEnd)
    .raw()
    .get(...within.values, ...bounds, rowCount - 1) as Buffer[] | undefined
  const end = found?.map(asBound)
  const upTo = end === undefined ? '' : ` AND ${key} ${direction.upTo} ${rowValue(end.map(boundText))}`
  return {
    end,
    select: (aggregates, filter, values = []) => {
      const where = `${from}${upTo}${filter === undefined ? '' : ` AND (${filter})`}`
      const statement = connection.prepare(`SELECT ${aggregates} ${where}`)
      return statement.raw().get(...within.values, ...bounds, ...(end ?? []), ...values) as unknown[]
    },
  }
}

/**
 * Walks one kind, or a part of it, in the order of its key, RANGE_ROWS rows a step, and yields what `visit` makes of each
 * range. Every statement ends before its value is handed out, so that a slow consumer holds nothing in the
 * database.
 */
export function* walkRanges<Value>(
  connection: Connection,
  call: string,
  kind: RangeKind,
  visit: (range: KeyRange) => Value,
  scope?: KeyScope,
): Generator<Value> {
  let after: SqlValue[] | undefined
  do {
    const start: SqlValue[] | undefined = after
    const step: { end: SqlValue[] | undefined; value: Value } = connection.read(call, () => {
      const range = findRange(connection, kind, start, RANGE_ROWS, scope)
      return { end: range.end, value: visit(range) }
    })
    yield step.value
    after = step.end
  } while (after !== undefined)
}

/**
 * The condition of a scope. After its first rows, where the key itself is the lower bound, `low` is left out:
 * with two lower bounds SQLite may start from the lesser one and skip rows.
 */
function scopeCondition(
  scope: KeyScope | undefined,
  isStart: boolean,
): { sql: string; values: readonly SqlValue[] } {
  if (scope === undefined) return { sql: '', values: [] }
  if ('ip' in scope) {
    const value = wireValue(scope.ip)
    return { sql: ` AND ip = ${boundText(value)}`, values: [value] }
  }
  if (!isStart) return { sql: ' AND ip < ?', values: [scope.high] }
  return { sql: ' AND ip >= ? AND ip < ?', values: [scope.low, scope.high] }
}

/**
 * ASCII text is bound unchanged: SQLite then seeks by all columns of a key at once. With a CAST, which other
 * bytes need, it seeks only by the address and skips rows from there.
 */
function asBound(bytes: Buffer): SqlValue {
  return wireValue(bytes.toString('latin1'))
}

function boundText(value: SqlValue | undefined): string {
  return Buffer.isBuffer(value) ? 'CAST(? AS TEXT)' : '?'
}

function rowValue(terms: readonly string[]): string {
  return terms.length === 1 ? terms[0]! : `(${terms.join(', ')})`
}
