/**
 * The messages that were accepted, kept across restarts and kills: sixteen bytes each, appended before a
 * message takes effect. Two files, like the two tables in memory; the older is dropped when the newer starts
 * again.
 *
 * A record is the start of the HMAC (8 bytes) and the time of sending (8 bytes, a double, big-endian, seconds since the
 * Epoch). With eight bytes of zero before it, the time is the floor of replay-memory.ts; every file begins with one, and the
 * last one counts.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { isSystemError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'

/** Bytes of a message that are kept: the start of its HMAC. */
const KEPT_MAC_BYTES = 8
const RECORD_BYTES = 16
const FLOOR_MARK = Buffer.alloc(KEPT_MAC_BYTES)
const OWNER_ONLY = 0o600
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants

/** An accepted message. */
export interface ReplayRecord {
  /** Its HMAC, eight bytes or more. */
  mac: Uint8Array
  sentSec: number
}

export interface ReplayFileOptions {
  /** The newer file; the older one has `.old` after its name. In a folder of the daemon's own user. */
  path: string
  /** Told once for each row of failures: a full disk must not stop synchronisation. */
  onTrouble: (message: string) => void
}

export class ReplayFile {
  readonly #options: ReplayFileOptions
  #descriptor: number | undefined
  #isFailing = false
  #floorSec = -Infinity

  constructor(options: ReplayFileOptions) {
    this.#options = options
  }

  /** What both files hold, oldest first; a record that was cut by a crash is left out. */
  read(): { older: ReplayRecord[]; newer: ReplayRecord[]; floorSec: number } {
    const { path } = this.#options
    const older = this.#readOne(`${path}.old`)
    const newer = this.#readOne(path)
    return { older, newer, floorSec: this.#floorSec }
  }

  append(record: ReplayRecord): void {
    this.#try(() => {
      this.#descriptor ??= openForAppending(this.#options.path, this.#floorSec)
      if (writeRecord(this.#descriptor, record)) return
      // The next opening cuts off what a full disk took of it.
      this.close()
      throw new Error('a record was written in part')
    })
  }

  /** Sets the floor. */
  noteFloor(floorSec: number): void {
    this.#floorSec = floorSec
    this.append({ mac: FLOOR_MARK, sentSec: floorSec })
  }

  /** The newer file becomes the older one. */
  rotate(floorSec: number): void {
    this.#floorSec = floorSec
    this.close()
    this.#try(() => {
      try {
        renameSync(this.#options.path, `${this.#options.path}.old`)
      } catch (error) {
        if (!isSystemError(error) || error.code !== 'ENOENT') throw error
      }
      // Write it now: no message may arrive that the floor could be written with.
      this.#descriptor = openForAppending(this.#options.path, floorSec)
    })
  }

  close(): void {
    if (this.#descriptor === undefined) return
    closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  #readOne(path: string): ReplayRecord[] {
    let content: Buffer = Buffer.alloc(0)
    this.#try(() => {
      try {
        content = readRegularFile(path)
      } catch (error) {
        if (!isSystemError(error) || error.code !== 'ENOENT') throw error
      }
    })
    const records: ReplayRecord[] = []
    if (!startsWithFloor(content)) return records
    for (let start = 0; start + RECORD_BYTES <= content.length; start += RECORD_BYTES) {
      const mac = content.subarray(start, start + KEPT_MAC_BYTES)
      const sentSec = content.readDoubleBE(start + KEPT_MAC_BYTES)
      if (mac.equals(FLOOR_MARK)) this.#floorSec = sentSec
      else records.push({ mac, sentSec })
    }
    return records
  }

  #try(action: () => void): void {
    try {
      action()
      this.#isFailing = false
    } catch (error) {
      if (this.#isFailing) return
      this.#isFailing = true
      this.#options.onTrouble(
        `${this.#options.path}: ${reasonOf(error)}: repeats of sync messages may be accepted after a restart`,
      )
    }
  }
}

/**
 * Cuts off a partly written record, after which all others would be read from the wrong byte. A file that is not ours is
 * replaced.
 */
function openForAppending(path: string, floorSec: number): number {
  const descriptor = openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, OWNER_ONLY)
  try {
    const start = Buffer.alloc(RECORD_BYTES)
    const startBytes = readSync(descriptor, start, 0, RECORD_BYTES, 0)
    if (startsWithFloor(start.subarray(0, startBytes))) {
      const { size } = fstatSync(descriptor)
      if (size % RECORD_BYTES !== 0) ftruncateSync(descriptor, size - (size % RECORD_BYTES))
      return descriptor
    }
    ftruncateSync(descriptor, 0)
    if (writeRecord(descriptor, { mac: FLOOR_MARK, sentSec: floorSec })) return descriptor
    throw new Error('a record was written in part')
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}

function startsWithFloor(content: Buffer): boolean {
  return content.length >= RECORD_BYTES && content.subarray(0, KEPT_MAC_BYTES).equals(FLOOR_MARK)
}

/** False if a full disk took only a part. */
function writeRecord(descriptor: number, { mac, sentSec }: ReplayRecord): boolean {
  const bytes = Buffer.alloc(RECORD_BYTES)
  bytes.set(mac.subarray(0, KEPT_MAC_BYTES))
  bytes.writeDoubleBE(sentSec, KEPT_MAC_BYTES)
  return writeSync(descriptor, bytes, 0, RECORD_BYTES) === RECORD_BYTES
}

function readRegularFile(path: string): Buffer {
  const descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    return fstatSync(descriptor).isFile() ? readFileSync(descriptor) : Buffer.alloc(0)
  } finally {
    closeSync(descriptor)
  }
}
