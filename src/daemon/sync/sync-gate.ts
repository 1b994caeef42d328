/**
 * Decides which datagrams of sync peers are accepted: our own and those of unknown hosts are ignored, the
 * HMAC is checked before anything is parsed, and messages with a wrong clock or seen before are counted and
 * ignored.
 */
import { decodeSyncMessage, HMAC_BYTES, type SyncEntry, type SyncRefusal } from '../../codec/sync-message.js'
import type { StateRefusal } from '../../codec/sync-state-message.js'
import { isInNetwork, type Network } from '../../ip/cidr.js'
import type { Clock } from '../../platform/clock.js'
import type { DebugOutput } from '../debug-output.js'
import type { ReplayFile } from './replay-file.js'
import { ReplayMemory } from './replay-memory.js'

/** Default of --sync-max-skew. */
const MAX_SKEW_SEC = 3600
/** Offset of the HMAC in a message. */
const HMAC_OFFSET = 8
/** Refusals before the HMAC was found right: the original prints no length for these. */
const UNAUTHENTIC: ReadonlySet<SyncRefusal> = new Set([
  'too long',
  'truncated',
  'version',
  'address family',
  'hmac',
])

export type SyncVerdict =
  | 'own'
  | 'stranger'
  | 'empty'
  | SyncRefusal
  | StateRefusal
  | 'clock'
  | 'repeated'
  /** Said in version 3 as well. */
  | 'superseded'

/** Counted since the start. */
export interface SyncGateCounters {
  /** Datagrams, those of ourselves left out. */
  received: number
  accepted: number
  /** Datagrams that changed nothing, by reason. */
  refused: Partial<Record<SyncVerdict, number>>
}

/** The last message of a peer that was believed. */
export interface HeardPeer {
  address: string
  lastSec: number
  /** Its clock less ours when it came; a delay on the way counts against it. */
  skewSec: number
}

/** Peers that are remembered; a group of gateways is a handful. */
const MAX_HEARD = 64

export interface SyncGateOptions {
  /** The HMAC key in force. */
  key: () => Uint8Array
  /** Address of the multicast interface, when there is one: packets from it are our own. */
  ownAddress: string | undefined
  /** Networks that may send; empty: anyone with the key. */
  peers: readonly Network[]
  /** 0 switches the test off. */
  maxSkewSec: number
  checksReplay: boolean
  clock: Clock
  /** True for a gateway that says in version 3 what it says in version 2. */
  isTellingAll?: ((peerAddress: string) => boolean) | undefined
  /** Set with -d. */
  debug?: DebugOutput | undefined
  replayCapacity?: number
  /** Where taken messages are kept over a restart. */
  replayFile?: ReplayFile | undefined
  /** Called once when messages are refused because repeats from before the clock went back could not be recognised. */
  onFloor?: ((floorSec: number) => void) | undefined
}

export class SyncGate {
  readonly counters: SyncGateCounters = { received: 0, accepted: 0, refused: {} }
  readonly #options: SyncGateOptions
  readonly #memory: ReplayMemory | undefined
  readonly #heard = new Map<string, HeardPeer>()
  #isFloorTold = false

  constructor(options: SyncGateOptions) {
    this.#options = options
    if (!options.checksReplay) return
    this.#memory = new ReplayMemory({
      // A message may be early by the skew and late by the skew.
      windowMs: 2 * (options.maxSkewSec || MAX_SKEW_SEC) * 1000,
      nowMs: options.clock.monotonicMs(),
      capacity: options.replayCapacity,
      file: options.replayFile,
      earliestSec: options.maxSkewSec === 0 ? undefined : () => options.clock.nowSec() - options.maxSkewSec,
    })
  }

  /** Peers whose messages were believed, the last one of each. */
  get heard(): HeardPeer[] {
    return [...this.#heard.values()]
  }

  /** The entries of a datagram to be applied, or undefined when it is not accepted. Never throws. */
  admit(datagram: Uint8Array, peerAddress: string): readonly SyncEntry[] | undefined {
    const { ownAddress, peers, key, debug } = this.#options
    if (datagram.length === 0) return this.#refuse('empty')
    if (peerAddress === ownAddress) return this.#refuse('own')
    this.counters.received += 1
    if (peers.length > 0 && !peers.some((network) => isInNetwork(peerAddress, network))) {
      return this.#refuse('stranger')
    }
    const decoded = decodeSyncMessage(datagram, key())
    if (!decoded.ok) {
      if (!UNAUTHENTIC.has(decoded.reason)) this.#showRefusedEntry(datagram, peerAddress, decoded)
      debug?.err(`${peerAddress}(sync): truncated or invalid packet`)
      return this.#refuse(decoded.reason)
    }
    debug?.err(`${peerAddress}(sync): received packet of ${decoded.bytesRead} bytes`)
    const { entries } = decoded.value
    const skewSec = this.#largestSkew(entries)
    if (skewSec !== undefined) {
      debug?.err(`${peerAddress}(sync): ignored: the clocks differ by ${skewSec} seconds`)
      return this.#refuse('clock')
    }
    if (this.#isRepeat(datagram, entries, peerAddress)) return undefined
    if (this.#options.isTellingAll?.(peerAddress) === true) return this.#refuse('superseded')
    this.counters.accepted += 1
    this.#remember(peerAddress, entries)
    return entries
  }

  /** Counts a message of a version that is not supported here; that our own gateways try it is not logged. */
  passOver(): void {
    this.counters.received += 1
    this.#refuse('version')
  }

  /** Accepts the messages that `onFloor` reported: the clock is right. False if none are refused for this reason. */
  acceptClock(): boolean {
    const memory = this.#memory
    const { clock, maxSkewSec } = this.#options
    if (memory === undefined || memory.floorSec < clock.nowSec() - maxSkewSec) return false
    memory.dropFloor()
    this.#isFloorTold = false
    return true
  }

  #isRepeat(datagram: Uint8Array, entries: readonly SyncEntry[], peerAddress: string): boolean {
    const memory = this.#memory
    if (memory === undefined) return false
    const { clock, debug, onFloor } = this.#options
    const sentSec =
      entries.length === 0 ? clock.nowSec() : Math.max(...entries.map(({ timestamp }) => timestamp))
    const mac = datagram.subarray(HMAC_OFFSET, HMAC_OFFSET + HMAC_BYTES)
    const verdict = memory.judge(mac, sentSec, clock.monotonicMs())
    if (verdict === 'new') return false
    if (verdict === 'repeated') {
      debug?.err(`${peerAddress}(sync): ignored: seen before`)
      this.#refuse('repeated')
      return true
    }
    debug?.err(`${peerAddress}(sync): ignored: sent before ${memory.floorSec}, when the clock was later`)
    if (!this.#isFloorTold) onFloor?.(memory.floorSec)
    this.#isFloorTold = true
    this.#refuse('clock')
    return true
  }

  #remember(address: string, entries: readonly SyncEntry[]): void {
    const nowSec = this.#options.clock.nowSec()
    if (this.#heard.size >= MAX_HEARD && !this.#heard.has(address)) return
    const sentSec = entries.at(-1)?.timestamp ?? nowSec
    this.#heard.set(address, { address, lastSec: nowSec, skewSec: sentSec - nowSec })
  }

  #largestSkew(entries: readonly SyncEntry[]): number | undefined {
    const { maxSkewSec, clock } = this.#options
    if (maxSkewSec === 0) return undefined
    const nowSec = clock.nowSec()
    for (const { timestamp } of entries) {
      const skewSec = timestamp - nowSec
      if (Math.abs(skewSec) > maxSkewSec) return skewSec
    }
    return undefined
  }

  #showRefusedEntry(
    datagram: Uint8Array,
    peerAddress: string,
    { reason, offset }: { reason: SyncRefusal; offset: number },
  ): void {
    const { debug } = this.#options
    debug?.err(`${peerAddress}(sync): received packet of ${datagram[2]! * 256 + datagram[3]!} bytes`)
    if (reason === 'entry type') {
      debug?.out(`invalid type: ${datagram[offset]! * 256 + datagram[offset + 1]!}`)
    }
  }

  #refuse(verdict: SyncVerdict): undefined {
    return noteRefusal(this.counters, verdict)
  }
}

/** Counts a datagram that changed nothing. */
export function noteRefusal({ refused }: SyncGateCounters, verdict: SyncVerdict): undefined {
  refused[verdict] = (refused[verdict] ?? 0) + 1
  return undefined
}
