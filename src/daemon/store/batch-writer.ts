/**
 * Carries what arrives one by one into the database in batches: many items share one commit. What cannot be written
 * waits and is tried again, and the end writes what waits as far as the database lets it.
 *
 * One batch is written at a time. While it is, arrivals gather by themselves; a batch waits for more company only
 * where the pace says that it is worth it, so that a single item on a quiet machine is written at once.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { AppError } from '../../platform/app-error.js'
import type { Clock } from '../../platform/clock.js'

/** Longest pause after a failed write; it begins with `FIRST_RETRY_MS` and doubles. A lock is tried at the first pace. */
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 2_000
/** How often a locked database is tried while the program ends. */
const DRAIN_RETRY_MS = 50
/** Arrivals are counted over windows of this length to tell whether there is company. */
const WINDOW_MS = 50

/** What waits to be written. */
export interface WaitingWork<Batch> {
  /** Items that wait, those of a batch that is being written included. */
  readonly length: number
  /** The next batch, which stays in the work until `remove`; asked for only while `length` is above 0. */
  nextBatch(): Batch | Promise<Batch>
  /** Takes out a batch that was written. */
  remove(batch: Batch): void
}

/** When a batch waits for company. */
export interface WriterPace {
  /** So many items make a full batch, which waits for none. */
  fullBatch: number
  /** Longest wait of the first item of a batch; Infinity: nothing is written before `drain`. */
  companyMs: number
  /** Arrivals within a window of 50 ms from which on company is waited for; 0: always. */
  companyFrom: number
}

export interface WriteFailure {
  error: unknown
  /** Code of the error where it has one. */
  code: string | undefined
  /** False when the write before failed as well. */
  isFirst: boolean
  /** Since the first failure of this row. */
  failingMs: number
}

export interface BatchWriterOptions<Batch, Outcome> {
  work: WaitingWork<Batch>
  pace: WriterPace
  clock: Clock
  /** Writes a batch in one transaction: all of it is stored when it resolves, nothing when it rejects. */
  write(batch: Batch): Promise<Outcome>
  /** Called after the commit, when the batch has left the work. Must not throw. */
  onWritten(batch: Batch, outcome: Outcome): void
  /** Called after a failed write; the batch stays in the work. Must not throw. */
  onFailed(failure: WriteFailure): void
  /** The first write after failures went well. */
  onRecovered?(): void
}

/** Counted since the start. */
export interface WriterCounters {
  batches: number
  failures: number
  /** Time that the written batches took, in milliseconds. */
  writingMs: number
}

export class BatchWriter<Batch, Outcome> {
  readonly counters: WriterCounters = { batches: 0, failures: 0, writingMs: 0 }
  readonly #options: BatchWriterOptions<Batch, Outcome>
  #running: Promise<void> | undefined
  #writing: Promise<boolean> | undefined
  #drainers = 0
  #isClosed = false
  #failingSinceMs: number | undefined
  #lastCode: string | undefined
  #retryMs = FIRST_RETRY_MS
  #wakeUp: (() => void) | undefined
  #isWaitingForCompany = false
  #windowStartMs = Number.NEGATIVE_INFINITY
  #windowCount = 0
  #lastWindowCount = 0

  constructor(options: BatchWriterOptions<Batch, Outcome>) {
    this.#options = options
  }

  /** True from a failed write to the next one that went well. */
  get isFailing(): boolean {
    return this.#failingSinceMs !== undefined
  }

  /** Something was added to the work. */
  notify(): void {
    this.#countArrival()
    const { work, pace } = this.#options
    if (this.#isWaitingForCompany && work.length >= pace.fullBatch) this.#wakeUp?.()
    this.#runUnlessBusy()
  }

  /**
   * Writes everything that waits. A locked database is tried again until `waitMs` have passed, a file that was
   * replaced is opened once more, any other failure ends at once. Returns how many items are still unwritten; they
   * stay in the work.
   */
  async drain(waitMs: number): Promise<number> {
    const { work, clock } = this.#options
    const startMs = clock.monotonicMs()
    let isReplacedOnce = false
    this.#drainers += 1
    this.#wakeUp?.()
    try {
      while (work.length > 0) {
        // A write that was going on may have begun before the last item came: it counts as no try of ours.
        if (this.#writing !== undefined) await this.#writing
        else if (!(await this.#writeNext())) {
          if (this.#lastCode === 'ERR_DB_GONE' && !isReplacedOnce) {
            isReplacedOnce = true
            continue
          }
          if (!this.#isLocked || clock.monotonicMs() - startMs >= waitMs) break
          await pause(DRAIN_RETRY_MS)
        }
      }
    } finally {
      this.#drainers -= 1
      this.#runUnlessBusy()
    }
    return work.length
  }

  /** Drains and writes nothing more by itself; the result is that of `drain`. */
  async close(waitMs: number): Promise<number> {
    this.#isClosed = true
    const leftCount = await this.drain(waitMs)
    await this.#running
    return leftCount
  }

  get #isLocked(): boolean {
    return this.#lastCode === 'ERR_DB_BUSY'
  }

  get #mayRun(): boolean {
    return !this.#isClosed && this.#drainers === 0 && this.#options.work.length > 0
  }

  #runUnlessBusy(): void {
    if (this.#running !== undefined || !this.#mayRun || this.#options.pace.companyMs === Infinity) return
    // Cleared by the loop itself, in the same turn in which it finds nothing left to do.
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    while (this.#mayRun) {
      if (this.isFailing) await this.#sleep(this.#retryMs)
      else await this.#waitForCompany()
      if (this.#mayRun) await this.#writeNext()
    }
    this.#running = undefined
  }

  async #waitForCompany(): Promise<void> {
    const { work, pace } = this.#options
    const arrivals = Math.max(this.#lastWindowCount, this.#windowCount)
    if (work.length >= pace.fullBatch || arrivals < pace.companyFrom) {
      // What arrives in the same turn comes along.
      await Promise.resolve()
      return
    }
    this.#isWaitingForCompany = true
    await this.#sleep(pace.companyMs)
    this.#isWaitingForCompany = false
  }

  #countArrival(): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#windowStartMs >= WINDOW_MS) {
      // A window without arrivals in between leaves nothing of the older one.
      this.#lastWindowCount = nowMs - this.#windowStartMs < 2 * WINDOW_MS ? this.#windowCount : 0
      this.#windowStartMs = nowMs
      this.#windowCount = 0
    }
    this.#windowCount += 1
  }

  /** Writes one batch, alone; false when that failed. */
  #writeNext(): Promise<boolean> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #write(): Promise<boolean> {
    const { work, clock, write, onWritten, onRecovered } = this.#options
    const batch = await work.nextBatch()
    const startedMs = clock.monotonicMs()
    let outcome: Outcome
    try {
      outcome = await write(batch)
    } catch (error) {
      this.#noteFailure(error)
      return false
    }
    this.counters.batches += 1
    this.counters.writingMs += clock.monotonicMs() - startedMs
    const wasFailing = this.isFailing
    this.#failingSinceMs = undefined
    this.#lastCode = undefined
    this.#retryMs = FIRST_RETRY_MS
    work.remove(batch)
    if (wasFailing) onRecovered?.()
    onWritten(batch, outcome)
    return true
  }

  #noteFailure(error: unknown): void {
    const nowMs = this.#options.clock.monotonicMs()
    const isFirst = this.#failingSinceMs === undefined
    this.counters.failures += 1
    this.#failingSinceMs ??= nowMs
    this.#lastCode = error instanceof AppError ? error.code : undefined
    if (!isFirst && !this.#isLocked) this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS)
    if (this.#isLocked) this.#retryMs = FIRST_RETRY_MS
    const failingMs = nowMs - this.#failingSinceMs
    this.#options.onFailed({ error, code: this.#lastCode, isFirst, failingMs })
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wakeUp?.(), milliseconds)
      this.#wakeUp = () => {
        clearTimeout(timer)
        this.#wakeUp = undefined
        resolve()
      }
    })
  }
}
