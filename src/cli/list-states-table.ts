/** `spamdctl lists` for people and for scripts. Pure. */
import { describeAge } from '../app/describe-failure.js'
import { describeSource } from '../app/list-source.js'
import type { ListState } from '../app/list-states.js'
import { toDisplayText } from '../app/wire-text.js'
import { escapeControl } from '../codec/escape.js'
import { alignColumns } from './setup-table.js'

const HEADINGS = ['list', 'colour', 'entries', 'age', 'last success', 'next fetch', 'last error'] as const

/** One row a list; ages count from `nowSec`, times are UTC. */
export function listStatesTable(states: readonly ListState[], nowSec: number): string {
  const rows = states.map((state) => [
    escapeControl(toDisplayText(state.name)),
    state.colour,
    state.entries === undefined ? '-' : String(state.entries),
    state.lastSuccessSec === undefined ? '-' : describeAge(nowSec - state.lastSuccessSec),
    isoTime(state.lastSuccessSec) ?? 'never',
    state.source === undefined ? '-' : (isoTime(state.nextFetchSec) ?? 'now'),
    escapeControl(state.lastError ?? (state.source === undefined ? 'its record is broken' : '-')),
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
    lastSuccess: isoTime(state.lastSuccessSec) ?? null,
    lastTry: isoTime(state.lastTrySec) ?? null,
    lastError: state.lastError ?? null,
    nextFetch: isoTime(state.nextFetchSec) ?? null,
  }))
  return `${JSON.stringify(list, undefined, 2)}\n`
}

/** `2026-11-22 12:00:00Z` */
function isoTime(sec: number | undefined): string | undefined {
  return sec === undefined
    ? undefined
    : new Date(sec * 1000).toISOString().replace('T', ' ').replace('.000', '')
}
