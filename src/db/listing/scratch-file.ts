import { randomBytes } from 'node:crypto'
import { closeSync, constants, openSync, readSync, unlinkSync, writevSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { errnoText } from '../../platform/errno-text.js'

/** Up to this size no file is needed, so a small listing works where nothing can be written. */
const MEMORY_BYTES = 16 * 1024 * 1024
/** Where SQLite puts its own temporary files. Source: https://sqlite.org/tempfiles.html section 5. */
const HINT = 'free space where temporary files go: SQLITE_TMPDIR, else TMPDIR, else /var/tmp'

/** Bytes that are put aside and read again: the first in memory, the others in a file without a name. */
export class ScratchFile {
  readonly #memory: Uint8Array
  #memoryBytes = 0
  #fileBytes = 0
  #descriptor: number | undefined

  constructor(memoryBytes = MEMORY_BYTES) {
    this.#memory = new Uint8Array(memoryBytes)
  }

  /** Appends parts one after the other; returns the position of the first. */
  append(parts: readonly Uint8Array[]): number {
    const byteCount = parts.reduce((sum, part) => sum + part.length, 0)
    const isInMemory = this.#fileBytes === 0 && this.#memoryBytes + byteCount <= this.#memory.length
    if (!isInMemory) return this.#memory.length + this.#write(parts, byteCount)
    const position = this.#memoryBytes
    for (const part of parts) {
      this.#memory.set(part, this.#memoryBytes)
      this.#memoryBytes += part.length
    }
    return position
  }

  /** Reads all of `target`, from a position that `append` returned. */
  read(position: number, target: Uint8Array): void {
    if (position < this.#memory.length) {
      target.set(this.#memory.subarray(position, position + target.length))
      return
    }
    const start = position - this.#memory.length
    for (let done = 0; done < target.length; ) {
      const length = readSync(this.#descriptor!, target, done, target.length - done, start + done)
      if (length === 0) throw new AppError('ERR_DB_IO', errnoText('EIO'), { errno: 'EIO' })
      done += length
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  #write(parts: readonly Uint8Array[], byteCount: number): number {
    const start = this.#fileBytes
    try {
      this.#descriptor ??= openUnnamed()
      let left = [...parts]
      for (let done = 0; done < byteCount; ) {
        let written = writevSync(this.#descriptor, left, start + done)
        done += written
        while (left.length > 0 && written >= left[0]!.length) written -= left.shift()!.length
        left = left.length === 0 ? left : [left[0]!.subarray(written), ...left.slice(1)]
      }
    } catch (error) {
      if (!isSystemError(error)) throw error
      const code = error.code === 'ENOSPC' || error.code === 'EDQUOT' ? 'ERR_DB_FULL' : 'ERR_DB_IO'
      throw new AppError(code, errnoText(error.code), { errno: error.code, hint: HINT, cause: error })
    }
    this.#fileBytes += byteCount
    return start
  }
}

/** A file that only we can open, already removed. */
function openUnnamed(): number {
  const { SQLITE_TMPDIR, TMPDIR } = process.env
  const folders = [SQLITE_TMPDIR, TMPDIR, '/var/tmp', tmpdir()].filter((folder) => folder !== undefined)
  for (const [index, folder] of folders.entries()) {
    const path = join(folder, `spamdctl-${randomBytes(8).toString('hex')}`)
    try {
      const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
      unlinkSync(path)
      return descriptor
    } catch (error) {
      if (index === folders.length - 1) throw error
    }
  }
  throw new Error('no folder for temporary files')
}
