import type { OpenedByKey } from '../../domain/draft.js'
import type { PoolEntry } from '../../domain/entry.js'
import type { Connection } from '../connection.js'
import { wireValue } from './wire-value.js'

const SELECT =
  'SELECT CAST(pool AS BLOB), first, pass, expire, bcount, pcount FROM pool_networks WHERE network = ?'
const SLICE =
  'SELECT network, CAST(pool AS BLOB), first, pass, expire, bcount, pcount FROM pool_networks WHERE network > ? ORDER BY network LIMIT ?'
const IS_EMPTY = 'SELECT NOT EXISTS (SELECT 1 FROM pool_networks)'
const PUT =
  'INSERT OR REPLACE INTO pool_networks (network, pool, first, pass, expire, bcount, pcount) VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, ?)'
const DELETE = 'DELETE FROM pool_networks WHERE network = ?'
const OPENED = `SELECT count(*), coalesce(max(expire) FILTER (WHERE network NOT IN (SELECT value FROM json_each(?))), 0)
  FROM pool_networks WHERE pool = CAST(? AS TEXT)`

type PoolRow = [Buffer, number, number, number, number, number]

function poolOf(ip: string, [pool, first, pass, expire, bcount, pcount]: PoolRow): PoolEntry {
  return { kind: 'POOL', ip, pool: pool.toString('latin1'), first, pass, expire, bcount, pcount }
}

/** Networks opened by pools of senders; the caller owns the transaction. */
export class PoolTable {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** True in most databases: nothing has to be looked up then. */
  get isEmpty(): boolean {
    if (!this.#connection.hasMarks) return true
    return (this.#connection.prepareRaw(IS_EMPTY).get() as [number])[0] === 1
  }

  get(network: string): PoolEntry | undefined {
    const row = this.#connection.prepareRaw(SELECT).get(network) as PoolRow | undefined
    return row && poolOf(network, row)
  }

  /** The next `limit` networks behind one, in the order of their text. */
  slice(after: string, limit: number): PoolEntry[] {
    const rows = this.#connection.prepareRaw(SLICE).all(after, limit) as [string, ...PoolRow][]
    return rows.map(([network, ...row]) => poolOf(network, row))
  }

  put({ ip, pool, first, pass, expire, bcount, pcount }: PoolEntry): void {
    this.#connection.prepare(PUT).run(ip, wireValue(pool), first, pass, expire, bcount, pcount)
  }

  delete(network: string): void {
    this.#connection.prepare(DELETE).run(network)
  }

  /** What a key has opened: bounded by the limits of decide-pools.ts. `loadedJson`: a list of the networks that are loaded. */
  opened(pool: string, loadedJson: string): OpenedByKey {
    const row = this.#connection.prepareRaw(OPENED).get(loadedJson, wireValue(pool))
    const [count, lastExpire] = row as [number, number]
    return { count, lastExpire }
  }
}
