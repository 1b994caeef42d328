import { dirname, resolve } from 'node:path'
import { AppError } from '../platform/app-error.js'
import { reasonOf } from '../platform/errno-text.js'
import { replaceFileWith } from '../platform/replace-file.js'
import { distrustOf } from '../platform/trusted-folder.js'

/**
 * Atomically replaces a file that can be recreated at any time, readable by everyone. `AppError` with the
 * given code; root writes in no folder that others can write.
 */
export async function writeTrustedFile(
  path: string,
  text: string,
  errorCode: 'ERR_METRICS_WRITE' | 'ERR_REPORT_WRITE',
): Promise<void> {
  const folder = dirname(resolve(path))
  try {
    const distrust = process.geteuid?.() === 0 ? distrustOf(folder) : undefined
    if (distrust !== undefined) {
      throw new AppError(errorCode, distrust, {
        hint: `root writes only where nobody else can: run this as the owner of ${folder}, or run chown root ${folder}; chmod go-w ${folder}`,
      })
    }
    await replaceFileWith(path, Buffer.from(text), 0o644, 'quick')
  } catch (error) {
    throw new AppError(errorCode, `cannot write ${path}: ${reasonOf(error)}`, {
      hint: error instanceof AppError ? error.hint : undefined,
      cause: error,
    })
  }
}
