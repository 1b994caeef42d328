/**
 * One SMTP client: what it has sent, and the reply that is being written. The dialogue itself is in
 * smtp-session.ts, the socket in client-socket.ts; here are stutter, flow control, time-outs and log lines.
 *
 * A client never needs more memory than one received chunk, one batch of replies and one tuple waiting for
 * the database: while a reply is being written, nothing is read, and while a tuple waits, no further line is
 * processed.
 */
import type { Socket } from 'node:net'
import { SmtpLineReader } from '../../codec/smtp/smtp-line.js'
import type { BlockListMatch } from '../seams.js'
import { ClientSocket, type SocketOwner } from './client-socket.js'
import { formatListNames } from './connection-log.js'
import type { ConnectionParts, HostedConnection } from './connection-parts.js'
import { logSessionEvent } from './session-log.js'
import { type ClientClass, type SessionEvent, type SessionNext, SmtpSession } from './smtp-session.js'
import type { WheelItem } from './stutter-wheel.js'

/** Longest wait for a complete line, and for the client to take a byte of a reply. Source: MAXTIME of spamd.c. */
const IDLE_TIMEOUT_MS = 400_000
/** Replies to pipelined commands are collected up to this size and written at once. */
const MAX_BATCH_BYTES = 16 * 1024
/** Maximum data that a stuttered client may send ahead: at a byte per second it would wait for hours. */
const MAX_AHEAD_BYTES = 16 * 1024
/** How often a socket that accepts no more bytes is checked again. */
const BLOCKED_POLL_MS = 250
/** Longest pause of -w between two reads, so that the client does not run into our time-out. */
const MAX_READ_PAUSE_MS = 300_000
/** Time for the client to read the last reply and close before the socket is destroyed. */
const LINGER_MS = 2_000

/** What the connection waits for. */
export type ConnectionPhase = 'reading' | 'replying' | 'storing' | 'handshake' | 'lingering' | 'closed'

/** Who the client is; addresses canonical. */
export interface ClientEndpoints {
  clientIp: string
  clientPort: number
  destinationIp: string
}

export class SmtpConnection implements WheelItem, HostedConnection, SocketOwner {
  dueSlot = -1
  readonly id: number
  readonly clientIp: string
  readonly clientPort: number
  readonly destinationIp: string
  readonly clientClass: ClientClass
  readonly lists: readonly BlockListMatch[]
  readonly acceptedMs: number
  bytesRead = 0
  bytesWritten = 0
  phase: ConnectionPhase = 'reading'
  /** When the time-out strikes, on the monotonic clock. */
  deadlineMs: number
  readonly #socket: ClientSocket
  readonly #parts: ConnectionParts
  readonly #session: SmtpSession
  readonly #reader = new SmtpLineReader()
  #stutterMs: number
  #reply = ''
  #replyOffset = 0
  #next: SessionNext = 'continue'
  #hasEnded = false
  #isTakingText = false
  #readPauseBytes = 0
  /** Pending while the client's last tuple is not stored. */
  #storing: Promise<void> | undefined
  /** The line that came while a tuple was being stored. */
  #heldLine: string | undefined

  /** `blackCount` counts this client too when it is BLACK. */
  // eslint-disable-next-line max-params -- one for each client: an object of parts for each would be memory for nothing
  constructor(
    parts: ConnectionParts,
    socket: Socket,
    id: number,
    endpoints: ClientEndpoints,
    client: { class: ClientClass; lists: readonly BlockListMatch[] },
    blackCount: number,
  ) {
    this.#parts = parts
    this.#socket = new ClientSocket(socket, this)
    this.id = id
    this.clientIp = endpoints.clientIp
    this.clientPort = endpoints.clientPort
    this.destinationIp = endpoints.destinationIp
    this.clientClass = client.class
    this.lists = client.lists
    this.acceptedMs = parts.clock.monotonicMs()
    this.deadlineMs = this.acceptedMs + IDLE_TIMEOUT_MS
    const { options } = parts
    const isOverMaxBlack = client.class === 'BLACK' && !options.isBlackOnly && blackCount > options.maxBlack
    const isGreyAtOnce = client.class === 'GREY' && options.greyStutterSec === 0
    this.#stutterMs = isOverMaxBlack || isGreyAtOnce ? 0 : options.stutterSec * 1000
    this.#session = new SmtpSession(
      parts.dialogue,
      { class: client.class, ip: this.clientIp, lists: client.lists },
      { offersTls: parts.secureContext !== undefined },
    )
  }

  get isBlack(): boolean {
    return this.clientClass === 'BLACK'
  }

  get isTls(): boolean {
    return this.#socket.isTls
  }

  /** State of the dialogue for `spamdctl connections`. */
  get stateName(): string {
    return this.phase === 'storing' || this.phase === 'handshake' ? this.phase : this.#session.stateName
  }

  /** Seconds between bytes at this moment, 0 when replies are written at once. */
  get stutterSec(): number {
    return this.#stutterMs / 1000
  }

  /** Sends the banner. `early` are client bytes that came after a PROXY header. */
  open(early: Uint8Array | undefined): void {
    this.#socket.listen()
    if (early !== undefined && early.length > 0) {
      this.bytesRead += early.length
      this.#reader.push(early)
    }
    this.#send(this.#session.banner(this.#parts.bannerDate()), 'continue')
  }

  /** The wheel's call: the next byte, another look at a blocked socket, or the end of a pause in reading. */
  onDue(): void {
    if (this.phase === 'replying') this.#writeMore()
    else if (this.phase === 'reading') this.#socket.resume()
  }

  /** Called by the sweep when `deadlineMs` has passed. No reply is sent. */
  timeOut(): void {
    if (this.phase !== 'lingering') this.#parts.counters.timedOut += 1
    this.destroy()
  }

  /** Called by the sweep when the connection has lasted too long. No reply is sent. */
  endOverlong(): void {
    if (this.phase === 'lingering') return
    this.#parts.counters.overlong += 1
    this.destroy()
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#finishAccounting()
    this.phase = 'closed'
    this.#parts.wheel.cancel(this)
    this.#socket.destroy()
    this.#parts.forget(this)
  }

  receive(chunk: Uint8Array): void {
    this.bytesRead += chunk.length
    if (this.phase === 'lingering' || this.phase === 'closed') return
    this.#reader.push(chunk)
    if (this.#isTakingText) this.#readPauseBytes += chunk.length
    if (this.phase === 'reading') this.#takeLines()
    else this.#socket.pause()
    if (this.#stutterMs > 0) this.#reader.truncate(MAX_AHEAD_BYTES)
  }

  inputEnded(): void {
    this.#hasEnded = true
    // A client may send everything, close its side and still wait for the replies.
    if (this.phase === 'reading' || this.phase === 'lingering' || this.phase === 'handshake') this.destroy()
  }

  socketClosed(): void {
    if (this.phase !== 'closed') this.destroy()
  }

  /** Answers complete lines until one needs waiting for, or none is left. */
  #takeLines(): void {
    let batch = ''
    for (;;) {
      const line = this.#heldLine ?? this.#reader.next()
      this.#heldLine = undefined
      if (line === undefined) break
      this.deadlineMs = this.#parts.clock.monotonicMs() + IDLE_TIMEOUT_MS
      if (this.#storing !== undefined) {
        if (batch !== '') this.#write(batch)
        this.#holdLine(line, this.#storing)
        return
      }
      const step = this.#session.receiveLine(line)
      if (step.event !== undefined) this.#handleEvent(step.event)
      if (step.next === 'text') this.#isTakingText = this.#parts.options.windowBytes !== undefined
      if (step.reply === '') continue
      batch += step.reply
      const isBatchable = step.next === 'continue' || step.next === 'text'
      if (isBatchable && this.#currentStutterMs() === 0 && batch.length < MAX_BATCH_BYTES) continue
      this.#send(batch, step.next)
      return
    }
    if (batch !== '') this.#send(batch, 'continue')
    else this.#waitForInput()
  }

  /** Back-pressure: a client that sends faster than the database can store waits for it. */
  #holdLine(line: string, storing: Promise<void>): void {
    this.#heldLine = line
    this.phase = 'storing'
    this.#socket.pause()
    void storing.then(() => {
      if (this.phase !== 'storing') return
      this.phase = 'reading'
      this.#takeLines()
    })
  }

  #waitForInput(): void {
    if (this.#hasEnded) {
      this.destroy()
      return
    }
    this.phase = 'reading'
    const { windowBytes } = this.#parts.options
    if (this.#isTakingText && windowBytes !== undefined && this.#readPauseBytes > 0) {
      // -w: Node cannot shrink the receive buffer, so the window is closed by reading at -w bytes a second.
      this.#socket.pause()
      const pauseMs = Math.min((this.#readPauseBytes / windowBytes) * 1000, MAX_READ_PAUSE_MS)
      this.#readPauseBytes = 0
      this.#parts.wheel.schedule(this, pauseMs)
      return
    }
    this.#socket.resume()
  }

  #send(reply: string, next: SessionNext): void {
    this.phase = 'replying'
    this.#reply = reply
    this.#replyOffset = 0
    this.#next = next
    const stutterMs = this.#currentStutterMs()
    this.deadlineMs = this.#parts.clock.monotonicMs() + stutterMs + IDLE_TIMEOUT_MS
    if (stutterMs === 0) this.#writeMore()
    else {
      this.#socket.pause()
      this.#parts.wheel.schedule(this, stutterMs)
    }
  }

  #writeMore(): void {
    if (this.#socket.isBlocked) {
      this.#parts.wheel.schedule(this, BLOCKED_POLL_MS)
      return
    }
    if (this.#replyOffset < this.#reply.length) {
      const stutterMs = this.#currentStutterMs()
      const isWhole = stutterMs === 0 || this.#socket.isTls || this.#parts.isCrowded()
      const piece = isWhole ? this.#reply.slice(this.#replyOffset) : this.#reply[this.#replyOffset]!
      this.#replyOffset += piece.length
      if (!isWhole) {
        this.#countStutter(stutterMs)
      }
      if (this.#socket.isTls) {
        // Encryption takes a turn of the event loop, so there is nothing to see yet.
        this.#write(piece, (error) => {
          if (this.phase === 'replying' && error == null) this.#replyWritten()
        })
        return
      }
      this.#write(piece)
      if (this.phase !== 'replying') return
      if (this.#replyOffset < this.#reply.length) {
        this.deadlineMs = this.#parts.clock.monotonicMs() + stutterMs + IDLE_TIMEOUT_MS
        this.#parts.wheel.schedule(this, stutterMs)
        return
      }
    }
    if (this.#socket.isBlocked) {
      this.#socket.pause()
      this.#parts.wheel.schedule(this, BLOCKED_POLL_MS)
      return
    }
    this.#replyWritten()
  }

  #write(piece: string, written?: (error?: Error | null) => void): void {
    this.bytesWritten += piece.length
    this.#socket.write(piece, written)
  }

  #replyWritten(): void {
    this.#reply = ''
    this.#replyOffset = 0
    this.deadlineMs = this.#parts.clock.monotonicMs() + IDLE_TIMEOUT_MS
    switch (this.#next) {
      case 'continue':
      case 'text':
        this.phase = 'reading'
        this.#takeLines()
        return
      case 'start-tls':
        this.#startTls()
        return
      case 'close':
        this.#linger()
    }
  }

  /** The dialogue is over: log the end, let the client read the last reply, discard what it still sends. */
  #linger(): void {
    this.#finishAccounting()
    if (this.#hasEnded || !this.#parts.mayLinger()) {
      this.phase = 'closed'
      this.#socket.destroySoon()
      this.#parts.forget(this)
      return
    }
    this.phase = 'lingering'
    this.#reader.clear()
    this.deadlineMs = this.#parts.clock.monotonicMs() + LINGER_MS
    this.#socket.end()
    this.#socket.resume()
  }

  #startTls(): void {
    const { secureContext } = this.#parts
    if (secureContext === undefined) {
      this.destroy()
      return
    }
    this.phase = 'handshake'
    // Plain text received before the handshake must not count as sent inside TLS.
    this.#reader.clear()
    this.#socket.startTls(
      (plain) => this.#parts.secure(plain, secureContext),
      () => {
        if (this.phase !== 'handshake') return
        this.#session.tlsStarted()
        this.#waitForInput()
      },
    )
  }

  #handleEvent(event: SessionEvent): void {
    logSessionEvent(this.#parts, this, event)
    if (event.type !== 'recipient') return
    this.#parts.counters.recipients += 1
    if (this.clientClass !== 'GREY') return
    const { helo, from, to, toArgument } = event
    const { clientIp, destinationIp } = this
    const stored = this.#parts.sink?.submit({
      clientIp,
      destinationIp,
      helo,
      from,
      to,
      ...(toArgument === undefined ? {} : { toArgument }),
    })
    if (stored === undefined) return
    this.#storing = stored
    void stored.then(() => {
      this.#storing = undefined
    })
  }

  #countStutter(stutterMs: number): void {
    const { dialogues } = this.#parts
    dialogues.stutterMs += stutterMs
    dialogues.stutteredBytes += 1
    if (this.lists.length === 0) dialogues.unlistedStutterMs += stutterMs
    for (const { listName } of this.lists) {
      dialogues.stutterMsByList.set(listName, (dialogues.stutterMsByList.get(listName) ?? 0) + stutterMs)
    }
  }

  #finishAccounting(): void {
    if (this.phase === 'lingering' || this.phase === 'closed') return
    this.#parts.ended(this, formatListNames(this.lists))
  }

  /** -S: a greylisted client is stuttered only for its first seconds. */
  #currentStutterMs(): number {
    if (this.#stutterMs > 0 && this.clientClass === 'GREY') {
      const ageMs = this.#parts.clock.monotonicMs() - this.acceptedMs
      if (ageMs > this.#parts.options.greyStutterSec * 1000) this.#stutterMs = 0
    }
    return this.#stutterMs
  }
}
