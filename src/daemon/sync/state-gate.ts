/**
 * Decides which messages of version 3 are accepted: HMAC, clock, and a number that was not used before. The
 * highest number of each gateway is kept with the database, so that no message is accepted twice, even across
 * a restart.
 */
import { decodeStateMessage, type StateMessage } from '../../codec/sync-state-message.js'
import { isInNetwork, type Network } from '../../ip/cidr.js'
import type { Clock } from '../../platform/clock.js'
import { noteRefusal, type SyncGateCounters } from './sync-gate.js'

/** How far messages may arrive out of order; older ones are refused. */
const WINDOW = 1024

export interface StateGateOptions {
  /** Undefined without a key: nothing is believed then. */
  key: () => Uint8Array | undefined
  /** Number of our own database, to recognise our own multicast messages. */
  node: () => number | undefined
  peers: readonly Network[]
  /** 0 switches the test off. */
  maxSkewSec: number
  clock: Clock
  /** Shared with version 2. */
  counters: SyncGateCounters
}

interface Numbers {
  /** Nothing up to here is taken: what was kept of an earlier run, where the window is not known. */
  floor: number
  highest: number
  /** Numbers taken within the window. */
  taken: Set<number>
}

export class StateGate {
  readonly #options: StateGateOptions
  readonly #numbers = new Map<number, Numbers>()

  constructor(options: StateGateOptions) {
    this.#options = options
  }

  /** Messages of a gateway up to this number are refused from now on. */
  setFloor(node: number, number: number): void {
    const known = this.#numbers.get(node)
    if (known === undefined || known.highest < number) {
      this.#numbers.set(node, { floor: number, highest: number, taken: new Set() })
    }
  }

  /** A message to be believed, or undefined. Never throws. */
  admit(datagram: Uint8Array, peerAddress: string): StateMessage | undefined {
    const { key, node, peers, maxSkewSec, clock, counters } = this.#options
    counters.received += 1
    if (peers.length > 0 && !peers.some((network) => isInNetwork(peerAddress, network))) {
      return noteRefusal(counters, 'stranger')
    }
    const secret = key()
    if (secret === undefined) return noteRefusal(counters, 'version')
    const decoded = decodeStateMessage(datagram, secret)
    if (!decoded.ok) return noteRefusal(counters, decoded.reason)
    const message = decoded.value
    if (message.node === node()) {
      counters.received -= 1
      return noteRefusal(counters, 'own')
    }
    const skewSec = Math.abs(message.clockMs / 1000 - clock.nowSec())
    if (maxSkewSec > 0 && skewSec > maxSkewSec) return noteRefusal(counters, 'clock')
    if (!this.#isNew(message)) return noteRefusal(counters, 'repeated')
    counters.accepted += 1
    return message
  }

  #isNew({ node, number }: StateMessage): boolean {
    let known = this.#numbers.get(node)
    if (known === undefined) {
      known = { floor: 0, highest: 0, taken: new Set() }
      this.#numbers.set(node, known)
    }
    if (number <= Math.max(known.floor, known.highest - WINDOW) || known.taken.has(number)) return false
    known.taken.add(number)
    if (number > known.highest) known.highest = number
    if (known.taken.size > 2 * WINDOW) {
      for (const taken of known.taken) if (taken <= known.highest - WINDOW) known.taken.delete(taken)
    }
    return true
  }
}
