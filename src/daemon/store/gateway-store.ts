/**
 * The store of a gateway whose database is on a server: while the server is unreachable it uses its own
 * SQLite file, and transfers the changes by the same merge as gateways that catch up with each other
 * (docs/protocol/cluster.md).
 *
 * While the server is reachable, the file follows addresses and spamtraps, so that tables and traps are kept
 * when it is lost. It does not have the server's tuples: their clients wait again, and no client passes
 * without having waited.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { countText } from '../../codec/count-text.js'
import type { JournalSlice, MergePolicy, ScanSlice, Store } from '../../db/store.js'
import type { EntryKey } from '../../domain/entry.js'
import { keyOf } from '../../domain/entry-key.js'
import { isExpired } from '../../domain/greylist-rules.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { DaemonStoreCall } from './store-worker-messages.js'

/** Error codes of an unreachable server; a lock or a wrong entry is not among them. */
const AWAY_CODES: ReadonlySet<string> = new Set([
  'ERR_DB_AWAY',
  'ERR_DB_OPEN',
  'ERR_DB_READONLY',
  'ERR_DB_FULL',
  'ERR_DB_IO',
  'ERR_DB_CORRUPT',
])
/** How often the connection to the server is retried. */
const RETRY_MS = 2000
/** How often the file is compared with the server as a whole. */
const MIRROR_MS = 600_000
const SLICE = 500
/** A WHITE entry that expires while the gateway is alone is extended by this much. */
const SUSPENDED_SEC = 3600

export interface GatewayStoreOptions {
  /** Opens the store on the server; rejects while it is away. */
  openServer: () => Promise<Store>
  local: Store
  policy: MergePolicy
  /** Name of the program, for its position in the journal of the file. */
  name: string
  nowSec: () => number
  /** Told in one line of what an administrator should know. */
  onNotice: (text: string) => void
  /** Since when the gateway is alone, seconds since the Epoch; undefined: it is not. */
  onAlone: (sinceSec: number | undefined) => void
  retryMs?: number
}

export class GatewayStore {
  readonly #options: GatewayStoreOptions
  readonly #reader: string
  #server: Store | undefined
  #aloneSince: number | undefined
  #timer: NodeJS.Timeout | undefined
  #mirror: { timer: NodeJS.Timeout; dueMs: number } | undefined
  /** When a comparison that failed is tried again; longer with each failure. */
  #mirrorRetryMs = RETRY_MS
  #working: Promise<void> = Promise.resolve()
  /** Calls that were begun on the file. */
  readonly #aloneCalls = new Set<Promise<unknown>>()
  /** Under way: noting where the file's journal ends, before anything is written into it; and dropping that again. */
  #leaving: Promise<void> | undefined
  #dropping: Promise<void> | undefined
  #isClosed = false

  private constructor(options: GatewayStoreOptions) {
    this.#options = options
    this.#reader = `server ${options.name}`
  }

  /** Connects, or begins alone; what an earlier start could not hand over is handed over first. */
  static async open(options: GatewayStoreOptions): Promise<GatewayStore> {
    const store = new GatewayStore(options)
    try {
      await store.#begin()
    } catch (error) {
      await store.close()
      throw error
    }
    return store
  }

  async #begin(): Promise<void> {
    const { openServer, local } = this.#options
    try {
      this.#server = await openServer()
      if ((await local.journalPosition(this.#reader)) !== undefined) await this.#handOver()
    } catch (error) {
      if (!isAway(error)) throw error
      await this.#goAlone(error)
      return
    }
    this.#planMirror(0)
  }

  get aloneSinceSec(): number | undefined {
    return this.#aloneSince
  }

  /** Makes a call of the store, on the server or, while that is away, on the file. */
  async call(name: DaemonStoreCall, parameters: readonly unknown[]): Promise<unknown> {
    // The server may have returned between a failure and the switch to the file: a waiting call tries it once more.
    while (this.#aloneSince === undefined) {
      try {
        const result = await invoke(this.#server!, name, parameters)
        if (name === 'readJournal') this.#follow(result as JournalSlice, parameters[1] === 0)
        return result
      } catch (error) {
        if (!isAway(error)) throw error
        await this.#goAlone(error)
      }
    }
    const answer = this.#callAlone(name, parameters)
    this.#aloneCalls.add(answer)
    try {
      return await answer
    } finally {
      this.#aloneCalls.delete(answer)
    }
  }

  /** What is being handed over or compared stops at its next slice, and continues there after the next start. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#mirror?.timer)
    await this.#working.catch(() => undefined)
    await this.#leaving?.catch(() => undefined)
    await Promise.allSettled(this.#aloneCalls)
    await this.#server?.close().catch(() => undefined)
    await this.#options.local.close()
  }

  /** Resolves when nothing is being handed over or compared: for tests. */
  async settled(): Promise<void> {
    await this.#working.catch(() => undefined)
  }

  /** Compares the file with the server now. */
  async mirrorNow(): Promise<void> {
    await this.settled()
    await this.#compare()
  }

  async #callAlone(name: DaemonStoreCall, parameters: readonly unknown[]): Promise<unknown> {
    const { local, nowSec } = this.#options
    // WHITE entries are kept while it is unknown whether another gateway has seen their hosts.
    if (name === 'applyScan') {
      const [changes, ...rest] = parameters as Parameters<Store['applyScan']>
      const expired = changes.expired.filter(({ kind }) => kind !== 'host')
      return local.applyScan({ ...changes, expired }, ...rest)
    }
    const result = await invoke(local, name, parameters)
    if (name !== 'readScanSlice') return result
    const { entries, next } = result as ScanSlice
    const until = nowSec() + SUSPENDED_SEC
    return {
      entries: entries.map((entry) =>
        entry.kind === 'WHITE' && entry.expire !== EXPIRE_NEVER && entry.expire < until
          ? { ...entry, expire: until }
          : entry,
      ),
      next,
    }
  }

  /** Rejects, and leaves everything as it was, when the file cannot be written: the next call tries again. */
  #goAlone(error: unknown): Promise<void> {
    this.#leaving ??= this.#leave(error).finally(() => {
      this.#leaving = undefined
    })
    return this.#leaving
  }

  async #leave(error: unknown): Promise<void> {
    const { local, nowSec, onNotice, onAlone } = this.#options
    await this.#dropping?.catch(() => undefined)
    if (this.#aloneSince !== undefined) return
    const since = nowSec()
    if ((await local.journalPosition(this.#reader)) === undefined) {
      const { newest } = await local.readJournal(0, 0)
      await local.saveJournalPosition(this.#reader, newest, nowSec())
    }
    // Only now may calls go to the file: what they change is after the position.
    this.#aloneSince = since
    onAlone(since)
    onNotice(`the database server is unreachable (${reasonOf(error)}): using ${local.location}`)
    this.#planReturn()
  }

  #planReturn(): void {
    if (this.#isClosed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#working = this.#working
        .catch(() => undefined)
        .then(() => this.#tryReturn())
        .then((isBack) => {
          if (!isBack) this.#planReturn()
        })
    }, this.#options.retryMs ?? RETRY_MS)
  }

  async #tryReturn(): Promise<boolean> {
    try {
      this.#server ??= await this.#options.openServer()
      await this.#server.tupleCount()
      await this.#handOver()
      this.#planMirror(0)
      return true
    } catch (error) {
      if (!isAway(error) && !(error instanceof AppError)) throw error
      return false
    }
  }

  /**
   * Transfers to the server what changed while it was unreachable; calls continue in the meantime, and their
   * changes are transferred too.
   */
  async #handOver(): Promise<void> {
    const { nowSec, onNotice, onAlone } = this.#options
    const counts = { host: 0, tuple: 0, spamtrap: 0, pool: 0, release: 0 }
    await this.#bringChanges(counts)
    // From now on calls go to the server; what was begun on the file before is waited for and brought as well.
    const since = this.#aloneSince
    this.#aloneSince = undefined
    try {
      await Promise.allSettled(this.#aloneCalls)
      await this.#bringChanges(counts)
      await this.#dropPosition()
    } catch (error) {
      this.#aloneSince ??= since
      throw error
    }
    onAlone(undefined)
    const alone = since === undefined ? '' : ` after ${nowSec() - since} s alone`
    onNotice(
      `the database server is reachable again${alone}: handed over ${countText(counts.host, 'address', 'addresses')}, ${countText(counts.tuple, 'tuple')}, ${countText(counts.spamtrap, 'spamtrap')}`,
    )
  }

  /** A switch to the file that begins meanwhile waits and stores its own position; one that began before needs this one. */
  async #dropPosition(): Promise<void> {
    const { local, nowSec } = this.#options
    if (this.#leaving !== undefined || this.#aloneSince !== undefined) {
      throw new AppError('ERR_DB_AWAY', 'the server went away again')
    }
    this.#dropping = local.saveJournalPosition(this.#reader, undefined, nowSec())
    try {
      await this.#dropping
    } finally {
      this.#dropping = undefined
    }
  }

  /** Brings what changed since the position that is kept, until there is nothing more. */
  async #bringChanges(counts: Record<string, number>): Promise<void> {
    const { local, nowSec } = this.#options
    let position = (await local.journalPosition(this.#reader)) ?? 0
    for (;;) {
      this.#stopIfClosed()
      const { rows, isBehind, newest } = await local.readJournal(position, SLICE)
      if (isBehind || rows.some(({ key }) => key === undefined)) {
        await this.#bringAll(counts)
        position = newest
      } else if (rows.length === 0) return
      else {
        const keys = new Map(rows.map(({ key }) => [JSON.stringify(key), key!]))
        await this.#bring(await local.readRecords([...keys.values()]), counts)
        position = rows.at(-1)!.seq
      }
      await local.saveJournalPosition(this.#reader, position, nowSec())
    }
  }

  async #bringAll(counts: Record<string, number>): Promise<void> {
    let cursor: string | undefined
    do {
      this.#stopIfClosed()
      const { records, next } = await this.#options.local.listRecords(cursor, SLICE)
      await this.#bring(records, counts)
      cursor = next
    } while (cursor !== undefined)
  }

  async #bring(
    records: Awaited<ReturnType<Store['readRecords']>>,
    counts: Record<string, number>,
  ): Promise<void> {
    const { policy, nowSec } = this.#options
    const { outcomes } = await this.#server!.merge(records, { policy }, nowSec())
    for (const [index, { kind }] of records.entries()) {
      if (outcomes[index] === 'applied') counts[kind] = (counts[kind] ?? 0) + 1
    }
  }

  #stopIfClosed(): void {
    if (this.#isClosed) throw new AppError('ERR_DB_GONE', 'the database is closed')
  }

  /**
   * Plans the next comparison, unless one is planned earlier; one in progress may have read what has
   * changed since, and is not it.
   */
  #planMirror(inMs: number): void {
    const dueMs = performance.now() + inMs
    if (this.#isClosed || (this.#mirror !== undefined && this.#mirror.dueMs <= dueMs)) return
    clearTimeout(this.#mirror?.timer)
    const timer = setTimeout(() => {
      this.#mirror = undefined
      this.#working = this.#working.catch(() => undefined).then(() => this.#compareAndPlan())
    }, inMs)
    this.#mirror = { timer, dueMs }
  }

  async #compareAndPlan(): Promise<void> {
    try {
      await this.#compare()
      this.#mirrorRetryMs = RETRY_MS
      this.#planMirror(MIRROR_MS)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      this.#planMirrorAgain()
    }
  }

  /** What could not be compared or brought is found by the next comparison, soon. */
  #planMirrorAgain(): void {
    this.#planMirror(this.#mirrorRetryMs)
    this.#mirrorRetryMs = Math.min(this.#mirrorRetryMs * 2, MIRROR_MS)
  }

  get #isFollowing(): boolean {
    return this.#aloneSince === undefined && !this.#isClosed
  }

  /** Copies what addresses, spamtraps, pools and releases are on the server, and drops what is over. */
  async #compare(): Promise<void> {
    const { local, policy, nowSec } = this.#options
    let cursor: string | undefined
    do {
      if (!this.#isFollowing) return
      const { records, next } = await this.#server!.listRecords(cursor, SLICE)
      const wanted = records.filter(({ kind }) => kind !== 'tuple')
      await local.merge(wanted, { policy }, nowSec())
      await nextTurn()
      cursor = wanted.length < records.length ? undefined : next
    } while (cursor !== undefined)
    do {
      const slice = await local.readScanSlice(cursor, SLICE, { dueAt: nowSec() })
      const expired = slice.entries.filter((entry) => isExpired(entry, nowSec())).map(keyOf)
      // Nothing ends while the gateway is alone.
      if (!this.#isFollowing) return
      if (expired.length > 0) {
        await local.applyScan(
          { expired, promoted: [], blocked: [], blockedTuples: [] },
          { whiteExpireSec: 0 },
          nowSec(),
        )
      }
      await nextTurn()
      cursor = slice.next
    } while (cursor !== undefined)
  }

  /** Applies the changes in the server's journal to the file; the first reading also needs everything before them. */
  #follow({ rows, isBehind }: JournalSlice, isStart: boolean): void {
    if (isBehind || isStart || rows.some(({ key }) => key === undefined)) this.#planMirror(0)
    const keys = rows.map(({ key }) => key).filter((key) => key !== undefined && key.kind !== 'tuple')
    if (keys.length === 0) return
    const { local, policy, nowSec } = this.#options
    this.#working = this.#working
      .then(async () => {
        if (this.#aloneSince !== undefined) return
        const records = await this.#server!.readRecords(keys as EntryKey[])
        await local.merge(records, { policy }, nowSec())
      })
      // The journal is read only once: changes that could not be applied are found by the next comparison.
      .catch(() => this.#planMirrorAgain())
  }
}

function invoke(store: Store, name: DaemonStoreCall, parameters: readonly unknown[]): Promise<unknown> {
  return (store[name] as (...parameters: readonly unknown[]) => Promise<unknown>).apply(store, [
    ...parameters,
  ])
}

function isAway(error: unknown): boolean {
  return error instanceof AppError && AWAY_CODES.has(error.code)
}
