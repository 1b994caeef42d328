/**
 * Files by descriptor, asynchronous. `node:fs/promises` would do, but loading it brings streams and readline
 * with it and costs a fifth of the start of a program. Errors are the system's own.
 */
import { close, fsync, open, read, rename, unlink, write } from 'node:fs'
import { promisify } from 'node:util'

/** open(2): the descriptor. */
export const openFile: (path: string, flags: string, mode?: number) => Promise<number> = promisify(open)

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

/** Fills `buffer` from `position` (null: where the last read ended) with one read(2): the bytes read, 0 at the end. */
export async function readChunk(fd: number, buffer: Uint8Array, position: number | null): Promise<number> {
  const { bytesRead } = await readSome(fd, buffer, 0, buffer.length, position)
  return bytesRead
}

/** Writes all of `bytes` at `position` (null: behind the last write). */
export async function writeAll(fd: number, bytes: Uint8Array, position: number | null): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const at = position === null ? null : position + done
    const { bytesWritten } = await writeSome(fd, bytes, done, bytes.length - done, at)
    done += bytesWritten
  }
}

/** At most `maxBytes` from the start of a file, pipes and devices included. */
export async function readStart(path: string, maxBytes: number): Promise<Buffer> {
  const fd = await openFile(path, 'r')
  try {
    return await readUpTo(fd, maxBytes)
  } finally {
    await closeFile(fd)
  }
}

/** At most `maxBytes` from where an open file stands. */
export async function readUpTo(fd: number, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let leftBytes = maxBytes
  while (leftBytes > 0) {
    const chunk = Buffer.allocUnsafe(Math.min(leftBytes, 65_536))
    const bytesRead = await readChunk(fd, chunk, null)
    if (bytesRead === 0) break
    chunks.push(chunk.subarray(0, bytesRead))
    leftBytes -= bytesRead
  }
  return Buffer.concat(chunks)
}
