/** Which table, key and condition each kind of entry has; everything that walks or reads rows asks here. */
import type { EntryKind } from '../../domain/entry.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'

/** What can be walked: one kind, or the records of addresses whatever their kind. */
export type RangeKind = EntryKind | 'HOST'

/** Rows on which SQL can be evaluated, however they were selected. */
export interface EntryRows {
  /** Evaluates SQL aggregates, separated by commas, over those of the rows that meet `filter` with its `values`. */
  select(aggregates: string, filter?: string, values?: readonly SqlValue[]): readonly unknown[]
}

/** The rows of entries, as they are read: the key of a pool is called as that of the others. */
export type RowTable = 'hosts' | 'spamtraps' | 'tuples' | 'pools'

/** How a kind is stored: its table, key columns and condition. */
interface KindTable {
  table: RowTable
  columns: readonly string[]
  condition: string
}

/** The table behind each kind. */
export const KIND_TABLES: Readonly<Record<RangeKind, KindTable>> = {
  HOST: { table: 'hosts', columns: ['ip'], condition: 'true' },
  WHITE: { table: 'hosts', columns: ['ip'], condition: 'pcount <> -1' },
  TRAPPED: { table: 'hosts', columns: ['ip'], condition: 'pcount = -1' },
  SPAMTRAP: { table: 'spamtraps', columns: ['address'], condition: 'true' },
  POOL: { table: 'pools', columns: ['ip'], condition: 'true' },
  GREY: { table: 'tuples', columns: ['ip', 'helo', '"from"', '"to"'], condition: 'true' },
}

/** Where the rows of each table are. */
const ROW_SOURCES: Readonly<Record<RowTable, string>> = {
  hosts: 'hosts',
  spamtraps: 'spamtraps',
  tuples: 'tuples',
  pools: '(SELECT network AS ip, pool, first, pass, expire, bcount, pcount FROM pool_networks)',
}

/** A database older than pools, opened read-only, has no table of them. */
const NO_POOLS =
  "(SELECT '' AS ip, '' AS pool, 0 AS first, 0 AS pass, 0 AS expire, 0 AS bcount, 0 AS pcount WHERE 0)"

/** What stands behind FROM for the rows of a table. */
export function rowSourceOf(connection: Connection, table: RowTable): string {
  return table === 'pools' && !connection.hasMarks ? NO_POOLS : ROW_SOURCES[table]
}
