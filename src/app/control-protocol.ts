/**
 * Every request of spamd's Unix socket with its fields and its answer: the daemon, its clients and the
 * renderers use these types. Source: docs/protocol/control-socket.md.
 *
 * Answers are JSON: undefined fields are absent. Fields may be added; a reader must accept missing ones.
 */
import type { MetricFamily } from '../codec/metrics-text.js'
import type { UnixSec } from '../platform/clock.js'
import type { SyncSenderCounters } from './sync/sync-sender.js'

/** Counters since the start, by name. */
type Counters = Readonly<Record<string, number>>

/** One connection as `spamdctl connections` shows it. */
export interface ConnectionSnapshot {
  id: number
  ip: string
  port: number
  /** The address that the client connected to. */
  localIp: string
  /** BLACK, GREY or OPEN. */
  class: string
  state: string
  lists: string[]
  ageSec: number
  /** Seconds between bytes of a reply, 0 when they are sent at once. */
  stutterSec: number
  tls: boolean
  bytesIn: number
  bytesOut: number
}

/** One scan of the database. */
export interface ScanReport {
  /** When it began. */
  atSec: UnixSec
  isComplete: boolean
  /** The clock may be wrong, and most of the white list would expire: nothing was changed. */
  isWaiting: boolean
  whiteCount: number
  trappedCount: number
  /** Open networks of pools. */
  poolCount: number
  /** Waiting tuples at the end. */
  greyCount: number
  deletedCount: number
  promotedCount: number
  durationMs: number
}

/** Counters of the synchronisation; parts that do not apply are undefined. */
export interface SyncStatus {
  listening?: string | undefined
  multicast?: { interface: string; ttl: number; group: string; sends: boolean; receives: boolean } | undefined
  peers: readonly { name: string; address: string }[]
  keyFingerprint?: string | undefined
  sent?: SyncSenderCounters | undefined
  /** Datagrams, except our own; `refused` by reason. */
  received?: { received: number; accepted: number; refused: Counters } | undefined
  /** The last authentic message of each peer; the skew is its clock minus ours. */
  heard?: readonly { address: string; lastSec: UnixSec; skewSec: number }[] | undefined
  /** Entries received, by result. */
  entries?: { applied: number; ignored: number; dropped: number } | undefined
  /** Version 3; undefined when not in use: no key, -b, or switched off. */
  state?: StateStatus | undefined
}

/** A gateway that speaks version 3 of the synchronisation. */
export interface StatePeer {
  /** Number of its database. */
  node: number
  address: string
  lastSec: UnixSec
  /** Its clock minus ours when it was last heard. */
  skewSec: number
  /** It sends in version 3 what it would send in version 2. */
  isTellingAll: boolean
  /** Changes that were announced and have not arrived. */
  missingCount: number
  /** Since when; undefined while nothing is missing. */
  missingSinceSec?: UnixSec | undefined
}

/** Counters of version 3 since the start. */
export interface StateStatus {
  peers: readonly StatePeer[]
  sent: { messages: number; records: number; skippedChanges: number }
  /** Records by result, and how often changes were found missing. */
  received: {
    applied: number
    unchanged: number
    ahead: number
    unknown: number
    dropped: number
    gaps: number
  }
}

interface ListSummary {
  name: string
  entryCount: number
}

/** Status of a running spamd: for `spamdctl status`, `doctor` and `why`. */
export interface DaemonStatus {
  /** Of the process that talks to clients. */
  pid: number
  startedSec: UnixSec
  mode: 'greylisting' | 'block-lists'
  /** SMTP sockets as they are bound. */
  listen: { address: string; port: number }[]
  configPort: number
  /** Path of the database; undefined with -b. */
  database: string | undefined
  /** Time since which it has used its local database; undefined: it does not. */
  aloneSinceSec: UnixSec | undefined
  stateDir: string
  user: string
  policy: { passSec: number; greyExpireSec: number; whiteExpireSec: number; trapExpireSec: number }
  greyPrefix4: number | undefined
  greyPrefix6: number | undefined
  poolExpireSec: number
  /** Why the clock may be wrong, so that entries do not expire; undefined while it is trusted. */
  clockDoubt?: string | undefined
  /** Learn-only mode. */
  isLearning: boolean
  lowPriorityMx: string[]
  connections: { total: number; black: number }
  lists: ListSummary[]
  lastScan: ScanReport | undefined
  scanIntervalSec: number
  /** The packet filter's table of WHITE addresses as last written by spamd; undefined with -b. */
  table: { addressCount: number; replacements: number; failures: number } | undefined
  /** Its table of networks that pools opened. */
  pools: { networkCount: number; replacements: number; failures: number } | undefined
  /** Which DNS queries about senders are used, and how they are answered; undefined when there are none. */
  senders?: SenderStatus | undefined
  /** Undefined when nothing is synchronised. */
  sync: SyncStatus | undefined
}

/** See spamd(8), "Senders and DNS". */
export interface SenderStatus {
  /** Domains whose SPF is checked; undefined: none. */
  spf: 'all' | 'file' | undefined
  /** Zones. */
  dnswl: string[]
  dnsbl: string[]
  /** Answered and unanswered queries since the start. */
  answered: number
  failed: number
}

/** Counters of the daemon, and its contents. */
export interface DaemonStats {
  connections: { total: number; black: number }
  smtp: Counters
  /** Undefined with -b, as are the scan and the table. */
  greylister: Counters | undefined
  lists: ListSummary[]
  lastScan: ScanReport | undefined
  table: Counters | undefined
  /** Of the table of networks that pools opened. */
  pools: Counters | undefined
}

/** By the word of the request. */
export interface ControlRequests {
  connections: { fields: NoFields; answer: { connections: ConnectionSnapshot[] } }
  status: { fields: NoFields; answer: DaemonStatus }
  /**
   * `ip`: a canonical address. The names of the loaded block lists that contain it, `spamd-greytrap` for
   * trapped hosts.
   */
  lookup: { fields: { ip: string }; answer: { lists: string[] } }
  stats: { fields: NoFields; answer: DaemonStats }
  /** Scans now. Errors: `ERR_SCAN_OFF` with -b. */
  scan: { fields: NoFields; answer: ScanReport }
  /** Trusts the clock from now on, and scans. */
  'accept-clock': { fields: NoFields; answer: { wasDoubted: boolean } }
  /** The families of Prometheus. */
  metrics: { fields: NoFields; answer: MetricFamily[] }
  /** Errors: `ERR_SYNC_OFF` without -Y and -y. */
  'sync-status': { fields: NoFields; answer: SyncStatus }
}

type NoFields = Readonly<Record<string, never>>

export type ControlRequest = keyof ControlRequests
export type AnswerTo<Request extends ControlRequest> = ControlRequests[Request]['answer']

/** The handler of each request. Fields come from outside: they may have any value. */
export type ControlHandlers = {
  readonly [Request in ControlRequest]: (
    fields: Readonly<Record<string, unknown>>,
  ) => AnswerTo<Request> | Promise<AnswerTo<Request>>
}
