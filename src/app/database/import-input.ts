import { close as closeCallback, constants, createReadStream, fstatSync, openSync, readSync } from 'node:fs'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { createGunzip } from 'node:zlib'
import type { ByteSource } from '../../codec/database/berkeley-hash.js'
import { detectFileFormat, FORMAT_BYTES } from '../../codec/database/file-format.js'
import { type GreydDatabase, type GreydItem, openGreydDatabase } from '../../db/file/greyd-database.js'
import { APPLICATION_ID } from '../../db/schema.js'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { lesserUserAt } from '../../platform/lesser-rights.js'

/** What an import reads from: lines of text, a Berkeley DB file with random access, or a database of greyd. */
export type ImportInput =
  | { type: 'text'; chunks: AsyncIterable<Buffer> }
  | { type: 'berkeley'; source: ByteSource; close(): Promise<void> }
  | { type: 'greyd'; items(nowSec: number): Generator<GreydItem>; close(): Promise<void> }

/**
 * Maximum size of a database that is read through a pipe and must be kept in a temporary file: a hash file
 * has at most about 65,000 overflow pages, and a real one with a million entries has 200 MB.
 */
const MAX_SPOOLED_BYTES = 4_294_967_296
/** Size of a read: larger reads are faster up to this size. */
const READ_BYTES = 262_144

/**
 * Opens the input and examines its first bytes: gzip is unpacked, a Berkeley DB 1.85 hash file and a database
 * of greyd are recognised, an unsupported format is named, anything else is text. `file` is a path, or `-`
 * for `stdin`. Throws `AppError` `ERR_IMPORT_INPUT` when it cannot be read; reading the chunks may do so as
 * well.
 */
export async function openImportInput(file: string, stdin: AsyncIterable<Uint8Array>): Promise<ImportInput> {
  const name = file === '-' ? 'standard input' : file
  try {
    const raw = file === '-' ? stdin : createReadStream(file, { highWaterMark: READ_BYTES })
    const [start, chunks] = await peek(raw)
    const isGzip = start[0] === 0x1f && start[1] === 0x8b
    const [content, unpacked] = isGzip ? await peek(gunzip(chunks)) : [start, chunks]
    const format = detectFileFormat(content)
    if (format.type === 'text') return { type: 'text', chunks: explainFailures(unpacked, name) }
    refuseUnreadable(format, name, file)
    const place =
      file !== '-' && !isGzip && lesserUserAt(file) === undefined
        ? { path: file, remove: async () => undefined }
        : await spool(unpacked)
    // Root must not look for or create anything beside a file of a less privileged user.
    if (place.path !== file && file !== '-' && !isGzip) await spoolLog(file, place).catch(noLog)
    return format.type === 'berkeley-hash' ? await openBerkeley(place) : await openGreyd(place, name)
  } catch (error) {
    throw explain(error, name)
  }
}

/** The first bytes (the first piece, at least `FORMAT_BYTES` if the input has that many) and the whole input. */
async function peek(input: AsyncIterable<Uint8Array>): Promise<[Buffer, AsyncIterable<Buffer>]> {
  const iterator = input[Symbol.asyncIterator]()
  let start: Buffer = Buffer.alloc(0)
  while (start.length < FORMAT_BYTES) {
    const next = await iterator.next()
    if (next.done === true) break
    start = Buffer.concat([start, next.value])
  }
  async function* whole(): AsyncGenerator<Buffer> {
    try {
      yield start
      for (;;) {
        const next = await iterator.next()
        if (next.done === true) return
        const bytes: Uint8Array = next.value
        yield Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      }
    } finally {
      // A consumer that stops must not leave the input open: the process would wait for its writer.
      await iterator.return?.()
    }
  }
  return [start, whole()]
}

function gunzip(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const packed = Readable.from(chunks, { objectMode: false })
  const unpacked = createGunzip({ chunkSize: READ_BYTES })
  packed.on('error', (error) => unpacked.destroy(error))
  return packed.pipe(unpacked)
}

async function* explainFailures(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<Buffer> {
  try {
    yield* chunks
  } catch (error) {
    throw explain(error, name)
  }
}

function explain(error: unknown, name: string): unknown {
  if (error instanceof AppError || !(error instanceof Error)) return error
  const isZlib = (error as NodeJS.ErrnoException).code?.startsWith('Z_') === true
  if (!isSystemError(error) && !isZlib) return error
  const reason = isZlib ? `damaged gzip data: ${error.message}` : reasonOf(error)
  return new AppError('ERR_IMPORT_INPUT', `cannot read ${name}: ${reason}`, { cause: error })
}

/** Throws for an unsupported format, and for our own. */
function refuseUnreadable(format: ReturnType<typeof detectFileFormat>, name: string, file: string): void {
  if (format.type === 'foreign')
    throw new AppError('ERR_IMPORT_INPUT', `cannot import ${name}: it is ${format.name}`, {
      hint: format.hint,
    })
  if (format.type !== 'sqlite' || format.applicationId !== APPLICATION_ID) return
  throw new AppError('ERR_IMPORT_INPUT', `cannot import ${name}: it is a database of spamdctl`, {
    hint: `spamdctl export --db ${file === '-' ? 'FILE' : file} | spamdctl import -`,
  })
}

/** A file with random access, and how to release it. */
interface Place {
  path: string
  remove(): Promise<void>
}

/** Keeps a database that has no random access in a temporary file that only we can read. */
async function spool(chunks: AsyncIterable<Buffer>): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'spamdctl-'))
  const path = join(folder, 'import')
  const remove = async (): Promise<void> => await rm(folder, { recursive: true, force: true })
  const handle = await open(path, 'wx', 0o600)
  try {
    let totalBytes = 0
    for await (const chunk of chunks) {
      totalBytes += chunk.length
      if (totalBytes > MAX_SPOOLED_BYTES) {
        throw new AppError('ERR_IMPORT_INPUT', `a database of more than ${MAX_SPOOLED_BYTES} bytes`, {
          hint: 'copy it to a file and import that',
        })
      }
      await handle.writeFile(chunk)
    }
  } catch (error) {
    await remove()
    throw error
  } finally {
    await handle.close()
  }
  return { path, remove }
}

/** Includes what SQLite has not yet written to the file itself. */
async function spoolLog(file: string, place: Place): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const log = await open(`${file}-wal`, flags)
  try {
    const { size } = await log.stat()
    if (size > MAX_SPOOLED_BYTES) throw new AppError('ERR_IMPORT_INPUT', `${file}-wal is too large`)
    await writeFile(`${place.path}-wal`, log.createReadStream({ autoClose: false }), { mode: 0o600 })
  } finally {
    await log.close()
  }
}

function noLog(error: unknown): void {
  if (!isSystemError(error) || error.code !== 'ENOENT') throw error
}

/** The open descriptor is enough: the temporary file is removed at once. */
async function openBerkeley({ path, remove }: Place): Promise<ImportInput> {
  try {
    return berkeleyInput(openSync(path, 'r'))
  } finally {
    await remove()
  }
}

async function openGreyd({ path, remove }: Place, name: string): Promise<ImportInput> {
  let database: GreydDatabase | undefined
  try {
    database = openGreydDatabase(path)
  } catch (error) {
    await remove()
    throw explainGreyd(error, name)
  }
  if (database === undefined) {
    await remove()
    throw new AppError(
      'ERR_IMPORT_INPUT',
      `cannot import ${name}: it is an SQLite database of another program`,
      {
        hint: 'export its entries as text',
      },
    )
  }
  const { items, close } = database
  return {
    type: 'greyd',
    items: function* (nowSec) {
      try {
        yield* items(nowSec)
      } catch (error) {
        throw explainGreyd(error, name)
      }
    },
    close: async () => {
      close()
      await remove()
    },
  }
}

/** Errors in greyd's database must not look like errors in ours. */
function explainGreyd(error: unknown, name: string): unknown {
  if (!(error instanceof AppError)) return error
  return new AppError('ERR_IMPORT_INPUT', `cannot read ${name}: ${error.message}`, { cause: error })
}

function berkeleyInput(descriptor: number): ImportInput {
  const source: ByteSource = {
    sizeBytes: fstatSync(descriptor).size,
    read: (offset, length) => {
      const bytes = Buffer.alloc(length)
      let filled = 0
      while (filled < length) {
        const count = readSync(descriptor, bytes, filled, length - filled, offset + filled)
        if (count === 0) break
        filled += count
      }
      return bytes.subarray(0, filled)
    },
  }
  return { type: 'berkeley', source, close: () => promisify(closeCallback)(descriptor) }
}
