/**
 * Keeps the packet filter's table of white hosts as the last scan and the promotions since found it.
 *
 * A scan replaces the whole table, also when nothing changed, so that a table flushed by hand is whole again
 * within a minute. A promotion between two scans is written soon after, together with others, and never so often
 * that writing takes more than a twentieth of the time.
 */
import type { Firewall, TableSpec } from '../../firewall/backend.js'
import { hostLines } from '../../ip/host-lines.js'
import { EMPTY_SET, type IpRangeSet, unionOf } from '../../ip/ip-range-set.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { runInSlices } from '../run-in-slices.js'
import { HostGatherer } from './host-gatherer.js'

/** Source: spamd(8): the pass rule of pf.conf names `<spamd-white>`. */
export const WHITE_TABLE: TableSpec = { name: 'spamd-white', content: 'hosts' }

const MIN_UPDATE_GAP_MS = 1000
/** Share of time that promotions may spend on writing the table: one part in so many. */
const MAX_DUTY_DIVISOR = 20
const LINES_PER_STEP = 2000

export interface WhiteTableCounters {
  /** Addresses of the last table that was written. */
  addressCount: number
  replacements: number
  failures: number
}

export class WhiteTable {
  readonly counters: WhiteTableCounters = { addressCount: 0, replacements: 0, failures: 0 }
  readonly #firewall: Firewall
  readonly #clock: Clock
  readonly #logger: Logger
  #scanned: IpRangeSet = EMPTY_SET
  /** Promotions that the scan under way may have missed, not yet sorted in. */
  readonly #promoted = new HostGatherer()
  #promotedDuringScan: IpRangeSet = EMPTY_SET
  /** Promotions between the last whole scan and the one under way. */
  #promotedBeforeScan: IpRangeSet = EMPTY_SET
  #isScanned = false
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<unknown> = Promise.resolve()
  #earliestMs = 0

  constructor(options: { firewall: Firewall; clock: Clock; logger: Logger }) {
    this.#firewall = options.firewall
    this.#clock = options.clock
    this.#logger = options.logger
  }

  /** A scan begins: promotions from now on may be missing in its result. */
  beginScan(): void {
    this.#sortIn()
    this.#promotedBeforeScan = unionOf([this.#promotedBeforeScan, this.#promotedDuringScan])
    this.#promotedDuringScan = EMPTY_SET
  }

  /** Replaces the table by the result of a whole scan and the promotions since it began. */
  async replace(scanned: IpRangeSet): Promise<void> {
    this.#scanned = scanned
    this.#promotedBeforeScan = EMPTY_SET
    this.#isScanned = true
    await this.#write()
  }

  /** Lets an address in before the next scan. Before the first scan it only remembers it. */
  add(ip: string): void {
    this.#promoted.add(ip)
    if (!this.#isScanned || this.#timer !== undefined) return
    const waitMs = Math.max(0, this.#earliestMs - this.#clock.monotonicMs())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#write()
    }, waitMs)
  }

  /** Stops writing; the table stays as it is. Resolves when a write under way has ended. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#isScanned = false
    await this.#writing
  }

  #sortIn(): void {
    if (this.#promoted.count === 0) return
    this.#promotedDuringScan = unionOf([this.#promotedDuringScan, this.#promoted.takeSet()])
  }

  #write(): Promise<unknown> {
    this.#writing = this.#writing.then(() => this.#replaceTable())
    return this.#writing
  }

  async #replaceTable(): Promise<void> {
    const startedMs = this.#clock.monotonicMs()
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#sortIn()
    const set = unionOf([this.#scanned, this.#promotedBeforeScan, this.#promotedDuringScan])
    const content = await runInSlices(hostLines(set, LINES_PER_STEP))
    try {
      await this.#firewall.replaceTable(WHITE_TABLE, content)
      this.counters.replacements += 1
      this.counters.addressCount = content.ipv4.count + content.ipv6.count
    } catch (error) {
      this.counters.failures += 1
      // The line begins as the original's: `/sbin/pfctl returned status 1`.
      const reason = reasonOf(error).replace(`cannot replace table ${WHITE_TABLE.name}: `, '')
      this.#logger.log('err', `${reason}, table ${WHITE_TABLE.name} stays as it was until the next scan`, {
        event: 'table-failed',
        table: WHITE_TABLE.name,
      })
    }
    const endedMs = this.#clock.monotonicMs()
    this.#earliestMs = endedMs + Math.max(MIN_UPDATE_GAP_MS, (endedMs - startedMs) * MAX_DUTY_DIVISOR)
  }
}
