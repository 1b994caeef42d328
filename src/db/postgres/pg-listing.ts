/** Listings from a server: a page at a time, each by its own statement, so that a slow reader holds nothing there. */
import { ENTRY_KINDS, type Entry, type EntryKind } from '../../domain/entry.js'
import { hostKindOf } from '../../domain/host-state.js'
import type { EntryQuery, SortField } from '../../domain/query.js'
import { compileQuery } from '../../domain/query-match.js'
import { renderEntries } from '../listing/listing-text.js'
import { EntrySorter } from '../listing/sorted-listing.js'
import { readAhead } from '../read-ahead.js'
import { openSqlite } from '../sqlite-driver.js'
import type { EntryCounts, LineForm } from '../store.js'
import { type LineKind, LineParts, linesSql, type PartBounds, textOfLines } from './pg-line-parts.js'
import type { PgLink, Row } from './pg-link.js'
import { KIND_TABLES, planServerQuery, SHOWN_COLUMNS } from './pg-query.js'

/** Rows of one page: large enough that the cost of a statement over all partitions does not show. */
const PAGE_ROWS = 10_000
/** Lines come as one text per page, without memory for each line: pages double up to this size. */
const MAX_PAGE_LINES = 80_000

/** A place in the order of a key: the texts of its columns. */
export type PageKey = readonly string[]

/** One page. */
export interface Page {
  entries: Entry[]
  /** Key of its last row; undefined at the end. */
  end: PageKey | undefined
}

interface Where {
  scope?: { low: string; high: string } | undefined
  conditions?: readonly string[]
}

/** The text of conditions contains values such as times, so a statement would be kept for each value. */
function isFixed({ conditions = [] }: Where): boolean {
  return conditions.length === 0
}

/** The `limit` rows of a kind behind `after`, inside of a scope, that meet conditions. */
// eslint-disable-next-line max-params -- one page, of which each parameter is a bound
export async function readPage(
  link: PgLink,
  call: string,
  kind: EntryKind | 'HOST',
  after: PageKey | undefined,
  limit: number,
  where: Where = {},
): Promise<Page> {
  const { key } = KIND_TABLES[kind]
  const { from, values } = pageSql(kind, after, limit, where)
  const sql = `SELECT ${key.map(({ asText }) => asText).join(', ')}, ${SHOWN_COLUMNS[kind]} ${from}`
  const rows = await link.readInOrder(call, sql, values, { isPage: isFixed(where) })
  const last = rows.length < limit ? undefined : rows.at(-1)
  return {
    entries: rows.map((row) => entryOf(kind, row)),
    end: last?.slice(0, key.length) as PageKey | undefined,
  }
}

/** Classic lines of addresses, one page of them as one text: no row becomes an object. Their texts have nothing to escape. */
async function readLines(
  link: PgLink,
  kind: LineKind,
  after: PageKey | undefined,
  limit: number,
  where: Where,
): Promise<Part<Uint8Array>> {
  const { from, values } = pageSql(kind, after, limit, where)
  const page = linesSql(kind, from)
  const sql = `SELECT ${page.lines}, count(*), max(ip) FROM ${page.from}`
  const [row] = await link.readInOrder('listText', sql, values, { isPage: isFixed(where) })
  const [lines, count, last] = row as [string | null, number, string | null]
  return {
    item: lines === null ? undefined : Buffer.from(textOfLines(kind, lines), 'latin1'),
    count,
    end: count < limit ? undefined : [last!],
  }
}

/** From where a page takes its rows, and in which order. */
function pageSql(
  kind: EntryKind | 'HOST',
  after: PageKey | undefined,
  limit: number,
  { scope, conditions = [] }: Where,
): { from: string; values: (string | number)[] } {
  const { table, key, condition } = KIND_TABLES[kind]
  const values: (string | number)[] = [limit]
  const value = (text: string, index: number): string => {
    values.push(text)
    return key[index]!.asValue(`$${values.length}`)
  }
  const terms = [condition, ...conditions]
  if (scope !== undefined)
    terms.push(`${key[0]!.column} >= ${value(scope.low, 0)}`, `${key[0]!.column} < ${value(scope.high, 0)}`)
  const columns = key.map(({ column }) => column).join(', ')
  if (after !== undefined) {
    const bounds = after.map(value)
    // The first column on its own as well: the index on it leads to where the page begins.
    terms.push(`${key[0]!.column} >= ${bounds[0]}`)
    terms.push(`(${columns}) > (${bounds.join(', ')})`)
  }
  return {
    from: `FROM spamd.${table} WHERE ${terms.join(' AND ')} ORDER BY ${columns} LIMIT $1`,
    values,
  }
}

function entryOf(kind: EntryKind | 'HOST', row: Row): Entry {
  switch (kind) {
    case 'SPAMTRAP': {
      const [address, first, comment] = row as [string, number, string | null]
      return { kind, address, first, ...(comment === null ? {} : { comment }) }
    }
    case 'POOL': {
      const [ip, pool, first, pass, expire, bcount, pcount] = row as [
        string,
        string,
        number,
        number,
        number,
        number,
        number,
      ]
      return { kind, ip, pool, first, pass, expire, bcount, pcount }
    }
    case 'GREY': {
      const [ip, helo, from, to, first, pass, expire, bcount, pcount] = row as [
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
      return { kind, ip, helo, from, to, first, pass, expire, bcount, pcount }
    }
    default: {
      const [ip, first, pass, expire, bcount, pcount, comment] = row as [
        string,
        number,
        number,
        number,
        number,
        number,
        string | null,
      ]
      const times = { first, pass, expire, bcount, pcount }
      return { kind: hostKindOf(times), ip, ...times, ...(comment === null ? {} : { comment }) }
    }
  }
}

/** See `Store.list`. */
export async function* listOnServer(
  link: PgLink,
  query: EntryQuery,
): AsyncGenerator<Entry[], void, undefined> {
  // The server makes the next page while this one is printed.
  if (query.sort === undefined) yield* readAhead(listInKeyOrder(link, query))
  else yield* listSorted(link, query, query.sort)
}

/** See `Store.listText`; `partBounds` says when a long listing is made in several parts at once, and where it is cut. */
export async function* listTextOnServer(
  link: PgLink,
  query: EntryQuery,
  form: LineForm,
  partBounds?: PartBounds,
): AsyncGenerator<Uint8Array, void, undefined> {
  const matches = compileQuery(query)
  if (query.sort !== undefined || form.name !== 'classic') {
    for await (const entries of listOnServer(link, query)) yield renderEntries(form, entries)
    return
  }
  const parts = new LineParts(link, partBounds)
  const lines = inKeyOrder(query, async (kind, after, limits, where) => {
    if ((kind === 'WHITE' || kind === 'TRAPPED') && limits.isExact) {
      const isAll = after !== undefined && limits.left === Number.POSITIVE_INFINITY
      const page = isAll ? await parts.read(kind, after[0]!, limits.lineCount, where) : undefined
      return page === undefined
        ? readLines(link, kind, after, limits.lineCount, where)
        : { item: page.lines, count: page.count, end: [page.end] }
    }
    const { item, count, end } = await readMatching(link, kind, after, limits, where, matches)
    return { item: item && renderEntries(form, item), count, end }
  })
  yield* readAhead(lines)
}

/** What one page gave: nothing, or an item that stands for `count` entries. */
interface Part<Item> {
  item: Item | undefined
  count: number
  end: PageKey | undefined
}

interface PageLimits {
  rowCount: number
  /** Number of rows in a page of lines. */
  lineCount: number
  /** Entries that are still wanted. */
  left: number
  /** True when every row of the page is wanted. */
  isExact: boolean
}

type ReadPart<Item> = (
  kind: EntryKind,
  after: PageKey | undefined,
  limits: PageLimits,
  where: Where,
) => Promise<Part<Item>>

/** Page after page of what a query wants, without its `sort`, as `read` takes them. */
async function* inKeyOrder<Item>(
  query: EntryQuery,
  read: ReadPart<Item>,
): AsyncGenerator<Item, void, undefined> {
  let left = query.limit ?? Number.POSITIVE_INFINITY
  for (const kind of ENTRY_KINDS) {
    const plan = planServerQuery(query, kind)
    if (plan === undefined) continue
    const { conditions, isExact } = plan
    for (const scope of plan.scopes) {
      let after: PageKey | undefined
      let maxLines = PAGE_ROWS
      do {
        if (left <= 0) return
        const rowCount = isExact ? Math.min(PAGE_ROWS, left) : PAGE_ROWS
        const lineCount = Math.min(maxLines, left)
        maxLines = Math.min(maxLines * 2, MAX_PAGE_LINES)
        const part = await read(kind, after, { rowCount, lineCount, left, isExact }, { scope, conditions })
        left -= part.count
        if (part.item !== undefined) yield part.item
        after = part.end
      } while (after !== undefined)
    }
  }
}

// eslint-disable-next-line max-params -- as readPage, with the condition
async function readMatching(
  link: PgLink,
  kind: EntryKind,
  after: PageKey | undefined,
  { rowCount, left, isExact }: PageLimits,
  where: Where,
  matches: (entry: Entry) => boolean,
): Promise<Part<Entry[]>> {
  const { entries, end } = await readPage(link, 'list', kind, after, rowCount, where)
  const wanted = isExact ? entries : entries.filter(matches)
  if (wanted.length > left) wanted.length = left
  return { item: wanted.length > 0 ? wanted : undefined, count: wanted.length, end }
}

function listInKeyOrder(link: PgLink, query: EntryQuery): AsyncGenerator<Entry[], void, undefined> {
  const matches = compileQuery(query)
  return inKeyOrder(query, (kind, after, limits, where) =>
    readMatching(link, kind, after, limits, where, matches),
  )
}

/** Sorted on this machine, in a temporary file of SQLite: in the same order as the other store, and in bounded memory. */
async function* listSorted(
  link: PgLink,
  query: EntryQuery,
  field: SortField,
): AsyncGenerator<Entry[], void, undefined> {
  const { limit, sort: _sort, isDescending, ...conditions } = query
  const database = openSqlite('', {})
  try {
    const sorter = new EntrySorter(
      { database, read: (_call, body) => body(), nextTemporaryNumber: () => 1 },
      field,
    )
    for await (const entries of listInKeyOrder(link, conditions)) sorter.add(entries)
    yield* sorter.sorted(limit, isDescending === true ? 'DESC' : 'ASC')
  } finally {
    database.close()
  }
}

/** See `Store.count`. */
export async function countOnServer(link: PgLink, query: EntryQuery): Promise<EntryCounts> {
  const counts: EntryCounts = { WHITE: 0, TRAPPED: 0, SPAMTRAP: 0, GREY: 0, POOL: 0 }
  const { limit: _limit, sort: _sort, ...conditions } = query
  for (const kind of ENTRY_KINDS) {
    const plan = planServerQuery(conditions, kind)
    if (plan === undefined) continue
    if (plan.isExact && plan.scopes.every((scope) => scope === undefined)) {
      const { table, condition } = KIND_TABLES[kind]
      const where = [condition, ...plan.conditions].join(' AND ')
      const [row] = await link.read('count', (statements) =>
        statements.rows(`SELECT count(*) FROM spamd.${table} WHERE ${where}`),
      )
      counts[kind] = row![0] as number
      continue
    }
    for await (const entries of listInKeyOrder(link, { ...conditions, kinds: [kind] }))
      counts[kind] += entries.length
  }
  return counts
}
