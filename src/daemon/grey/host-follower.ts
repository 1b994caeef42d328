/**
 * Applies every change of a WHITE or TRAPPED entry, by any program, to the packet filter's table and the trap
 * list at once: it reads the change journal of the database. What it cannot follow is left to a scan.
 */
import type { JournalRow, JournalSlice } from '../../db/store.js'
import type { HostEntry, PoolEntry } from '../../domain/entry.js'
import type { Clock } from '../../platform/clock.js'
import type { StoreKeeper } from '../store/store-keeper.js'

/** A change takes effect within a second: half of that until it is noticed. */
const POLL_MS = 500
/** Maximum number of changes of addresses and pools that are followed one by one; for more a scan is faster. */
const MAX_ROWS = 1000
const ROWS_PER_READ = 1000
/** Reads of one poll. */
const MAX_READS = 20
/** How often the packet filter's count is read, if it has one. */
const COUNT_INTERVAL_MS = 10_000

export interface HostFollowerOptions {
  keeper: Pick<StoreKeeper, 'use' | 'tellsChanges'>
  clock: Clock
  /** The current state of a host, or that it has no entry; `wasWhite`: a table may contain it. */
  onHost: (ip: string, host: HostEntry | undefined, wasWhite: boolean) => void
  /** The current state of a network of a pool, or that it has no entry. */
  onPool?: (network: string, entry: PoolEntry | undefined) => void
  /** So much changed that a scan is needed. */
  onEverything: () => void
  /** Called every ten seconds. */
  onInterval: () => void
}

export class HostFollower {
  readonly #options: HostFollowerOptions
  /** Position up to which the journal was read; undefined: nothing read yet. */
  #position: number | undefined
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> | undefined
  #isAskedAgain = false
  #isStarted = false
  #isStopped = false
  #lastIntervalMs: number

  constructor(options: HostFollowerOptions) {
    this.#options = options
    this.#lastIntervalMs = options.clock.monotonicMs()
  }

  /** Starts to follow from now on; the first scan covers what was before. */
  async start(): Promise<void> {
    this.#isStarted = true
    await this.poll()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#polling
  }

  /**
   * Polls now, and once more if called meanwhile, because the caller may know of newer changes than were read. Never
   * rejects: if the database cannot be read, the scan reports it.
   */
  async poll(): Promise<void> {
    this.#isAskedAgain = this.#polling !== undefined
    this.#polling ??= this.#pollAll().finally(() => {
      this.#polling = undefined
    })
    await this.#polling
  }

  async #pollAll(): Promise<void> {
    let isRead: boolean
    do {
      this.#isAskedAgain = false
      isRead = await this.#look().then(
        () => true,
        () => false,
      )
    } while (this.#isAskedAgain && !this.#isStopped)
    this.#plan(isRead && this.#options.keeper.tellsChanges)
  }

  /** `isTold`: the store requests the next poll; polls also happen without it, in case a request was lost. */
  #plan(isTold: boolean): void {
    clearTimeout(this.#timer)
    if (this.#isStopped || !this.#isStarted) return
    const nowMs = this.#options.clock.monotonicMs()
    const isIntervalOver = nowMs - this.#lastIntervalMs >= COUNT_INTERVAL_MS
    if (isIntervalOver) this.#lastIntervalMs = nowMs
    const waitMs = isTold ? this.#lastIntervalMs + COUNT_INTERVAL_MS - nowMs : POLL_MS
    this.#timer = setTimeout(() => void this.poll(), waitMs)
    if (isIntervalOver) this.#options.onInterval()
  }

  async #look(): Promise<void> {
    if (this.#position === undefined) {
      this.#position = (await this.#read(0, 0)).newest
      return
    }
    const rows: JournalRow[] = []
    let last = this.#position
    for (let readCount = 1; ; readCount += 1) {
      const slice = await this.#read(last, ROWS_PER_READ)
      const end = slice.rows.at(-1)?.seq ?? slice.newest
      // Tuples, which no table contains, may be thousands a second: a flood must not make a scan follow another.
      for (const row of slice.rows) if (row.key?.kind !== 'tuple') rows.push(row)
      const isTooMuch = end < slice.newest && (rows.length > MAX_ROWS || readCount === MAX_READS)
      if (slice.isBehind || isTooMuch || rows.some(({ key }) => key === undefined)) {
        this.#position = slice.newest
        this.#options.onEverything()
        return
      }
      last = end
      if (end === slice.newest) break
    }
    await this.#tell(rows)
    // Only now: a poll that failed in the middle is repeated from the same position.
    this.#position = last
  }

  async #tell(rows: readonly JournalRow[]): Promise<void> {
    const { keeper, onHost, onPool } = this.#options
    for (const [ip, wasWhite] of changedHosts(rows)) {
      const host = await keeper.use((store) => store.get({ kind: 'host', ip }))
      const isHost = host !== undefined && (host.kind === 'WHITE' || host.kind === 'TRAPPED')
      onHost(ip, isHost ? host : undefined, wasWhite)
    }
    for (const network of changedPools(rows)) {
      const entry = await keeper.use((store) => store.get({ kind: 'pool', ip: network }))
      onPool?.(network, entry?.kind === 'POOL' ? entry : undefined)
    }
  }

  #read(after: number, limit: number): Promise<JournalSlice> {
    return this.#options.keeper.use((store) => store.readJournal(after, limit))
  }
}

/**
 * Addresses whose entry was added, removed or changed its kind, each once, and whether one of them was WHITE
 * before. Times and counts do not matter for a table.
 */
function changedHosts(rows: readonly JournalRow[]): Map<string, boolean> {
  const hosts = new Map<string, boolean>()
  for (const { key, before, after } of rows) {
    if (key?.kind !== 'host' || before === after) continue
    hosts.set(key.ip, hosts.get(key.ip) === true || before === 'WHITE')
  }
  return hosts
}

/** Networks of pools that were opened or closed, each once. */
function changedPools(rows: readonly JournalRow[]): Set<string> {
  const networks = new Set<string>()
  for (const { key, before, after } of rows)
    if (key?.kind === 'pool' && before !== after) networks.add(key.ip)
  return networks
}
