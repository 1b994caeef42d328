/**
 * Brings every change of a WHITE or TRAPPED entry, by whatever program, into the packet filter's table and the trap list
 * at once: it reads the change journal of the database. What it cannot follow, a scan looks up.
 */
import type { JournalRow, JournalSlice } from '../../db/store.js'
import type { HostEntry } from '../../domain/entry.js'
import type { Clock } from '../../platform/clock.js'
import type { StoreKeeper } from '../store/store-keeper.js'

/** A change is in force within a second: half of it passes until it is seen. */
const POLL_MS = 500
/** Rows that are followed one by one; behind more of them a scan is quicker. */
const MAX_ROWS = 1000
/** The packet filter is asked for its count so often, where it can tell. */
const COUNT_INTERVAL_MS = 10_000

export interface HostFollowerOptions {
  keeper: Pick<StoreKeeper, 'use'>
  clock: Clock
  /** A host as it is now, or that it has no entry; `wasWhite`: a table may hold it. */
  onHost: (ip: string, host: HostEntry | undefined, wasWhite: boolean) => void
  /** A network of a pool was opened or closed, or may have been. */
  onPool?: (network: string, isOpen: boolean) => void
  /** So much changed that only a scan can tell. */
  onEverything: () => void
  /** Called every ten seconds. */
  onInterval: () => void
}

export class HostFollower {
  readonly #options: HostFollowerOptions
  /** Up to where the journal was read; undefined: nothing read yet. */
  #position: number | undefined
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> | undefined
  #isStopped = false
  #lastIntervalMs: number

  constructor(options: HostFollowerOptions) {
    this.#options = options
    this.#lastIntervalMs = options.clock.monotonicMs()
  }

  /** Begins to follow from now on; what was before is the first scan's. */
  async start(): Promise<void> {
    await this.poll()
    this.#plan()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#polling
  }

  /** Looks once, now. Never rejects: a database that cannot be read is the scan's to report. */
  async poll(): Promise<void> {
    this.#polling ??= this.#look()
      .catch(() => undefined)
      .finally(() => {
        this.#polling = undefined
      })
    await this.#polling
  }

  #plan(): void {
    if (this.#isStopped) return
    this.#timer = setTimeout(() => {
      void this.poll().then(() => this.#plan())
    }, POLL_MS)
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#lastIntervalMs < COUNT_INTERVAL_MS) return
    this.#lastIntervalMs = nowMs
    this.#options.onInterval()
  }

  async #look(): Promise<void> {
    const slice = await this.#read(this.#position ?? 0, this.#position === undefined ? 0 : MAX_ROWS)
    if (this.#position === undefined) {
      this.#position = slice.newest
      return
    }
    const last = slice.rows.at(-1)?.seq ?? slice.newest
    const isEverything =
      slice.isBehind || last < slice.newest || slice.rows.some(({ key }) => key === undefined)
    if (isEverything) {
      this.#position = slice.newest
      this.#options.onEverything()
      return
    }
    for (const [ip, wasWhite] of changedHosts(slice.rows)) {
      const host = await this.#options.keeper.use((store) => store.get({ kind: 'host', ip }))
      const isHost = host !== undefined && (host.kind === 'WHITE' || host.kind === 'TRAPPED')
      this.#options.onHost(ip, isHost ? host : undefined, wasWhite)
    }
    for (const network of changedPools(slice.rows)) {
      const entry = await this.#options.keeper.use((store) => store.get({ kind: 'pool', ip: network }))
      this.#options.onPool?.(network, entry !== undefined)
    }
    // Only now: a look that failed in the middle is done again from the same place.
    this.#position = last
  }

  #read(after: number, limit: number): Promise<JournalSlice> {
    return this.#options.keeper.use((store) => store.readJournal(after, limit))
  }
}

/**
 * Addresses whose entry came, went or changed its kind, each once, and whether one of them was WHITE before. Times and
 * counts are of no concern to a table.
 */
function changedHosts(rows: readonly JournalRow[]): Map<string, boolean> {
  const hosts = new Map<string, boolean>()
  for (const { key, before, after } of rows) {
    if (key?.kind !== 'host' || before === after) continue
    hosts.set(key.ip, hosts.get(key.ip) === true || before === 'WHITE')
  }
  return hosts
}

/** Networks of pools that came or went, each once. */
function changedPools(rows: readonly JournalRow[]): Set<string> {
  const networks = new Set<string>()
  for (const { key, before, after } of rows)
    if (key?.kind === 'pool' && before !== after) networks.add(key.ip)
  return networks
}
