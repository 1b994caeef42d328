import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { errnoText } from '../platform/errno-text.js'
import { closeFile, openFile, readChunk } from '../platform/file-io.js'
import { type FeedAnswer, FeedError, type FeedRequest } from './feed.js'

/** Large reads, to keep the number of system calls for a big list small. */
const READ_BYTES = 1024 * 1024

/**
 * Method `file`: the bytes of a path; a relative one starts at `/`. Devices and pipes are read to their end.
 * The chunks share one buffer: each is valid until the next is asked for.
 *
 * Errors: `ERR_FEED_OPEN`, `ERR_FEED_READ` (a directory, for one), with the system's error as cause.
 */
export async function openFileFeed(request: FeedRequest): Promise<FeedAnswer> {
  const fd = await openFileForRead(request.location)
  return { kind: 'body', body: readAll(fd), validator: {}, freshUntilSec: undefined }
}

/** A change within this time of a read may leave the file's time unchanged. */
const STAMP_DOUBT_MS = 2_000

/**
 * A value that changes whenever a local file is written or replaced; undefined when that cannot be
 * determined: the file is missing, is not a regular file, or was changed within two seconds of `nowMs`.
 */
export function fileStamp(location: string, nowMs: number): string | undefined {
  const facts = statSync(resolve('/', location), { bigint: true, throwIfNoEntry: false })
  if (facts === undefined || !facts.isFile()) return undefined
  const newestMs = Math.max(Number(facts.ctimeMs), Number(facts.mtimeMs))
  if (Math.abs(nowMs - newestMs) < STAMP_DOUBT_MS) return undefined
  return [facts.dev, facts.ino, facts.size, facts.mtimeNs, facts.ctimeNs].join(':')
}

/** The descriptor of a source of method `file`. `ERR_FEED_OPEN`. */
export async function openFileForRead(location: string): Promise<number> {
  try {
    return await openFile(resolve('/', location), 'r')
  } catch (error) {
    throw systemFailure('ERR_FEED_OPEN', error)
  }
}

async function* readAll(fd: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  try {
    for (;;) {
      const bytesRead = await readChunk(fd, buffer, null)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } catch (error) {
    throw systemFailure('ERR_FEED_READ', error)
  } finally {
    await closeFile(fd)
  }
}

function systemFailure(code: 'ERR_FEED_OPEN' | 'ERR_FEED_READ', error: unknown): FeedError {
  return new FeedError(code, errnoText((error as NodeJS.ErrnoException).code ?? 'EIO'), { cause: error })
}
