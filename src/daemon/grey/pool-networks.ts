/**
 * Keeps the packet filter's table of networks opened by pools consistent with the database. There are few of
 * them, so every change writes the whole table, combining changes in quick succession; a scan provides the
 * complete list.
 */
import type { Firewall, TableSpec } from '../../firewall/backend.js'
import { replaceReason } from '../../firewall/replace-failure.js'
import { formatCidrs } from '../../ip/cidr-text.js'
import { setOfCidrs } from '../../ip/special-use.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import type { PoolState } from '../seams.js'
import type { WhiteFile } from './white-file.js'

/** Besides `spamd-white`, which holds single addresses: nft needs another type of set for networks. */
const POOL_TABLE: TableSpec = { name: 'spamd-white-net', content: 'networks' }

const MIN_UPDATE_GAP_MS = 300
/** Maximum fraction of the time spent writing: one part in this many. */
const DUTY_DIVISOR = 20

export class PoolNetworks {
  readonly counters = { networkCount: 0, replacements: 0, failures: 0 }
  readonly #firewall: Firewall
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #file: WhiteFile | undefined
  #networks = new Set<string>()
  /** What changed since the current scan began: true is open. */
  #changesDuringScan = new Map<string, boolean>()
  #isScanned = false
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<unknown> = Promise.resolve()
  #earliestMs = 0

  /** `file`: receives the same content (--white-file). */
  constructor(options: { firewall: Firewall; clock: Clock; logger: Logger; file?: WhiteFile | undefined }) {
    this.#firewall = options.firewall
    this.#clock = options.clock
    this.#logger = options.logger
    this.#file = options.file
  }

  /** A scan begins: changes from now on may be missing in its result. */
  beginScan(): void {
    this.#changesDuringScan = new Map()
  }

  /** Replaces the table by the result of a whole scan and the changes since it began. */
  async replace(networks: Iterable<string>): Promise<void> {
    this.#networks = new Set(networks)
    for (const [network, isOpen] of this.#changesDuringScan) this.#apply(network, isOpen)
    this.#isScanned = true
    await this.#inTurn()
  }

  /** Empties a table left by an earlier daemon that used pools; runs nothing else. Never rejects. */
  async clearLeft(): Promise<void> {
    try {
      const left = await this.#firewall.readTable(POOL_TABLE)
      if (left !== undefined && left.length > 0) await this.replace([])
    } catch (error) {
      this.#logger.log('err', `cannot read table ${POOL_TABLE.name}: ${reasonOf(error)}`)
    }
  }

  /** Opens or closes a network before the next scan. */
  note(network: string, state: PoolState): void {
    const isOpen = state === 'open'
    this.#changesDuringScan.set(network, isOpen)
    if (this.#networks.has(network) === isOpen) return
    this.#apply(network, isOpen)
    this.#schedule()
  }

  /** The table was flushed: it is written again at once. */
  rewrite(): void {
    this.#schedule()
  }

  /** Stops writing; the table is left unchanged. Resolves when a write in progress has ended. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#isScanned = false
    await this.#writing
  }

  #apply(network: string, isOpen: boolean): void {
    if (isOpen) this.#networks.add(network)
    else this.#networks.delete(network)
  }

  #schedule(): void {
    if (!this.#isScanned || this.#timer !== undefined) return
    const waitMs = Math.max(0, this.#earliestMs - this.#clock.monotonicMs())
    this.#timer = setTimeout(() => void this.#inTurn(), waitMs)
  }

  #inTurn(): Promise<unknown> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.then(() => (this.#isScanned ? this.#write() : undefined))
    return this.#writing
  }

  async #write(): Promise<void> {
    const startedMs = this.#clock.monotonicMs()
    const content = contentOf(this.#networks)
    await this.#file?.writeNetworks(content)
    try {
      await this.#firewall.replaceTable(POOL_TABLE, content)
      this.counters.networkCount = this.#networks.size
      this.counters.replacements += 1
    } catch (error) {
      this.counters.failures += 1
      const reason = replaceReason(error, POOL_TABLE.name)
      this.#logger.log('err', `${reason}, table ${POOL_TABLE.name} is unchanged until the next scan`, {
        event: 'table-failed',
        table: POOL_TABLE.name,
      })
    }
    const endedMs = this.#clock.monotonicMs()
    this.#earliestMs = endedMs + Math.max(MIN_UPDATE_GAP_MS, (endedMs - startedMs) * DUTY_DIVISOR)
  }
}

/** The networks in the form that a packet filter accepts: adjacent and nested ones are merged. */
function contentOf(networks: ReadonlySet<string>): ReturnType<typeof formatCidrs> {
  return formatCidrs(setOfCidrs([...networks]))
}
