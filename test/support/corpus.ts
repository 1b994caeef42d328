import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A folder of test/corpus: seeds of the fuzzers, and every input that once caused a failure. */
export function corpusFolder(kind: string): string {
  return join(import.meta.dirname, '../corpus', kind)
}

/** The inputs of one kind, by file name. */
export function corpusInputs(kind: string): { name: string; bytes: Buffer }[] {
  const folder = corpusFolder(kind)
  return readdirSync(folder).map((name) => ({ name, bytes: readFileSync(join(folder, name)) }))
}
