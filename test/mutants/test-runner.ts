/** Runs test files with the changes as they are set, and decides when one takes too long. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { MutantCopy } from './mutant-copy.js'
import type { RunRequest, ServerEvent } from './test-server.js'

/** A step that takes this many times as long as without a change is late, and never before so many milliseconds. */
const LATE_FACTOR = 10
const LATE_FLOOR_MS = 15_000
const LAST_WORDS_MS = 2_000
/** For what is measured itself. */
const MEASURE_LIMIT_MS = 600_000
/** A run that was told to stop: replacing the server costs more than waiting. */
const STOP_LIMIT_MS = 30_000

export type Outcome = { kind: 'passed' } | (Failure & { kind: 'failed' | 'late' })

/** Of a test, or where there is no `testId` of its file. */
export interface Failure {
  file: string
  what: string
  testId?: string | undefined
}

interface Step {
  name: string
  testId?: string | undefined
  sinceMs: number
}

export class TestRunner {
  readonly #words: string[]
  readonly #copy: MutantCopy
  #server: ChildProcess | undefined
  /** What each step took without any change, `file\nstep -> milliseconds`. */
  readonly #stepMs = new Map<string, number>()
  readonly #fileMs = new Map<string, number>()

  constructor(copy: MutantCopy) {
    this.#words = ['--import', 'tsx', join(import.meta.dirname, 'test-server.ts'), copy.root, copy.setupFile]
    this.#copy = copy
    process.on('exit', () => this.stop())
  }

  /** What a test file took when it was measured. */
  fileMs(file: string): number {
    return this.#fileMs.get(file) ?? 0
  }

  /** Runs all and keeps the times; returns what failed first in each file that fails. */
  async measure(files: readonly string[]): Promise<Map<string, Failure>> {
    const failed = new Map<string, Failure>()
    const started = new Map<string, number>()
    const steps = new Map<string, Step>()
    await this.#run({ files: [...files], bail: false }, (event) => {
      if (event.kind === 'failed' && !failed.has(event.file)) failed.set(event.file, event)
      if (event.kind !== 'step') return undefined
      const now = performance.now()
      const last = steps.get(event.file)
      if (last === undefined) started.set(event.file, now)
      else {
        const key = `${event.file}\n${last.name}`
        this.#stepMs.set(key, Math.max(this.#stepMs.get(key) ?? 0, now - last.sinceMs))
      }
      if (event.step === undefined) this.#fileMs.set(event.file, now - started.get(event.file)!)
      else steps.set(event.file, { name: event.step, sinceMs: now })
      return undefined
    })
    return failed
  }

  /** Runs these tests of each file, or the whole file; returns all that failed. */
  async check(tests: ReadonlyMap<string, readonly string[] | undefined>): Promise<Failure[]> {
    const failed: Failure[] = []
    const testIds: Record<string, string[]> = {}
    for (const [file, ids] of tests) if (ids !== undefined) testIds[file] = [...ids]
    await this.#run({ files: [...tests.keys()], bail: false, testIds }, (event) => {
      if (event.kind === 'failed') failed.push(event)
      return undefined
    })
    return failed
  }

  /**
   * Runs them in this order up to the first that fails or is late; `patience` times the usual limits. `testIds`: only
   * these tests, for each of the files.
   */
  async run(
    files: readonly string[],
    patience: number,
    testIds?: Record<string, string[]>,
  ): Promise<Outcome> {
    // One behind the other: who stops waits for nobody else.
    for (const file of files) {
      const outcome = await this.#runOne(file, patience, testIds)
      if (outcome !== undefined) return outcome
    }
    return { kind: 'passed' }
  }

  #runOne(file: string, patience: number, testIds?: Record<string, string[]>): Promise<Outcome | undefined> {
    let last: Step | undefined
    return this.#run(
      { files: [file], bail: true, testIds },
      (event) => {
        if (event.kind === 'failed') return event
        if (event.kind !== 'step') return undefined
        const { step, testId } = event
        last = step === undefined ? undefined : { name: step, testId, sinceMs: performance.now() }
        return undefined
      },
      () => {
        if (last === undefined) return undefined
        const { name, testId, sinceMs } = last
        const usualMs = this.#stepMs.get(`${file}\n${name}`) ?? 0
        const limitMs = Math.max(LATE_FLOOR_MS, usualMs * LATE_FACTOR) * patience
        const takesMs = performance.now() - sinceMs
        if (takesMs > limitMs) return { kind: 'late', file, what: name, testId }
        // Its last words may be under way.
        const isGone = takesMs > LAST_WORDS_MS && this.#copy.isWorkerGone(file)
        return isGone ? { kind: 'failed', file, what: `(its process ended) ${name}` } : undefined
      },
    )
  }

  /** Ends the server with its workers. */
  stop(): void {
    const server = this.#server
    this.#server = undefined
    if (server?.pid === undefined) return
    try {
      // A group of its own.
      process.kill(-server.pid, 'SIGKILL')
    } catch {
      // It has ended already.
    }
  }

  /** The first outcome of `onEvent` or `check`; a server that does not come to an end after it is replaced. */
  async #run(
    request: RunRequest,
    onEvent: (event: ServerEvent) => Outcome | undefined,
    check: () => Outcome | undefined = () => undefined,
  ): Promise<Outcome | undefined> {
    this.#copy.forgetWorkers()
    const server = await this.#started()
    let outcome: Outcome | undefined
    let isEnded = false
    let lastMs = performance.now()
    let stopMs = 0
    const listen = (event: ServerEvent) => {
      lastMs = performance.now()
      if (event.kind === 'end') isEnded = true
      const found = onEvent(event)
      if (outcome === undefined && found !== undefined) {
        outcome = found
        stopMs = lastMs + STOP_LIMIT_MS
      }
    }
    server.on('message', listen)
    server.send(request)
    while (!isEnded) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      if (server.exitCode !== null || server.signalCode !== null)
        throw new Error('the test server ended by itself')
      if (outcome !== undefined && performance.now() > stopMs) break
      const late = outcome === undefined ? check() : undefined
      if (late !== undefined) {
        outcome = late
        break
      }
      if (performance.now() - lastMs > MEASURE_LIMIT_MS)
        throw new Error(`no test came to its end in ${MEASURE_LIMIT_MS / 1000} s`)
    }
    server.off('message', listen)
    if (!isEnded) this.stop()
    if (outcome !== undefined) this.#copy.sweep()
    return outcome
  }

  async #started(): Promise<ChildProcess> {
    if (this.#server !== undefined) return this.#server
    const server = spawn(process.execPath, this.#words, {
      cwd: this.#copy.root,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      detached: true,
    })
    this.#server = server
    await once(server, 'message')
    return server
  }
}
