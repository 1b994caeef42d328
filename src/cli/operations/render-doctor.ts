/** `spamdctl doctor` for people and for programs. */

import type { Level } from '../../app/doctor/finding.js'
import type { DoctorReport } from '../../app/doctor/run-doctor.js'
import { countText } from '../../codec/count-text.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { type Style, styled, type Terminal, wrapped } from './terminal.js'

const STYLES: Readonly<Record<Level, Style>> = { ok: 'green', info: 'blue', warning: 'yellow', error: 'red' }
const LEVEL_WIDTH = 9

/** A line per check, the command that fixes it below, and a last line with the counts. */
export function renderDoctor(
  report: DoctorReport,
  terminal: Terminal,
  { isQuiet }: { isQuiet: boolean },
): string {
  const shown = report.findings.filter(({ level }) => !isQuiet || level === 'warning' || level === 'error')
  const lines = shown.map(({ level, id, message, fix }) => {
    const lead = `${styled(terminal, STYLES[level], level)}${' '.repeat(LEVEL_WIDTH - level.length)}`
    const text = wrapped(terminal, lead, escapeControl(`${id}: ${message}`), LEVEL_WIDTH)
    if (fix === undefined) return text
    return text + wrapped(terminal, `${' '.repeat(LEVEL_WIDTH)}> `, escapeControl(fix))
  })
  if (isQuiet && shown.length === 0) return ''
  const { ok, info, warning, error } = report.counts
  return `${lines.join('')}${ok} ok, ${info} info, ${countText(warning, 'warning')}, ${countText(error, 'error')}\n`
}

/** One object: the findings, their counts, and the facts for the other gateway. */
export function doctorJson(report: DoctorReport): string {
  const findings = report.findings.map(({ id, level, message, fix }) => ({
    id,
    level,
    message: escapeControl(message),
    fix: fix === undefined ? null : escapeControl(fix),
  }))
  const { node } = report
  const value = { time: formatUtcTime(node.timeSec), counts: report.counts, findings, node }
  return `${JSON.stringify(value, undefined, 2)}\n`
}
