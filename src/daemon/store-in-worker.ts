/**
 * The database in a thread of its own: SQLite waits for disks and locks, and while the event loop waits with
 * it no packet is read; a kernel buffer of packets lasts no longer than a second or two.
 */
import { Worker } from 'node:worker_threads'
import type { Sighting, SightingOutcome } from '../db/store.js'
import { AppError } from '../platform/app-error.js'
import { reasonOf } from '../platform/errno-text.js'
import type { SightingStore } from './sighting-recorder.js'
import type { StoreWorkerAnswer, StoreWorkerRequest } from './store-worker-messages.js'

/** Nothing but this thread waits: long enough for another program's large import. */
const BUSY_TIMEOUT_MS = 5_000

/** Batches come and go; more room would only make the process larger. */
const YOUNG_GENERATION_MIB = 4

/** Opens a database that exists, for sightings. Errors and results are those of `openStore` and `Store`. */
export async function openStoreInWorker(path: string): Promise<SightingStore> {
  const thread = new StoreThread()
  try {
    await thread.ask({ call: 'open', path, busyTimeoutMs: BUSY_TIMEOUT_MS })
  } catch (error) {
    await thread.end()
    throw error
  }
  return {
    location: path,
    recordSightings: (sightings: readonly Sighting[], options, now) =>
      thread.ask({ call: 'recordSightings', sightings, options, now }),
    close: async () => {
      await thread.ask({ call: 'close' })
      await thread.end()
    },
  }
}

interface Waiting {
  resolve: (outcomes: SightingOutcome[]) => void
  reject: (error: AppError) => void
}

class StoreThread {
  readonly #worker = new Worker(new URL('./store-worker.js', import.meta.url), {
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
  })
  /** Questions without answer, oldest first: the thread answers in order. */
  readonly #waiting: Waiting[] = []
  #failure: AppError | undefined

  constructor() {
    this.#worker.on('message', (answer: StoreWorkerAnswer) => this.#take(answer))
    this.#worker.once('error', (error) => this.#fail(reasonOf(error)))
    this.#worker.once('exit', () => this.#fail('the database thread has ended'))
  }

  ask(request: StoreWorkerRequest): Promise<SightingOutcome[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(request)
    })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #take(answer: StoreWorkerAnswer): void {
    const waiting = this.#waiting.shift()
    if (answer.ok) {
      waiting?.resolve(answer.outcomes)
    } else {
      const { code, message, hint } = answer.error
      waiting?.reject(new AppError(code, message, { hint }))
    }
  }

  #fail(reason: string): void {
    this.#failure ??= new AppError('ERR_DB_IO', reason)
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure)
  }
}
