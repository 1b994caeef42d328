/** How far other gateways were followed, stored together with the resulting entries. */
import type { Connection } from './connection.js'
import type { SyncPeer, SyncState } from './store.js'
import type { Transactions } from './transactions.js'

const ALL = 'SELECT node, name, position, newest, number, heard FROM sync_peers ORDER BY node'
/** Numbers only increase: a daemon and a pull may both know something. A pull knows no address. */
const PUT = `INSERT INTO sync_peers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (node) DO UPDATE SET
  name = iif(excluded.name = '', name, excluded.name),
  ${['position', 'newest', 'number', 'heard'].map((column) => `${column} = max(${column}, excluded.${column})`).join(', ')}`

/** Everything that synchronisation keeps across restarts. */
export function readSyncState(connection: Connection, transactions: Transactions): SyncState {
  if (!connection.hasMarks) return { node: undefined, newest: 0, peers: [] }
  const peers = connection.prepare(ALL).all() as SyncPeer[]
  return { ...transactions.journal.identity(), peers }
}

/** Adds what is known of a gateway; within a transaction. */
export function putSyncPeer(connection: Connection, peer: SyncPeer): void {
  const { node, name, position, newest, number, heard } = peer
  connection.prepare(PUT).run(node, name, position, newest, number, heard)
}
