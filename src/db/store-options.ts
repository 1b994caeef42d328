import type { SlowCall } from './connection.js'
import type { StoreRights } from './store-rights.js'

/** How a database is opened. */
export interface OpenStoreOptions {
  /** `read` never writes entries, and needs no right to write the file. */
  mode: 'read' | 'write'
  /** How long a call waits for another program's lock before `ERR_DB_BUSY`; the event loop waits with it. */
  busyTimeoutMs?: number
  /**
   * `full` (the default): what a call stored survives a power loss. `normal`: it survives `kill -9`, and a
   * power loss takes at most the last moments; for daemons, which write all the time.
   */
  durability?: 'full' | 'normal'
  /** Makes the database when there is none; only with `write`. */
  create?: boolean
  /** Of a server: longest wait for one answer, and what an administrator should know of it. */
  queryTimeoutMs?: number
  onNotice?: (text: string) => void
  /** Of a server: told that another gateway may have changed addresses; a look every now and then is needed all the same. */
  onAlarm?: () => void
  /** Told of each call that took longer than `slowCallMs`. */
  onSlowCall?: (slow: SlowCall) => void
  slowCallMs?: number
  /** With which rights of root all this happens: given back when the store is closed. */
  rights?: StoreRights
}
