import type { EntryKey, Tuple } from '../../domain/entry.js'
import type { Connection } from '../connection.js'
import { wireValue } from './wire-value.js'

const SELECT = 'SELECT marks FROM removed WHERE key = CAST(? AS TEXT)'
const IS_EMPTY = 'SELECT NOT EXISTS (SELECT 1 FROM removed)'
const PLACES = 'SELECT j.key FROM json_each(?) AS j CROSS JOIN removed ON removed.key = j.value'
const PUT = 'INSERT OR REPLACE INTO removed VALUES (CAST(? AS TEXT), ?)'
const SLICE = 'SELECT CAST(key AS BLOB), marks FROM removed WHERE key > CAST(? AS TEXT) ORDER BY key LIMIT ?'
const DELETE = 'DELETE FROM removed WHERE key = CAST(? AS TEXT)'

/** Marks of what was deleted, by the text of its key; the caller owns the transaction. */
export class RemovedTable {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** True in most databases: nothing has to be looked up then. */
  get isEmpty(): boolean {
    if (!this.#connection.hasMarks) return true
    return (this.#connection.prepareRaw(IS_EMPTY).get() as [number])[0] === 1
  }

  /** True when there are some of the `rows` of one kind. */
  hasAny(rows: string): boolean {
    const select = `SELECT EXISTS (SELECT 1 FROM removed WHERE ${rows})`
    return (this.#connection.prepareRaw(select).get() as [number])[0] === 1
  }

  get(key: string): Buffer | undefined {
    if (!this.#connection.hasMarks) return undefined
    const row = this.#connection.prepareRaw(SELECT).get(wireValue(key)) as [Buffer] | undefined
    return row?.[0]
  }

  /** The places of those keys of a key list that have marks here. */
  placesOf(list: string): number[] {
    return this.#connection.prepareRaw(PLACES).pluck().all(list) as number[]
  }

  put(key: string, marks: Buffer): void {
    this.#connection.prepare(PUT).run(wireValue(key), marks)
  }

  /** The next `limit` of them after a key, in the order of their keys. */
  slice(after: string, limit: number): { key: string; marks: Buffer }[] {
    const rows = this.#connection.prepareRaw(SLICE).all(wireValue(after), limit) as [Buffer, Buffer][]
    return rows.map(([key, marks]) => ({ key: key.toString('latin1'), marks }))
  }

  delete(key: string): void {
    this.#connection.prepare(DELETE).run(wireValue(key))
  }
}

/** What a key of this table stands for; addresses begin with neither sign. */
const SPAMTRAP_SIGN = '@'
const TUPLE_SIGN = '#'
/** What sorts behind all keys with one of the signs. */
const AFTER_SPAMTRAPS = 'A'
const AFTER_TUPLES = '$'

/** SQL: the rows of one kind, and the key of an entry among them, from its own columns. */
export interface RemovedKeys {
  rows: string
  keyOf: string
}

/** See `RemovedKeys`; `keyOf` is what `removedTupleKey` is for tuples. */
export const REMOVED_KEYS: Readonly<Record<'host' | 'spamtrap' | 'tuple', RemovedKeys>> = {
  host: {
    rows: `(key < '${TUPLE_SIGN}' OR key >= '${AFTER_TUPLES}' AND key < '${SPAMTRAP_SIGN}' OR key >= '${AFTER_SPAMTRAPS}')`,
    keyOf: 'ip',
  },
  spamtrap: {
    rows: `(key >= '${SPAMTRAP_SIGN}' AND key < '${AFTER_SPAMTRAPS}')`,
    keyOf: `'${SPAMTRAP_SIGN}' || address`,
  },
  tuple: {
    rows: `(key >= '${TUPLE_SIGN}' AND key < '${AFTER_TUPLES}')`,
    keyOf: `'${TUPLE_SIGN}' || octet_length(ip) || ',' || octet_length(helo) || ',' || octet_length("from") || ';'
      || ip || helo || "from" || "to"`,
  },
}

/** The key under which the deletion of a tuple is kept: lengths tell its fields apart, since a key holds no NUL. */
export function removedTupleKey({ ip, helo, from, to }: Tuple): string {
  return `${TUPLE_SIGN}${ip.length},${helo.length},${from.length};${ip}${helo}${from}${to}`
}

/** What was deleted, by the text of its key. */
export function removedKeyOf(text: string): EntryKey {
  if (text.startsWith(SPAMTRAP_SIGN)) return { kind: 'spamtrap', address: text.slice(1) }
  if (!text.startsWith(TUPLE_SIGN)) return { kind: text.includes('/') ? 'pool' : 'host', ip: text }
  const end = text.indexOf(';')
  const fields = text.slice(end + 1)
  const [ip = 0, helo = 0, from = 0] = text.slice(1, end).split(',').map(Number)
  return {
    kind: 'tuple',
    ip: fields.slice(0, ip),
    helo: fields.slice(ip, ip + helo),
    from: fields.slice(ip + helo, ip + helo + from),
    to: fields.slice(ip + helo + from),
  }
}
