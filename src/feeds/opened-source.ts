/** `:as_root:` sources: opened, or run to completion, as root; read after root was given up. */
import { closeSync } from 'node:fs'
import { mkdtemp, rmdir, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../platform/app-error.js'
import { closeFile, openFile, readChunk, writeAll } from '../platform/file-io.js'
import { type FeedAnswer, FeedError, type FeedRequest } from './feed.js'
import { openFileForRead } from './file-feed.js'
import { openExecFeed } from './program-feed.js'

const READ_BYTES = 256 * 1024

/** A descriptor, or the reason why there is none. */
export type OpenedSource = { fd: number } | { error: AppError }

/** The key of `opened` sources. */
export function sourceKey({ method, location }: Pick<FeedRequest, 'method' | 'location'>): string {
  return `${method} ${location}`
}

/**
 * Opens a file, or runs a command to completion as root, its output into an unnamed file. Never throws
 * because of the source.
 */
export async function openSourceAsRoot(
  source: Pick<FeedRequest, 'method' | 'location'>,
  limits: { maxBytes: number; timeoutMs: number },
  onMessages: (text: string) => void = () => undefined,
): Promise<OpenedSource> {
  try {
    if (source.method === 'file') return { fd: await openFileForRead(source.location) }
    return { fd: await spool(source, limits, onMessages) }
  } catch (error) {
    if (error instanceof AppError) return { error }
    throw error
  }
}

/** The bytes of an opened source, from its start. */
export function readOpenedSource(opened: OpenedSource): FeedAnswer {
  if ('error' in opened) throw opened.error
  return { kind: 'body', body: chunksOf(opened.fd), validator: {}, freshUntilSec: undefined }
}

/** Closes all descriptors. */
export function closeOpenedSources(opened: ReadonlyMap<string, OpenedSource>): void {
  for (const source of opened.values()) if ('fd' in source) closeSync(source.fd)
}

async function spool(
  source: Pick<FeedRequest, 'method' | 'location'>,
  limits: { maxBytes: number; timeoutMs: number },
  onMessages: (text: string) => void,
): Promise<number> {
  const answer = await openExecFeed(source, {
    limits: { totalTimeoutMs: limits.timeoutMs },
    user: undefined,
    environment: process.env,
    onMessages,
  })
  if (answer.kind !== 'body') throw new FeedError('ERR_FEED_PROGRAM', 'no output')
  const folder = await mkdtemp(join(tmpdir(), 'spamdctl-'))
  const path = join(folder, 'output')
  const fd = await openFile(path, 'wx+', 0o600).finally(async () => {
    await unlink(path).catch(() => undefined)
    await rmdir(folder)
  })
  try {
    let sizeBytes = 0
    for await (const chunk of answer.body) {
      sizeBytes += chunk.length
      if (sizeBytes > limits.maxBytes) {
        throw new FeedError('ERR_FEED_TOO_BIG', `larger than ${limits.maxBytes} bytes`)
      }
      await writeAll(fd, chunk, null)
    }
  } catch (error) {
    await closeFile(fd)
    throw error
  }
  return fd
}

async function* chunksOf(fd: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  for (let at = 0; ; ) {
    const bytesRead = await readChunk(fd, buffer, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
