/**
 * Keeps a daemon's database open: opens it on first use, and again if the file was deleted or replaced.
 * Greylister, scanner and sync receiver use the store only through `use`.
 */
import type { Store } from '../../db/store.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import type { DaemonStore } from './store-worker-messages.js'

/** Runs one action on the open store; rejects with the store's error or that of opening it. */
export type StoreAccess<S = DaemonStore> = <T>(action: (store: S) => Promise<T>) => Promise<T>

/** The least that a store must be to be kept open: what a daemon needs of it may be less than all of `Store`. */
export type KeptStore = Pick<Store, 'location' | 'close'>

export interface OpenedStore<S extends KeptStore = DaemonStore> {
  store: S
  /** The file did not exist: what it does not hold was not deleted by anyone. */
  isCreated: boolean
  /** Called to request a poll of the journal whenever something was changed. */
  tellsChanges?: boolean
}

/** After these errors the handle is unusable; the next use opens the database again. */
const REOPEN_CODES = new Set(['ERR_DB_GONE', 'ERR_DB_CORRUPT', 'ERR_DB_IO', 'ERR_DB_OPEN'])

export class StoreKeeper<S extends KeptStore = DaemonStore> {
  readonly #open: () => Promise<OpenedStore<S>>
  readonly #logger: Logger
  #opened: Promise<OpenedStore<S>> | undefined
  #isFresh = false
  #tellsChanges = false
  #generation = 0
  #useCount = 0
  #isClosed = false

  /** `open` creates the database when it is missing and says so. */
  constructor(options: { open: () => Promise<OpenedStore<S>>; logger: Logger }) {
    this.#open = options.open
    this.#logger = options.logger
  }

  /** True while the database in use was created by this daemon, empty. */
  get isFresh(): boolean {
    return this.#isFresh
  }

  /** True while the open database reports changes, so that the journal need not be polled. */
  get tellsChanges(): boolean {
    return this.#tellsChanges && this.#opened !== undefined
  }

  /** Goes up with each time that the database was opened. */
  get generation(): number {
    return this.#generation
  }

  readonly use: StoreAccess<S> = async (action) => {
    this.#useCount += 1
    try {
      const opened = await this.#openOnce()
      try {
        return await action(opened.store)
      } catch (error) {
        if (error instanceof AppError && REOPEN_CODES.has(error.code)) await this.#discard(opened, error)
        throw error
      }
    } finally {
      this.#useCount -= 1
    }
  }

  /** Closes the database until it is used again, unless it is in use: its thread takes 8 MiB. */
  async rest(): Promise<void> {
    if (this.#useCount === 0) await this.#closeNow()
  }

  /** Closes the database; a use after this is refused. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#closeNow()
  }

  async #closeNow(): Promise<void> {
    const opening = this.#opened
    this.#opened = undefined
    const opened = await opening?.catch(() => undefined)
    await opened?.store.close()
  }

  async #openOnce(): Promise<OpenedStore<S>> {
    if (this.#isClosed) throw new AppError('ERR_DB_GONE', 'the database is closed')
    this.#opened ??= this.#open().then((opened) => {
      this.#isFresh = opened.isCreated
      this.#tellsChanges = opened.tellsChanges === true
      this.#generation += 1
      return opened
    })
    const attempt = this.#opened
    try {
      return await attempt
    } catch (error) {
      if (this.#opened === attempt) this.#opened = undefined
      throw error
    }
  }

  async #discard(broken: OpenedStore<S>, cause: AppError): Promise<void> {
    const current = await this.#opened?.catch(() => undefined)
    if (current !== broken) return
    this.#opened = undefined
    this.#logger.log('warning', `${broken.store.location}: ${cause.message}: reopening it`)
    await broken.store.close().catch((error: unknown) => {
      this.#logger.log('info', `${broken.store.location}: closing failed (${reasonOf(error)})`)
    })
  }
}
