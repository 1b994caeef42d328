import { constants, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { reasonOf } from '../platform/errno-text.js'
import { openFile } from '../platform/file-io.js'
import { PatientFile } from '../platform/patient-read.js'
import { type FeedAnswer, FeedError, type FeedRequest } from './feed.js'

/** Large reads, to keep the number of system calls for a big list small. */
const READ_BYTES = 1024 * 1024

/**
 * Method `file`: the bytes of a path; a relative one starts at `/`. Devices and pipes are read to their end.
 * The chunks share one buffer: each is valid until the next is requested.
 *
 * Errors: `ERR_FEED_OPEN`, `ERR_FEED_READ` (a directory, for one), with the system's error as cause.
 */
export async function openFileFeed(request: FeedRequest): Promise<FeedAnswer> {
  const file = await openForRead(() => PatientFile.open(resolve('/', request.location)))
  return { kind: 'body', body: readAll(file), validator: {}, freshUntilSec: undefined }
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
export function openFileForRead(location: string): Promise<number> {
  return openForRead(() => openFile(resolve('/', location), constants.O_RDONLY | constants.O_NONBLOCK))
}

async function openForRead<File>(open: () => Promise<File>): Promise<File> {
  try {
    return await open()
  } catch (error) {
    throw systemFailure('ERR_FEED_OPEN', error)
  }
}

async function* readAll(file: PatientFile): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  try {
    for (;;) {
      const bytesRead = await file.read(buffer)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } catch (error) {
    throw systemFailure('ERR_FEED_READ', error)
  } finally {
    await file.close()
  }
}

function systemFailure(code: 'ERR_FEED_OPEN' | 'ERR_FEED_READ', error: unknown): FeedError {
  return new FeedError(code, reasonOf(error), { cause: error })
}
