/**
 * A notification for gateways that follow changes: it only says that there may be something to read. Gateways
 * that do not receive it, as through pgbouncer in transaction mode, find the change at their next poll
 * anyway.
 */
import type { PgClient } from './pg-driver.js'

const LISTEN = 'LISTEN spamd'
/** In a separate transaction: a commit with NOTIFY waits for every other one, and would delay the batch. */
export const NOTIFY = 'NOTIFY spamd'
/**
 * One notification for everything within this time: with many gateways each of them would make every one
 * poll.
 */
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
