/** Data that a server keeps beside entries: counters, times, and how far other gateways were followed. */
import { HOUR_SEC, type HourlyCount } from '../../domain/hourly-counts.js'
import type { ClockReading, SyncPeer, SyncState } from '../store.js'
import type { PgLink } from './pg-link.js'
import type { Send } from './pg-writes.js'

const READ_CLOCK = `SELECT coalesce((SELECT max(at) FROM spamd.history WHERE at <= $1 + 86400), 0)::bigint, count(*),
  count(*) FILTER (WHERE expire <> 0 AND expire <= $1) FROM spamd.hosts WHERE kind = 'WHITE'`
const TUPLE_COUNT = 'SELECT coalesce(sum(tuple_count), 0)::bigint FROM spamd.totals'
const READ_COUNTS = `SELECT hour, name, label, sum(count)::bigint FROM spamd.hourly_counts WHERE hour >= $1
  GROUP BY hour, name, label ORDER BY hour, name COLLATE "C", label COLLATE "C"`
const ADD_COUNTS = 'SELECT spamd.add_counts($1, $2, $3, $4, $5, 0, 0, 0)'
const READ_PEERS = 'SELECT node, name, position, newest, number, heard FROM spamd.sync_peers ORDER BY node'
/** Numbers only increase: a daemon and a pull may both know something. A pull knows no address. */
const PUT_PEER = `INSERT INTO spamd.sync_peers AS p VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (node) DO UPDATE SET
  name = CASE WHEN excluded.name = '' THEN p.name ELSE excluded.name END,
  ${['position', 'newest', 'number', 'heard'].map((column) => `${column} = greatest(p.${column}, excluded.${column})`).join(', ')}`
/** See `Store.readClock`. */
export function readClock(link: PgLink, now: number): Promise<ClockReading> {
  return link.read('readClock', async (statements) => {
    const [row] = await statements.rows(READ_CLOCK, [Math.floor(now)])
    const [newestSec, whiteCount, expiringCount] = row as [number, number, number]
    return { newestSec, whiteCount, expiringCount }
  })
}

/** See `Store.tupleCount`. */
export function readTupleCount(link: PgLink): Promise<number> {
  return link.read('tupleCount', async (statements) => {
    const [row] = await statements.rows(TUPLE_COUNT)
    return row![0] as number
  })
}

/** See `Store.countTuplesBefore`. */
export function countTuplesBefore(link: PgLink, times: readonly number[]): Promise<number[]> {
  if (times.length === 0) return Promise.resolve([])
  const columns = times.map((_, index) => `count(*) FILTER (WHERE first < $${index + 1})`)
  return link.read('count', async (statements) => {
    const [row] = await statements.rows(
      `SELECT ${columns.join(', ')} FROM spamd.tuples WHERE NOT is_removed`,
      [...times],
    )
    return row as number[]
  })
}

/** See `Store.readCounts`. */
export function readCounts(link: PgLink, sinceSec: number): Promise<HourlyCount[]> {
  return link.read('readCounts', async (statements) => {
    const rows = await statements.rows(READ_COUNTS, [Math.floor(sinceSec / HOUR_SEC) * HOUR_SEC])
    return (rows as unknown as [number, string, string, number][]).map(([hour, name, label, count]) => ({
      hour,
      name,
      label,
      count,
    }))
  })
}

/** See `Store.addCounts`; `slot` is the gateway's. */
export async function addCounts(
  link: PgLink,
  slot: number,
  counts: readonly Omit<HourlyCount, 'hour'>[],
  now: number,
): Promise<void> {
  if (counts.length === 0) return
  const hour = Math.floor(now / HOUR_SEC) * HOUR_SEC
  const columns = [
    counts.map(({ name }) => name),
    counts.map(({ label }) => label),
    counts.map(({ count }) => count),
  ]
  await link.write('addCounts', (statements) => statements.rows(ADD_COUNTS, [slot, hour, ...columns]))
}

/** See `Store.syncState`; changes on a server have no number that lasts. */
export function readSyncState(link: PgLink, node: number): Promise<SyncState> {
  return link.read('syncState', async (statements) => {
    const rows = await statements.rows(READ_PEERS)
    const peers = (rows as unknown as [number, string, number, number, number, number][]).map(
      ([peer, name, position, newest, number, heard]) => ({
        node: peer,
        name,
        position,
        newest,
        number,
        heard,
      }),
    )
    return { node, newest: 0, peers }
  })
}

/** See `Store.saveSyncPeers`. */
export function saveSyncPeers(link: PgLink, peers: readonly SyncPeer[]): Promise<void> {
  return link.write('saveSyncPeers', async (statements) => {
    for (const peer of peers) await statements.rows(PUT_PEER, peerValues(peer))
  })
}

/** Sends what is known of a gateway with a transaction. */
export function sendSyncPeer(peer: SyncPeer, send: Send): void {
  send(PUT_PEER, peerValues(peer))
}

function peerValues({ node, name, position, newest, number, heard }: SyncPeer): (string | number)[] {
  return [node, name, position, newest, number, heard]
}
