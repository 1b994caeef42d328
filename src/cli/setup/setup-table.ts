/** The summary at the end of a run on a terminal, and for scripts with --json. Pure. */
import { describeAge } from '../../app/lists/describe-failure.js'
import { describeSource } from '../../app/lists/list-source.js'
import type { CombinedReport, ListReport, RefreshReport } from '../../app/lists/refresh-report.js'
import { toDisplayText } from '../../app/wire-text.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'

const HEADINGS = ['list', 'source', 'entries', 'cidrs', 'age', 'status'] as const
/** Sources are long; the end of a URL is less informative than its start. */
const MAX_SOURCE_WIDTH = 48
/** A reason on one line of a terminal. */
const MAX_STATUS_WIDTH = 120
/** Right-aligned numbers are easier to compare. */
const RIGHT_ALIGNED: readonly string[] = ['entries', 'cidrs']

/** The summary: one row per list, columns as wide as needed. */
export function summaryTable(report: RefreshReport): string {
  const rows = report.lists.map((list) => rowOf(list, report))
  return alignColumns([[...HEADINGS], ...rows], RIGHT_ALIGNED)
}

/** Rows of text as lines, each column padded to its widest cell; the first row holds the headings. */
export function alignColumns(rows: readonly string[][], rightAligned: readonly string[] = []): string {
  const headings = rows[0] ?? []
  const widths = headings.map((_heading, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          rightAligned.includes(headings[column]!)
            ? cell.padStart(widths[column]!)
            : cell.padEnd(widths[column]!),
        )
        .join('  ')
        .trimEnd()
        .concat('\n'),
    )
    .join('')
}

/** The status texts: `new`, `unchanged 304`, `kept last good (2 d old): reason`. */
function statusWords(list: ListReport, nowSec: number, combined: CombinedReport | undefined): string {
  const reason = list.failure?.reason ?? list.problems.find((problem) => problem.isError)?.message ?? ''
  const ageText = list.currentSec === undefined ? '' : describeAge(nowSec - list.currentSec)
  const words = {
    new: 'new',
    local: 'read',
    unchanged: 'unchanged 304',
    fresh: 'fetched recently, not fetched again',
    offline: 'from the last good copy',
    kept: `kept last good (${ageText} old): ${reason}`,
    failed: `failed: ${reason}`,
  }[list.status]
  const held =
    combined?.outcome === 'held' && list.status !== 'failed'
      ? `; left unchanged (${combined.heldBy.join(', ')})`
      : ''
  return `${words}${held}`
}

/** The whole report as JSON, one object. Times are ISO 8601 in UTC. */
export function jsonReport(report: RefreshReport): string {
  const json = {
    started: formatUtcTime(report.startedSec),
    ok: report.exitCode === 0,
    lists: report.lists.map((list) => ({
      name: toDisplayText(list.name),
      colour: list.colour,
      method: list.source?.method ?? null,
      source: list.source === undefined ? null : describeSource(list.source),
      status: list.status,
      entries: list.entries ?? null,
      unknownLines: list.unknownLines,
      firstUnknown: list.firstUnknown ?? null,
      notes: list.notes,
      current: list.currentSec === undefined ? null : formatUtcTime(list.currentSec),
      failure: list.failure ?? null,
      problems: list.problems,
    })),
    loaded: report.combined.map((combined) => ({
      ...combined,
      name: toDisplayText(combined.name),
      heldBy: combined.heldBy.map(toDisplayText),
      cidrs: combined.cidrs ?? null,
      change: combined.change ?? null,
    })),
    cleared: report.cleared.map(toDisplayText),
    toClear: report.toClear.map(({ name, networks }) => ({
      name: toDisplayText(name),
      networks: networks ?? null,
    })),
    table: report.table ?? null,
    problems: report.problems,
  }
  return `${JSON.stringify(json, undefined, 2)}\n`
}

function rowOf(list: ListReport, report: RefreshReport): string[] {
  const combined =
    list.colour === 'black' ? report.combined.find(({ name }) => name === list.name) : undefined
  const cidrs = combined?.cidrs
  return [
    escapeControl(toDisplayText(list.name)),
    list.source === undefined ? '-' : shorten(escapeControl(describeSource(list.source)), MAX_SOURCE_WIDTH),
    list.entries === undefined ? '-' : String(list.entries),
    cidrs === undefined ? '-' : String(cidrs.ipv4 + cidrs.ipv6),
    list.currentSec === undefined ? '-' : describeAge(report.startedSec - list.currentSec),
    shorten(escapeControl(statusWords(list, report.startedSec, combined)), MAX_STATUS_WIDTH),
  ]
}

function shorten(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 3)}...`
}
