/** `spamdctl import`: entries of another database, as text or as OpenBSD's own file, into ours. */
import { type ByteSource, readBerkeleyHash } from '../../codec/database/berkeley-hash.js'
import { decodeBerkeleyRecord } from '../../codec/database/berkeley-record.js'
import { ImportTextReader, withoutByteOrderMark } from '../../codec/database/import-text.js'
import type { ImportTimes } from '../../codec/database/imported-line.js'
import { unescapeField } from '../../codec/database/spamdb-text.js'
import { escapeControl } from '../../codec/escape.js'
import { LineSplitter } from '../../codec/line-splitter.js'
import type { GreydItem } from '../../db/file/greyd-database.js'
import type { ManualEdit, Store } from '../../db/store.js'
import { type Entry, MAX_COMMENT_BYTES, type WireText } from '../../domain/entry.js'
import { normaliseSpamtrap } from '../../domain/spamtrap.js'
import { GREY_EXPIRE_SEC, PASS_SEC, WHITE_EXPIRE_SEC } from '../../domain/times.js'
import { AppError } from '../../platform/app-error.js'
import { toDisplayText } from '../wire-text.js'
import { type EditRequest, planEdits } from './edit-entries.js'
import type { ImportInput } from './import-input.js'
import { keyOfLine } from './key-lines.js'
import { LineGuard } from './line-guard.js'

export interface ImportOptions {
  /** Set: the text is a plain list of addresses, to be added as `spamdb -a` does. */
  list:
    | {
        kind: 'WHITE' | 'TRAPPED' | 'SPAMTRAP'
        lifetime: EditRequest['lifetime']
        comment: string | undefined
      }
    | undefined
  /** Leave existing entries unchanged. */
  ifMissing: boolean
  /** Set: allowed domains among the entries are passed on; else they are invalid lines. */
  onDomain?: ((domain: WireText) => void) | undefined
}

export interface ImportReport {
  added: number
  updated: number
  skipped: number
  bad: number
}

/** A line, or a place in a database, that gave no entry. */
export interface ImportProblem {
  /** `line 12`, `offset 4096`, `entry KEY`, or `end of the file`. */
  place: string
  reason: string
}

/** Number of entries passed on at a time: enough for speed, few enough for memory. */
const BATCH_ENTRIES = 5000
/** Maximum number of bad lines before the first entry; with more, the input is refused. */
const MAX_BAD_AT_START = 1_000_000
/**
 * Maximum line length: three fields of 64 KiB, or one key as long as spamdb accepts it with every byte
 * escaped.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_IMPORT_LINE_BYTES = 524_288

/**
 * Reads everything and stores the valid entries, even if others are not; each problem is reported to
 * `onProblem`. Lines of spamdb and files of OpenBSD are stored when all of them are read, a plain list as it
 * is read. Rejects with an `AppError` when the input is incomplete or the store fails.
 */
export async function importEntries(
  store: Store,
  input: ImportInput,
  options: ImportOptions,
  now: number,
  onProblem: (problem: ImportProblem) => void,
): Promise<ImportReport> {
  const report: ImportReport = { added: 0, updated: 0, skipped: 0, bad: 0 }
  const reading: Reading = { now, onDomain: options.onDomain, onProblem: countProblem, skipped: 0, found: 0 }
  function countProblem(problem: ImportProblem): void {
    report.bad += 1
    onProblem(problem)
    if (reading.found > 0 || report.bad < MAX_BAD_AT_START) return
    throw new AppError('ERR_IMPORT_INPUT', `nothing to import: ${MAX_BAD_AT_START} lines without an entry`)
  }
  if (input.type === 'text' && options.list !== undefined) {
    const request = editRequestOf(options, options.list)
    for await (const edits of readPlainList(input.chunks, request, reading)) {
      for (const outcome of (await store.edit(edits, now, { forgetsChanges: true })).outcomes) {
        if (outcome === 'added' || outcome === 'updated' || outcome === 'skipped') report[outcome] += 1
      }
    }
    return report
  }
  const counts = await store.upsertAll(openBatches(input, reading), { ifMissing: options.ifMissing, now })
  return { ...counts, skipped: counts.skipped + reading.skipped, bad: report.bad }
}

/** What the readers of the formats share. */
interface Reading {
  now: number
  onDomain: ImportOptions['onDomain']
  onProblem: (problem: ImportProblem) => void
  /** Entries that are well-formed but not worth keeping. */
  skipped: number
  /** Well-formed lines. */
  found: number
}

function openBatches(input: ImportInput, reading: Reading): AsyncGenerator<Entry[]> {
  switch (input.type) {
    case 'text':
      return readText(input.chunks, reading)
    case 'berkeley':
      return readBerkeley(input.source, reading.onProblem)
    case 'greyd':
      return readGreyd(input.items(reading.now), reading)
  }
}

const NO_DOMAINS = 'an allowed domain: use --allowed-domains FILE'

/** Passes an allowed domain on, or reports that it is not wanted. */
function takeDomain(domain: WireText, place: string, { onDomain, onProblem }: Reading): void {
  if (onDomain === undefined) onProblem({ place, reason: NO_DOMAINS })
  else onDomain(domain)
}

async function* readGreyd(items: Iterable<GreydItem>, reading: Reading): AsyncGenerator<Entry[]> {
  let batch: Entry[] = []
  for (const item of items) {
    if (item.type === 'domain')
      takeDomain(item.domain, `entry ${escapeControl(toDisplayText(item.domain))}`, reading)
    else if (item.type === 'bad') {
      reading.onProblem({ place: `entry ${escapeControl(toDisplayText(item.key))}`, reason: item.reason })
    } else batch.push(normalised(item.entry))
    if (batch.length < BATCH_ENTRIES) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Lines of one part of the input and the number of the first one, counted from 1. */
interface NumberedLines {
  lines: string[]
  firstNumber: number
}

async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<NumberedLines> {
  const splitter = new LineSplitter(MAX_IMPORT_LINE_BYTES)
  let firstNumber = 1
  const guard = new LineGuard()
  for await (const chunk of chunks) {
    const lines = splitter.push(chunk.toString('latin1'))
    guard.pass(chunk.length, lines.length)
    yield { lines, firstNumber }
    firstNumber += lines.length
  }
  yield { lines: splitter.end(), firstNumber }
}

async function* readText(chunks: AsyncIterable<Buffer>, reading: Reading): AsyncGenerator<Entry[]> {
  const times: ImportTimes = {
    nowSec: reading.now,
    passSec: PASS_SEC,
    greySec: GREY_EXPIRE_SEC,
    whiteSec: WHITE_EXPIRE_SEC,
  }
  const reader = new ImportTextReader(times)
  let batch: Entry[] = []
  for await (const { lines, firstNumber } of splitLines(chunks)) {
    for (let index = 0; index < lines.length; index += 1) {
      const line = lines[index]!
      const parsed = line.length > MAX_IMPORT_LINE_BYTES ? TOO_LONG : reader.read(line)
      if (parsed.type !== 'bad' && parsed.type !== 'nothing') reading.found += 1
      if (parsed.type !== 'entry') {
        const place = `line ${firstNumber + index}`
        if (parsed.type === 'skipped') reading.skipped += 1
        else if (parsed.type === 'domain') takeDomain(parsed.domain, place, reading)
        else if (parsed.type !== 'nothing') {
          const reason = parsed.type === 'bad' ? parsed.reason : addComment(batch.at(-1), parsed.text)
          if (reason !== undefined) reading.onProblem({ place, reason })
        }
        continue
      }
      // A full batch waits for the next entry, because a comment line may follow its last one.
      if (batch.length >= BATCH_ENTRIES) {
        yield batch
        batch = []
      }
      batch.push(normalised(parsed.entry))
    }
  }
  const end = reader.end()
  if (end.type === 'bad') reading.onProblem({ place: 'end of the file', reason: end.reason })
  if (batch.length > 0) yield batch
}

const TOO_LONG = { type: 'bad', reason: `longer than ${MAX_IMPORT_LINE_BYTES} bytes` } as const

/** Gives the entry an escaped comment; why it cannot be kept. */
function addComment(entry: Entry | undefined, escaped: string): string | undefined {
  if (entry === undefined || entry.kind === 'GREY' || entry.kind === 'POOL') return undefined
  const bytes = unescapeField(escaped)
  if (bytes.includes('\0')) return 'a NUL byte'
  const comment = toDisplayText(bytes)
  if (Buffer.byteLength(comment) > MAX_COMMENT_BYTES)
    return `a comment longer than ${MAX_COMMENT_BYTES} bytes`
  entry.comment = comment
  return undefined
}

/** Spamtraps arrive as they were written; their keys are in lower case without angle brackets. */
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
    const decoded = decodeBerkeleyRecord(item)
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

/** Edits for the lines of a plain list; every invalid line is reported and skipped. */
async function* readPlainList(
  chunks: AsyncIterable<Buffer>,
  request: EditRequest,
  reading: Reading,
): AsyncGenerator<ManualEdit[]> {
  const { now, onProblem } = reading
  for await (const { lines, firstNumber } of splitLines(chunks)) {
    const edits: ManualEdit[] = []
    for (const [index, line] of lines.entries()) {
      const key = keyOfLine(firstNumber + index === 1 ? withoutByteOrderMark(line) : line)
      if (key === '') continue
      const plan = planEdits([key], request, now)
      if (plan.edits[0] !== undefined) {
        reading.found += 1
        edits.push(plan.edits[0])
      } else {
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
