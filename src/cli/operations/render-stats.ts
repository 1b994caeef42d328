/** `spamdctl stats` and `advise` for people. */
import plot from 'simple-ascii-chart'
import type { ListStatistics } from '../../app/lists/list-statistics.js'
import { type Advice, COLUMNS, type Stats } from '../../app/stats.js'
import { toDisplayText } from '../../app/wire-text.js'
import { formatDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { type Terminal, wrapped } from './terminal.js'

const PIPED_WIDTH = 80
const MAX_CHART_WIDTH = 120
const CHART_HEIGHT = 8
/** Space for the labels at the left and right of a chart. */
const CHART_MARGIN = 14

/** Table of hours or days, delays with their histogram, the fate of tuples, and the most frequent items. */
export function renderStats(
  stats: Stats,
  lists: readonly ListStatistics[],
  options: { terminal: Terminal; byDay: boolean; passSec: number },
): string {
  const { terminal, byDay, passSec } = options
  const width = Math.min(MAX_CHART_WIDTH, terminal.width ?? PIPED_WIDTH)
  const parts = [table(stats, byDay, width)]
  const { delays, funnel, histogram } = stats
  if (delays !== undefined) {
    const text = `delay of mail that passed: half within ${delays.p50} minutes, 90 % within ${delays.p90}, 99 % within ${delays.p99}; passtime ${formatDuration(passSec)}`
    parts.push(wrapped(terminal, '', text))
    // Charts are for people; programs use --json.
    if (terminal.width !== undefined) parts.push(chart(histogram, passSec, width))
  }
  const share = (count: number): string =>
    funnel.grey === 0 ? '' : ` (${Math.round((count / funnel.grey) * 100)} %)`
  const lost = funnel.lostOnce + funnel.lostRetried
  const way = `grey ${funnel.grey} -> white ${funnel.white}${share(funnel.white)}, lost ${lost}${share(lost)}, ${funnel.lostOnce} of them never tried again`
  parts.push(wrapped(terminal, '', way))
  if (lists.length > 0) parts.push(listTable(lists, terminal))
  const names = {
    networks: 'networks',
    helos: 'HELO names',
    senderDomains: 'sender domains',
    trappedRecipients: 'trapped recipients',
  }
  for (const [name, heading] of Object.entries(names)) {
    const top = stats.top[name as keyof Stats['top']]
    if (top.length === 0) continue
    const texts = top.map(
      ([key, count]) => `  ${String(count).padStart(7)}  ${escapeControl(toDisplayText(key))}`,
    )
    parts.push(`most frequent ${heading}\n${texts.join('\n')}\n`)
  }
  if (stats.topSinceSec !== undefined) {
    const text = `note: the most frequent items are counted since ${formatUtcTime(stats.topSinceSec)}; older history was not read`
    parts.push(wrapped(terminal, '', text))
  }
  return parts.join('\n')
}

/** The effect of each block list, and those without any. */
function listTable(lists: readonly ListStatistics[], terminal: Terminal): string {
  const name = (text: string): string => escapeControl(toDisplayText(text))
  const rows = lists.map((list) => [
    name(list.name),
    String(list.hits),
    formatDuration(list.tarpitSec),
    list.addresses === undefined ? '-' : String(list.addresses),
    list.ageSec === undefined ? '-' : formatDuration(list.ageSec),
    list.overlaps.map((other) => `${name(other.name)} ${shareText(other.share)}`).join(', '),
  ])
  const head = ['block list', 'hits', 'tarpit', 'addresses', 'age', 'also in']
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]!.length)))
  const lines = [head, ...rows].map((row) => {
    const cells = row.slice(0, -1).map((cell, column) => {
      return column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)
    })
    const lead = `${cells.join('  ')}  `
    return wrapped(terminal, lead, row.at(-1)!)
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n')
  })
  const idle = lists.filter(({ hits }) => hits === 0).map((list) => name(list.name))
  if (idle.length > 0) {
    const text = `no client was on ${idle.join(', ')} during this time: a list without hits may not be worth fetching`
    lines.push(wrapped(terminal, '', text))
  }
  return lines.join('')
}

function shareText(share: number): string {
  const percent = Math.round(share * 100)
  return percent === 0 ? '<1 %' : `${percent} %`
}

function table(stats: Stats, byDay: boolean, width: number): string {
  const shown = COLUMNS.filter((name) => stats.totals[name] > 0)
  if (shown.length === 0) return 'nothing was counted during this time\n'
  const start = (sec: number): string =>
    formatUtcTime(sec)
      .slice(0, byDay ? 10 : 16)
      .replace('T', ' ')
  const rows = [
    [byDay ? 'day' : 'hour', ...shown],
    ...stats.rows.map(({ startSec, counts }) => [
      start(startSec),
      ...shown.map((name) => String(counts[name])),
    ]),
    ['all', ...shown.map((name) => String(stats.totals[name]))],
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const used = widths.reduce((sum, columnWidth) => sum + columnWidth + 2, 0)
  const largest = Math.max(1, ...stats.rows.map(({ counts }) => counts.new))
  const barWidth = Math.max(0, width - used - 1)
  const lines = rows.map((row, index) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!),
    )
    const count = stats.rows[index - 1]?.counts.new ?? 0
    return `${cells.join('  ')}  ${'#'.repeat(Math.round((count / largest) * barWidth))}`.trimEnd()
  })
  return `${lines.join('\n')}\n`
}

function chart(histogram: Stats['histogram'], passSec: number, width: number): string {
  const last = histogram.at(-1)?.[0] ?? 0
  const counts = new Map(histogram)
  const points = Array.from({ length: last + 1 }, (_, minute): [number, number] => [
    minute,
    counts.get(minute) ?? 0,
  ])
  const text = plot(points, {
    width: Math.max(20, width - CHART_MARGIN),
    height: CHART_HEIGHT,
    mode: 'bar',
    title: 'mail that passed, by delay in minutes; the line marks the passtime',
    thresholds: [{ x: passSec / 60 }],
  })
  return `${text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .trim()}\n`
}

/** The comparison of passtimes, and the resulting advice. */
export function renderAdvice(advice: Advice, terminal: Terminal): string {
  const { candidates, bestMinutes, presentMinutes, passed, lost } = advice
  const rows = [
    ['passtime', 'mail would pass', 'after waiting', 'lost clients would pass'],
    ...candidates.map(({ minutes, passing, passingAtMost, meanWaitSec, lostPassing, isSeen }) => [
      `${minutes}m`,
      passing === passingAtMost ? String(passing) : `${passing} to ${passingAtMost}`,
      meanWaitSec === undefined ? '-' : `${isSeen ? '' : 'at least '}${waitText(meanWaitSec)}`,
      String(lostPassing),
    ]),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) => row.map((cell, column) => cell.padStart(widths[column]!)).join('  '))
  const known = `${passed} mails passed and ${lost} were lost with the current passtime of ${presentMinutes}m; with a longer one, mail that passed sooner has to be tried once more`
  const best = candidates.find(({ minutes }) => minutes === bestMinutes)
  const present = candidates.findLast(({ minutes, isSeen }) => isSeen && minutes <= presentMinutes)
  const sentences: string[] = []
  if (best === undefined) sentences.push('advice: not enough data yet; try again in a few days')
  else if (best.minutes >= presentMinutes || best === present)
    sentences.push('advice: keep the passtime: a shorter one would let more of the lost clients pass')
  else {
    sentences.push(
      `advice: spamd -G ${best.minutes}m:4h:36d: mail waits ${waitText(best.meanWaitSec)} instead of ${waitText(present?.meanWaitSec)}, and ${best.lostPassing} of ${lost} lost clients would have passed (${present?.lostPassing ?? 0} now)`,
    )
  }
  const texts = [known, ...sentences].map((sentence) => wrapped(terminal, '', escapeControl(sentence)))
  return `${lines.join('\n')}\n\n${texts.join('')}`
}

function waitText(seconds: number | undefined): string {
  return seconds === undefined ? '?' : formatDuration(Math.round(seconds))
}
