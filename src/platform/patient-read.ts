/**
 * Reading files that may be FIFOs, such as `--conf <(...)`: opening one waits for a writer forever, and so does
 * reading from a writer that writes nothing. Here both end in an error.
 */
import { constants, fstatSync } from 'node:fs'
import { closeFile, openFile, readChunk } from './file-io.js'

/** How long a FIFO may be without a writer; starting one takes a moment. */
const MAX_WITHOUT_WRITER_MS = 10_000
/** How long a writer may write nothing: it may have to ask another host first. */
const MAX_SILENCE_MS = 60_000
const POLL_MS = 20

/** Limits in milliseconds. */
export interface Patience {
  withoutWriterMs: number
  silenceMs: number
}

const USUAL: Patience = { withoutWriterMs: MAX_WITHOUT_WRITER_MS, silenceMs: MAX_SILENCE_MS }

/** An open file, read from its start to its end. */
export class PatientFile {
  readonly #fd: number
  readonly #isFifo: boolean
  readonly #patience: Patience
  /** A FIFO ends when its last writer closes it, but it also has no writer before the first one opens it. */
  #hadWriter = false

  private constructor(fd: number, patience: Patience) {
    this.#fd = fd
    this.#isFifo = fstatSync(fd).isFIFO()
    this.#patience = patience
  }

  /** Rejects with the error of the system. */
  static async open(path: string, patience = USUAL): Promise<PatientFile> {
    const fd = await openFile(path, constants.O_RDONLY | constants.O_NONBLOCK)
    return new PatientFile(fd, patience)
  }

  /** Fills the start of `buffer`; 0 at the end. Rejects with the error of the system, or for a FIFO that gives nothing. */
  async read(buffer: Uint8Array): Promise<number> {
    for (let waitedMs = 0; ; waitedMs += POLL_MS) {
      const bytesRead = await this.#readOnce(buffer)
      if (bytesRead !== undefined && (bytesRead > 0 || !this.#isFifo || this.#hadWriter)) return bytesRead
      if (bytesRead === undefined) this.#hadWriter = true
      const limitMs = this.#hadWriter ? this.#patience.silenceMs : this.#patience.withoutWriterMs
      if (waitedMs >= limitMs) {
        const what = this.#hadWriter ? 'its writer wrote nothing' : 'a FIFO that nobody writes to'
        throw new Error(`${what} (waited ${limitMs / 1000} seconds)`)
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  /** At most `maxBytes` of the rest. */
  async readUpTo(maxBytes: number): Promise<Buffer> {
    const chunks: Buffer[] = []
    let leftBytes = maxBytes
    while (leftBytes > 0) {
      const chunk = Buffer.allocUnsafe(Math.min(leftBytes, 65_536))
      const bytesRead = await this.read(chunk)
      if (bytesRead === 0) break
      chunks.push(chunk.subarray(0, bytesRead))
      leftBytes -= bytesRead
    }
    return Buffer.concat(chunks)
  }

  close(): Promise<void> {
    return closeFile(this.#fd)
  }

  /** Undefined if there is a writer that has written nothing yet. */
  async #readOnce(buffer: Uint8Array): Promise<number | undefined> {
    try {
      const bytesRead = await readChunk(this.#fd, buffer, null)
      if (bytesRead > 0) this.#hadWriter = true
      return bytesRead
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined
      throw error
    }
  }
}

/** At most `maxBytes` from the start of a file, FIFOs and devices included. */
export async function readPatiently(path: string, maxBytes: number, patience = USUAL): Promise<Buffer> {
  const file = await PatientFile.open(path, patience)
  try {
    return await file.readUpTo(maxBytes)
  } finally {
    await file.close()
  }
}
