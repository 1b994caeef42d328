/**
 * Every request of spamd's Unix socket with its fields and its answer: what the daemon answers, who asks, and what is
 * shown of it all use these types. Source: docs/protocol/control-socket.md.
 *
 * Answers travel as JSON: what is undefined is absent. Fields may be added; a reader must bear that some are missing.
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
  /** The address that the client meant. */
  localIp: string
  /** BLACK, GREY or OPEN. */
  class: string
  state: string
  lists: string[]
  ageSec: number
  /** Seconds between bytes of a reply, 0 when they are written at once. */
  stutterSec: number
  tls: boolean
  bytesIn: number
  bytesOut: number
}

/** One walk of the scanner over the database. */
export interface ScanReport {
  /** When it began. */
  atSec: UnixSec
  isComplete: boolean
  /** The clock may be wrong, and most of the white list would expire: nothing was looked at. */
  isWaiting: boolean
  whiteCount: number
  trappedCount: number
  /** Open networks of pools. */
  poolCount: number
  /** Tuples that wait, when it ended. */
  greyCount: number
  deletedCount: number
  promotedCount: number
  durationMs: number
}

/** What the synchronisation did; parts that do not apply are undefined. */
export interface SyncStatus {
  listening?: string | undefined
  multicast?: { interface: string; ttl: number; group: string; sends: boolean; receives: boolean } | undefined
  peers: readonly { name: string; address: string }[]
  keyFingerprint?: string | undefined
  sent?: SyncSenderCounters | undefined
  /** Datagrams, those of ourselves left out; `refused` by reason. */
  received?: { received: number; accepted: number; refused: Counters } | undefined
  /** The last message of each peer that was believed; the skew is its clock less ours. */
  heard?: readonly { address: string; lastSec: UnixSec; skewSec: number }[] | undefined
  /** What became of the entries that were received. */
  entries?: { applied: number; ignored: number; dropped: number } | undefined
  /** Version 3; undefined when it is not spoken: no key, -b, or switched off. */
  state?: StateStatus | undefined
}

/** A gateway that speaks version 3 of the synchronisation. */
export interface StatePeer {
  /** Number of its database. */
  node: number
  address: string
  lastSec: UnixSec
  /** Its clock less ours when it was heard last. */
  skewSec: number
  /** It says in version 3 what it says in version 2. */
  isTellingAll: boolean
  /** Changes that were told of and have not arrived. */
  missingCount: number
  /** Since when; undefined while nothing is missing. */
  missingSinceSec?: UnixSec | undefined
}

/** What version 3 has done since the start. */
export interface StateStatus {
  peers: readonly StatePeer[]
  sent: { messages: number; records: number; skippedChanges: number }
  /** Records by what became of them, and how often changes were found missing. */
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

/** What a running spamd says of itself: for `spamdctl status`, `doctor` and `why`. */
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
  /** Since when it goes on without the server of its database; undefined: it does not. */
  aloneSinceSec: UnixSec | undefined
  stateDir: string
  user: string
  policy: { passSec: number; greyExpireSec: number; whiteExpireSec: number; trapExpireSec: number }
  greyPrefix4: number | undefined
  greyPrefix6: number | undefined
  poolExpireSec: number
  /** Why the clock may be wrong, so that entries are kept beyond their time; undefined while it is believed. */
  clockDoubt?: string | undefined
  /** Learn-only mode. */
  isLearning: boolean
  lowPriorityMx: string[]
  connections: { total: number; black: number }
  lists: ListSummary[]
  lastScan: ScanReport | undefined
  scanIntervalSec: number
  /** The packet filter's table of WHITE as spamd wrote it last; undefined with -b. */
  table: { addressCount: number; replacements: number; failures: number } | undefined
  /** Its table of networks that pools opened. */
  pools: { networkCount: number; replacements: number; failures: number } | undefined
  /** What DNS is asked about senders, and how it answers; undefined when it is not asked. */
  senders?: SenderStatus | undefined
  /** Undefined when nothing is synchronised. */
  sync: SyncStatus | undefined
}

/** See spamd(8), "Senders and DNS". */
export interface SenderStatus {
  /** Whose SPF is checked; undefined: nobody's. */
  spf: 'all' | 'file' | undefined
  /** Zones. */
  dnswl: string[]
  dnsbl: string[]
  /** Questions that were answered, and those that were not, since the start. */
  answered: number
  failed: number
}

/** Counters of the daemon, and what it holds. */
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
  /** `ip`: a canonical address. The names of the loaded block lists that hold it, `spamd-greytrap` for trapped hosts. */
  lookup: { fields: { ip: string }; answer: { lists: string[] } }
  stats: { fields: NoFields; answer: DaemonStats }
  /** Scans now. Errors: `ERR_SCAN_OFF` with -b. */
  scan: { fields: NoFields; answer: ScanReport }
  /** Believes the clock from now on, and scans. */
  'accept-clock': { fields: NoFields; answer: { wasDoubted: boolean } }
  /** The families of Prometheus. */
  metrics: { fields: NoFields; answer: MetricFamily[] }
  /** Errors: `ERR_SYNC_OFF` without -Y and -y. */
  'sync-status': { fields: NoFields; answer: SyncStatus }
}

type NoFields = Readonly<Record<string, never>>

export type ControlRequest = keyof ControlRequests
export type AnswerTo<Request extends ControlRequest> = ControlRequests[Request]['answer']

/** What answers each request. Fields came from outside: anything may be in them. */
export type ControlHandlers = {
  readonly [Request in ControlRequest]: (
    fields: Readonly<Record<string, unknown>>,
  ) => AnswerTo<Request> | Promise<AnswerTo<Request>>
}
