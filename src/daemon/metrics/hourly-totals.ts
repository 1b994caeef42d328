/**
 * Adds spamd's in-memory counters to the hourly counters, so that they outlive the process and
 * `spamdctl stats` can cover months: clients by block list, their time in the tarpit, and refused
 * connections.
 */
import type { HourlyCount } from '../../domain/hourly-counts.js'
import { AppError } from '../../platform/app-error.js'
import type { Clock } from '../../platform/clock.js'
import type { Greylister } from '../grey/greylister.js'
import type { SmtpServer } from '../smtp/smtp-server.js'
import type { StoreKeeper } from '../store/store-keeper.js'

const INTERVAL_MS = 60_000

type Total = Omit<HourlyCount, 'hour'>

export interface HourlyTotalsParts {
  smtp: Pick<SmtpServer, 'counters' | 'dialogues' | 'listHits'>
  greylister: Pick<Greylister, 'counters'>
  keeper: Pick<StoreKeeper, 'use'>
  clock: Clock
}

/** One daemon's counters on their way to the database. `start` once, `stop` once. */
export class HourlyTotals {
  readonly #parts: HourlyTotalsParts
  /** What is stored already, by name and label. */
  readonly #stored = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  constructor(parts: HourlyTotalsParts) {
    this.#parts = parts
  }

  start(): void {
    this.#timer = setInterval(() => void this.flush(), INTERVAL_MS)
    this.#timer.unref()
  }

  /**
   * Stores what was counted since the last time; a failure of the database is reported by its writers, and
   * retried.
   */
  async flush(): Promise<void> {
    this.#running ??= this.#store().finally(() => {
      this.#running = undefined
    })
    await this.#running
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }

  async #store(): Promise<void> {
    const totals = this.#totals()
    const fresh = totals.flatMap(({ name, label, count }) => {
      const added = Math.floor(count) - (this.#stored.get(`${name} ${label}`) ?? 0)
      return added > 0 ? [{ name, label, count: added }] : []
    })
    if (fresh.length === 0) return
    const { keeper, clock } = this.#parts
    try {
      await keeper.use((store) => store.addCounts(fresh, clock.nowSec()))
    } catch (error) {
      if (error instanceof AppError) return
      throw error
    }
    for (const { name, label, count } of fresh) {
      const key = `${name} ${label}`
      this.#stored.set(key, (this.#stored.get(key) ?? 0) + count)
    }
  }

  /** What was counted since the start of spamd. */
  #totals(): Total[] {
    const { smtp, greylister } = this.#parts
    const { counters, dialogues, listHits } = smtp
    const named = (name: string, values: Iterable<[string, number]>, by = 1): Total[] =>
      [...values].map(([label, count]) => ({ name, label, count: count / by }))
    return [
      ...named('listed', listHits),
      ...named('tarpit-seconds', dialogues.stutterMsByList, 1000),
      ...named('tarpit-seconds', [['', dialogues.unlistedStutterMs]], 1000),
      ...named('refused', [
        ['full', counters.refusedFull],
        ['per-ip', counters.refusedPerIp],
        ['per-network', counters.refusedPerNetwork],
        ['proxy', counters.refusedProxy],
        ['tuple', greylister.counters.refused],
      ]),
    ]
  }
}
