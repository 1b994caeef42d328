/** The page of `spamdctl report`: one file without outside resources or scripts. */
import { createHash } from 'node:crypto'
import { LEVELS } from '../../app/doctor/finding.js'
import type { ReportData } from '../../app/report/report-data.js'
import type { Column } from '../../app/stats.js'
import { toDisplayText } from '../../app/wire-text.js'
import { formatDuration } from '../../codec/duration.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { MAX_DELAY_MINUTES } from '../../domain/hourly-counts.js'
import { type Bar, barChart, rowChart } from './charts.js'
import { type Html, html } from './html.js'
import { losingSection } from './losing-section.js'
import { nothing, section, table } from './page-parts.js'
import { REPORT_STYLE } from './report-style.js'

/** Minutes covered by a bar of the histogram of delays. */
const DELAY_STEP = 5

/** The whole file. */
export function renderReport(data: ReportData): string {
  const policy = `default-src 'none'; style-src 'sha256-${sha256(REPORT_STYLE)}'; img-src data:; base-uri 'none'; form-action 'none'`
  const { madeSec, sinceSec, host, version } = data
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>spamd on ${host}</title>
<style>`.text
  const rest = html`</style></head><body>
<header><h1>spamd on ${host}</h1>
<p class="dim">Generated ${time(madeSec)}; counts since ${time(sinceSec)} (${formatDuration(madeSec - sinceSec)}). spamdctl ${version}.</p></header>
${tiles(data)}<main>
${[
  findings(data),
  waiting(data),
  funnel(data),
  delays(data),
  losingSection(data),
  activity(data),
  lists(data),
  tarpit(data),
  ...tops(data),
  peers(data),
]}
</main></body></html>
`.text
  // The style is ours, and its text is what the policy allows: it must not be escaped.
  return page + REPORT_STYLE + rest
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}

/** `2026-11-26 19:00 UTC`. */
function time(sec: number): string {
  return `${formatUtcTime(sec).slice(0, 16).replace('T', ' ')} UTC`
}

function number(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, '\u202f')
}

function tiles({ status, database }: ReportData): Html {
  const { spamd, spamlogd } = status
  const tile = (head: string, value: string): Html =>
    html`<div class="tile"><span class="dim">${head}</span><b>${value}</b></div>`
  const all = [
    tile('spamd', spamd.state === 'running' ? 'running' : spamd.state),
    tile('spamlogd', spamlogd.state),
  ]
  if (spamd.state === 'running') all.push(tile('connections now', number(spamd.status.connections.total)))
  if (database !== undefined) {
    const { counts } = database
    all.push(
      tile('GREY', number(counts.GREY)),
      tile('WHITE', number(counts.WHITE)),
      tile('TRAPPED', number(counts.TRAPPED)),
      tile('SPAMTRAP', number(counts.SPAMTRAP)),
    )
    const seconds = database.tarpit.reduce((sum, step) => sum + step.seconds, 0)
    all.push(tile('time in the tarpit', formatDuration(seconds)))
  }
  return html`<div class="tiles">${all}</div>
`
}

function findings({ findings: all }: ReportData): Html {
  const wrong = all.filter(({ level }) => level === 'error' || level === 'warning')
  const counts = LEVELS.map((level) => `${all.filter((one) => one.level === level).length} ${level}`).join(
    ', ',
  )
  if (wrong.length === 0) {
    return section(
      'Findings of spamdctl doctor',
      html`<p><span class="level ok">no problems</span> <span class="dim">${counts}</span></p>`,
    )
  }
  const order = (level: string): number => (level === 'error' ? 0 : 1)
  const rows = wrong
    .toSorted((one, other) => order(one.level) - order(other.level))
    .map(({ level, id, message, fix }) => [
      { value: html`<span class="level ${level}">${level}</span>` },
      { value: html`${id}: ${message}` },
      { value: fix === undefined ? '' : html`<code>${fix}</code>` },
    ])
  return section(
    'Findings of spamdctl doctor',
    [
      table(['', 'what', 'how to fix it'], rows),
      html`<p class="dim">${counts}; <code>spamdctl doctor</code> shows all checks.</p>`,
    ],
    'wide',
  )
}

function waiting({ database, passSec }: ReportData): Html {
  const title = 'Waiting mail, by age'
  if (database === undefined) return section(title, nothing('The database cannot be read.'))
  const rows = database.waiting.map(({ fromSec, toSec, count }) => ({
    label:
      toSec === undefined
        ? `over ${formatDuration(fromSec)}`
        : `${formatDuration(fromSec)} to ${formatDuration(toSec)}`,
    value: count,
    text: number(count),
    // Those that could pass at their next try are highlighted.
    series: fromSec < passSec ? 1 : 5,
  }))
  return section(title, [
    rowChart('tuples by the time since their first try', rows),
    html`<p class="dim">Second colour: older than the passtime (${formatDuration(passSec)}); passes at the next try.</p>`,
  ])
}

function funnel({ database }: ReportData): Html {
  const title = 'From grey to white, or lost'
  if (database === undefined) return section(title, nothing('The database cannot be read.'))
  const { grey, white, lostOnce, lostRetried } = database.stats.funnel
  const share = (count: number): string =>
    grey === 0 ? number(count) : `${number(count)} (${Math.round((count / grey) * 100)} %)`
  return section(title, [
    rowChart('tuples in this period', [
      { label: 'grey: new', value: grey, text: number(grey), series: 1 },
      { label: 'white: passed', value: white, text: share(white), series: 2 },
      { label: 'lost, never retried', value: lostOnce, text: share(lostOnce), series: 5 },
      { label: 'lost, had retried', value: lostRetried, text: share(lostRetried), series: 3 },
    ]),
    html`<p class="dim">Lost without a retry is mostly spam; lost after retries may be mail.</p>`,
  ])
}

function delays({ database, passSec }: ReportData): Html {
  const title = 'Delay of mail that passed'
  const histogram = database?.stats.histogram ?? []
  const found = database?.stats.delays
  if (found === undefined) return section(title, nothing('No mail passed in this period.'))
  const last = Math.max(histogram.at(-1)?.[0] ?? 0, Math.ceil((passSec / 60) * 1.5))
  const steps = Math.ceil((last + 1) / DELAY_STEP)
  const sums = Array.from({ length: steps }, () => 0)
  for (const [minutes, count] of histogram) sums[Math.floor(minutes / DELAY_STEP)]! += count
  const bars = sums.map((value, index): Bar => {
    const from = index * DELAY_STEP
    const until = from + DELAY_STEP
    const label = from >= MAX_DELAY_MINUTES ? `${from} minutes and more` : `${from} to ${until} minutes`
    return { label: `${label}: ${value}`, value }
  })
  const end = steps * DELAY_STEP
  return section(title, [
    barChart({
      title: 'tuples by minutes between first try and passing',
      maxLabel: `${number(Math.max(...sums))} tuples`,
      bars,
      axis: ['0 min', `${Math.round(end / 2)} min`, `${end} min`],
      series: 2,
      line: { at: Math.min(1, passSec / 60 / end), label: `passtime ${formatDuration(passSec)}` },
    }),
    html`<p>Half within ${found.p50} minutes, 90 % within ${found.p90}, 99 % within ${found.p99}. <span class="dim"><code>spamdctl advise</code> compares passtimes.</span></p>`,
  ])
}

const ACTIVITY: readonly { name: Column; title: string; series: number }[] = [
  { name: 'new', title: 'new tuples', series: 1 },
  { name: 'passed', title: 'tuples that passed', series: 2 },
  { name: 'lost', title: 'tuples that were lost', series: 3 },
  { name: 'trapped', title: 'hosts that were trapped', series: 4 },
  { name: 'refused', title: 'refused connections', series: 5 },
]

function activity(data: ReportData): Html {
  const title = data.stepSec === 86_400 ? 'Day by day' : 'Hour by hour'
  const { database } = data
  if (database === undefined) return section(title, nothing('The database cannot be read.'))
  const charts = ACTIVITY.filter(({ name }) => database.stats.totals[name] > 0).map(
    ({ name, title: text, series }) =>
      timeChart(
        data,
        text,
        series,
        new Map(database.stats.rows.map(({ startSec, counts }) => [startSec, counts[name]])),
        number,
      ),
  )
  const body =
    charts.length === 0
      ? nothing('Nothing was counted in this period.')
      : html`<div class="charts">${charts}</div>`
  return section(title, body, 'wide')
}

/** A bar for each hour or day of the report, including those without a count. */
function timeChart(
  { sinceSec, madeSec, stepSec }: ReportData,
  title: string,
  series: number,
  values: ReadonlyMap<number, number>,
  show: (value: number) => string,
): Html {
  const bars: Bar[] = []
  const starts: number[] = []
  for (let start = Math.floor(sinceSec / stepSec) * stepSec; start <= madeSec; start += stepSec) {
    const value = values.get(start) ?? 0
    starts.push(start)
    bars.push({ label: `${time(start)}: ${show(value)}`, value })
  }
  const tick = (start: number): string =>
    stepSec === 86_400 ? time(start).slice(0, 10) : time(start).slice(5, 16)
  return barChart({
    title,
    maxLabel: `${show(Math.max(...bars.map(({ value }) => value)))} at most`,
    bars,
    axis: [tick(starts[0]!), tick(starts[Math.floor(starts.length / 2)]!), `${tick(starts.at(-1)!)} UTC`],
    series,
  })
}

function tarpit(data: ReportData): Html {
  const title = data.stepSec === 86_400 ? 'Time in the tarpit by day' : 'Time in the tarpit by hour'
  const steps = data.database?.tarpit ?? []
  if (steps.length === 0) return section(title, nothing('No client was tarpitted in this period.'))
  const values = new Map(steps.map(({ startSec, seconds }) => [startSec, seconds]))
  return section(
    title,
    timeChart(data, 'total time that clients spent in the tarpit', 4, values, formatDuration),
  )
}

function lists({ lists: all }: ReportData): Html {
  const title = 'Block lists'
  if (all.length === 0) return section(title, nothing('None configured.'))
  const rows = all.map(({ name, hits, tarpitSec, addresses, ageSec, lastError, overlaps }) => [
    { value: toDisplayText(name) },
    { value: number(hits), isNumber: true },
    { value: formatDuration(tarpitSec), isNumber: true },
    { value: addresses === undefined ? 'not loaded' : number(addresses), isNumber: true },
    { value: ageSec === undefined ? '' : formatDuration(ageSec), isNumber: true },
    {
      value: [
        ...overlaps.map((other) => `${Math.round(other.share * 100)} % in ${toDisplayText(other.name)}`),
        ...(lastError === undefined ? [] : [`last attempt failed: ${lastError}`]),
        ...(hits === 0 ? ['no hits'] : []),
      ].join('; '),
    },
  ])
  const heads = ['list', 'hits', 'tarpit', 'IPv4 addresses', 'age', 'notes']
  return section(title, table(heads, rows), 'wide')
}

function tops({ database }: ReportData): Html[] {
  if (database === undefined) return []
  const { top, topSinceSec } = database.stats
  const since = topSinceSec === undefined ? '' : `, since ${time(topSinceSec)}: older changes were not read`
  const one = (title: string, entries: readonly [string, number][], caption = 'new tuples'): Html[] =>
    entries.length === 0
      ? []
      : [
          section(
            title,
            rowChart(
              `${caption}${since}`,
              entries.map(([key, count]) => ({
                label: toDisplayText(key),
                value: count,
                text: number(count),
                series: 1,
              })),
            ),
          ),
        ]
  return [
    ...one('Most frequent networks', top.networks),
    ...one('Most frequent sender domains', top.senderDomains),
    ...one('Most frequent HELO names', top.helos),
    ...one('Most frequent trapped recipients', top.trappedRecipients, 'hosts that were trapped'),
  ]
}

function peers({ status, madeSec }: ReportData): Html {
  const title = 'Other gateways'
  const sync = status.spamd.state === 'running' ? status.spamd.status.sync : undefined
  if (sync === undefined) return section(title, nothing('Nothing is synchronised.'))
  const heard = (sync.heard ?? []).map(({ address, lastSec, skewSec }) => [
    { value: address },
    { value: `heard ${formatDuration(Math.max(0, madeSec - lastSec))} ago` },
    { value: `${skewSec} s apart` },
  ])
  const silent = sync.peers
    .filter(({ address }) => !(sync.heard ?? []).some((peer) => peer.address === address))
    .map(({ name }) => [{ value: name }, { value: 'not heard' }, { value: '' }])
  const rows = [...heard, ...silent]
  return section(
    title,
    rows.length === 0 ? nothing('None heard from yet.') : table(['gateway', 'last message', 'clock'], rows),
  )
}
