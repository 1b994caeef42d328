/** The lines of spamd-setup: the original's own, and ours for problems, notes and changes. Pure. */
import type { Problem } from '../../app/lists/configured-list.js'
import { nameOf } from '../../app/lists/describe-failure.js'
import { describeSource } from '../../app/lists/list-source.js'
import type { Change, ListReport, RefreshReport } from '../../app/lists/refresh-report.js'
import { toDisplayText } from '../../app/wire-text.js'
import { escapeControl } from '../../codec/escape.js'

const PROGRAM = 'spamd-setup'

/** A problem as one line, and one more with the fix if it is known. */
export function problemLines(problem: Problem, program = PROGRAM): string {
  const hint = problem.hint === undefined ? '' : `${program}: hint: ${escapeControl(problem.hint)}\n`
  return `${program}: ${escapeControl(problem.message)}\n${hint}`
}

/**
 * What a command wrote to standard error, one character per byte: unchanged, except for control
 * characters on a terminal.
 */
export function messageLines(text: string, reader: 'terminal' | 'other'): string {
  const whole = text.endsWith('\n') ? text : `${text}\n`
  const shown = reader === 'terminal' ? whole.split('\n').map(escapeControl).join('\n') : whole
  return toDisplayText(shown)
}

/** What the original prints with -d for a received list, followed by anything unusual in its lines. */
export function verboseLines(report: ListReport): string {
  const { source, entries, firstUnknown } = report
  let text = ''
  if (report.wasAsked && source !== undefined && source.method !== 'file' && source.method !== 'exec') {
    text += `Getting ${escapeControl(describeSource(source))}\n`
  }
  if (source === undefined || entries === undefined) return text
  text += `${escapeControl(nameOf(source))} ${entries} entries\n`
  const listName = escapeControl(toDisplayText(report.name))
  if (firstUnknown !== undefined) {
    const { line, excerpt } = firstUnknown
    const lines = report.unknownLines === 1 ? '1 line holds' : `${report.unknownLines} lines hold`
    text += `${PROGRAM}: ${listName}: ${lines} no address, first line ${line}: ${excerpt}\n`
  }
  for (const note of report.notes) {
    const place = note.firstLine === undefined ? '' : `, first line ${note.firstLine}`
    text += `${PROGRAM}: ${listName}: ${note.message}: ${note.count}${place}\n`
  }
  return text
}

/** With -n and -d: planned changes, one line per list and one for the table. */
export function changeLines(report: RefreshReport): string {
  let text = ''
  for (const { name, change, heldBy, outcome } of report.combined) {
    const listName = escapeControl(toDisplayText(name))
    if (change !== undefined) text += `blacklist ${listName}: ${changeWords(change)}\n`
    else if (outcome === 'held') {
      text += `blacklist ${listName}: left unchanged, because of ${escapeControl(heldBy.map(toDisplayText).join(', '))}\n`
    }
  }
  for (const { name, networks } of report.toClear) {
    const removed = networks === undefined ? '' : `, ${networks} removed`
    text += `blacklist ${escapeControl(toDisplayText(name))}: would be cleared${removed}: no longer a black list in "all"\n`
  }
  if (report.table?.change !== undefined) text += `table spamd: ${changeWords(report.table.change)}\n`
  return text
}

function changeWords({ added, removed, unchanged }: Change): string {
  return `${added} would be added, ${removed} removed, ${unchanged} unchanged`
}
