/**
 * Live capture through libpcap, with the optional npm package `pcap`, whose problems this adapter works
 * around: its poll handle dies silently after an overflow (so a timer reads too), close() does not close (so
 * one more dispatch follows), a dispatch after that crashes (so stats() is called first), one buffer serves
 * all packets, and no error is ever reported. All that was found out is in docs/protocol/pcap-package.md.
 */
import { endianness } from 'node:os'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { AppError } from './app-error.js'
import {
  isNflogDevice,
  type LiveCapture,
  type LiveCaptureRequest,
  snapLengthBytes,
} from './live-capture-source.js'

/** What the package offers beyond its type declarations. */
export interface PcapModule {
  warningHandler: (text: string) => void
  createSession(device: string, options: Record<string, unknown>): PcapSession
}

export interface PcapSession {
  link_type: string
  /** The native handle. */
  session: { dispatch(buffer: Buffer, header: Buffer): number }
  /** One packet and its libpcap header (seconds, microseconds, captured, length; host order), reused. */
  buf: Buffer
  header: Buffer
  /** Reads of the poll handle that delivered no packet. */
  empty_reads: number
  on(event: 'packet', listener: (packet: { buf: Buffer; header: Buffer }) => void): unknown
  stats(): { ps_drop: number }
  close(): void
}

/** SO_RCVBUF requested; the kernel limits it to net.core.rmem_max. */
const BUFFER_BYTES = 8 * 1024 * 1024
/** How often the timer reads besides the poll handle: the latency caused by a dead handle. */
const TICK_MS = 100
/** The same while idle: a daemon with nothing to do wakes up rarely. */
const QUIET_TICK_MS = 500
/** Time without a packet that counts as idle. */
const QUIET_AFTER_MS = 5_000
/**
 * How often it looks while packets come that nobody announces, and how often it reads on each look at most: one read brings the
 * packets of one message of the kernel, 22 of an nflog group, so that one a tick lost nearly all with the processor idle.
 */
const UNANNOUNCED_READ_MS = 2
const READS_PER_TURN = 100
/** Milliseconds of consecutive ticks after which a finding is accepted. */
const BELIEVE_MS = 1_000
/** Link types by the package's names; all others are `Unknown linktype N`. */
const LINK_TYPES: Readonly<Record<string, number>> = {
  LINKTYPE_NULL: 0,
  LINKTYPE_ETHERNET: 1,
  LINKTYPE_RAW: 12,
  LINKTYPE_LINUX_SLL: 113,
  LINKTYPE_IEEE802_11_RADIO: 127,
}
/**
 * Number of empty reads within a tick, without a packet, that mean that libpcap is spinning on a message it
 * cannot read.
 */
const SPINNING_READS = 1_000
const UNKNOWN_LINK_TYPE = -1

/**
 * Loads the package. Throws `AppError` `ERR_CAPTURE_MISSING` when it is not installed, not built, or libpcap
 * itself is missing.
 */
export async function loadPcap(): Promise<PcapModule> {
  try {
    const module = (await import('pcap')) as unknown as { default: PcapModule }
    return module.default
  } catch (error) {
    throw new AppError('ERR_CAPTURE_MISSING', 'the pcap package cannot be loaded', { cause: error })
  }
}

/** Opens `request.device` with libpcap. Errors: `ERR_CAPTURE_OPEN` with libpcap's reason. */
export async function openPcapCapture(request: LiveCaptureRequest, pcap: PcapModule): Promise<LiveCapture> {
  // Printed at every opening of an nflog group, which has no address to look up.
  pcap.warningHandler = () => undefined
  let session: PcapSession
  try {
    session = pcap.createSession(request.device, {
      // A libpcap warning, such as "promiscuous mode not supported", would be thrown as an error.
      promiscuous: false,
      snap_length: snapLengthBytes(request.device),
      buffer_timeout: 0,
      buffer_size: BUFFER_BYTES,
      filter: request.filter,
    })
  } catch (error) {
    throw new AppError('ERR_CAPTURE_OPEN', (error as Error).message, { cause: error })
  }
  const capture = new PcapCapture(session, request)
  // The package dispatches once in the next tick: closing before that would crash.
  await nextTurn()
  return capture
}

class PcapCapture implements LiveCapture {
  readonly reader = 'libpcap'
  readonly linkType: number
  readonly byteOrder = endianness() === 'LE' ? 'little' : 'big'
  readonly #session: PcapSession
  readonly #request: LiveCaptureRequest
  #isReadingOn = false
  #timer: NodeJS.Timeout | undefined
  /** Runs while packets arrive without being announced. */
  #fastTimer: NodeJS.Timeout | undefined
  #tickMs = TICK_MS
  #quietMs = 0
  #isClosed = false
  #isInTimer = false
  #packetsByPoll = 0
  #packetsByTimer = 0
  #deadPollMs = 0
  #isDeathTold = false
  #errorMs = 0
  #emptyReads = 0
  #spinningMs = 0
  #lostCount = 0

  constructor(session: PcapSession, request: LiveCaptureRequest) {
    this.#session = session
    this.#request = request
    this.linkType = linkTypeNumber(session.link_type)
    session.on('packet', ({ buf, header }) => this.#onPacket(buf, header))
    this.#plan()
  }

  lostCount(): number {
    return this.#lostCount
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopTimers()
    this.#session.close()
    await nextTurn()
    // Only this read makes libpcap notice that it must end; after that, another read would crash.
    if (!this.#hasEnded()) this.#dispatch()
  }

  #onPacket(buffer: Buffer, header: Buffer): void {
    if (this.#isClosed) return
    if (this.#isInTimer) this.#packetsByTimer += 1
    else this.#packetsByPoll += 1
    const isLittle = this.byteOrder === 'little'
    const timeSec = isLittle ? header.readUInt32LE(0) : header.readUInt32BE(0)
    const capturedBytes = isLittle ? header.readUInt32LE(8) : header.readUInt32BE(8)
    // After the captured bytes there are those of earlier packets.
    this.#request.onPacket(buffer.subarray(0, Math.min(capturedBytes, buffer.length)), timeSec)
  }

  #plan(): void {
    this.#timer = setTimeout(() => {
      this.#tick()
      if (!this.#isClosed) this.#plan()
    }, this.#tickMs)
  }

  #stopTimers(): void {
    clearTimeout(this.#timer)
    clearInterval(this.#fastTimer)
  }

  #tick(): void {
    if (this.#hasEnded()) {
      this.#fail('libpcap ended the capture')
      return
    }
    const result = this.#dispatch()
    this.#checkLosses()
    const isSpinning =
      this.#session.empty_reads - this.#emptyReads >= SPINNING_READS && this.#packetsByPoll === 0
    this.#emptyReads = this.#session.empty_reads
    this.#spinningMs = isSpinning ? this.#spinningMs + this.#tickMs : 0
    // On nflog every idle read returns -1; elsewhere it means that the device is gone.
    if (result < 0 && !isNflogDevice(this.#request.device)) this.#errorMs += this.#tickMs
    else this.#errorMs = 0
    this.#checkPoll()
    if (this.#errorMs >= BELIEVE_MS) this.#fail('the interface is down or gone')
    else if (this.#spinningMs >= BELIEVE_MS) this.#fail('libpcap is stuck on a message it cannot read')
  }

  #dispatch(): number {
    this.#isInTimer = true
    try {
      return this.#session.session.dispatch(this.#session.buf, this.#session.header)
    } finally {
      this.#isInTimer = false
    }
  }

  #checkLosses(): void {
    let droppedCount: number
    try {
      droppedCount = this.#session.stats().ps_drop
    } catch {
      // The read above may have reached the end; the next tick will report it.
      return
    }
    if (droppedCount === this.#lostCount) return
    this.#lostCount = droppedCount
    this.#request.onTrouble('the kernel lost packets: they came faster than they could be read')
  }

  /** Packets arrived only by the timer for a second: the poll handle has died. Reading continues by timer. */
  #checkPoll(): void {
    const isUnannounced = this.#packetsByTimer > 0 && this.#packetsByPoll === 0
    if (isUnannounced) this.#deadPollMs += this.#tickMs
    else if (this.#packetsByPoll > 0) this.#deadPollMs = 0
    this.#quietMs = this.#packetsByTimer + this.#packetsByPoll > 0 ? 0 : this.#quietMs + this.#tickMs
    this.#packetsByPoll = 0
    this.#packetsByTimer = 0
    if (isUnannounced) this.#readFast()
    else {
      clearInterval(this.#fastTimer)
      this.#fastTimer = undefined
    }
    if (this.#deadPollMs >= BELIEVE_MS && !this.#isDeathTold) {
      this.#isDeathTold = true
      this.#request.onTrouble(
        `libpcap no longer announces packets: reading every ${UNANNOUNCED_READ_MS} ms while they arrive`,
      )
    }
    this.#tickMs = this.#quietMs >= QUIET_AFTER_MS ? QUIET_TICK_MS : TICK_MS
  }

  #readFast(): void {
    this.#fastTimer ??= setInterval(() => {
      if (!this.#isReadingOn) this.#readOn()
    }, UNANNOUNCED_READ_MS)
  }

  /** Reads until nothing is left, a turn of the event loop for each hundred messages. */
  #readOn(): void {
    let packetCount = 0
    for (let reads = 0; reads < READS_PER_TURN; reads += 1) {
      if (this.#isClosed || this.#hasEnded()) break
      packetCount = this.#packetsByTimer
      this.#dispatch()
      if (this.#packetsByTimer === packetCount) break
    }
    this.#isReadingOn = !this.#isClosed && this.#packetsByTimer > packetCount
    if (this.#isReadingOn) setImmediate(() => this.#readOn())
  }

  #hasEnded(): boolean {
    try {
      this.#session.stats()
      return false
    } catch (error) {
      // eslint-disable-next-line no-restricted-syntax -- an error of the package pcap, which has no code
      return (error as Error).message.includes('already closed')
    }
  }

  #fail(reason: string): void {
    this.#isClosed = true
    this.#stopTimers()
    if (!this.#hasEnded()) this.#session.close()
    this.#request.onFailure(reason)
  }
}

function linkTypeNumber(name: string): number {
  const unknown = /^Unknown linktype ([0-9]+)$/.exec(name)
  if (unknown !== null) return Number(unknown[1])
  return LINK_TYPES[name] ?? UNKNOWN_LINK_TYPE
}
