import type { SlowCall } from './connection.js'
import type { StoreRights } from './store-rights.js'

/** How a database is opened. */
export interface OpenStoreOptions {
  /** `read` never writes entries, and needs no right to write the file. */
  mode: 'read' | 'write'
  /** How long a call waits for another program's lock before `ERR_DB_BUSY`; the event loop waits with it. */
  busyTimeoutMs?: number
  /**
   * `full` (the default): what a call stored survives a power failure. `normal`: it survives `kill -9`, and a
   * power failure loses at most the last moments; for daemons, which write all the time.
   */
  durability?: 'full' | 'normal'
  /** Creates the database if there is none; only with `write`. */
  create?: boolean
  /** Of a server: longest wait for one answer, and what an administrator should know about it. */
  queryTimeoutMs?: number
  onNotice?: (text: string) => void
  /**
   * For a server: called when another gateway may have changed addresses; occasional polling is needed
   * anyway.
   */
  onAlarm?: () => void
  /** Receives each call that took longer than `slowCallMs`. */
  onSlowCall?: (slow: SlowCall) => void
  slowCallMs?: number
  /** The privileges of root during all this: restored when the store is closed. */
  rights?: StoreRights
}
