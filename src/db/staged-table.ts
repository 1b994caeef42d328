/** Entries that an import has put aside, in a database of their own that is attached as `staging` (bulk-load.ts). */
import type { Entry } from '../domain/entry.js'
import { TRAPPED_PCOUNT } from '../domain/host-state.js'
import type { SqliteDatabase, SqliteStatement, SqlValue } from './sqlite-driver.js'

/** Where a kind of entry is stored and put aside. */
export interface StagedColumns {
  name: 'hosts' | 'tuples' | 'spamtraps'
  /** The columns of the key, which hold bytes from the wire. */
  key: readonly string[]
  others: readonly string[]
  entryOf: (key: readonly string[], others: readonly (number | string | null)[]) => Entry
}

/** The columns of each table. */
export const STAGED = {
  hosts: {
    name: 'hosts',
    key: ['ip'],
    others: ['first', 'pass', 'expire', 'bcount', 'pcount', 'comment'],
    entryOf: ([ip = ''], others) => {
      const [first, pass, expire, bcount, pcount, comment] = others as [...Times, string | null]
      const kind = pcount === TRAPPED_PCOUNT ? 'TRAPPED' : 'WHITE'
      return { kind, ip, first, pass, expire, bcount, pcount, ...(comment !== null && { comment }) }
    },
  },
  tuples: {
    name: 'tuples',
    key: ['ip', 'helo', '"from"', '"to"'],
    others: ['first', 'pass', 'expire', 'bcount', 'pcount'],
    entryOf: ([ip = '', helo = '', from = '', to = ''], others) => {
      const [first, pass, expire, bcount, pcount] = others as Times
      return { kind: 'GREY', ip, helo, from, to, first, pass, expire, bcount, pcount }
    },
  },
  spamtraps: {
    name: 'spamtraps',
    key: ['address'],
    others: ['first', 'comment'],
    entryOf: ([address = ''], others) => {
      const [first, comment] = others as [number, string | null]
      return { kind: 'SPAMTRAP', address, first, ...(comment !== null && { comment }) }
    },
  },
} as const satisfies Record<string, StagedColumns>

type Times = [number, number, number, number, number]

/** Maximum number of rows per statement: more gain nothing. */
const ROWS_PER_STATEMENT = 32
/** Entries that are read back at a time. */
const SLICE_ROWS = 2000

/** One table of staged entries, filled many rows at a time. */
export class StagedTable {
  readonly columns: StagedColumns
  rowCount = 0
  readonly #database: SqliteDatabase
  readonly #values: SqlValue[] = []
  readonly #columnCount: number
  readonly #insertMany: SqliteStatement
  readonly #insertOne: SqliteStatement
  #hasBytes = false

  /** Creates the table. */
  constructor(database: SqliteDatabase, columns: StagedColumns) {
    this.columns = columns
    this.#database = database
    const { name, key, others } = columns
    this.#columnCount = key.length + others.length
    const types = others.map((column) => `${column} ${column === 'comment' ? 'TEXT' : 'INTEGER'}`)
    database.exec(`CREATE TABLE staging.staged_${name} (${key.join(' TEXT, ')} TEXT, ${types.join(', ')});
      CREATE TABLE staging.chosen_${name} (place INTEGER PRIMARY KEY, staged INTEGER)`)
    const places = (text: string): string =>
      `(${[...Array<string>(key.length).fill(text), ...Array<string>(others.length).fill('?')].join(', ')})`
    const into = `INSERT INTO staging.staged_${name} VALUES`
    const rows = Array<string>(ROWS_PER_STATEMENT).fill(places('?'))
    this.#insertMany = database.prepare<unknown[], unknown>(`${into} ${rows.join(', ')}`)
    this.#insertOne = database.prepare<unknown[], unknown>(`${into} ${places('CAST(? AS TEXT)')}`)
  }

  /** The values of one row, those of the key first. */
  add(keyValues: readonly SqlValue[], otherValues: readonly SqlValue[]): void {
    for (const value of keyValues) {
      this.#values.push(value)
      if (typeof value === 'object') this.#hasBytes = true
    }
    for (const value of otherValues) this.#values.push(value)
    this.rowCount += 1
    if (this.#values.length === ROWS_PER_STATEMENT * this.#columnCount) this.flush()
  }

  /** Stores the remaining rows. */
  flush(): void {
    if (this.#values.length === ROWS_PER_STATEMENT * this.#columnCount && !this.#hasBytes) {
      this.#insertMany.run(...this.#values)
    } else {
      for (let start = 0; start < this.#values.length; start += this.#columnCount) {
        this.#insertOne.run(...this.#values.slice(start, start + this.#columnCount))
      }
    }
    this.#values.length = 0
    this.#hasBytes = false
  }

  /** Entries that meet a condition, in the order of their keys and, for one key, in that of arrival; a slice at a time. */
  *chosen(condition: string, values: Readonly<Record<string, SqlValue>>): Generator<Entry[]> {
    const { name, key, others, entryOf } = this.columns
    this.#database.exec(`DELETE FROM staging.chosen_${name}`)
    const { changes } = this.#database
      .prepare(
        `INSERT INTO staging.chosen_${name} (staged) SELECT rowid FROM staging.staged_${name}
         WHERE ${condition} ORDER BY ${key.join(', ')}, rowid`,
      )
      .run(values)
    const slice = this.#database
      .prepare<unknown[], unknown>(
        `SELECT ${key.map((column) => `CAST(${column} AS BLOB)`).join(', ')}, ${others.join(', ')}
         FROM staging.chosen_${name} CROSS JOIN staging.staged_${name} AS s ON s.rowid = staged
         WHERE place > ? AND place <= ? ORDER BY place`,
      )
      .raw()
    for (let start = 0; start < changes; start += SLICE_ROWS) {
      const rows = slice.all(start, start + SLICE_ROWS) as (Buffer | number | string | null)[][]
      yield rows.map((row) => {
        const texts = row.slice(0, key.length).map((bytes) => (bytes as Buffer).toString('latin1'))
        return entryOf(texts, row.slice(key.length) as (number | string | null)[])
      })
    }
  }

  /** Removes the entries that were last chosen. */
  dropChosen(): void {
    const { name } = this.columns
    this.#database.exec(
      `DELETE FROM staging.staged_${name} WHERE rowid IN (SELECT staged FROM staging.chosen_${name})`,
    )
  }
}
