import type { Entry, EntryKey } from '../../domain/entry.js'
import { hostKindOf } from '../../domain/host-state.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'
import { type EntryRows, KIND_TABLES, type RangeKind, type RowTable, rowSourceOf } from './kind-tables.js'
import { wireValue } from './wire-value.js'

/**
 * Rows become entries here: SQLite joins the fields of many rows with NUL, which no field holds, into one
 * blob. Unlike a text column, a blob keeps bytes that are not valid UTF-8, and it costs less than row objects.
 */
const FIELDS: Readonly<Record<RowTable, readonly string[]>> = {
  hosts: ['ip', 'first', 'pass', 'expire', 'bcount', 'pcount', "coalesce(comment, '')"],
  spamtraps: ['address', 'first', "coalesce(comment, '')"],
  pools: ['ip', 'pool', 'first', 'pass', 'expire', 'bcount', 'pcount'],
  tuples: ['ip', 'helo', '"from"', '"to"', 'first', 'pass', 'expire', 'bcount', 'pcount'],
}

/** The entries of one range, in the order of its key; `filter` is an SQL condition on their columns, with its values. */
export function entriesOfRange(
  kind: RangeKind,
  range: EntryRows,
  filter?: string,
  values?: readonly SqlValue[],
): Entry[] {
  const table = KIND_TABLES[kind].table
  const [blob] = range.select(joinedFields(table), filter, values)
  return decodeRows(table, blob)
}

/** The entry under a key, undefined when there is none. */
export function getEntry(connection: Connection, key: EntryKey): Entry | undefined {
  switch (key.kind) {
    case 'host':
      return selectEntry(connection, 'hosts', { ip: key.ip })
    case 'spamtrap':
      return selectEntry(connection, 'spamtraps', { address: key.address })
    case 'pool':
      return selectEntry(connection, 'pools', { ip: key.ip })
    case 'tuple':
      return selectEntry(connection, 'tuples', { ip: key.ip, helo: key.helo, from: key.from, to: key.to })
  }
}

function selectEntry(
  connection: Connection,
  table: RowTable,
  key: Readonly<Record<string, string>>,
): Entry | undefined {
  const condition = Object.keys(key)
    .map((column) => `"${column}" = CAST(? AS TEXT)`)
    .join(' AND ')
  const statement = connection.prepare(
    `SELECT ${joinedFields(table)} FROM ${rowSourceOf(connection, table)} WHERE ${condition}`,
  )
  const [blob] = statement.raw().get(...Object.values(key).map(wireValue)) as unknown[]
  return decodeRows(table, blob)[0]
}

function joinedFields(table: RowTable): string {
  return `CAST(group_concat(${FIELDS[table].join(' || char(0) || ')}, char(0)) AS BLOB)`
}

/** `blob` as made by `joinedFields`; NULL when there were no rows. */
function decodeRows(table: RowTable, blob: unknown): Entry[] {
  const entries: Entry[] = []
  if (blob === null) return entries
  const texts = (blob as Buffer).toString('latin1').split('\0')
  const step = FIELDS[table].length
  for (let at = 0; at < texts.length; at += step) entries.push(decodeRow(table, texts, at))
  return entries
}

function decodeRow(table: RowTable, texts: readonly string[], at: number): Entry {
  switch (table) {
    case 'hosts': {
      const times = decodeTimes(texts, at + 1)
      return { kind: hostKindOf(times), ip: texts[at]!, ...times, ...decodeComment(texts[at + 6]!) }
    }
    case 'spamtraps':
      return {
        kind: 'SPAMTRAP',
        address: texts[at]!,
        first: Number(texts[at + 1]),
        ...decodeComment(texts[at + 2]!),
      }
    case 'pools':
      return { kind: 'POOL', ip: texts[at]!, pool: texts[at + 1]!, ...decodeTimes(texts, at + 2) }
    case 'tuples':
      return {
        kind: 'GREY',
        ip: texts[at]!,
        helo: texts[at + 1]!,
        from: texts[at + 2]!,
        to: texts[at + 3]!,
        ...decodeTimes(texts, at + 4),
      }
  }
}

function decodeTimes(texts: readonly string[], at: number) {
  return {
    first: Number(texts[at]),
    pass: Number(texts[at + 1]),
    expire: Number(texts[at + 2]),
    bcount: Number(texts[at + 3]),
    pcount: Number(texts[at + 4]),
  }
}

/** Comments are ordinary text: their bytes are UTF-8. */
function decodeComment(bytes: string): { comment?: string } {
  return bytes === '' ? {} : { comment: Buffer.from(bytes, 'latin1').toString('utf8') }
}
