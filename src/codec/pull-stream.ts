/**
 * The protocol between two gateways in a pull, over the standard input and output of a program at the other
 * end (ssh). The requesting side sends one line of JSON; the answer is a line that names the format, then
 * frames: one byte of type, four of length (big-endian), and that many bytes.
 *
 * | type | holds                                                                          |
 * | ---  | ---                                                                            |
 * | H    | JSON, first: number of the database, newest change of its journal, clock, whether all or some follows |
 * | R    | whole records (sync-record.ts)                                                 |
 * | E    | JSON, last: how many records were sent. Without it the answer was cut           |
 */

import { decodeRecords } from './decode-sync-records.js'
import type { Decoded } from './decoded.js'
import { encodeSoundRecord } from './encode-sync-record.js'
import type { SyncRecord } from './sync-record.js'

const PULL_MAGIC = 'spamdctl pull 1\n'
/** Maximum length of a request: enough for the positions of any realistic number of gateways. */
export const MAX_REQUEST_BYTES = 16 * 1024
/** Limit of the records in one frame; one more record may follow them. */
const FRAME_BYTES = 32 * 1024
const MAX_FRAME_BYTES = 256 * 1024
const HEAD_BYTES = 5
const MAX_POSITIONS = 256

export interface PullRequest {
  /** How far the journal of each database is known here: node and number. Empty: everything is requested. */
  positions: [node: number, position: number][]
}

export interface PullHeader {
  /** null for a database to which nothing was ever written. */
  node: number | null
  newest: number
  nowSec: number
  /** False: only changes after the requested position. */
  isWhole: boolean
}

export type PullRefusal = 'format' | 'cut' | 'frame' | 'records'

/** The request with its line feed. */
export function formatPullRequest(request: PullRequest): string {
  return `${JSON.stringify(request)}\n`
}

/** Reads a request without its line feed; undefined for anything else. */
export function parsePullRequest(line: string): PullRequest | undefined {
  const value = parseJson(line) as Partial<PullRequest> | undefined
  const positions = value?.positions
  if (!Array.isArray(positions) || positions.length > MAX_POSITIONS) return undefined
  const isSound = positions.every(
    (pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => Number.isSafeInteger(part)),
  )
  return isSound ? { positions } : undefined
}

/** First bytes of an answer. */
export function encodePullStart(header: PullHeader): Buffer {
  return Buffer.concat([Buffer.from(PULL_MAGIC), frame('H', Buffer.from(JSON.stringify(header)))])
}

/** Last bytes of an answer. */
export function encodePullEnd(count: number): Buffer {
  return frame('E', Buffer.from(JSON.stringify({ count })))
}

/** Writes records as frames, without those that no gateway would accept; returns how many were written. */
export function* encodePullRecords(records: Iterable<SyncRecord>): Generator<Buffer, number> {
  let waiting: Buffer[] = []
  let waitingBytes = 0
  let count = 0
  for (const record of records) {
    const bytes = encodeSoundRecord(record)
    if (bytes === undefined) continue
    count += 1
    waiting.push(bytes)
    waitingBytes += bytes.length
    if (waitingBytes < FRAME_BYTES) continue
    yield frame('R', Buffer.concat(waiting))
    waiting = []
    waitingBytes = 0
  }
  if (waiting.length > 0) yield frame('R', Buffer.concat(waiting))
  return count
}

function frame(type: string, body: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.write(type, 'latin1')
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

/** One step of an answer. */
export type PullPart =
  | { kind: 'header'; header: PullHeader }
  | { kind: 'records'; records: SyncRecord[]; unknownCount: number }
  | { kind: 'end'; count: number }

/** Decodes an answer as its bytes arrive. */
export class PullDecoder {
  #waiting = Buffer.alloc(0)
  #state: 'magic' | 'header' | 'records' | 'done' = 'magic'

  /** True once the end was read. */
  get isComplete(): boolean {
    return this.#state === 'done'
  }

  /** The parts that these bytes complete. */
  take(chunk: Uint8Array): Decoded<PullPart[], PullRefusal> {
    this.#waiting = this.#waiting.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#waiting, chunk])
    const parts: PullPart[] = []
    if (this.#state === 'magic') {
      const length = Math.min(this.#waiting.length, PULL_MAGIC.length)
      if (this.#waiting.toString('latin1', 0, length) !== PULL_MAGIC.slice(0, length))
        return refused('format')
      if (length < PULL_MAGIC.length) return taken(parts)
      this.#waiting = this.#waiting.subarray(length)
      this.#state = 'header'
    }
    while (this.#waiting.length >= HEAD_BYTES) {
      const lengthBytes = this.#waiting.readUInt32BE(1)
      if (lengthBytes > MAX_FRAME_BYTES || this.#state === 'done') return refused('frame')
      if (this.#waiting.length < HEAD_BYTES + lengthBytes) break
      const part = this.#readFrame(
        String.fromCharCode(this.#waiting[0]!),
        this.#waiting.subarray(HEAD_BYTES, HEAD_BYTES + lengthBytes),
      )
      if (typeof part === 'string') return refused(part)
      parts.push(part)
      this.#waiting = this.#waiting.subarray(HEAD_BYTES + lengthBytes)
    }
    return taken(parts)
  }

  #readFrame(type: string, body: Buffer): PullPart | PullRefusal {
    if (this.#state === 'header') {
      const header = type === 'H' ? headerOf(parseJson(body.toString('utf8'))) : undefined
      if (header === undefined) return 'frame'
      this.#state = 'records'
      return { kind: 'header', header }
    }
    if (type === 'R') {
      const decoded = decodeRecords(body, 0, body.length)
      return typeof decoded === 'string' ? 'records' : { kind: 'records', ...decoded }
    }
    const { count } = (parseJson(body.toString('utf8')) ?? {}) as { count?: unknown }
    if (type !== 'E' || !Number.isSafeInteger(count)) return 'frame'
    this.#state = 'done'
    return { kind: 'end', count: count as number }
  }
}

function headerOf(value: unknown): PullHeader | undefined {
  const { node, newest, nowSec, isWhole } = (value ?? {}) as Partial<PullHeader>
  const isNode = node === null || isWithin(node, 2 ** 32)
  // As wide as the field of a message: a larger position would hide all later changes.
  if (!isNode || !isWithin(newest, 2 ** 48) || !Number.isSafeInteger(nowSec)) return undefined
  if (typeof isWhole !== 'boolean') return undefined
  return { node: node as number | null, newest: newest as number, nowSec: nowSec as number, isWhole }
}

function isWithin(value: unknown, end: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < end
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function taken(value: PullPart[]): Decoded<PullPart[], PullRefusal> {
  return { ok: true, value, bytesRead: 0 }
}

function refused(reason: PullRefusal): Decoded<PullPart[], PullRefusal> {
  return { ok: false, reason, offset: 0 }
}
