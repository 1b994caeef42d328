/** Reads the existing files and writes the confirmed ones, below a root folder. */
import { lstat, mkdir, readFile, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { inRightsFor } from '../../platform/lesser-rights.js'
import { replaceFileWith } from '../../platform/replace-file.js'
import { type FileStep, type PlannedFile, planFileStep } from './planned-file.js'

/** Maximum size of a file that lines are added to: a hand-written configuration file. */
const MAX_FILE_BYTES = 4 * 1024 * 1024

/**
 * What to do about each file. `ERR_INIT_READ` (`cannot read PATH: reason`) for a file that cannot be read, is
 * not a regular file, or is larger than 4 MiB.
 */
export async function planSteps(root: string, files: readonly PlannedFile[]): Promise<FileStep[]> {
  return Promise.all(files.map(async (file) => planFileStep(file, await presentText(join(root, file.path)))))
}

async function presentText(path: string): Promise<string | undefined> {
  try {
    const target = await realpath(path)
    const status = await lstat(target)
    if (!status.isFile()) throw new AppError('ERR_INIT_READ', `cannot read ${path}: not a regular file`)
    if (status.size > MAX_FILE_BYTES)
      throw new AppError('ERR_INIT_READ', `cannot read ${path}: larger than 4 MiB`)
    return await readFile(target, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (error instanceof AppError) throw error
    throw new AppError('ERR_INIT_READ', `cannot read ${path}: ${reasonOf(error)}`, {
      hint: 'run it as root',
      cause: error,
    })
  }
}

/**
 * Writes one step; missing folders are made with mode 0755. An existing file keeps its mode, and a link to it
 * stays a link. Lines are added to what the file contains now, in any encoding. `ERR_INIT_WRITE` (`cannot write PATH: reason`); the old file is then unchanged.
 */
export async function applyStep(root: string, step: FileStep): Promise<void> {
  if (step.action === 'keep') return
  const path = join(root, step.path)
  // Daemons of other users read these files, whatever the administrator's umask.
  const mask = process.umask(0)
  try {
    await inRightsFor(path, async () => {
      await mkdir(dirname(path), { recursive: true, mode: 0o755 })
      const isThere = step.action === 'extend' || step.action === 'replace'
      const target = isThere ? await realpath(path) : path
      const mode = isThere ? (await lstat(target)).mode & 0o7777 : step.file.mode
      const bytes = step.action === 'extend' ? await extended(target, step.file) : Buffer.from(step.text)
      if (bytes !== undefined) await replaceFileWith(target, bytes, mode)
    })
  } catch (error) {
    throw new AppError('ERR_INIT_WRITE', `cannot write ${path}: ${reasonOf(error)}`, {
      hint: 'run it as root',
      cause: error,
    })
  } finally {
    process.umask(mask)
  }
}

/** The bytes of the file with missing lines appended; undefined when none is missing any more. */
async function extended(path: string, file: PlannedFile): Promise<Buffer | undefined> {
  const present = await readFile(path)
  // One character per byte, so that the position of the added text is known.
  const text = present.toString('latin1')
  const step = planFileStep(file, text)
  return step.action === 'keep'
    ? undefined
    : Buffer.concat([present, Buffer.from(step.text.slice(text.length))])
}
