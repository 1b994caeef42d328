/**
 * What spamd was last given, kept in the state folder so that a list that cannot be rebuilt can stay as it
 * is in the firewall, a list that vanished from spamd.conf can be cleared, and spamd can load everything
 * again after a restart:
 *
 *     loaded.json   the names in order, and the names that still have to be cleared
 *     NAME.line     the config line of a list, as sent
 *
 * Each file is replaced whole.
 */
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigLineDecoder, type ReceivedList } from '../../codec/config-line/config-line-decoder.js'
import { listFileName } from '../../feeds/list-file-name.js'
import { EMPTY_SET, type IpRangeSet } from '../../ip/ip-range-set.js'
import { setOfPrefixes } from '../../ip/prefix-ranges.js'
import { AppError } from '../../platform/app-error.js'
import type { UnixSec } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import { readStored, readStoredChunks } from '../../platform/file-io.js'
import { replaceFile } from '../../platform/replace-file.js'
import { formerStateDir } from '../../platform/settings.js'

const INDEX_NAME = 'loaded.json'
const INDEX_FORMAT = 'spamdctl-loaded-1'
const FILE_MODE = 0o644
/** A name has at most a few thousand bytes, and there are a few dozen lists: a larger index is not ours. */
const MAX_INDEX_BYTES = 1024 * 1024

export interface LoadedIndex {
  /** Lists that spamd has, in the order in which it got them. */
  names: string[]
  /** Lists no longer used that a running spamd may still have. */
  toClear: string[]
  /** True once a run had the addresses of every list: from then on the firewall contains nothing unknown. */
  wasComplete: boolean
  /** Time of the first run that loaded something. */
  firstRunSec: UnixSec | undefined
  /** Of what each stored config line was made, and its own SHA-256, by the name of the list. */
  lines: Record<string, StoredLine>
  /** Of the content that the packet filter's table was last given. */
  tableDigest: string | undefined
  /** Networks of that content. */
  tableCount: number | undefined
}

/** See `listKey`. */
export interface StoredLine {
  key: string
  sha256: string
}

/**
 * The lists that spamd has, or may still have, although spamd.conf no longer names them (`named`), each once.
 * With `keepsVanished` those that vanished since the last run stay, and only those dropped earlier are returned.
 */
export function vanishedLists(
  index: LoadedIndex,
  named: ReadonlySet<string>,
  { keepsVanished }: { keepsVanished: boolean },
): string[] {
  const candidates = keepsVanished
    ? index.toClear.filter((name) => !index.names.includes(name))
    : [...index.names, ...index.toClear]
  return [...new Set(candidates)].filter((name) => !named.has(name))
}

/** The record of one state folder. `open` it before anything else. */
export class LoadedLists {
  readonly #stateDir: string
  #index: LoadedIndex = {
    names: [],
    toClear: [],
    wasComplete: false,
    firstRunSec: undefined,
    lines: {},
    tableDigest: undefined,
    tableCount: undefined,
  }

  constructor(stateDir: string) {
    this.#stateDir = stateDir
  }

  /** Reads the index. `ERR_LISTS_READ`. */
  async open(): Promise<void> {
    this.#index = (await readIndex(this.#stateDir)) ?? this.#index
  }

  /** Lists that spamd has, and those that it may still have. */
  get index(): LoadedIndex {
    return this.#index
  }

  /** The addresses that spamd was last given for a list; undefined when there is no readable record. */
  async readSet(name: string): Promise<IpRangeSet | undefined> {
    if (!this.#index.names.includes(name)) return undefined
    let received: ReceivedList | undefined
    const decoder = new ConfigLineDecoder((line) => {
      if (line.kind === 'replace' && line.name === name) received = line
    })
    try {
      for await (const chunk of readStoredChunks(linePath(this.#stateDir, name))) decoder.push(chunk)
    } catch {
      return undefined
    }
    decoder.end()
    return received === undefined ? EMPTY_SET : setOfPrefixes(received.ipv4, received.ipv6)
  }

  /** Stores the config line of a list, as sent; its SHA-256. `ERR_LISTS_WRITE`. */
  async writeLine(name: string, line: Iterable<Uint8Array>): Promise<string> {
    const hash = process.getBuiltinModule('node:crypto').createHash('sha256')
    const hashed = function* (): Generator<Uint8Array> {
      for (const chunk of line) {
        hash.update(chunk)
        yield chunk
      }
    }
    await writeFile(linePath(this.#stateDir, name), hashed())
    return hash.digest('hex')
  }

  /** The SHA-256 of the stored config line if it is intact and was built from the inputs in `key`; otherwise undefined. */
  async lineOf(name: string, key: string): Promise<string | undefined> {
    const { names, lines } = this.#index
    const stored = lines[name]
    if (stored?.key !== key || !names.includes(name)) return undefined
    const hash = process.getBuiltinModule('node:crypto').createHash('sha256')
    try {
      for await (const chunk of this.readLine(name)) hash.update(chunk)
    } catch {
      return undefined
    }
    return hash.digest('hex') === stored.sha256 ? stored.sha256 : undefined
  }

  /** The bytes of the stored config line. Errors: the system's own. */
  readLine(name: string): AsyncGenerator<Uint8Array> {
    return readStoredChunks(linePath(this.#stateDir, name))
  }

  /** Replaces the index and removes the lines that it no longer names. `ERR_LISTS_WRITE`. */
  async writeIndex(index: LoadedIndex): Promise<void> {
    if (JSON.stringify(index) === JSON.stringify(this.#index)) return
    const text = JSON.stringify({ format: INDEX_FORMAT, ...index })
    await writeFile(join(this.#stateDir, INDEX_NAME), [Buffer.from(`${text}\n`)])
    const gone = this.#index.names.filter((name) => !index.names.includes(name))
    this.#index = index
    for (const name of gone) {
      try {
        await unlink(linePath(this.#stateDir, name))
      } catch {
        // The index no longer names it, so it is never read again.
      }
    }
  }
}

/**
 * The config lines of all loaded lists, in order, as bytes: what spamd reads at its start instead of
 * waiting for the next run of spamd-setup. Nothing when nothing was ever loaded. Lists without a readable
 * file are left out.
 */
export async function* readLoadedLines(givenDir: string): AsyncGenerator<Uint8Array> {
  let stateDir = givenDir
  let index = await readIndex(stateDir)
  const former = formerStateDir(givenDir)
  if (index === undefined && former !== undefined) {
    // Until the first run of this version.
    stateDir = former
    index = await readIndex(former)
  }
  for (const name of index?.names ?? []) {
    try {
      yield* readStoredChunks(linePath(stateDir, name))
    } catch {
      // The line file is written before the index names it; a missing one was removed by hand.
    }
  }
}

/** The index, or undefined when nothing was ever loaded from this folder (or the file is not ours). */
async function readIndex(stateDir: string): Promise<LoadedIndex | undefined> {
  const path = join(stateDir, INDEX_NAME)
  let content: Buffer
  try {
    content = readStored(path, MAX_INDEX_BYTES + 1)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new AppError('ERR_LISTS_READ', `cannot read ${path}: ${reasonOf(error)}`, { cause: error })
  }
  if (content.length > MAX_INDEX_BYTES) return undefined
  try {
    const value = JSON.parse(content.toString('utf8')) as Partial<LoadedIndex> & { format?: string }
    if (value.format !== INDEX_FORMAT || !isNameList(value.names) || !isNameList(value.toClear))
      return undefined
    return {
      names: value.names,
      toClear: value.toClear,
      wasComplete: value.wasComplete === true,
      firstRunSec: typeof value.firstRunSec === 'number' ? value.firstRunSec : undefined,
      lines: storedLines(value.lines),
      tableDigest: typeof value.tableDigest === 'string' ? value.tableDigest : undefined,
      tableCount: typeof value.tableCount === 'number' ? value.tableCount : undefined,
    }
  } catch {
    return undefined
  }
}

function linePath(stateDir: string, name: string): string {
  return join(stateDir, `${listFileName(name)}.line`)
}

function storedLines(value: unknown): Record<string, StoredLine> {
  const lines: Record<string, StoredLine> = Object.create(null) as Record<string, StoredLine>
  if (typeof value !== 'object' || value === null) return lines
  for (const [name, line] of Object.entries(value as Record<string, Partial<StoredLine> | null>)) {
    if (typeof line?.key === 'string' && typeof line.sha256 === 'string') {
      lines[name] = { key: line.key, sha256: line.sha256 }
    }
  }
  return lines
}

function isNameList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string')
}

async function writeFile(path: string, content: Iterable<Uint8Array>): Promise<void> {
  try {
    const replacement = await replaceFile(path, FILE_MODE)
    try {
      for (const chunk of content) await replacement.write(chunk)
      await replacement.commit('durable')
    } finally {
      await replacement.discard()
    }
  } catch (error) {
    throw new AppError('ERR_LISTS_WRITE', `cannot write ${path}: ${reasonOf(error)}`, { cause: error })
  }
}
