/**
 * An alarm clock for gateways that follow changes, and nothing else: it says that there may be something to read, never what.
 * Whoever hears nothing, as through pgbouncer in transaction mode, learns of it at the next look all the same.
 */
import type { PgClient } from './pg-driver.js'

const LISTEN = 'LISTEN spamd'
/** In a transaction of its own: a commit with NOTIFY in it waits for every other one, and would hold the batch up. */
export const NOTIFY = 'NOTIFY spamd'
/** One alarm for all that happens within so long: with many gateways each of them makes every one of them look. */
const GAP_MS = 250

/** Calls `action` at once, then at most once in `GAP_MS` however often it is wanted; the last wish is not lost. */
export class PgAlarm {
  readonly #action: () => void
  #lastMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(action: () => void) {
    this.#action = action
  }

  ring(): void {
    if (this.#timer !== undefined) return
    const waitMs = this.#lastMs + GAP_MS - performance.now()
    if (waitMs <= 0) this.#act()
    else this.#timer = setTimeout(() => this.#act(), waitMs).unref()
  }

  /** Makes a connection ring it when another one notifies. */
  async listenOn(client: PgClient): Promise<void> {
    const { processID } = client as PgClient & { processID?: number }
    client.on('notification', (message) => {
      if (message.processId !== processID) this.ring()
    })
    await client.query(LISTEN)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #act(): void {
    this.#timer = undefined
    this.#lastMs = performance.now()
    this.#action()
  }
}
