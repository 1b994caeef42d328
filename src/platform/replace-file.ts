/** Files that are replaced whole: a reader sees the old content or the new one, also after a crash. */
import { fchmodSync, lstatSync, readdirSync, unlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { closeFile, openFile, removeFile, renameFile, syncFile, writeAll } from './file-io.js'

/** Marks what a killed writer may have left behind. */
const TEMPORARY_MARK = '.spamdctl-tmp-'

/** Tells the temporary files of one process apart. */
let temporaryCount = 0

/** A new content for a file, invisible until `commit`. Every error is the system's own. */
export interface FileReplacement {
  write(chunk: Uint8Array): Promise<void>
  /** Overwrites bytes that are already written, from `offset` on. */
  writeAt(chunk: Uint8Array, offset: number): Promise<void>
  /**
   * The new content takes its place; afterwards nothing more can be done with this object. `durable`: it is on
   * the disk when this resolves; `quick`: a power cut may still bring the old content back.
   */
  commit(durability: 'durable' | 'quick'): Promise<void>
  /** Gives up: the old file stays. Never fails; does nothing after `commit`. */
  discard(): Promise<void>
}

/**
 * Starts to replace `path` (which need not exist). The folder must exist; the mode is that of the new file, whatever the
 * umask: what one program writes another user's daemon reads. A device or
 * a pipe is never replaced, least of all /dev/null by root: what is written goes into it at once.
 */
export async function replaceFile(path: string, mode: number): Promise<FileReplacement> {
  if (isDeviceOrPipe(path)) return writeThrough(path)
  const folder = dirname(path)
  temporaryCount += 1
  const unique = `${process.pid}-${Date.now().toString(36)}-${temporaryCount}`
  const temporary = join(folder, `.${basename(path)}${TEMPORARY_MARK}${unique}`)
  // Exclusive: never through a link that somebody put there.
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
        // What cannot be removed now is removed by removeLeftovers.
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

/** Replaces a file by small content in one call. */
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

/** Removes what killed writers left in a folder. Only while no writer can be at work there. */
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
