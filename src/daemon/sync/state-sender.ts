/**
 * Sends changes made here, by any program, to other gateways of this suite: follows the journal from its own
 * position, which survives restarts, and sends what is on record under each key that changed. Changes from
 * other gateways are not sent on. What it cannot send (an import of many entries, a long absence) is skipped;
 * receivers detect the gap.
 */
import { encodeSoundRecord } from '../../codec/encode-sync-record.js'
import { encodeStateMessage, USUAL_RECORD_BYTES } from '../../codec/sync-state-message.js'
import type { JournalRow } from '../../db/store.js'
import { type ChangeKey, keyText } from '../../domain/change.js'
import { datedNow } from '../../domain/dated-ahead.js'
import type { MergeRecord } from '../../domain/decide-merge.js'
import type { Clock } from '../../platform/clock.js'
import type { StoreAccess } from '../store/store-keeper.js'

/** Changes are sent within a fraction of a second. */
const POLL_MS = 200
const HEARTBEAT_MS = 10_000
/** Rows of one look; as many datagrams as these make fit into the usual receive buffer of a peer. */
const MAX_ROWS = 500
/** If it is further behind than this, peers are faster with a pull than with datagrams. */
const MAX_BEHIND = 20_000
/** Without any peer of this version changes wait so long for one to be heard. */
const WAIT_FOR_PEERS_MS = 30_000
/** Message numbers that are reserved at a time, so that none is used twice after a crash. */
const RESERVED_NUMBERS = 10_000
/** Name of the position in the journal. */
const SYNC_POSITION = 'sync'

/** Rules whose changes came from other gateways, or are a matter of time alone. */
const NOT_SENT: ReadonlySet<string> = new Set(['merge', 'peer', 'expiry', 'limit'])

export interface StateSenderOptions {
  useStore: StoreAccess
  clock: Clock
  key: () => Uint8Array | undefined
  /** True while another gateway speaks this version. */
  hasListeners: () => boolean
  /** Sends a datagram: to gateways of this version, or to all others. */
  send: (datagram: Uint8Array, to: 'listeners' | 'others') => void
  /** Told of each look's rows, for what version 2 has to be told as well. */
  onRows?: ((rows: readonly JournalRow[]) => Promise<void>) | undefined
  /** Told once for each row of failures. */
  onTrouble: (error: unknown) => void
}

export class StateSender {
  /** Counted since the start. */
  readonly counters = { messages: 0, records: 0, skippedChanges: 0 }
  readonly #options: StateSenderOptions
  #node = 0
  #position: number | undefined
  /** The last row of the journal that `onRows` got. */
  #handedOn = 0
  #number = 0
  #reservedNumber = 0
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #isStopped = false
  #isFailing = false
  readonly #startedMs: number
  #beatMs = Number.NEGATIVE_INFINITY

  constructor(options: StateSenderOptions) {
    this.#options = options
    this.#startedMs = options.clock.monotonicMs()
  }

  /** Number of the database; 0 before the first look. */
  get node(): number {
    return this.#node
  }

  /** Looks now, and then again and again. */
  start(): void {
    this.#plan(0)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#running
    // Poll once more, to send changes made before the end.
    await this.look()
  }

  /** Says at the next look that we are here. */
  beat(): void {
    this.#beatMs = Number.NEGATIVE_INFINITY
  }

  /** Sends what changed since the last look. Never rejects. */
  async look(): Promise<void> {
    try {
      await this.#look()
      this.#isFailing = false
    } catch (error) {
      if (!this.#isFailing) this.#options.onTrouble(error)
      this.#isFailing = true
    }
  }

  #plan(delayMs: number): void {
    if (this.#isStopped) return
    this.#timer = setTimeout(() => {
      this.#running = this.look().then(() => this.#plan(POLL_MS))
    }, delayMs)
  }

  async #look(): Promise<void> {
    const { clock, key } = this.#options
    if (key() === undefined) return
    await this.#begin()
    await this.#reserve()
    await this.#follow()
    if (clock.monotonicMs() - this.#beatMs < HEARTBEAT_MS) return
    this.#beatMs = clock.monotonicMs()
    const position = this.#position!
    this.#send(position, position, [], 'listeners')
    this.#send(position, position, [], 'others')
  }

  async #begin(): Promise<void> {
    if (this.#position !== undefined) return
    const { useStore, clock } = this.#options
    await useStore((store) => store.saveSyncPeers([], clock.nowSec()))
    const { node, newest, peers } = await useStore((store) => store.syncState())
    this.#node = node ?? 0
    this.#reservedNumber = peers.find((peer) => peer.node === node)?.number ?? 0
    this.#number = this.#reservedNumber
    const stored = await useStore((store) => store.journalPosition(SYNC_POSITION))
    this.#position = stored ?? newest
    if (stored === undefined) await this.#savePosition(newest)
  }

  /** Makes sure of a few hundred numbers that were never used. */
  async #reserve(): Promise<void> {
    if (this.#number + MAX_ROWS < this.#reservedNumber) return
    const { useStore, clock } = this.#options
    const number = this.#number + RESERVED_NUMBERS
    const own = { node: this.#node, name: '', position: 0, newest: 0, number, heard: 0 }
    await useStore((store) => store.saveSyncPeers([own], clock.nowSec()))
    this.#reservedNumber = number
  }

  async #follow(): Promise<void> {
    const { useStore, hasListeners, clock } = this.#options
    const start = this.#position!
    const slice = await useStore((store) => store.readJournal(start, MAX_ROWS))
    if (slice.newest === start) return
    await this.#handOn(slice.rows)
    if (await this.#mustWait()) return
    if (!hasListeners()) {
      if (clock.monotonicMs() - this.#startedMs < WAIT_FOR_PEERS_MS) return
      await this.#savePosition(slice.rows.at(-1)?.seq ?? slice.newest)
      return
    }
    if (slice.isBehind || slice.newest - start > MAX_BEHIND) {
      this.counters.skippedChanges += Math.max(0, slice.newest - start)
      await this.#savePosition(slice.newest)
      this.beat()
      return
    }
    const keys = new Map<string, ChangeKey>()
    for (const { key, rule } of slice.rows) {
      if (key !== undefined && !NOT_SENT.has(rule)) keys.set(keyText(key), key)
    }
    const records = await useStore((store) => store.readRecords([...keys.values()]))
    const told = records.flatMap((record) => datedNow(record, clock.nowSec(), this.#node) ?? [])
    this.#tell(slice.rows, told)
    await this.#savePosition(slice.rows.at(-1)!.seq)
  }

  /** Rows are read again while the start waits for gateways; each is passed on once, when that succeeds. */
  async #handOn(rows: readonly JournalRow[]): Promise<void> {
    const fresh = rows.filter(({ seq }) => seq > this.#handedOn)
    if (fresh.length > 0) await this.#options.onRows?.(fresh)
    this.#handedOn = rows.at(-1)?.seq ?? this.#handedOn
  }

  /** True while stamps are ahead and it is unknown whether the clock was ahead or is behind; see stamp-watch.ts. */
  async #mustWait(): Promise<boolean> {
    const { useStore, clock } = this.#options
    return (await useStore((store) => store.stampsAhead('stay', clock.nowSec()))) > 0
  }

  /** Each message covers the rows up to the first whose record no longer fits. */
  #tell(rows: readonly JournalRow[], records: readonly MergeRecord[]): void {
    const byKey = new Map(records.map((record) => [recordKey(record), record]))
    let from = this.#position!
    let upTo = from
    let waiting: Buffer[] = []
    let waitingBytes = 0
    const flush = (): void => {
      if (upTo > from) this.#send(from, upTo, waiting, 'listeners')
      from = upTo
      waiting = []
      waitingBytes = 0
    }
    for (const { seq, key } of rows) {
      if (key === undefined) {
        // So much at once that no message can tell it.
        flush()
        from = seq
        upTo = seq
        this.counters.skippedChanges += 1
        this.beat()
        continue
      }
      const text = keyText(key)
      const record = byKey.get(text)
      byKey.delete(text)
      const bytes = record && encodeSoundRecord(record)
      if (bytes !== undefined) {
        if (waitingBytes + bytes.length > USUAL_RECORD_BYTES) flush()
        waiting.push(bytes)
        waitingBytes += bytes.length
        this.counters.records += 1
      }
      upTo = seq
    }
    flush()
  }

  #send(from: number, upTo: number, records: readonly Buffer[], to: 'listeners' | 'others'): void {
    const { key, clock, send, hasListeners } = this.#options
    const secret = key()
    if (secret === undefined || (to === 'listeners' && !hasListeners())) return
    this.#number += 1
    const header = {
      node: this.#node,
      number: this.#number,
      clockMs: clock.nowSec() * 1000,
      from,
      upTo,
      isTellingAll: to === 'listeners',
    }
    this.counters.messages += 1
    send(encodeStateMessage(header, records, secret), to)
  }

  async #savePosition(position: number): Promise<void> {
    const { useStore, clock } = this.#options
    this.#position = position
    await useStore((store) => store.saveJournalPosition(SYNC_POSITION, position, clock.nowSec()))
  }
}

function recordKey(record: MergeRecord): string {
  switch (record.kind) {
    case 'host':
      return record.ip
    case 'tuple':
      return keyText({ kind: 'tuple', ...record.tuple })
    case 'spamtrap':
    case 'release':
      return keyText(record)
    case 'pool':
      return record.network
  }
}
