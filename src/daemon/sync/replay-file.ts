/**
 * The messages that were accepted, kept across restarts and kills: eight bytes each, appended before a
 * message takes effect. Two files, like the two tables in memory; the older is dropped when the newer starts
 * again.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { isSystemError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'

/** Bytes of a message that are kept: the start of its HMAC. */
const KEPT_MAC_BYTES = 8
const OWNER_ONLY = 0o600
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants

export interface ReplayFileOptions {
  /** The newer file; the older one has `.old` behind its name. In a folder of the daemon's own user. */
  path: string
  /** Told once for each row of failures: a full disk must not stop synchronisation. */
  onTrouble: (message: string) => void
}

export class ReplayFile {
  readonly #options: ReplayFileOptions
  #descriptor: number | undefined
  #isFailing = false

  constructor(options: ReplayFileOptions) {
    this.#options = options
  }

  /** What both files hold, oldest first; a record that was cut by a crash is left out. */
  read(): { older: Uint8Array[]; newer: Uint8Array[] } {
    const { path } = this.#options
    return { older: this.#readOne(`${path}.old`), newer: this.#readOne(path) }
  }

  append(mac: Uint8Array): void {
    this.#try(() => {
      this.#descriptor ??= openForAppending(this.#options.path)
      if (writeSync(this.#descriptor, mac, 0, KEPT_MAC_BYTES) === KEPT_MAC_BYTES) return
      // The next opening cuts off what a full disk took of it.
      this.close()
      throw new Error('a record was written in part')
    })
  }

  /** The newer file becomes the older one. */
  rotate(): void {
    this.close()
    this.#try(() => {
      try {
        renameSync(this.#options.path, `${this.#options.path}.old`)
      } catch (error) {
        if (!isSystemError(error) || error.code !== 'ENOENT') throw error
      }
    })
  }

  close(): void {
    if (this.#descriptor === undefined) return
    closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  #readOne(path: string): Uint8Array[] {
    let content: Buffer = Buffer.alloc(0)
    this.#try(() => {
      try {
        content = readRegularFile(path)
      } catch (error) {
        if (!isSystemError(error) || error.code !== 'ENOENT') throw error
      }
    })
    const macs: Uint8Array[] = []
    for (let start = 0; start + KEPT_MAC_BYTES <= content.length; start += KEPT_MAC_BYTES) {
      macs.push(content.subarray(start, start + KEPT_MAC_BYTES))
    }
    return macs
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

/** What was written in part is cut off: every record behind it would be read from the wrong byte on. */
function openForAppending(path: string): number {
  const descriptor = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, OWNER_ONLY)
  const { size } = fstatSync(descriptor)
  if (size % KEPT_MAC_BYTES !== 0) ftruncateSync(descriptor, size - (size % KEPT_MAC_BYTES))
  return descriptor
}

function readRegularFile(path: string): Buffer {
  const descriptor = openSync(path, O_RDONLY | O_NOFOLLOW)
  try {
    return fstatSync(descriptor).isFile() ? readFileSync(descriptor) : Buffer.alloc(0)
  } finally {
    closeSync(descriptor)
  }
}
