/** How rows of the history are written and read, in any database; domain/history.ts says what is kept. */

import { ALLOW_DECISIONS, type AllowDecision } from '../domain/allow.js'
import { CHANGE_RULES, type Change, type ChangeKey } from '../domain/change.js'
import type { Entry } from '../domain/entry.js'
import { DEFAULT_HISTORY, HISTORY_MODES, type HistoryRow, type HistorySettings } from '../domain/history.js'
import type { Release } from '../domain/release.js'

/** Kinds of keys, stored by position: append, never reorder. */
export const KINDS = ['host', 'tuple', 'spamtrap', 'summary', 'release', 'pool'] as const
export const SUMMARY = KINDS.indexOf('summary')

/** Settings from their text; missing values are the defaults. */
export function parseSettings(text: string): HistorySettings {
  const { mode, keepSec, keepRows } = JSON.parse(text) as Partial<HistorySettings>
  return {
    mode: HISTORY_MODES.find((name) => name === mode) ?? DEFAULT_HISTORY.mode,
    keepSec: keepSec ?? DEFAULT_HISTORY.keepSec,
    keepRows: keepRows ?? DEFAULT_HISTORY.keepRows,
  }
}

/** One row in the order of its columns, where each has one of its own. */
export type Row = [
  number,
  number,
  number,
  number,
  string | null,
  number,
  string,
  string | null,
  string | null,
]

/** A key as stored in rows of the history. It does not follow `keyText` of domain/change.ts, which is not stored. */
export function encodeKey(key: ChangeKey): string {
  switch (key.kind) {
    case 'host':
    case 'pool':
      return key.ip
    case 'spamtrap':
      return `@${key.address}`
    case 'tuple':
      return `${key.ip} ${JSON.stringify([key.helo, key.from, key.to])}`
    case 'release':
      return `!${key.id}`
  }
}

function decodeKey(kind: number, text: string): ChangeKey | undefined {
  switch (KINDS[kind]) {
    case 'host':
      return { kind: 'host', ip: text }
    case 'pool':
      return { kind: 'pool', ip: text }
    case 'spamtrap':
      return { kind: 'spamtrap', address: text.slice(1) }
    case 'tuple': {
      const at = text.indexOf(' ')
      const [helo, from, to] = JSON.parse(text.slice(at + 1)) as [string, string, string]
      return { kind: 'tuple', ip: text.slice(0, at), helo, from, to }
    }
    case 'release':
      return { kind: 'release', id: text.slice(1) }
    default:
      return undefined
  }
}

/**
 * An entry without the information in its key: the last field is the comment, or the key of a pool. null
 * without an entry.
 */
export function fieldsOf(entry: Change['before']['entry']): EntryFields {
  if (entry === undefined) return null
  if (entry.kind === 'RELEASE') return entry
  if (entry.kind === 'SPAMTRAP') return [entry.kind, entry.first, entry.comment]
  const { kind, first, pass, expire, bcount, pcount } = entry
  const comment = entry.kind === 'GREY' ? undefined : entry.kind === 'POOL' ? entry.pool : entry.comment
  const fields = [kind, first, pass, expire, bcount, pcount]
  return comment === undefined ? fields : [...fields, comment]
}

/** See `fieldsOf`; JSON has null for a comment that a spamtrap lacks. */
export type EntryFields = readonly (string | number | null | undefined)[] | Release | null

/** A decision, stored instead of the fields after a change. */
export function decisionFields(decision: AllowDecision | undefined): [string, string] | null {
  return decision === undefined ? null : [decision.what, decision.name]
}

/** See `decisionFields`. */
export function decisionOf(fields: EntryFields): AllowDecision | undefined {
  const [word, name] = (fields ?? []) as readonly string[]
  const what = ALLOW_DECISIONS.find((known) => known === word)
  return what === undefined || name === undefined ? undefined : { what, name }
}

/** The fields as text of JSON. */
export function encodeFields(entry: Change['before']['entry']): string | null {
  const fields = fieldsOf(entry)
  return fields === null ? null : JSON.stringify(fields)
}

/** The entry under a key from its fields. */
export function entryOf(key: ChangeKey | undefined, fields: EntryFields): HistoryRow['before'] {
  if (fields === null || key === undefined) return undefined
  if (key.kind === 'release') return fields as Release
  if (key.kind === 'spamtrap') {
    const [, first, comment] = fields as [string, number, (string | null)?]
    return { kind: 'SPAMTRAP', address: key.address, first, ...(comment == null ? {} : { comment }) }
  }
  const [kind, first, pass, expire, bcount, pcount, comment] = fields as [
    Entry['kind'],
    number,
    number,
    number,
    number,
    number,
    string?,
  ]
  const times = { first, pass, expire, bcount, pcount }
  if (key.kind === 'tuple') {
    const { ip, helo, from, to } = key
    return { kind: 'GREY', ip, helo, from, to, ...times }
  }
  if (key.kind === 'pool') return { kind: 'POOL', ip: key.ip, pool: comment ?? '', ...times }
  const host = { kind: kind as 'WHITE' | 'TRAPPED', ip: key.ip, ...times }
  return comment === undefined ? host : { ...host, comment }
}

/** A row as read, in the order of its columns. */
export function decodeRow([seq, event, at, rule, actor, kind, keyText, before, after]: Row): HistoryRow {
  const key = decodeKey(kind, keyText)
  const summary = key === undefined ? { summary: keyText, decision: decisionOf(fieldsIn(after)) } : undefined
  return {
    seq,
    event,
    at,
    rule: CHANGE_RULES[rule] ?? 'merge',
    actor: actor ?? undefined,
    key,
    before: entryOf(key, fieldsIn(before)),
    after: entryOf(key, fieldsIn(after)),
    summary: undefined,
    ...summary,
  }
}

function fieldsIn(text: string | null): EntryFields {
  return text === null ? null : (JSON.parse(text) as EntryFields)
}
