/** Files that are replaced atomically: a reader sees the old content or the new one, even after a crash. */
import { fchmodSync, lstatSync, readdirSync, unlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { closeFile, openFile, removeFile, renameFile, syncFile, writeAll } from './file-io.js'
import { TEMPORARY_MARK, temporaryPathFor } from './temporary-path.js'

/** A new content for a file, invisible until `commit`. Every error is the system's own. */
export interface FileReplacement {
  write(chunk: Uint8Array): Promise<void>
  /** Overwrites bytes that are already written, from `offset` on. */
  writeAt(chunk: Uint8Array, offset: number): Promise<void>
  /**
   * Replaces the old content; afterwards this object can no longer be used. `durable`: it is on disk when
   * this resolves; `quick`: a power failure may restore the old content.
   */
  commit(durability: 'durable' | 'quick'): Promise<void>
  /** Gives up: the old file is kept. Never fails; does nothing after `commit`. */
  discard(): Promise<void>
}

/**
 * Starts to replace `path` (which need not exist). The folder must exist; the new file has this mode
 * regardless of the umask, because another user's daemon must read it. A device or a pipe is never replaced
 * (imagine /dev/null and root): data is written into it directly.
 */
export async function replaceFile(path: string, mode: number): Promise<FileReplacement> {
  if (isDeviceOrPipe(path)) return writeThrough(path)
  const folder = dirname(path)
  const temporary = temporaryPathFor(path)
  // Exclusive: never through a link that someone else created.
  const fd = await openFile(temporary, 'wx', mode)
  fchmodSync(fd, mode)
  let isOpen = true
  let isDone = false
  const close = async () => {
    if (!isOpen) return
    isOpen = false
    await closeFile(fd)
  }
  return {
    write: (chunk) => writeAll(fd, chunk, null),
    writeAt: (chunk, offset) => writeAll(fd, chunk, offset),
    async commit(durability) {
      if (durability === 'durable') await syncFile(fd)
      await close()
      await renameFile(temporary, path)
      isDone = true
      if (durability === 'durable') await syncFolder(folder)
    },
    async discard() {
      if (isDone) return
      isDone = true
      try {
        await close()
        await removeFile(temporary)
      } catch {
        // If it cannot be removed now, removeLeftovers will.
      }
    },
  }
}

function isDeviceOrPipe(path: string): boolean {
  const status = lstatSync(path, { throwIfNoEntry: false })
  return status !== undefined && (status.isCharacterDevice() || status.isBlockDevice() || status.isFIFO())
}

async function writeThrough(path: string): Promise<FileReplacement> {
  const fd = await openFile(path, 'w')
  let isOpen = true
  const close = async () => {
    if (!isOpen) return
    isOpen = false
    await closeFile(fd)
  }
  return {
    write: (chunk) => writeAll(fd, chunk, null),
    writeAt: (chunk, offset) => writeAll(fd, chunk, offset),
    commit: close,
    discard: () => close().catch(() => undefined),
  }
}

/** Replaces a file with small content in one call. */
export async function replaceFileWith(
  path: string,
  content: Uint8Array,
  mode: number,
  durability: 'durable' | 'quick' = 'durable',
): Promise<void> {
  const replacement = await replaceFile(path, mode)
  try {
    await replacement.write(content)
    await replacement.commit(durability)
  } finally {
    await replacement.discard()
  }
}

/** Removes files that killed writers left in a folder. Only while no writer can be active there. */
export function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (name.startsWith('.') && name.includes(TEMPORARY_MARK)) unlinkSync(join(folder, name))
  }
}

async function syncFolder(folder: string): Promise<void> {
  const fd = await openFile(folder, 'r')
  try {
    await syncFile(fd)
  } finally {
    await closeFile(fd)
  }
}
