/**
 * Files by descriptor, asynchronous. `node:fs/promises` would do, but loading it also loads streams and
 * readline and takes a fifth of the start of a program. Errors are the system's own.
 */
import {
  close,
  closeSync,
  constants,
  fstatSync,
  fsync,
  lstatSync,
  open,
  openSync,
  read,
  readSync,
  rename,
  unlink,
  write,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

/** open(2): the descriptor. */
export const openFile: (path: string, flags: string | number, mode?: number) => Promise<number> =
  promisify(open)

/** close(2) */
export const closeFile: (fd: number) => Promise<void> = promisify(close)

/** fsync(2) */
export const syncFile: (fd: number) => Promise<void> = promisify(fsync)

/** rename(2) */
export const renameFile: (from: string, to: string) => Promise<void> = promisify(rename)

/** unlink(2) */
export const removeFile: (path: string) => Promise<void> = promisify(unlink)

const readSome = promisify(read)
const writeSome = promisify(write)

/**
 * Fills `buffer` from `position` (null: where the last read ended) with one read(2); returns the bytes read,
 * 0 at the end.
 */
export async function readChunk(fd: number, buffer: Uint8Array, position: number | null): Promise<number> {
  const { bytesRead } = await readSome(fd, buffer, 0, buffer.length, position)
  return bytesRead
}

/** Writes all of `bytes` at `position` (null: after the last write). */
export async function writeAll(fd: number, bytes: Uint8Array, position: number | null): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const at = position === null ? null : position + done
    const { bytesWritten } = await writeSome(fd, bytes, done, bytes.length - done, at)
    done += bytesWritten
  }
}

/**
 * Opens a file stored by one of our programs, for reading: never a link, and only what belongs to root, to us
 * or to the owner of its folder. Errors: the system's own, and an `Error` without code for somebody else's
 * file.
 */
export async function openStored(path: string): Promise<number> {
  const fd = await openFile(path, STORED_FLAGS)
  try {
    checkStored(fd, path)
    return fd
  } catch (error) {
    await closeFile(fd)
    throw error
  }
}

/** At most `maxBytes` of a small stored file; see `openStored`. */
export function readStored(path: string, maxBytes: number): Buffer {
  const fd = openSync(path, STORED_FLAGS)
  try {
    checkStored(fd, path)
    const content = Buffer.allocUnsafe(Math.min(maxBytes, fstatSync(fd).size))
    return content.subarray(0, readSync(fd, content, 0, content.length, 0))
  } finally {
    closeSync(fd)
  }
}

const STORED_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

function checkStored(fd: number, path: string): void {
  const facts = fstatSync(fd)
  const { uid } = facts
  if (!facts.isFile()) throw new Error('not a regular file')
  if (uid === 0 || uid === process.geteuid?.() || uid === lstatSync(dirname(path)).uid) return
  throw new Error(`it belongs to user ${uid}, who does not own the folder`)
}

/** The bytes of a stored file, in parts; see `openStored`. */
export async function* readStoredChunks(path: string): AsyncGenerator<Uint8Array> {
  const fd = await openStored(path)
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(STORED_CHUNK_BYTES)
      const bytesRead = await readChunk(fd, chunk, null)
      if (bytesRead === 0) return
      yield chunk.subarray(0, bytesRead)
    }
  } finally {
    await closeFile(fd)
  }
}

const STORED_CHUNK_BYTES = 256 * 1024

/** Maximum size of files that are read whole, which are small; anything longer is a wrong file or an endless device. */
const MAX_WHOLE_BYTES = 64 * 1024 * 1024

/**
 * The whole content of a file that another user may have put there under any name. Throws the error of the system, and an
 * error for a FIFO, where reading would wait for a writer forever, and for more than 64 MiB.
 */
export function readWithoutWaiting(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (fstatSync(fd).isFIFO()) throw new Error('a FIFO, not a file')
    const chunks: Buffer[] = []
    for (let totalBytes = 0; ; ) {
      const chunk = Buffer.allocUnsafe(STORED_CHUNK_BYTES)
      const bytesRead = readSync(fd, chunk, 0, chunk.length, null)
      if (bytesRead === 0) return Buffer.concat(chunks)
      chunks.push(chunk.subarray(0, bytesRead))
      totalBytes += bytesRead
      if (totalBytes > MAX_WHOLE_BYTES) throw new Error(`larger than ${MAX_WHOLE_BYTES} bytes`)
    }
  } finally {
    closeSync(fd)
  }
}
