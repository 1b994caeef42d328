/** The result of `spamdctl why`, and the conclusion. */
import type { GreyEntry, HostEntry, PoolEntry, SpamtrapEntry } from '../../domain/entry.js'
import type { HistoryRow } from '../../domain/history.js'
import type { Release } from '../../domain/release.js'
import type { UnixSec } from '../../platform/clock.js'
import type { DaemonStatus } from '../control-protocol.js'
import type { ListReason } from './lists.js'
import type { TableHit } from './tables.js'

export type WhySubject =
  | { kind: 'address'; ip: string }
  | { kind: 'email'; address: string }
  | { kind: 'domain'; domain: string }

export interface WhyReport {
  timeSec: UnixSec
  subject: WhySubject
  /**
   * Whether the packet filter has it now; a text says why that cannot be read. Empty unless it is an address.
   */
  tables: TableHit[] | { reason: string }
  /** Lists of spamd.conf that name it, with the lines of their last good copies. */
  lists: ListReason[]
  /** Lists on which the running spamd has it; undefined when spamd cannot be queried. */
  loadedLists: string[] | undefined
  daemon: DaemonStatus | { reason: string }
  /** `reason`: why the database cannot be read. */
  database:
    | {
        host: HostEntry | undefined
        /** Names of exceptions in force that hold the address (spamdctl allow). */
        exceptions: string[]
        /** Open networks of pools that hold the address, the widest first. */
        pools: PoolEntry[]
        tuples: GreyEntry[]
        hasMoreTuples: boolean
        spamtraps: SpamtrapEntry[]
        history: HistoryRow[]
        /** Older rows than were searched may tell more. */
        hasOlderHistory: boolean
        /** In force, and naming the subject or mail that waits from it. */
        releases: Release[]
      }
    | { reason: string }
  /** Undefined when there is no file, or it restricts nothing, or it does not concern an address. */
  allowedDomains: { path: string; isAllowed: boolean } | undefined
  verdict: Verdict
}

export type VerdictState = 'passes' | 'refused' | 'waits' | 'unknown-host' | 'trap' | 'mail-waits' | 'unseen'

export interface Verdict {
  state: VerdictState
  /** Without full stop, not yet escaped. */
  sentence: string
  /** When that changes by itself; undefined: never, or unknown. */
  changesSec: UnixSec | undefined
  /** The command that changes it. */
  command: string | undefined
}
