/**
 * The last good copy of each list, and what is known of its source, in the state folder:
 *
 *     NAME.list    8192 bytes of header (one JSON object, padded with blanks to a line), then the list as
 *                  text, decompressed
 *     NAME.state   one JSON object: when the source was last requested, the result, and when to request it again
 *
 *     NAME.lines   which line names an address (codec/lists/line-index.ts), rebuilt with each copy
 *
 * Every file is replaced whole, so a run killed at any moment leaves the old or the new one. A copy is
 * checked against its SHA-256 whenever it is read.
 */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../platform/app-error.js'
import type { UnixSec } from '../platform/clock.js'
import { reasonOf } from '../platform/errno-text.js'
import { closeFile, openStored, readChunk, readStored } from '../platform/file-io.js'
import {
  type FileReplacement,
  removeLeftovers,
  replaceFile,
  replaceFileWith,
} from '../platform/replace-file.js'
import type { FeedMethod, Validator } from './feed.js'
import { listFileName } from './list-file-name.js'
import { isSafeFolder } from './state-folder.js'

/** Bytes before the content of a copy. */
export const HEADER_BYTES = 8_192
const HEADER_FORMAT = 'spamdctl-list-1'
/** A state file is a few hundred bytes; a larger one is not ours. */
const MAX_STATE_BYTES = 65_536
const READ_BYTES = 1024 * 1024
const FILE_MODE = 0o644
const FOLDER_MODE = 0o755

/** The facts of a last good copy. */
export interface ListCopy {
  listName: string
  method: FeedMethod
  location: string
  /** When its content was received. */
  fetchedSec: UnixSec
  validator: Validator
  /** Accepted lines. */
  entries: number
  /** Addresses of IPv4 and ranges of IPv6, without special-use space; missing in copies of older versions. */
  size?: { ipv4: number; ipv6: number }
  /** Of the decompressed list. */
  lengthBytes: number
  sha256: string
  /** Of a local file: `fileStamp` of the file when it was read. */
  stamp?: string | undefined
}

/** What happened with the source of a list. */
export interface SourceState {
  method: FeedMethod
  location: string
  /** Start of the last run that contacted the server. */
  lastTrySec?: UnixSec
  /** Last time the source was received completely, or unchanged. */
  lastSuccessSec?: UnixSec
  /** Not contacted before: the server's freshness, Retry-After, or a refusal. */
  notBeforeSec?: UnixSec
  /** The largest number of entries on each of the last days. */
  largest?: readonly { day: number; entries: number }[]
  /** True when it was reported that the list is far below that. */
  isShrinkTold?: boolean
  /** Error of the last attempt, if it failed. */
  failure?: { sec: UnixSec; reason: string }
}

/** A copy being written; it replaces the old one only with `commit`. */
export interface CopyWriter {
  write(chunk: Uint8Array): Promise<void>
  /** Resolves with the SHA-256 of the content. */
  commit(facts: Omit<ListCopy, 'lengthBytes' | 'sha256'>): Promise<string>
  discard(): Promise<void>
}

/** Errors: `ERR_LISTS_WRITE` when the folder cannot be written, `ERR_LISTS_DAMAGED` for a copy that fails its check. */
export class ListStore {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Where the copies are. */
  get folder(): string {
    return this.#folder
  }

  /** Creates the folder when it is missing, and refuses one that every user may write to. */
  prepare(): void {
    try {
      mkdirSync(this.#folder, { recursive: true, mode: FOLDER_MODE })
      const facts = statSync(this.#folder)
      if ((facts.mode & 0o002) !== 0) {
        throw new AppError('ERR_LISTS_WRITE', `${this.#folder}: every user may write to this folder`, {
          hint: `chmod o-w ${this.#folder}`,
        })
      }
      // Root follows no path that a less privileged user can change.
      if (process.geteuid?.() === 0 && (facts.uid !== 0 || !isSafeFolder(this.#folder))) {
        throw new AppError(
          'ERR_LISTS_WRITE',
          `${this.#folder}: users other than root can replace this folder`,
          {
            hint: 'name a folder owned by root with --state-dir, or create the user _spamdfeed',
          },
        )
      }
    } catch (error) {
      if (error instanceof AppError) throw error
      throw this.#writeFailure(this.#folder, error)
    }
  }

  /** Removes files left half-written by killed runs. Only while no other run is active. */
  removeLeftovers(): void {
    try {
      removeLeftovers(this.#folder)
    } catch (error) {
      throw this.#writeFailure(this.#folder, error)
    }
  }

  /** Facts about the copy, without reading its content; undefined when there is none or it is not ours. */
  async readCopyFacts(listName: string): Promise<ListCopy | undefined> {
    const fd = await this.#openCopyFile(listName)
    if (fd === undefined) return undefined
    try {
      return await readHeader(fd, listName)
    } finally {
      await closeFile(fd)
    }
  }

  /**
   * The content of the copy. The chunks share one buffer: each is valid until the next is requested. Ends
   * with `ERR_LISTS_DAMAGED` when length or SHA-256 differ, so nothing may be used before the end.
   */
  async *readCopy(listName: string): AsyncGenerator<Uint8Array> {
    const fd = await this.#openCopyFile(listName)
    if (fd === undefined) throw damaged(this.#path(listName, 'list'), 'it is missing')
    try {
      const facts = await readHeader(fd, listName)
      if (facts === undefined) throw damaged(this.#path(listName, 'list'), 'it has no header')
      const hash = startHash()
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, facts.lengthBytes)))
      let position = HEADER_BYTES
      for (;;) {
        const bytesRead = await readChunk(fd, buffer, position)
        if (bytesRead === 0) break
        position += bytesRead
        const chunk = buffer.subarray(0, bytesRead)
        hash.update(chunk)
        yield chunk
      }
      if (position - HEADER_BYTES !== facts.lengthBytes || hash.digest('hex') !== facts.sha256) {
        throw damaged(this.#path(listName, 'list'), 'its content is not what was written')
      }
    } finally {
      await closeFile(fd)
    }
  }

  /** True when the content of the copy is what was written. */
  async isCopyWhole(listName: string): Promise<boolean> {
    try {
      for await (const _chunk of this.readCopy(listName));
      return true
    } catch (error) {
      if (error instanceof AppError) return false
      throw error
    }
  }

  /** Starts a new copy; the old one stays until `commit`. */
  async writeCopy(listName: string): Promise<CopyWriter> {
    const path = this.#path(listName, 'list')
    const guarded = async <Result>(action: () => Promise<Result>): Promise<Result> => {
      try {
        return await action()
      } catch (error) {
        throw this.#writeFailure(path, error)
      }
    }
    const replacement: FileReplacement = await guarded(() => replaceFile(path, FILE_MODE))
    const hash = startHash()
    let lengthBytes = 0
    let isStarted = false
    return {
      write: (chunk) =>
        guarded(async () => {
          if (!isStarted) {
            isStarted = true
            await replacement.write(Buffer.alloc(HEADER_BYTES, ' '))
          }
          hash.update(chunk)
          lengthBytes += chunk.length
          await replacement.write(chunk)
        }),
      commit: (facts) =>
        guarded(async () => {
          if (!isStarted) await replacement.write(Buffer.alloc(HEADER_BYTES, ' '))
          const sha256 = hash.digest('hex')
          await replacement.writeAt(encodeHeader({ ...facts, lengthBytes, sha256 }), 0)
          await replacement.commit('durable')
          return sha256
        }),
      discard: () => replacement.discard(),
    }
  }

  /** What is known of a source; undefined when nothing is, or the file is not readable as ours. */
  async readState(listName: string): Promise<SourceState | undefined> {
    try {
      const content = readStored(this.#path(listName, 'state'), MAX_STATE_BYTES)
      const value: unknown = JSON.parse(content.toString('utf8'))
      return isSourceState(value) ? value : undefined
    } catch {
      // Losing it costs one request; the copies do not depend on it.
      return undefined
    }
  }

  async writeState(listName: string, state: SourceState): Promise<void> {
    const path = this.#path(listName, 'state')
    try {
      // Losing it costs one request, so there is no need to wait for the disk.
      await replaceFileWith(path, Buffer.from(`${JSON.stringify(state)}\n`), FILE_MODE, 'quick')
    } catch (error) {
      throw this.#writeFailure(path, error)
    }
  }

  #path(listName: string, suffix: 'list' | 'state'): string {
    return join(this.#folder, `${listFileName(listName)}.${suffix}`)
  }

  async #openCopyFile(listName: string): Promise<number | undefined> {
    try {
      return await openStored(this.#path(listName, 'list'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw new AppError(
        'ERR_LISTS_READ',
        `cannot read ${this.#path(listName, 'list')}: ${reasonOf(error)}`,
        {
          cause: error,
        },
      )
    }
  }

  #writeFailure(path: string, error: unknown): AppError {
    const code = (error as NodeJS.ErrnoException).code
    return new AppError('ERR_LISTS_WRITE', `cannot write ${path}: ${reasonOf(error)}`, {
      cause: error,
      ...(code === 'EACCES' || code === 'EPERM'
        ? {
            hint: 'the folder must belong to the user that runs spamd-setup; name another with --state-dir',
          }
        : {}),
    })
  }
}

/** Loaded when first needed: a dry run over local files needs no checksum. */
function startHash() {
  const { createHash } = process.getBuiltinModule('node:crypto')
  return createHash('sha256')
}

function damaged(path: string, why: string): AppError {
  return new AppError('ERR_LISTS_DAMAGED', `${path}: the last good copy cannot be used: ${why}`)
}

function encodeHeader(copy: ListCopy): Uint8Array {
  const text = JSON.stringify({ format: HEADER_FORMAT, ...copy })
  const header = Buffer.alloc(HEADER_BYTES, ' ')
  const lengthBytes = Buffer.byteLength(text)
  if (lengthBytes >= HEADER_BYTES) throw new Error('name or source too long')
  header.write(text, 0, 'utf8')
  header[HEADER_BYTES - 1] = 0x0a
  return header
}

async function readHeader(fd: number, listName: string): Promise<ListCopy | undefined> {
  const header = Buffer.alloc(HEADER_BYTES)
  const bytesRead = await readChunk(fd, header, 0)
  if (bytesRead !== HEADER_BYTES) return undefined
  try {
    const value = JSON.parse(header.toString('utf8')) as Partial<ListCopy> & { format?: string }
    if (value.format !== HEADER_FORMAT || value.listName !== listName) return undefined
    if (typeof value.sha256 !== 'string' || typeof value.lengthBytes !== 'number') return undefined
    return value as ListCopy
  } catch {
    return undefined
  }
}

function isSourceState(value: unknown): value is SourceState {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as SourceState).method === 'string' &&
    typeof (value as SourceState).location === 'string'
  )
}
