/** Files that are replaced whole: a reader sees the old content or the new one, also after a crash. */
import { randomBytes } from 'node:crypto'
import { type FileHandle, open, readdir, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Marks what a killed writer may have left behind. */
const TEMPORARY_MARK = '.spamdctl-tmp-'

/** A new content for a file, invisible until `commit`. Every error is the system's own. */
export interface FileReplacement {
  write(chunk: Uint8Array): Promise<void>
  /** Overwrites bytes that are already written, from `offset` on. */
  writeAt(chunk: Uint8Array, offset: number): Promise<void>
  /** Content and name reach the disk; afterwards nothing more can be done with this object. */
  commit(): Promise<void>
  /** Gives up: the old file stays. Never fails; does nothing after `commit`. */
  discard(): Promise<void>
}

/** Starts to replace `path` (which need not exist). The folder must exist; the mode is that of the new file. */
export async function replaceFile(path: string, mode: number): Promise<FileReplacement> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}${TEMPORARY_MARK}${randomBytes(6).toString('hex')}`)
  const handle = await open(temporary, 'wx', mode)
  let isOpen = true
  let isDone = false
  const close = async () => {
    if (!isOpen) return
    isOpen = false
    await handle.close()
  }
  return {
    write: (chunk) => writeAll(handle, chunk, null),
    writeAt: (chunk, offset) => writeAll(handle, chunk, offset),
    async commit() {
      await handle.sync()
      await close()
      await rename(temporary, path)
      isDone = true
      await syncFolder(folder)
    },
    async discard() {
      if (isDone) return
      isDone = true
      try {
        await close()
        await unlink(temporary)
      } catch {
        // What cannot be removed now is removed by removeLeftovers.
      }
    },
  }
}

/** Replaces a file by small content in one call. */
export async function replaceFileWith(path: string, content: Uint8Array, mode: number): Promise<void> {
  const replacement = await replaceFile(path, mode)
  try {
    await replacement.write(content)
    await replacement.commit()
  } finally {
    await replacement.discard()
  }
}

/** Removes what killed writers left in a folder. Only while no writer can be at work there. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith('.') && name.includes(TEMPORARY_MARK)) await unlink(join(folder, name))
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, offset: number | null): Promise<void> {
  let done = 0
  while (done < chunk.length) {
    const position = offset === null ? null : offset + done
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, position)
    done += bytesWritten
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
