/** What a connection needs from the server that accepted it: shared services, options and accounting. */
import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Clock } from '../../platform/clock.js'
import type { Logger } from '../../platform/log.js'
import type { DebugOutput } from '../debug-output.js'
import type { GreylistSink } from '../seams.js'
import type { DialogueSettings } from './smtp-session.js'
import type { StutterWheel } from './stutter-wheel.js'

/** Limits and behaviour of the SMTP side; see the options of spamd(8). */
export interface SmtpOptions {
  /** -b: no greylisting. */
  isBlackOnly: boolean
  /** -v */
  isVerbose: boolean
  /** -c: most open connections. */
  maxConnections: number
  /** -B, effective: BLACK clients beyond this number are not stuttered. */
  maxBlack: number
  /** --max-per-ip; undefined: the default, a sixteenth of -c. */
  maxPerIp: number | undefined
  /** --max-session: longest life of a connection. */
  maxSessionSec: number
  /** -s: seconds between bytes. */
  stutterSec: number
  /** -S: how long a greylisted client is stuttered, from its arrival. */
  greyStutterSec: number
  /** -w: bytes a second at which message text is read. */
  windowBytes: number | undefined
}

/** Events since the start; `refused…` never became a connection. */
export interface SmtpCounters {
  accepted: number
  blackAccepted: number
  refusedFull: number
  refusedPerIp: number
  refusedPerNetwork: number
  refusedProxy: number
  /** Times that accepting paused because descriptors ran out. */
  acceptPauses: number
  timedOut: number
  /** Ended because they had lasted for --max-session. */
  overlong: number
  recipients: number
}

/** Time and bytes spent on stuttering, since the start. */
export interface DialogueTotals {
  /** Connections that ended, and their lengths, by whether the client was BLACK. */
  endedCount: { black: number; other: number }
  endedMs: { black: number; other: number }
  /** Pauses before single bytes, and these bytes. */
  stutterMs: number
  stutteredBytes: number
  /** The same pauses by the block lists that held the client; of a client on several, with each. */
  stutterMsByList: Map<string, number>
  /** Those of clients on no list. */
  unlistedStutterMs: number
}

/** A connection as its host accounts for it. */
export interface HostedConnection {
  readonly clientIp: string
  readonly isBlack: boolean
  /** On the monotonic clock. */
  readonly acceptedMs: number
  readonly bytesRead: number
  readonly bytesWritten: number
}

export interface ConnectionParts {
  readonly options: SmtpOptions
  readonly dialogue: DialogueSettings
  /** Present when TLS is configured. */
  readonly secureContext: SecureContext | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly debug: DebugOutput
  readonly wheel: StutterWheel
  /** Undefined with -b. */
  readonly sink: GreylistSink | undefined
  readonly counters: SmtpCounters
  readonly dialogues: DialogueTotals
  /** True if too few slots are free to stutter replies. */
  isCrowded(): boolean
  /** Date of the banner in the form of ctime(3), local time, without its line end. */
  bannerDate(): string
  /** Puts TLS around a connected socket, as the server's side. */
  secure(plain: Socket, context: SecureContext): Socket
  /** False if too many sockets already wait for their client to close, so that this one must be destroyed at once. */
  mayLinger(): boolean
  /** The dialogue is over: log and count it. Called once for each connection. */
  ended(connection: HostedConnection, listNames: string): void
  /** The socket is gone, too. */
  forget(connection: HostedConnection): void
}
