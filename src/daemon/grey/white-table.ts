/**
 * Keeps the packet filter's table of WHITE hosts consistent with the database.
 *
 * A scan replaces the whole table, even if nothing changed, so that a table edited by hand is restored
 * within a minute, or within RENEW_DUTY_DIVISOR times the duration of a replacement; if the packet filter
 * knows the number of its entries, that is checked instead between whole scans. A change between two scans is
 * written soon after, by adding and deleting single entries; when that fails, or there are many, the whole
 * table is replaced. Writing never takes more than a fifth of the time.
 */
import type { Firewall, TableContent, TableSpec } from '../../firewall/backend.js'
import { replaceReason } from '../../firewall/replace-failure.js'
import { hostLines } from '../../ip/host-lines.js'
import { EMPTY_SET, type IpRangeSet, isEmptySet, subtractSet, unionOf } from '../../ip/ip-range-set.js'
import type { Clock } from '../../platform/clock.js'
import type { Logger } from '../../platform/log.js'
import { runInSlices } from '../run-in-slices.js'
import { HostGatherer } from './host-gatherer.js'
import type { WhiteFile } from './white-file.js'

/** Source: spamd(8): the pass rule of pf.conf names `<spamd-white>`. */
const WHITE_TABLE: TableSpec = { name: 'spamd-white', content: 'hosts' }

/** Changes in quick succession are written together. */
const MIN_UPDATE_GAP_MS = 300
/**
 * An nft call with large interval sets takes long: changes wait this many times as long, up to
 * MAX_UPDATE_GAP_MS.
 */
const GAP_PER_WRITE = 4
const MAX_UPDATE_GAP_MS = 4000
/** Maximum fraction of the time for whole replaces between scans: one part in this many. */
const REPLACE_DUTY_DIVISOR = 20
/** Maximum fraction of the time for rewriting an unchanged table: an idle gateway stays idle. */
const RENEW_DUTY_DIVISOR = 400
/** More changes than this are written as a whole table. */
const MAX_SINGLE_CHANGES = 2000
const LINES_PER_STEP = 2000

export interface WhiteTableCounters {
  /** Addresses that the table contains, as far as we know. */
  addressCount: number
  replacements: number
  /** Addresses that were added or deleted without replacing the table. */
  changes: number
  failures: number
}

export class WhiteTable {
  readonly counters: WhiteTableCounters = { addressCount: 0, replacements: 0, changes: 0, failures: 0 }
  readonly #firewall: Firewall
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #file: WhiteFile | undefined
  #scanned: IpRangeSet = EMPTY_SET
  /** What changed since the scan of `#scanned` began: true is in, false is out. */
  #changes = new Map<string, boolean>()
  /** Of those, what changed since the current scan began. */
  #changesDuringScan = new Map<string, boolean>()
  /** Not yet written. */
  #unwritten = new Map<string, boolean>()
  #isScanned = false
  /** Its content was not found by a scan: its count means nothing. */
  #isKept = false
  /** A change failed, or the table was lost: it must be replaced as a whole. */
  #needsReplace = false
  /** The last write went well. */
  #isInStep = false
  /** How often others had changed the packet filter before the whole table was last written; undefined: unknown. */
  #changesSeen: number | undefined
  /** The packet filter reported its count when it was last asked. */
  #isCounted = false
  #lastWriteSec: number | undefined
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<unknown> = Promise.resolve()
  #earliestMs = 0
  #earliestReplaceMs = 0
  #earliestRenewMs = 0

  /** `file`: receives the same content (--white-file). */
  constructor(options: { firewall: Firewall; clock: Clock; logger: Logger; file?: WhiteFile | undefined }) {
    this.#file = options.file
    this.#firewall = options.firewall
    this.#clock = options.clock
    this.#logger = options.logger
  }

  /** False before the first write, and after a failed one until the next succeeds. */
  get isInStep(): boolean {
    return this.#isInStep
  }

  /** Seconds since the Epoch; undefined before the first write. */
  get lastWriteSec(): number | undefined {
    return this.#lastWriteSec
  }

  /** The last write succeeded, and the table was not reported lost. */
  get isWhole(): boolean {
    return this.#isInStep && !this.#needsReplace
  }

  /** Rewrites the wanted content of the table, unless the packet filter reports it unchanged. */
  async renew(): Promise<void> {
    if (this.#isCounted || this.#isFresh() || (await this.#isUntouched())) return
    await this.#inTurn(() => this.#replaceTable())
  }

  /** A scan begins: changes from now on may be missing in its result. */
  beginScan(): void {
    this.#changesDuringScan = new Map()
  }

  /** Replaces the table by the result of a whole scan and the changes since it began. */
  async replace(scanned: IpRangeSet): Promise<void> {
    const before = this.#isScanned && !this.#isKept && this.#isFresh() ? this.#wanted() : undefined
    this.#scanned = scanned
    this.#changes = this.#changesDuringScan
    this.#changesDuringScan = new Map()
    this.#isScanned = true
    this.#isKept = false
    if (before !== undefined && this.#unwritten.size === 0 && isSameSet(before, this.#wanted())) return
    await this.#inTurn(() => this.#replaceTable())
  }

  /**
   * A scan of a database that does not know which hosts were WHITE before: the table's content is kept until
   * the next whole scan, and changes from now on are written into it.
   */
  keep(): void {
    this.#changes = this.#changesDuringScan
    this.#changesDuringScan = new Map()
    this.#isScanned = true
    this.#isKept = true
    if (this.#unwritten.size > 0) this.#schedule()
  }

  /** Adds an address before the next scan. Before the first scan it is only remembered. */
  add(ip: string): void {
    this.#note(ip, true)
  }

  /** Removes an address before the next scan. */
  remove(ip: string): void {
    this.#note(ip, false)
  }

  /** The table was flushed, or its count is wrong: it is written again at once. */
  rewrite(): void {
    this.#needsReplace = true
    this.#schedule()
  }

  /** False when the packet filter counts a different number of entries than were written. */
  async hasRightCount(): Promise<boolean> {
    if (!this.#isScanned || this.#isKept || this.#unwritten.size > 0) return true
    const expected = this.counters.addressCount
    const found = await this.#firewall.countTable(WHITE_TABLE).catch(() => undefined)
    this.#isCounted = found !== undefined
    return found === undefined || found === expected || expected !== this.counters.addressCount
  }

  /** Stops writing; the table is left unchanged. Resolves when a write in progress has ended. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#isScanned = false
    await this.#writing
  }

  /** The whole table was written recently, relative to the time that took, and was not reported lost. */
  #isFresh(): boolean {
    return this.isWhole && this.#clock.monotonicMs() < this.#earliestRenewMs
  }

  /** No other program has changed anything in the packet filter since the whole table was written. */
  async #isUntouched(): Promise<boolean> {
    if (!this.isWhole || this.#changesSeen === undefined) return false
    return (await this.#changesByOthers()) === this.#changesSeen
  }

  async #changesByOthers(): Promise<number | undefined> {
    return this.#firewall.changesByOthers?.().catch(() => undefined)
  }

  #note(ip: string, isIn: boolean): void {
    // Reported before, by the greylister itself or by the journal; the table has it or is about to.
    const isKnown = this.#changes.get(ip) === isIn
    this.#changesDuringScan.set(ip, isIn)
    if (isKnown) return
    this.#changes.set(ip, isIn)
    this.#unwritten.set(ip, isIn)
    this.#schedule()
  }

  #schedule(): void {
    if (!this.#isScanned || this.#timer !== undefined) return
    const isWhole = this.#needsReplace || this.#unwritten.size > MAX_SINGLE_CHANGES
    const earliestMs = isWhole ? this.#earliestReplaceMs : this.#earliestMs
    const waitMs = Math.max(0, earliestMs - this.#clock.monotonicMs())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#inTurn(() => this.#writeChanges())
    }, waitMs)
  }

  #inTurn(work: () => Promise<void>): Promise<unknown> {
    this.#writing = this.#writing.then(work)
    return this.#writing
  }

  async #writeChanges(): Promise<void> {
    if (!this.#isScanned) return
    if (this.#needsReplace || this.#unwritten.size > MAX_SINGLE_CHANGES) {
      await this.#replaceTable()
      return
    }
    const changes = this.#takeUnwritten()
    if (changes.size === 0) return
    const startedMs = this.#clock.monotonicMs()
    // The content of a kept table is not fully known: a file of the changes alone would exclude everything
    // else.
    if (this.#file !== undefined && !this.#isKept) await this.#file.write(await contentOf(this.#wanted()))
    const isPutOff = !(await this.#changeTable(changes)) && this.#isKept
    const endedMs = this.#clock.monotonicMs()
    const gapMs = Math.min(
      MAX_UPDATE_GAP_MS,
      Math.max(MIN_UPDATE_GAP_MS, (endedMs - startedMs) * GAP_PER_WRITE),
    )
    this.#earliestMs = endedMs + gapMs
    if (this.#needsReplace || (!isPutOff && this.#unwritten.size > 0)) this.#schedule()
  }

  /** Adds and deletes single addresses; false when that failed, and what is to be done about it is noted. */
  async #changeTable(changes: ReadonlyMap<string, boolean>): Promise<boolean> {
    try {
      for (const isIn of [true, false]) {
        const content = await contentOf(gather(changes, isIn))
        const count = content.ipv4.count + content.ipv6.count
        if (count === 0) continue
        await this.#firewall.changeTable(WHITE_TABLE, isIn ? 'add' : 'delete', content)
        this.counters.changes += count
        this.#lastWriteSec = this.#clock.nowSec()
      }
      // Some may have existed: the scan knows the exact number.
      this.counters.addressCount =
        (await this.#firewall.countTable(WHITE_TABLE)) ?? this.counters.addressCount
      return true
    } catch (error) {
      this.#isInStep = false
      if (this.#isKept) this.#putOff(changes, error)
      else this.#needsReplace = true
      return false
    }
  }

  /**
   * The content of a kept table is unknown: it must not be replaced, and the next scan has the changes
   * written again.
   */
  #putOff(changes: ReadonlyMap<string, boolean>, error: unknown): void {
    for (const [ip, isIn] of changes) if (!this.#unwritten.has(ip)) this.#unwritten.set(ip, isIn)
    this.#noteFailure(error)
  }

  #noteFailure(error: unknown): void {
    this.counters.failures += 1
    const reason = replaceReason(error, WHITE_TABLE.name)
    this.#logger.log('err', `${reason}, table ${WHITE_TABLE.name} is unchanged until the next scan`, {
      event: 'table-failed',
      table: WHITE_TABLE.name,
    })
  }

  async #replaceTable(): Promise<void> {
    const startedMs = this.#clock.monotonicMs()
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#takeUnwritten()
    this.#needsReplace = false
    const content = await contentOf(this.#wanted())
    await this.#file?.write(content)
    // Read before the write: changes by others during it are overwritten by the next scan.
    const changesSeen = await this.#changesByOthers()
    try {
      await this.#firewall.replaceTable(WHITE_TABLE, content)
      this.#changesSeen = changesSeen
      this.counters.replacements += 1
      this.#lastWriteSec = this.#clock.nowSec()
      this.#isInStep = true
      this.counters.addressCount = content.ipv4.count + content.ipv6.count
    } catch (error) {
      this.#isInStep = false
      this.#noteFailure(error)
    }
    const endedMs = this.#clock.monotonicMs()
    this.#earliestMs = endedMs + MIN_UPDATE_GAP_MS
    this.#earliestReplaceMs =
      endedMs + Math.max(MIN_UPDATE_GAP_MS, (endedMs - startedMs) * REPLACE_DUTY_DIVISOR)
    this.#earliestRenewMs = endedMs + (endedMs - startedMs) * RENEW_DUTY_DIVISOR
    if (this.#unwritten.size > 0) this.#schedule()
  }

  /** What the table is to hold. */
  #wanted(): IpRangeSet {
    return subtractSet(unionOf([this.#scanned, gather(this.#changes, true)]), gather(this.#changes, false))
  }

  #takeUnwritten(): Map<string, boolean> {
    const taken = this.#unwritten
    this.#unwritten = new Map()
    return taken
  }
}

function isSameSet(one: IpRangeSet, other: IpRangeSet): boolean {
  return isEmptySet(subtractSet(one, other)) && isEmptySet(subtractSet(other, one))
}

function gather(changes: ReadonlyMap<string, boolean>, wanted: boolean): IpRangeSet {
  const hosts = new HostGatherer()
  for (const [ip, isIn] of changes) if (isIn === wanted) hosts.add(ip)
  return hosts.count === 0 ? EMPTY_SET : hosts.takeSet()
}

function contentOf(set: IpRangeSet): Promise<TableContent> {
  return runInSlices(hostLines(set, LINES_PER_STEP))
}
