/** Which lines of a list's last good copy contain an address: through the index beside it. */
import { type IndexedLine, LineIndex, LineIndexBuilder } from '../../codec/lists/line-index.js'
import { readLineIndexFile, readListLine, writeLineIndexFile } from '../../feeds/line-index-file.js'
import { ListStore } from '../../feeds/list-store.js'
import { AppError } from '../../platform/app-error.js'
import type { ListSource } from './list-source.js'

/** A line of the copy, with its text: one character a byte, at most 1 KiB. */
export interface CopyLine extends IndexedLine {
  text: string | undefined
}

/**
 * Creates the index of a copy that was just stored. If it cannot be written, the list is still valid: readers
 * search the copy instead.
 */
export async function keepLineIndex(source: ListSource, stateDir: string): Promise<void> {
  try {
    const index = await buildIndex(source, stateDir)
    if (index !== undefined) await writeLineIndexFile(stateDir, source.name, index)
  } catch (error) {
    if (!(error instanceof AppError) && !(error as NodeJS.ErrnoException).code) throw error
  }
}

/** Lines that name the canonical address; undefined when there is no copy. `ERR_LISTS_DAMAGED`, `ERR_LISTS_READ`. */
export async function findCopyLines(
  source: ListSource,
  stateDir: string,
  canonicalIp: string,
): Promise<CopyLine[] | undefined> {
  const facts = await new ListStore(stateDir).readCopyFacts(source.name)
  if (facts === undefined) return undefined
  const stored = readLineIndexFile(stateDir, source.name)
  let index = stored && LineIndex.decode(stored)
  // For a copy older than indexes, or one whose index could not be written.
  if (index?.sha256 !== facts.sha256) {
    const built = await buildIndex(source, stateDir)
    index = built && LineIndex.decode(built)
  }
  const lines = index?.find(canonicalIp) ?? []
  return lines.map((line) => ({ ...line, text: readListLine(stateDir, source.name, line.offset) }))
}

async function buildIndex(source: ListSource, stateDir: string): Promise<Uint8Array | undefined> {
  const store = new ListStore(stateDir)
  const facts = await store.readCopyFacts(source.name)
  if (facts === undefined) return undefined
  const builder = new LineIndexBuilder(source.column)
  for await (const chunk of store.readCopy(source.name)) builder.push(chunk)
  return builder.end(facts.sha256)
}
