/** The statements that store what a draft changed: one for each table and kind of change, from arrays. */
import { tupleText } from '../../domain/change.js'
import type { Draft } from '../../domain/draft.js'
import type { Tuple } from '../../domain/entry.js'
import type { HeldHost, HeldPool, HeldSpamtrap, HeldTuple } from '../../domain/held.js'
import { isPoolTuple } from '../../domain/pool-key.js'
import {
  columnsOf,
  digestOf,
  hostCells,
  netOf,
  poolCells,
  spamtrapCells,
  tupleCells,
  wireText,
} from './pg-rows.js'
import { HOST_COLUMNS, POOL_COLUMNS, SPAMTRAP_COLUMNS, TUPLE_COLUMNS } from './pg-schema.js'

/** Sends a statement whose answer only shows whether it succeeded. */
export type Send = (sql: string, values: readonly unknown[]) => void

/** Numbers that limits of tuples are about: tuples of addresses, those of pools, bytes of the texts of both. */
export interface TupleBalance {
  count: number
  pools: number
  bytes: number
}

/** Tuples that a transaction made and took away. */
export interface TupleTraffic {
  added: Tuple[]
  removed: Tuple[]
}

/** The key of tuples as functions on the server take it. */
export function tupleKeys(tuples: readonly Tuple[]): string[][] {
  return [tuples.map(({ ip }) => netOf(ip)), tuples.map(({ ip }) => ip), tuples.map(digestOf)]
}

/** Keys and columns of rows to be inserted, changed and deleted. */
class Writes<Key, Held> {
  readonly insert: { key: Key; held: Held }[] = []
  readonly update: { key: Key; held: Held }[] = []
  readonly remove: Key[] = []

  /** A row is there when there is an entry or marks. */
  add(key: Key, held: Held, { wasThere, isThere }: { wasThere: boolean; isThere: boolean }): void {
    if (isThere) (wasThere ? this.update : this.insert).push({ key, held })
    else if (wasThere) this.remove.push(key)
  }
}

/** Sends the statements that store what became of each entry; returns what tuples came and went. */
export function sendEntries(draft: Draft, send: Send): TupleTraffic {
  const balance: TupleTraffic = { added: [], removed: [] }
  const hosts = new Writes<string, HeldHost>()
  const tuples = new Writes<Tuple, HeldTuple>()
  const spamtraps = new Writes<string, HeldSpamtrap>()
  const pools = new Writes<string, HeldPool>()
  for (const { first, last } of draft.touched) {
    const { key } = first
    switch (key.kind) {
      case 'host': {
        const [was, is] = [first.before as HeldHost, last.after as HeldHost]
        hosts.add(key.ip, is, { wasThere: isHostThere(was), isThere: isHostThere(is) })
        break
      }
      case 'tuple': {
        const [was, is] = [first.before as HeldTuple, last.after as HeldTuple]
        tuples.add(key, is, { wasThere: isTupleThere(was), isThere: isTupleThere(is) })
        const came = Number(is.entry !== undefined) - Number(was.entry !== undefined)
        if (came > 0) balance.added.push(key)
        if (came < 0) balance.removed.push(key)
        break
      }
      case 'pool': {
        const [was, is] = [first.before as HeldPool, last.after as HeldPool]
        pools.add(key.ip, is, { wasThere: isPoolThere(was), isThere: isPoolThere(is) })
        break
      }
      // Releases have a statement of their own.
      case 'release':
        break
      case 'spamtrap': {
        const [was, is] = [first.before as HeldSpamtrap, last.after as HeldSpamtrap]
        spamtraps.add(key.address, is, { wasThere: isTrapThere(was), isThere: isTrapThere(is) })
      }
    }
  }
  sendWrites(HOST_TABLE, hosts, send)
  sendWrites(TUPLE_TABLE, tuples, send)
  sendWrites(POOL_TABLE, pools, send)
  sendWrites(SPAMTRAP_TABLE, spamtraps, send)
  return balance
}

/** How rows of a table are sent. */
interface Table<Key, Held> {
  name: string
  keysOf: (keys: readonly Key[]) => string[][]
  /** Other rows that are only inserted, as arrays. */
  textsOf?: (keys: readonly Key[]) => string[][]
  cellsOf: (held: Held) => (string | number | boolean | null)[]
  columnCount: number
  /** Rows are inserted in the order of this text on every gateway, so that no two gateways wait for each other. */
  orderOf: (key: Key) => string
}

const HOST_TABLE: Table<string, HeldHost> = {
  name: 'hosts',
  keysOf: (ips) => [ips.map(netOf), [...ips]],
  cellsOf: hostCells,
  columnCount: HOST_COLUMNS.length,
  orderOf: (ip) => ip,
}

const TUPLE_TABLE: Table<Tuple, HeldTuple> = {
  name: 'tuples',
  keysOf: tupleKeys,
  textsOf: (keys) => [
    keys.map(({ helo }) => wireText(helo)),
    keys.map(({ from }) => wireText(from)),
    keys.map(({ to }) => wireText(to)),
  ],
  cellsOf: tupleCells,
  columnCount: TUPLE_COLUMNS.length,
  orderOf: tupleText,
}

const POOL_TABLE: Table<string, HeldPool> = {
  name: 'pools',
  keysOf: (networks) => [[...networks]],
  cellsOf: poolCells,
  columnCount: POOL_COLUMNS.length,
  orderOf: (network) => network,
}

const SPAMTRAP_TABLE: Table<string, HeldSpamtrap> = {
  name: 'spamtraps',
  keysOf: (addresses) => [addresses.map(wireText)],
  cellsOf: spamtrapCells,
  columnCount: SPAMTRAP_COLUMNS.length,
  orderOf: (address) => address,
}

function sendWrites<Key, Held>(
  { name, keysOf, textsOf, cellsOf, columnCount, orderOf }: Table<Key, Held>,
  { insert, update, remove }: Writes<Key, Held>,
  send: Send,
): void {
  const call = (verb: string, values: readonly unknown[]): void => {
    send(`SELECT spamd.${verb}_${name}(${values.map((_, index) => `$${index + 1}`).join(', ')})`, values)
  }
  if (insert.length > 0) {
    const ordered = insert
      .map(({ key, held }) => ({ key, held, order: orderOf(key) }))
      .sort((one, other) => (one.order < other.order ? -1 : 1))
    const keys = ordered.map(({ key }) => key)
    const columns = columnsOf(
      ordered.map(({ held }) => cellsOf(held)),
      columnCount,
    )
    call('insert', [insert.length, ...keysOf(keys), ...(textsOf?.(keys) ?? []), ...columns])
  }
  if (update.length > 0) {
    const columns = columnsOf(
      update.map(({ held }) => cellsOf(held)),
      columnCount,
    )
    call('update', [update.length, ...keysOf(update.map(({ key }) => key)), ...columns])
  }
  if (remove.length > 0) call('delete', [remove.length, ...keysOf(remove)])
}

function isHostThere({ entry, marks }: HeldHost): boolean {
  return entry !== undefined || marks !== undefined
}

function isTupleThere({ entry, marks }: HeldTuple): boolean {
  return entry !== undefined || marks?.epoch !== undefined
}

function isTrapThere({ entry, stamp }: HeldSpamtrap): boolean {
  return entry !== undefined || stamp !== undefined
}

function isPoolThere({ entry, reset }: HeldPool): boolean {
  return entry !== undefined || reset !== undefined
}

/** What tuples that came and went change of the numbers that limits are about. */
export function balanceOf(added: readonly Tuple[], removed: readonly Tuple[]): TupleBalance {
  const balance = { count: 0, pools: 0, bytes: 0 }
  for (const [tuples, sign] of [
    [added, 1],
    [removed, -1],
  ] as const) {
    for (const tuple of tuples) {
      balance[isPoolTuple(tuple) ? 'pools' : 'count'] += sign
      balance.bytes += sign * textBytes(tuple)
    }
  }
  return balance
}

/** Bytes of the texts of a tuple, which the limit of bytes counts. */
export function textBytes({ helo, from, to }: Tuple): number {
  return helo.length + from.length + to.length
}
