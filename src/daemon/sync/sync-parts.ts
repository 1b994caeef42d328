/** What spamd gives to the synchronisation, and what it gets back. */
import type { SyncStatus } from '../../app/control-protocol.js'
import type { SpamdConfig } from '../../app/spamd-config.js'
import type { GreyPolicy } from '../../db/store.js'
import type { Clock } from '../../platform/clock.js'
import type { Logger } from '../../platform/log.js'
import type { DebugOutput } from '../debug-output.js'
import type { Greylister } from '../grey/greylister.js'
import type { SpamdResources } from '../process/spamd-resources.js'
import type { SyncAnnouncer } from '../seams.js'
import type { StoreKeeper } from '../store/store-keeper.js'

/** What the synchronisation is given. */
export interface SyncParts {
  config: SpamdConfig
  clock: Clock
  logger: Logger
  debug: DebugOutput | undefined
  resources: SpamdResources
  policy: GreyPolicy
  /** Undefined with -b: what is received is checked, counted and dropped. */
  grey:
    | {
        keeper: StoreKeeper
        /** Where received tuples go; present once the service is assembled. */
        greylister: () => Greylister
      }
    | undefined
}

/** What spamd uses of it. */
export interface SyncService {
  announcer: SyncAnnouncer
  start(): Promise<void>
  /** Reads the key again. */
  reload(): Promise<void>
  stop(): Promise<void>
  /** Answer of the control request `sync-status`. */
  status(): SyncStatus
  /** Accepts messages again that were refused because the clock had been later; false if none were. */
  acceptClock(): boolean
  /** Counters for the statistics line, `name=value` each. */
  statistics(): string[]
}
