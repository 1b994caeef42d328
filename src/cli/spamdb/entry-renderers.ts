/** The listing formats besides the classic one. All text here is latin-1: one character per byte. */
import { releaseFields } from '../../app/release/release-terms.js'
import { toWireText } from '../../app/wire-text.js'
import { formatSpamdbLine } from '../../codec/database/spamdb-text.js'
import { decodeSurrogateEscape } from '../../codec/surrogate-escape.js'
import {
  CLASSIC_KINDS,
  ENTRY_KINDS,
  type Entry,
  type EntryKind,
  type GreyEntry,
  type HostEntry,
  type WireText,
} from '../../domain/entry.js'
import { parsePoolKey, poolKeyOf } from '../../domain/pool-key.js'
import type { EntryQuery } from '../../domain/query.js'
import { hasConditions } from '../../domain/query-match.js'
import { isInForce, type Release } from '../../domain/release.js'
import { HumanTable } from './human-table.js'
import type { OutputFormat } from './spamdb-request.js'
import { WideTable } from './wide-table.js'

/** Writes a list in parts: the start, each entry with its line end, and the end. */
export interface EntryRenderer {
  start(): string
  render(entry: Entry): string
  end(): string
}

/**
 * What --human needs: the time from which the time left is counted, and the width of the terminal, if there
 * is one.
 */
export interface HumanSetting {
  nowSec: number
  width: number | undefined
}

/** The renderer of a format. Rows may be output later than they were given, the last ones with `end`. */
export function openRenderer(format: OutputFormat, { nowSec, width }: HumanSetting): EntryRenderer {
  switch (format) {
    case 'classic':
      return plain((entry) => formatSpamdbLine(entry))
    case 'human':
      return openHumanRenderer(new HumanTable(nowSec, width))
    case 'ndjson':
      return plain((entry) => formatJson(entry))
    case 'csv':
      return { ...plain((entry) => formatCsvLine(entry)), start: () => `${CSV_COLUMNS.join(',')}\n` }
    case 'json':
      return openJsonRenderer()
  }
}

/** A whole list as the table of --human, in parts. */
export async function* renderHuman(
  store: LineSource & { list(query: EntryQuery): AsyncIterable<readonly Entry[]> },
  query: EntryQuery,
  { nowSec, width }: HumanSetting,
): AsyncGenerator<Uint8Array> {
  if (width === undefined && query.sort === undefined && query.limit === undefined) {
    yield* renderWide(store, query, nowSec)
    return
  }
  const table = new HumanTable(nowSec, width)
  for await (const chunk of store.list(query)) {
    for (const entry of chunk) {
      const lines = table.add(entry)
      if (lines.length > 0) yield lines
    }
  }
  yield table.end()
}

/** Instead of lines: the entries that they would be made from. */
const ENTRIES_INSTEAD = '\0'

async function* renderWide(store: LineSource, query: EntryQuery, nowSec: number): AsyncGenerator<Uint8Array> {
  const table = new WideTable(nowSec)
  // In the order of their chunks, which a store may make before they are requested.
  const waiting: (readonly Entry[])[] = []
  const render = (entries: readonly Entry[]): string => {
    waiting.push(entries)
    return ENTRIES_INSTEAD
  }
  for await (const chunk of store.listText(query, { name: 'wide', render })) {
    yield* chunk[0] === 0 ? table.addEntries(waiting.shift()!) : table.addLines(chunk)
  }
  yield table.end()
}

/** The part of a store that produces lines by itself. */
interface LineSource {
  listText(
    query: EntryQuery,
    form: { name: 'json' | 'ndjson' | 'csv' | 'wide'; render(entries: readonly Entry[]): string },
  ): AsyncIterable<Uint8Array>
}

/** Releases that a listing of everything shows: those in force. */
export async function shownReleases(
  store: { readReleases(): Promise<Release[]> },
  query: EntryQuery,
  nowSec: number,
): Promise<Release[]> {
  if (query.limit !== undefined || hasConditions(query)) return []
  return (await store.readReleases()).filter((release) => isInForce(release, nowSec))
}

/**
 * A whole list in a format for programs, in parts, as fast as the store produces them; releases after the
 * entries.
 */
export async function* renderLines(
  format: 'json' | 'ndjson' | 'csv',
  store: LineSource,
  query: EntryQuery,
  releases: readonly Release[] = [],
): AsyncGenerator<Uint8Array> {
  if (format === 'csv') yield Buffer.from(`${CSV_COLUMNS.join(',')}\n`)
  if (format === 'json') yield Buffer.from('[')
  let isFirst = true
  for await (const lines of store.listText(query, { name: format, render: RENDER_LINES[format] })) {
    // The first entry of an array has no comma before it.
    yield format === 'json' && isFirst ? lines.subarray(1) : lines
    isFirst = false
  }
  for (const release of releases) {
    const text = JSON.stringify(releaseFields(release))
    yield Buffer.from(format === 'json' ? `${isFirst ? '' : ','}\n${text}` : `${text}\n`)
    isFirst = false
  }
  if (format === 'json') yield Buffer.from(isFirst ? ']\n' : '\n]\n')
}

const RENDER_LINES = {
  json: (entries: readonly Entry[]): string => entries.map((entry) => `,\n${formatJson(entry)}`).join(''),
  ndjson: (entries: readonly Entry[]): string => entries.map((entry) => `${formatJson(entry)}\n`).join(''),
  csv: (entries: readonly Entry[]): string => entries.map((entry) => `${formatCsvLine(entry)}\n`).join(''),
}

/** What --count prints: the number, or with a format for programs the number of each kind. */
export function renderCounts(format: OutputFormat, counts: Readonly<Record<EntryKind, number>>): string {
  const total = ENTRY_KINDS.reduce((sum, kind) => sum + counts[kind], 0)
  if (format === 'json' || format === 'ndjson') return `${JSON.stringify({ ...counts, total })}\n`
  if (format === 'csv') {
    return `kind,count\n${CLASSIC_KINDS.map((kind) => `${kind},${counts[kind]}\n`).join('')}`
  }
  return `${total}\n`
}

function plain(line: (entry: Entry) => string): EntryRenderer {
  return { start: () => '', render: (entry) => `${line(entry)}\n`, end: () => '' }
}

function openHumanRenderer(table: HumanTable): EntryRenderer {
  const textOf = (lines: Uint8Array): string => Buffer.from(lines).toString('latin1')
  return { start: () => '', render: (entry) => textOf(table.add(entry)), end: () => textOf(table.end()) }
}

function openJsonRenderer(): EntryRenderer {
  let isFirst = true
  return {
    start: () => '[',
    render: (entry) => {
      const separator = isFirst ? '\n' : ',\n'
      isFirst = false
      return separator + formatJson(entry)
    },
    end: () => (isFirst ? ']\n' : '\n]\n'),
  }
}

function formatJson(entry: Entry): string {
  return toWireText(JSON.stringify(jsonFields(entry)))
}

function jsonFields(entry: Entry): object {
  switch (entry.kind) {
    case 'WHITE':
    case 'TRAPPED':
      return { kind: entry.kind, ip: entry.ip, ...timesOf(entry), ...commentOf(entry) }
    case 'SPAMTRAP':
      return {
        kind: entry.kind,
        address: decodeSurrogateEscape(entry.address),
        first: entry.first,
        ...commentOf(entry),
      }
    case 'POOL':
      return {
        kind: entry.kind,
        ip: entry.ip,
        key: parsePoolKey(entry.pool)?.kind,
        pool: entry.pool,
        ...timesOf(entry),
      }
    case 'GREY':
      return {
        kind: entry.kind,
        ip: entry.ip,
        ...keyOf(entry),
        helo: decodeSurrogateEscape(entry.helo),
        from: decodeSurrogateEscape(entry.from),
        to: decodeSurrogateEscape(entry.to),
        ...timesOf(entry),
      }
  }
}

/** Kind of the key of a tuple that counts the attempts of a pool. */
function keyOf(entry: GreyEntry): { key?: string } {
  const key = poolKeyOf(entry)
  return key === undefined ? {} : { key: key.kind }
}

function timesOf({ first, pass, expire, bcount, pcount }: Omit<HostEntry, 'kind' | 'ip'>): object {
  return { first, pass, expire, bcount, pcount }
}

function commentOf(entry: { comment?: string }): { comment?: string } {
  return entry.comment === undefined ? {} : { comment: entry.comment }
}

const CSV_COLUMNS = [
  'kind',
  'ip',
  'address',
  'helo',
  'from',
  'to',
  'first',
  'pass',
  'expire',
  'bcount',
  'pcount',
  'comment',
] as const

function formatCsvLine(entry: Entry): string {
  const fields: Partial<Record<(typeof CSV_COLUMNS)[number], WireText | number>> =
    entry.kind === 'GREY' || entry.kind === 'POOL'
      ? { ...entry }
      : { ...entry, ...(entry.comment === undefined ? {} : { comment: toWireText(entry.comment) }) }
  return CSV_COLUMNS.map((column) => csvField(fields[column])).join(',')
}

/** Source: RFC 4180 section 2. */
function csvField(value: WireText | number | undefined): string {
  if (value === undefined) return ''
  const text = String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
