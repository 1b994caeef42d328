/** `spamdctl import`: entries of another database, as text or as OpenBSD's own file, into ours. */
import { type ByteSource, readBerkeleyHash } from '../../codec/database/berkeley-hash.js'
import { decodeBerkeleyRecord } from '../../codec/database/berkeley-record.js'
import { COMMENT_LINE_PREFIX, parseSpamdbLine, unescapeField } from '../../codec/database/spamdb-text.js'
import { LineSplitter } from '../../codec/line-splitter.js'
import type { ManualEdit, Store } from '../../db/store.js'
import { type Entry, MAX_COMMENT_BYTES } from '../../domain/entry.js'
import { normaliseSpamtrap } from '../../domain/spamtrap.js'
import { toDisplayText } from '../wire-text.js'
import { type EditRequest, planEdits } from './edit-entries.js'
import type { ImportInput } from './import-input.js'
import { keyOfLine } from './key-lines.js'

export interface ImportOptions {
  /** Set: the text is a plain list of addresses, to be added as `spamdb -a` does. */
  list:
    | {
        kind: 'WHITE' | 'TRAPPED' | 'SPAMTRAP'
        lifetime: EditRequest['lifetime']
        comment: string | undefined
      }
    | undefined
  /** Leave entries that exist as they are. */
  ifMissing: boolean
}

export interface ImportReport {
  added: number
  updated: number
  skipped: number
  bad: number
}

/** A line, or a place of a Berkeley DB, that brought no entry. */
export interface ImportProblem {
  /** `line 12`, or `offset 4096`. */
  place: string
  reason: string
}

/** Entries handed over at a time: enough for speed, few enough for the memory. */
const BATCH_ENTRIES = 5000
/** Longest line: three fields of 64 KiB, or one key as long as spamdb takes it with every byte escaped. */
export const MAX_IMPORT_LINE_BYTES = 524_288

/**
 * Reads everything and stores the good entries, whatever else is bad; each problem goes to `onProblem`. Lines of
 * spamdb and files of OpenBSD are stored at once when all of them are read, a plain list as it comes.
 * Rejects with an `AppError` when the input breaks off or the store fails.
 */
export async function importEntries(
  store: Store,
  input: ImportInput,
  options: ImportOptions,
  now: number,
  onProblem: (problem: ImportProblem) => void,
): Promise<ImportReport> {
  const report: ImportReport = { added: 0, updated: 0, skipped: 0, bad: 0 }
  const countProblem = (problem: ImportProblem): void => {
    report.bad += 1
    onProblem(problem)
  }
  if (input.type === 'text' && options.list !== undefined) {
    const request = editRequestOf(options, options.list)
    for await (const edits of readPlainList(input.chunks, request, now, countProblem)) {
      for (const outcome of (await store.edit(edits, now)).outcomes) {
        if (outcome === 'added' || outcome === 'updated' || outcome === 'skipped') report[outcome] += 1
      }
    }
    return report
  }
  const batches =
    input.type === 'text'
      ? readText(input.chunks, now, countProblem)
      : readBerkeley(input.source, countProblem)
  const counts = await store.upsertAll(batches, { ifMissing: options.ifMissing, now })
  return { ...counts, bad: report.bad }
}

/** Lines of one piece of input and the number of the first one, counted from 1. */
interface NumberedLines {
  lines: string[]
  firstNumber: number
}

async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<NumberedLines> {
  const splitter = new LineSplitter(MAX_IMPORT_LINE_BYTES)
  let firstNumber = 1
  for await (const chunk of chunks) {
    const lines = splitter.push(chunk.toString('latin1'))
    yield { lines, firstNumber }
    firstNumber += lines.length
  }
  yield { lines: splitter.end(), firstNumber }
}

async function* readText(
  chunks: AsyncIterable<Buffer>,
  now: number,
  onProblem: (problem: ImportProblem) => void,
): AsyncGenerator<Entry[]> {
  let batch: Entry[] = []
  for await (const { lines, firstNumber } of splitLines(chunks)) {
    for (let index = 0; index < lines.length; index += 1) {
      const rawLine = lines[index]!
      const line = rawLine.endsWith('\r') ? rawLine.slice(0, -1) : rawLine
      if (line.startsWith('#')) {
        const problem = addComment(batch.at(-1), line)
        if (problem !== undefined) onProblem({ place: `line ${firstNumber + index}`, reason: problem })
        continue
      }
      if (line === '') continue
      const parsed = line.length > MAX_IMPORT_LINE_BYTES ? TOO_LONG : parseSpamdbLine(line, now)
      if (!parsed.ok) {
        onProblem({ place: `line ${firstNumber + index}`, reason: parsed.reason })
        continue
      }
      // A full batch waits for the next entry, since a comment line may follow its last one.
      if (batch.length >= BATCH_ENTRIES) {
        yield batch
        batch = []
      }
      batch.push(normalised(parsed.entry))
    }
  }
  if (batch.length > 0) yield batch
}

const TOO_LONG = { ok: false, reason: `longer than ${MAX_IMPORT_LINE_BYTES} bytes` } as const

/** Gives the entry the comment of a line that holds one; why it cannot be kept. */
function addComment(entry: Entry | undefined, line: string): string | undefined {
  if (!line.startsWith(COMMENT_LINE_PREFIX) || entry === undefined || entry.kind === 'GREY') return undefined
  const bytes = unescapeField(line.slice(COMMENT_LINE_PREFIX.length))
  if (bytes.includes('\0')) return 'a NUL byte'
  const comment = toDisplayText(bytes)
  if (Buffer.byteLength(comment) > MAX_COMMENT_BYTES)
    return `a comment longer than ${MAX_COMMENT_BYTES} bytes`
  entry.comment = comment
  return undefined
}

/** Spamtraps come as they were written; they are keyed in lower case and without brackets. */
function normalised(entry: Entry): Entry {
  if (entry.kind === 'SPAMTRAP') entry.address = normaliseSpamtrap(entry.address)
  return entry
}

async function* readBerkeley(
  source: ByteSource,
  onProblem: (problem: ImportProblem) => void,
): AsyncGenerator<Entry[]> {
  let batch: Entry[] = []
  for (const item of readBerkeleyHash(source)) {
    if (item.type === 'damage') {
      onProblem({ place: `offset ${item.offset}`, reason: item.reason })
      continue
    }
    const decoded = decodeBerkeleyRecord(item.key, item.data, item.littleEndian)
    if (!decoded.ok) {
      onProblem({ place: `offset ${item.offset}`, reason: decoded.reason })
      continue
    }
    batch.push(normalised(decoded.entry))
    if (batch.length >= BATCH_ENTRIES) {
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}

/** Edits for the lines of a plain list; every bad line is reported and left out. */
async function* readPlainList(
  chunks: AsyncIterable<Buffer>,
  request: EditRequest,
  now: number,
  onProblem: (problem: ImportProblem) => void,
): AsyncGenerator<ManualEdit[]> {
  for await (const { lines, firstNumber } of splitLines(chunks)) {
    const edits: ManualEdit[] = []
    for (const [index, line] of lines.entries()) {
      const key = keyOfLine(line)
      if (key === '') continue
      const plan = planEdits([key], request, now)
      if (plan.edits[0] !== undefined) edits.push(plan.edits[0])
      else {
        const reason = request.kind === 'SPAMTRAP' ? 'not an email address' : 'not an ip address'
        onProblem({ place: `line ${firstNumber + index}`, reason })
      }
    }
    for (let start = 0; start < edits.length; start += BATCH_ENTRIES) {
      yield edits.slice(start, start + BATCH_ENTRIES)
    }
  }
}

function editRequestOf(options: ImportOptions, list: NonNullable<ImportOptions['list']>): EditRequest {
  return {
    operation: 'add',
    kind: list.kind,
    allTuples: false,
    ifMissing: options.ifMissing,
    lifetime: list.lifetime,
    comment: list.comment,
  }
}
