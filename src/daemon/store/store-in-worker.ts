/**
 * The database in its own thread: SQLite waits for disks and locks, and if the event loop waited with it, no
 * client would be served and no packet read; a kernel buffer of packets lasts only a second or two.
 */
import { Worker } from 'node:worker_threads'
import type { SlowCall } from '../../db/connection.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import {
  DAEMON_STORE_CALLS,
  type DaemonStore,
  type StoreWorkerMessage,
  type StoreWorkerRequest,
  type WorkerStoreOptions,
} from './store-worker-messages.js'

/** Batches come and go; more room would only make the process larger. */
const YOUNG_GENERATION_MIB = 4

/** Opens a database for a daemon. Errors and results are those of `openStore` and `Store`. */
export async function openStoreInWorker(
  path: string,
  options: WorkerStoreOptions & StoreWatcher,
): Promise<DaemonStore> {
  const { onSlowCall, onNotice, onAlone, onAlarm, ...storeOptions } = options
  const thread = new StoreThread({ onSlowCall, onNotice, onAlone, onAlarm })
  try {
    await thread.ask({ call: 'open', path, options: storeOptions })
  } catch (error) {
    await thread.end()
    throw error
  }
  const calls = DAEMON_STORE_CALLS.map((call) => [
    call,
    (...parameters: unknown[]) => thread.ask({ call, parameters } as StoreWorkerRequest),
  ])
  return {
    ...(Object.fromEntries(calls) as Omit<DaemonStore, 'location' | 'close'>),
    location: path,
    close: async () => {
      try {
        await thread.ask({ call: 'close' })
      } finally {
        await thread.end()
      }
    },
  }
}

/** Callbacks for events between calls. */
export interface StoreWatcher {
  onSlowCall?: ((slow: SlowCall) => void) | undefined
  /** For a server: events that an administrator should know. */
  onNotice?: ((text: string) => void) | undefined
  /** Something may have changed: poll the journal. */
  onAlarm?: (() => void) | undefined
  /** Since when the gateway has been without its server, seconds since the Epoch; undefined: no longer. */
  onAlone?: ((sinceSec: number | undefined) => void) | undefined
}

interface Waiting {
  resolve: (result: unknown) => void
  reject: (error: AppError) => void
}

class StoreThread {
  readonly #worker = new Worker(new URL('./store-worker.js', import.meta.url), {
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
  })
  readonly #watcher: StoreWatcher
  /** Questions without answer, oldest first: the thread answers in order. */
  readonly #waiting: Waiting[] = []
  #failure: AppError | undefined

  constructor(watcher: StoreWatcher) {
    this.#watcher = watcher
    this.#worker.on('message', (message: StoreWorkerMessage) => this.#take(message))
    // After an unreadable answer, each later one would be matched to the wrong call.
    this.#worker.once('messageerror', (error) => {
      this.#fail(reasonOf(error))
      void this.end()
    })
    this.#worker.once('error', (error) => this.#fail(reasonOf(error)))
    this.#worker.once('exit', () => this.#fail('the database thread has ended'))
  }

  ask(request: StoreWorkerRequest): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      // Send first: a call that cannot be sent gets no answer, and must not take that of the next call.
      this.#worker.postMessage(request)
      this.#waiting.push({ resolve, reject })
    })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #take(message: StoreWorkerMessage): void {
    switch (message.kind) {
      case 'slow':
        this.#watcher.onSlowCall?.(message)
        break
      case 'notice':
        this.#watcher.onNotice?.(message.text)
        break
      case 'alarm':
        this.#watcher.onAlarm?.()
        break
      case 'alone':
        this.#watcher.onAlone?.(message.sinceSec)
        break
      case 'result':
        this.#waiting.shift()?.resolve(message.result)
        break
      case 'error': {
        const { code, message: reason, hint, errno } = message.error
        this.#waiting.shift()?.reject(new AppError(code, reason, { hint, errno }))
      }
    }
  }

  #fail(reason: string): void {
    this.#failure ??= new AppError('ERR_DB_IO', reason)
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure)
  }
}
