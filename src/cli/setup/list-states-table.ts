/** `spamdctl lists` for people and for scripts. Pure. */
import { describeAge } from '../../app/lists/describe-failure.js'
import { describeSource } from '../../app/lists/list-source.js'
import type { ListState } from '../../app/lists/list-states.js'
import { toDisplayText } from '../../app/wire-text.js'
import { escapeControl } from '../../codec/escape.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { alignColumns } from './setup-table.js'

const HEADINGS = ['list', 'colour', 'entries', 'age', 'last success', 'next fetch', 'last error'] as const

/** One row per list; ages are relative to `nowSec`, times are UTC. */
export function listStatesTable(states: readonly ListState[], nowSec: number): string {
  const rows = states.map((state) => [
    escapeControl(toDisplayText(state.name)),
    state.colour,
    state.entries === undefined ? '-' : String(state.entries),
    state.lastSuccessSec === undefined ? '-' : describeAge(nowSec - state.lastSuccessSec),
    blankTime(state.lastSuccessSec) ?? 'never',
    state.source === undefined ? '-' : (blankTime(state.nextFetchSec) ?? 'now'),
    escapeControl(state.lastError ?? (state.source === undefined ? 'error in its record' : '-')),
  ])
  return alignColumns([[...HEADINGS], ...rows], ['entries'])
}

/** The same as JSON, an array in the order of `all`. */
export function listStatesJson(states: readonly ListState[]): string {
  const list = states.map((state) => ({
    name: toDisplayText(state.name),
    colour: state.colour,
    method: state.source?.method ?? null,
    source: state.source === undefined ? null : describeSource(state.source),
    entries: state.entries ?? null,
    lastSuccess: timeOrNull(state.lastSuccessSec),
    lastTry: timeOrNull(state.lastTrySec),
    lastError: state.lastError ?? null,
    nextFetch: timeOrNull(state.nextFetchSec),
  }))
  return `${JSON.stringify(list, undefined, 2)}\n`
}

/** `2026-11-22 12:00:00Z`: for people. */
function blankTime(timeSec: number | undefined): string | undefined {
  return timeSec === undefined ? undefined : formatUtcTime(timeSec).replace('T', ' ')
}

function timeOrNull(timeSec: number | undefined): string | null {
  return timeSec === undefined ? null : formatUtcTime(timeSec)
}
