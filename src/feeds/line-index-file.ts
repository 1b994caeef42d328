/**
 * The file `NAME.lines` beside the last good copy of a list (codec/lists/line-index.ts), and access to single
 * lines of the copy.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFileWith } from '../platform/replace-file.js'
import { listFileName } from './list-file-name.js'
import { HEADER_BYTES } from './list-store.js'

const FILE_MODE = 0o644
/** Maximum length of the excerpt of a line; JSON records and CSV rows are shorter. */
const MAX_SHOWN_BYTES = 1024
const LINE_FEED = 0x0a

/** Replaces the index of a list. Throws the system's error. */
export async function writeLineIndexFile(folder: string, listName: string, index: Uint8Array): Promise<void> {
  await replaceFileWith(join(folder, `${listFileName(listName)}.lines`), index, FILE_MODE)
}

/** Content of the index of a list; undefined when it is missing or may not be read. */
export function readLineIndexFile(folder: string, listName: string): Uint8Array | undefined {
  try {
    return readFileSync(join(folder, `${listFileName(listName)}.lines`))
  } catch {
    return undefined
  }
}

/**
 * The start of the line at a byte of the list's text, one character per byte; undefined when it cannot be
 * read.
 */
export function readListLine(folder: string, listName: string, offset: number): string | undefined {
  let descriptor: number | undefined
  try {
    descriptor = openSync(join(folder, `${listFileName(listName)}.list`), 'r')
    const bytes = Buffer.alloc(MAX_SHOWN_BYTES)
    const length = readSync(descriptor, bytes, 0, MAX_SHOWN_BYTES, HEADER_BYTES + offset)
    const end = bytes.subarray(0, length).indexOf(LINE_FEED)
    return bytes.toString('latin1', 0, end < 0 ? length : end).replace(/\r$/, '')
  } catch {
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
