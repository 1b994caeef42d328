/**
 * What a running spamd says of itself: the answer to the request `status` of the control socket, which `spamdctl
 * status`, `doctor` and `why` read. Fields may be added; a reader must bear that some are missing.
 */
import type { UnixSec } from '../platform/clock.js'
import { askDaemon } from './ask-daemon.js'

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
  stateDir: string
  user: string
  policy: { passSec: number; greyExpireSec: number; whiteExpireSec: number; trapExpireSec: number }
  greyPrefix4: number | undefined
  greyPrefix6: number | undefined
  lowPriorityMx: string[]
  connections: { total: number; black: number }
  lists: { name: string; entryCount: number }[]
  lastScan:
    | {
        atSec: UnixSec
        isComplete: boolean
        whiteCount: number
        trappedCount: number
        deletedCount: number
        promotedCount: number
        durationMs: number
      }
    | undefined
  scanIntervalSec: number
  /** The packet filter's table of WHITE as spamd wrote it last; undefined with -b. */
  table: { addressCount: number; replacements: number; failures: number } | undefined
  /** Undefined when nothing is synchronised. */
  sync:
    | {
        listening?: string
        multicast?: { interface: string }
        peers: { name: string; address: string }[]
        keyFingerprint?: string
        received?: { received: number; accepted: number; refused: Record<string, number> }
        heard?: { address: string; lastSec: UnixSec; skewSec: number }[]
      }
    | undefined
}

/** Asks spamd on its control socket. Errors as `askDaemon`; `ERR_REQUEST_UNKNOWN` from a spamd that is older. */
export async function readDaemonStatus(controlSocket: string): Promise<DaemonStatus> {
  return (await askDaemon(controlSocket, 'status')) as DaemonStatus
}
