/** The listing formats beside the classic one. All text here is latin-1: one character for one byte. */
import { toWireText } from '../../app/wire-text.js'
import { escapeField, formatSpamdbLine } from '../../codec/database/spamdb-text.js'
import { formatDuration } from '../../codec/duration.js'
import { decodeSurrogateEscape } from '../../codec/surrogate-escape.js'
import { ENTRY_KINDS, type Entry, type EntryKind, type HostEntry, type WireText } from '../../domain/entry.js'
import type { EntryQuery } from '../../domain/query.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import type { OutputFormat } from './spamdb-request.js'

/** Writes a list piece by piece: what comes first, each entry with its line end, and what comes last. */
export interface EntryRenderer {
  start(): string
  render(entry: Entry): string
  end(): string
}

/** The renderer of a format; `nowSec` is what --human counts the time left from. */
export function openRenderer(format: OutputFormat, nowSec: number): EntryRenderer {
  switch (format) {
    case 'classic':
      return plain((entry) => formatSpamdbLine(entry))
    case 'human':
      return plain((entry) => formatHumanLine(entry, nowSec))
    case 'ndjson':
      return plain((entry) => formatJson(entry))
    case 'csv':
      return { ...plain((entry) => formatCsvLine(entry)), start: () => `${CSV_COLUMNS.join(',')}\n` }
    case 'json':
      return openJsonRenderer()
  }
}

/** A whole list in pieces: one for each chunk of entries. */
export async function* renderList(
  format: OutputFormat,
  chunks: AsyncIterable<readonly Entry[]>,
  nowSec: number,
): AsyncGenerator<string> {
  const renderer = openRenderer(format, nowSec)
  let text = renderer.start()
  for await (const chunk of chunks) {
    for (const entry of chunk) text += renderer.render(entry)
    yield text
    text = ''
  }
  text += renderer.end()
  if (text !== '') yield text
}

/** The part of a store that makes lines by itself. */
interface LineSource {
  listText(
    query: EntryQuery,
    form: { name: 'json' | 'ndjson' | 'csv'; render(entries: readonly Entry[]): string },
  ): AsyncIterable<Uint8Array>
}

/** A whole list in a format for programs, in pieces, as fast as the store makes them. */
export async function* renderLines(
  format: 'json' | 'ndjson' | 'csv',
  store: LineSource,
  query: EntryQuery,
): AsyncGenerator<Uint8Array> {
  if (format === 'csv') yield Buffer.from(`${CSV_COLUMNS.join(',')}\n`)
  if (format === 'json') yield Buffer.from('[')
  let isFirst = true
  for await (const lines of store.listText(query, { name: format, render: RENDER_LINES[format] })) {
    // The first entry of an array has no comma in front.
    yield format === 'json' && isFirst ? lines.subarray(1) : lines
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
    return `kind,count\n${ENTRY_KINDS.map((kind) => `${kind},${counts[kind]}\n`).join('')}`
  }
  return `${total}\n`
}

function plain(line: (entry: Entry) => string): EntryRenderer {
  return { start: () => '', render: (entry) => `${line(entry)}\n`, end: () => '' }
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
    case 'GREY':
      return {
        kind: entry.kind,
        ip: entry.ip,
        helo: decodeSurrogateEscape(entry.helo),
        from: decodeSurrogateEscape(entry.from),
        to: decodeSurrogateEscape(entry.to),
        ...timesOf(entry),
      }
  }
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
    entry.kind === 'GREY'
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

/** The classic line with dates for times, the time left behind the removal time, and the comment at the end. */
function formatHumanLine(entry: Entry, nowSec: number): string {
  const note =
    entry.kind === 'GREY' || entry.comment === undefined ? '' : `|${escapeField(toWireText(entry.comment))}`
  switch (entry.kind) {
    case 'SPAMTRAP':
      return formatSpamdbLine(entry) + note
    case 'TRAPPED':
      return `TRAPPED|${entry.ip}|${formatExpire(entry.expire, nowSec)}${note}`
    case 'WHITE':
      return `WHITE|${entry.ip}|||${formatHumanTimes(entry, nowSec)}${note}`
    case 'GREY': {
      const tuple = [entry.helo, entry.from, entry.to].map(escapeField).join('|')
      return `GREY|${entry.ip}|${tuple}|${formatHumanTimes(entry, nowSec)}`
    }
  }
}

function formatHumanTimes(entry: Omit<HostEntry, 'kind' | 'ip'>, nowSec: number): string {
  const { first, pass, expire, bcount, pcount } = entry
  return `${formatLocalTime(first)}|${formatLocalTime(pass)}|${formatExpire(expire, nowSec)}|${bcount}|${pcount}`
}

function formatExpire(expireSec: number, nowSec: number): string {
  if (expireSec === EXPIRE_NEVER) return 'never'
  const leftSec = expireSec - nowSec
  const left = leftSec > 0 ? `${formatDuration(leftSec)} left` : `expired ${formatDuration(-leftSec)} ago`
  return `${formatLocalTime(expireSec)} (${left})`
}

/** Farthest time that a Date holds, in seconds. Source: ECMA-262, time values. */
const MAX_DATE_SEC = 8_640_000_000_000

/** Local time as ISO 8601 with its offset: `2026-11-22T11:30:00+01:00`. Beyond what a date holds, the number. */
function formatLocalTime(timeSec: number): string {
  if (Math.abs(timeSec) >= MAX_DATE_SEC - 86_400) return String(timeSec)
  const date = new Date(timeSec * 1000)
  const offsetMin = -date.getTimezoneOffset()
  const shifted = new Date(timeSec * 1000 + offsetMin * 60_000).toISOString().slice(0, -5)
  const sign = offsetMin < 0 ? '-' : '+'
  const hours = String(Math.floor(Math.abs(offsetMin) / 60)).padStart(2, '0')
  const minutes = String(Math.abs(offsetMin) % 60).padStart(2, '0')
  return `${shifted}${sign}${hours}:${minutes}`
}
