/** `spamdctl why` for people and for programs. */

import { toRecord } from '../../app/history.js'
import { describeSource } from '../../app/lists/list-source.js'
import { releaseFields } from '../../app/release/release-terms.js'
import { subjectText } from '../../app/why/explain.js'
import type { WhyReport } from '../../app/why/report.js'
import { toDisplayText } from '../../app/wire-text.js'
import { countText } from '../../codec/count-text.js'
import { formatDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { describeRelease } from '../release/release-commands.js'
import { historyJson, historyLine } from './render-history.js'
import { styled, type Terminal, wrapped } from './terminal.js'

const LABEL_WIDTH = 10
/** Maximum number of lines of one list that are shown. */
const MAX_LINES = 5

/** Facts in order of precedence, then the conclusion, and the command that changes it. */
export function renderWhy(report: WhyReport, terminal: Terminal): string {
  const rows: [string, string][] = []
  addTables(report, rows)
  addExceptions(report, rows)
  addLists(report, rows)
  addDatabase(report, rows)
  if (report.allowedDomains !== undefined) {
    const { path, isAllowed } = report.allowedDomains
    rows.push(['domains', `${isAllowed ? 'allowed by' : 'not among the allowed domains of'} ${path}`])
  }
  if (!('pid' in report.daemon)) rows.push(['spamd', report.daemon.reason])
  else {
    const told = report.daemon.sync?.peers.map(({ name }) => name) ?? []
    if (told.length > 0) rows.push(['peers', `changes are sent to ${told.join(', ')}`])
  }
  let last = ''
  const lines = rows.map(([label, text]) => {
    const shown = label === last ? '' : label
    last = label
    return wrapped(terminal, shown.padEnd(LABEL_WIDTH), escapeControl(text))
  })
  const { sentence, command, changesSec } = report.verdict
  const when = changesSec === undefined ? '' : `; that changes at ${localTime(changesSec)}`
  lines.push(
    wrapped(
      terminal,
      styled(terminal, 'bold', 'now'.padEnd(LABEL_WIDTH)),
      escapeControl(`${sentence}${when}`),
      LABEL_WIDTH,
    ),
  )
  if (command !== undefined)
    lines.push(wrapped(terminal, 'change'.padEnd(LABEL_WIDTH), escapeControl(command)))
  return lines.join('')
}

function addTables({ tables, subject }: WhyReport, rows: [string, string][]): void {
  if (subject.kind !== 'address') return
  if (!Array.isArray(tables)) rows.push(['filter', `cannot be read: ${tables.reason}`])
  else if (tables.length === 0) rows.push(['filter', 'has no tables of spamd'])
  else {
    const text = tables.map(({ table, isIn }) => `${table}: ${isIn ? 'yes' : 'no'}`)
    rows.push(['filter', text.join(', ')])
  }
}

/** Asked before block lists by the example rules. */
function addExceptions({ database }: WhyReport, rows: [string, string][]): void {
  if ('reason' in database) return
  for (const name of database.exceptions) rows.push(['exception', `${name} (spamdctl allow)`])
}

function addLists(report: WhyReport, rows: [string, string][]): void {
  if (report.subject.kind !== 'address') return
  for (const { source, fetchedSec, lines, cutOutBy, isBlocking } of report.lists) {
    const age = formatDuration(Math.max(0, report.timeSec - fetchedSec))
    const role = source.colour === 'white' ? 'white list' : isBlocking ? 'blocks' : 'does not block'
    rows.push([
      'list',
      `${toDisplayText(source.name)} (${role}) from ${describeSource(source)}, received ${age} ago`,
    ])
    for (const { line, text, isExclusion } of lines.slice(0, MAX_LINES)) {
      rows.push([
        '',
        `line ${line}${isExclusion ? ' excludes it' : ''}: ${text === undefined ? '?' : toDisplayText(text)}`,
      ])
    }
    if (lines.length > MAX_LINES) rows.push(['', `and ${lines.length - MAX_LINES} more lines`])
    if (cutOutBy.length > 0)
      rows.push(['', `excluded by the white list ${cutOutBy.map(toDisplayText).join(', ')}`])
  }
  if (report.loadedLists !== undefined) {
    rows.push([
      'loaded',
      report.loadedLists.length === 0
        ? 'spamd has it on no list'
        : `spamd has it on ${report.loadedLists.map(toDisplayText).join(', ')}`,
    ])
  } else if (report.lists.length === 0) rows.push(['list', 'no last good copy contains it'])
}

// eslint-disable-next-line complexity -- one row for each thing on record
function addDatabase({ database, subject, timeSec }: WhyReport, rows: [string, string][]): void {
  if ('reason' in database) {
    rows.push(['database', database.reason])
    return
  }
  const { host, pools, tuples, hasMoreTuples, spamtraps, history, hasOlderHistory, releases } = database
  if (host !== undefined) {
    const end = host.expire === 0 ? 'pinned' : `until ${localTime(host.expire)}`
    const counts =
      host.kind === 'WHITE' ? `, blocked ${host.bcount}, passed ${host.pcount}` : `, blocked ${host.bcount}`
    const comment = host.comment === undefined ? '' : `, ${host.comment}`
    rows.push(['database', `${host.kind} since ${localTime(host.first)} ${end}${counts}${comment}`])
  }
  for (const { ip, pool, pass, expire } of pools) {
    const key = pool === ip ? '' : ` by ${pool}`
    rows.push(['database', `POOL ${ip}${key}, open since ${localTime(pass)} until ${localTime(expire)}`])
  }
  for (const { address, comment } of spamtraps) {
    rows.push([
      'database',
      `SPAMTRAP ${toDisplayText(address)}${comment === undefined ? '' : `, ${comment}`}`,
    ])
  }
  for (const { ip, helo, from, to, first, expire, bcount } of tuples) {
    const age = formatDuration(Math.max(0, timeSec - first))
    rows.push([
      'database',
      `GREY ${ip}, ${helo === '' ? '' : `HELO ${toDisplayText(helo)}, `}${toDisplayText(from)} to ${toDisplayText(to)}, since ${age}, until ${localTime(expire)}, ${countText(bcount, 'try', 'tries')}`,
    ])
  }
  if (hasMoreTuples)
    rows.push([
      'database',
      'more GREY entries exist: list them with spamdb --kind GREY and --ip, --from or --to',
    ])
  if (host === undefined && pools.length + tuples.length + spamtraps.length === 0) {
    rows.push(['database', subject.kind === 'address' ? 'no entry' : 'not a spamtrap, and no mail waiting'])
  }
  for (const release of releases) rows.push(['release', describeRelease(release, timeSec)])
  for (const row of history) rows.push(['history', historyLine(toRecord(row)).trimEnd()])
  if (hasOlderHistory && subject.kind === 'address')
    rows.push(['history', `only the newest changes were searched: spamdctl log --ip ${subject.ip} shows all`])
}

/** `2026-11-26 15:04:05` in the time zone of the caller, as in spamdb --human. */
function localTime(timeSec: number): string {
  const time = new Date(timeSec * 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
}

/** Everything as one object; times are ISO 8601 in UTC. */
export function whyJson(report: WhyReport): string {
  const time = (sec: number | undefined): string | null =>
    sec === undefined || sec === 0 ? null : formatUtcTime(sec)
  const { subject, tables, lists, loadedLists, database, allowedDomains, verdict, timeSec } = report
  const value = {
    time: formatUtcTime(timeSec),
    kind: subject.kind,
    subject: subjectText(subject),
    verdict: {
      state: verdict.state,
      sentence: verdict.sentence,
      changes: time(verdict.changesSec),
      command: verdict.command ?? null,
    },
    tables: Array.isArray(tables) ? Object.fromEntries(tables.map(({ table, isIn }) => [table, isIn])) : null,
    lists: lists.map(({ source, fetchedSec, lines, cutOutBy, isBlocking }) => ({
      name: toDisplayText(source.name),
      colour: source.colour,
      source: describeSource(source),
      received: time(fetchedSec),
      isBlocking,
      cutOutBy: cutOutBy.map(toDisplayText),
      lines: lines.map(({ line, text, isExclusion }) => ({
        line,
        text: text === undefined ? null : toDisplayText(text),
        isExclusion,
      })),
    })),
    loadedLists: loadedLists?.map(toDisplayText) ?? null,
    database:
      'reason' in database
        ? { reason: database.reason }
        : {
            host: database.host === undefined ? null : entryJson(database.host),
            exceptions: database.exceptions,
            pools: database.pools.map(entryJson),
            tuples: database.tuples.map(entryJson),
            hasMoreTuples: database.hasMoreTuples,
            releases: database.releases.map(releaseFields),
            hasOlderHistory: database.hasOlderHistory,
            history: database.history.map((row) => JSON.parse(historyJson(toRecord(row))) as unknown),
            spamtraps: database.spamtraps.map(({ address, comment }) => ({
              address: toDisplayText(address),
              comment: comment ?? null,
            })),
          },
    allowedDomains: allowedDomains ?? null,
  }
  return `${JSON.stringify(value, undefined, 2)}\n`

  function entryJson<Shown extends { first: number; pass: number; expire: number }>(entry: Shown) {
    const texts = Object.entries(entry).map(([name, field]) => [
      name,
      typeof field === 'string' ? toDisplayText(field) : field,
    ])
    return {
      ...Object.fromEntries(texts),
      first: time(entry.first),
      pass: time(entry.pass),
      expire: time(entry.expire),
    }
  }
}
