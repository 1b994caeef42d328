/**
 * `spamdctl status --check`: the format of plugins for Nagios, Icinga and similar systems: one line,
 * performance data, exit code 0 ok, 1 warning, 2 critical, 3 unknown. Source: Monitoring Plugins Development
 * Guidelines.
 */
import { type SuiteStatus, wantedWhite } from '../../app/status.js'
import { parseDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { OptionProblem } from '../option-reader.js'

/** What can be measured, with its unit. */
const METRICS = {
  connections: '',
  black: '',
  white: '',
  grey: '',
  trapped: '',
  'scan-age': 's',
  'list-age': 's',
  'peer-age': 's',
} as const
export type Metric = keyof typeof METRICS

/** A range of good values: alert outside of it; `isInside` inverts it. */
export interface Range {
  text: string
  low: number
  high: number
  isInside: boolean
}

export type Thresholds = ReadonlyMap<Metric, Range>

/**
 * Reads `NAME=RANGE[,NAME=RANGE]`, ranges as in the guidelines: `10` (0 to 10), `10:`, `~:10`, `10:20`,
 * `@10:20`; ages may have units (`2d`). Throws `OptionProblem`.
 */
export function parseThresholds(option: string, texts: readonly string[]): Map<Metric, Range> {
  const thresholds = new Map<Metric, Range>()
  for (const text of texts.flatMap((value) => value.split(','))) {
    const [, name = '', rangeText = ''] = /^([a-z-]+)=(.+)$/.exec(text) ?? []
    const range = Object.hasOwn(METRICS, name) ? parseRange(rangeText) : undefined
    if (range === undefined) {
      throw new OptionProblem(`${option}: ${JSON.stringify(text)} is not NAME=RANGE`, {
        hint: `names are ${Object.keys(METRICS).join(', ')}; ranges are MAX, MIN:, MIN:MAX, such as list-age=2d or white=100:`,
      })
    }
    thresholds.set(name as Metric, range)
  }
  return thresholds
}

function parseRange(text: string): Range | undefined {
  const [, at, low, high] = /^(@)?(?:([^:@]*):)?([^:@]*)$/.exec(text) ?? []
  if (high === undefined) return undefined
  const lowValue = low === undefined ? 0 : low === '~' ? -Infinity : parseDuration(low)
  const highValue = high === '' ? (low === undefined ? undefined : Infinity) : parseDuration(high)
  if (lowValue === undefined || highValue === undefined || lowValue > highValue) return undefined
  const shown = (value: number): string =>
    value === -Infinity ? '~' : value === Infinity ? '' : String(value)
  const plain = low === undefined ? shown(highValue) : `${shown(lowValue)}:${shown(highValue)}`
  return { text: `${at ?? ''}${plain}`, low: lowValue, high: highValue, isInside: at !== undefined }
}

function isAlarm(range: Range | undefined, value: number): boolean {
  if (range === undefined) return false
  const isOutside = value < range.low || value > range.high
  return range.isInside ? !isOutside : isOutside
}

/** Measurements of a status; unknown values are missing. */
function measure(status: SuiteStatus): Map<Metric, number> {
  const values = new Map<Metric, number>()
  if (status.spamd.state === 'running') {
    const { connections, lastScan, sync } = status.spamd.status
    values.set('connections', connections.total)
    values.set('black', connections.black)
    if (lastScan !== undefined) values.set('scan-age', Math.max(0, status.timeSec - lastScan.atSec))
    const heard = (sync?.heard ?? []).map(({ lastSec }) => status.timeSec - lastSec)
    if (heard.length > 0) values.set('peer-age', Math.max(0, ...heard))
  }
  if ('counts' in status.database) {
    values.set('white', status.database.counts.WHITE)
    values.set('grey', status.database.counts.GREY)
    values.set('trapped', status.database.counts.TRAPPED)
  }
  const ages = (status.lists ?? []).flatMap(({ source, lastSuccessSec }) =>
    source === undefined || source.method === 'file' || lastSuccessSec === undefined
      ? []
      : status.timeSec - lastSuccessSec,
  )
  if (ages.length > 0) values.set('list-age', Math.max(0, ...ages))
  return values
}

const WORDS = ['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'] as const

/** The line and the exit code. */
export function checkForm(
  status: SuiteStatus,
  limits: { warning: Thresholds; critical: Thresholds },
): { text: string; exitCode: number } {
  const values = measure(status)
  const messages = { critical: [] as string[], warning: [] as string[], unknown: [] as string[] }
  for (const { level, message } of status.troubles) messages[level].push(message)
  for (const [name, value] of values) {
    const unit = METRICS[name]
    if (isAlarm(limits.critical.get(name), value)) messages.critical.push(`${name} is ${value}${unit}`)
    else if (isAlarm(limits.warning.get(name), value)) messages.warning.push(`${name} is ${value}${unit}`)
  }
  for (const name of new Set([...limits.critical.keys(), ...limits.warning.keys()])) {
    if (!values.has(name)) messages.unknown.push(`${name} is not known`)
  }
  const exitCode =
    messages.critical.length > 0 ? 2 : messages.warning.length > 0 ? 1 : messages.unknown.length > 0 ? 3 : 0
  const said = [...messages.critical, ...messages.warning, ...messages.unknown].join('; ')
  const text = said === '' ? summary(status, values) : said
  const data = [...values].map(([name, value]) => {
    const warning = limits.warning.get(name)?.text ?? ''
    const critical = limits.critical.get(name)?.text ?? ''
    return `${name}=${value}${METRICS[name]};${warning};${critical};0`
  })
  // A vertical bar would start the performance data.
  const line = escapeControl(`SPAMD ${WORDS[exitCode]} - ${text}`).replaceAll('|', '/')
  return { text: `${line}${data.length === 0 ? '' : ` | ${data.join(' ')}`}\n`, exitCode }
}

function summary(status: SuiteStatus, values: ReadonlyMap<Metric, number>): string {
  const wanted = wantedWhite(status)
  const held = status.tables.kind === 'counts' ? status.tables.counts.get('spamd-white') : undefined
  const table =
    held === undefined || wanted === undefined ? '' : `, table holds ${held} of ${wanted} white hosts`
  return `${values.get('connections') ?? 0} connections, ${values.get('grey') ?? 0} grey${table}`
}
