import { mergePull, pullRequestOf } from '../../../src/app/sync/merge-pull.js'
import { servePull } from '../../../src/app/sync/serve-pull.js'
import { stateKeyOf } from '../../../src/codec/sync-state-message.js'
import { StateGate } from '../../../src/daemon/sync/state-gate.js'
import { StateReceiver } from '../../../src/daemon/sync/state-receiver.js'
import { StateSender } from '../../../src/daemon/sync/state-sender.js'
import type { Store } from '../../../src/db/store.js'
import type { MergeRecord } from '../../../src/domain/decide-merge.js'
import { compareStamps } from '../../../src/domain/stamp.js'
import { ManualClock } from '../manual-clock.js'
import { POLICY } from '../scratch-database.js'

const KEY = stateKeyOf(Buffer.from('key of the test'))

/** A datagram in transit. */
export interface Flying {
  from: number
  to: number
  bytes: Uint8Array
}

/** The synchronisation of one spamd without sockets: what it sends is put into `flying`. */
export class Gateway {
  readonly index: number
  readonly store: Store
  readonly clock: ManualClock
  readonly troubles: unknown[] = []
  readonly missed: number[] = []
  #sender!: StateSender
  #receiver!: StateReceiver
  #gate!: StateGate
  readonly #counters = { received: 0, accepted: 0, refused: {} }
  readonly #peers: number[]
  readonly #flying: Flying[]

  constructor(index: number, store: Store, nowSec: number, peers: number[], flying: Flying[]) {
    this.index = index
    this.store = store
    this.clock = new ManualClock(nowSec)
    this.#peers = peers
    this.#flying = flying
  }

  /** Also a restart: nothing in memory survives. */
  async start(): Promise<void> {
    const { store, clock } = this
    const useStore = async <T>(action: (store: Store) => Promise<T>): Promise<T> => action(store)
    const onTrouble = (error: unknown): void => void this.troubles.push(error)
    this.#receiver = new StateReceiver({
      useStore,
      policy: POLICY,
      clock,
      onTrouble,
      onHeard: () => this.#sender.beat(),
      onMissed: ({ missingCount }) => void this.missed.push(missingCount),
    })
    this.#sender = new StateSender({
      useStore,
      clock,
      key: () => KEY,
      hasListeners: () => this.#receiver.hasListeners,
      onTrouble,
      send: (bytes, to) => {
        for (const peer of this.#peers) {
          if (this.#receiver.isListener(addressOf(peer)) !== (to === 'listeners')) continue
          this.#flying.push({ from: this.index, to: peer, bytes })
        }
      },
    })
    this.#gate = new StateGate({
      key: () => KEY,
      node: () => this.#sender.node,
      peers: [],
      maxSkewSec: 3600,
      clock,
      counters: this.#counters,
    })
    for (const { node, number } of await this.#receiver.restore()) this.#gate.setFloor(node, number)
  }

  get refused(): Record<string, number> {
    return this.#counters.refused
  }

  get counters() {
    return this.#receiver.counters
  }

  get peers() {
    return this.#receiver.peers
  }

  /** Reads the journal once. */
  async look(): Promise<void> {
    await this.#sender.look()
  }

  async take(from: number, bytes: Uint8Array): Promise<void> {
    const message = this.#gate.admit(bytes, addressOf(from))
    if (message !== undefined) this.#receiver.take(message, addressOf(from))
    await this.#receiver.settled()
  }

  check(): void {
    this.#receiver.check()
  }

  async refresh(): Promise<void> {
    await this.#receiver.refresh()
  }

  /** `spamdctl pull`, without ssh. */
  async pull(other: Gateway, isSince: boolean) {
    const request = await pullRequestOf(this.store, { isSince })
    const answer = servePull(other.store, request, other.clock.nowSec())
    const now = (): number => this.clock.nowSec()
    return mergePull(this.store, answer, { host: addressOf(other.index), policy: POLICY, now })
  }
}

function addressOf(index: number): string {
  return `192.0.2.${index + 1}`
}

/** Everything in a database, in a fixed order, without what does not matter for equality. */
export async function knowledgeOf(store: Store): Promise<string[]> {
  const records: MergeRecord[] = []
  let cursor: string | undefined
  do {
    const slice = await store.listRecords(cursor, 500)
    records.push(...slice.records)
    cursor = slice.next
  } while (cursor !== undefined)
  const hosts = new Map(records.filter((one) => one.kind === 'host').map((one) => [one.ip, one.registers]))
  return records
    .filter((record) => {
      if (record.kind !== 'tuple') return true
      // A tuple no longer matters once its address is WHITE, and is void if it is older than the last reset.
      const { white, trap, hand, reset } = hosts.get(record.tuple.ip) ?? {}
      const isWhite =
        hand?.pinned === true ? hand.kind === 'WHITE' : trap === undefined && white !== undefined
      const isHidden = trap !== undefined && white !== undefined
      return !isWhite && !isHidden && compareStamps(record.state.epoch, reset) >= 0
    })
    .map((record) => {
      if (record.kind !== 'host') return JSON.stringify(record)
      const { bcount: _b, pcount: _p, ...registers } = record.registers
      return JSON.stringify({ ...record, registers })
    })
    .sort()
}
