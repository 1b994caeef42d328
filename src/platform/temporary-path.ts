/** Names for files that are filled beside the file which they will become. */
import { basename, dirname, join } from 'node:path'

/** Marks files that a killed writer may have left behind. */
export const TEMPORARY_MARK = '.spamdctl-tmp-'

/** Distinguishes the temporary files of one process. */
let temporaryCount = 0

/**
 * A new name beside `path`, hidden and never given before: process ids come again (in a container often the
 * same one), and what a killed process left must not stop the next one.
 */
export function temporaryPathFor(path: string): string {
  temporaryCount += 1
  const unique = `${process.pid}-${Date.now().toString(36)}-${temporaryCount}`
  return join(dirname(path), `.${basename(path)}${TEMPORARY_MARK}${unique}`)
}
