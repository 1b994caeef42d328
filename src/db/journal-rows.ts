/**
 * Rows of the journal as bytes, many in one. A row is `KINDS,RULE,TIME,COUNTER,NODE,ACTOR,KEY;` in digits, where ACTOR
 * and KEY are lengths in bytes, then actor and key; KINDS is -1 for a row without key. The fields of a tuple's key
 * are joined by NUL. The kind of a pool replaces WHITE. `,COUNT` after KEY combines this many alike rows
 * into one: their keys are joined by NUL, and their stamps are consecutive.
 */
import {
  type Cause,
  CHANGE_RULES,
  type Change,
  type ChangeKey,
  type ChangeRule,
  type HostChange,
  keyText,
} from '../domain/change.js'
import type { EntryKind } from '../domain/entry.js'
import { type Stamp, stampBehind } from '../domain/stamp.js'
import type { NodeNumbers } from './tables/marks-codec.js'

/** One change, as seen by readers that follow the journal. */
export interface JournalRow {
  /** Increases by one from row to row, over all programs and restarts. */
  seq: number
  stamp: Stamp
  /**
   * What changed. undefined: so much at once that no key is named (a large import, a merge): compare
   * everything.
   */
  key: ChangeKey | undefined
  /** Kind of the entry before and after; undefined is none, and for a release always so. Equal for a change of times, counts or comment. */
  before: EntryKind | undefined
  after: EntryKind | undefined
  rule: ChangeRule
  /** Peer or user, if the rule does not imply it. */
  actor: string | undefined
}

const KINDS: readonly (EntryKind | undefined)[] = [undefined, 'WHITE', 'TRAPPED', 'SPAMTRAP', 'GREY']
const KEY_KINDS = ['host', 'tuple', 'spamtrap', 'release', 'pool'] as const
const NO_KEY = -1

/** One character for one byte. */
export function encodeChange(change: Change, nodes: NodeNumbers): string {
  const { cause, stamp } = change
  return encodeRow({ kinds: kindsOf(change), cause, stamp }, keyText(change.key), nodes)
}

/** Changes like `first`, of these addresses, as one. */
export function encodeAlike(first: HostChange, ips: readonly string[], nodes: NodeNumbers): string {
  const { cause, stamp } = first
  return encodeRow({ kinds: kindsOf(first), cause, stamp }, ips.join('\0'), nodes, ips.length)
}

function kindsOf({ key, before, after }: Change): number {
  return (KEY_KINDS.indexOf(key.kind) * 5 + kindNumber(before.entry)) * 5 + kindNumber(after.entry)
}

function kindNumber(entry: Change['before']['entry']): number {
  if (entry === undefined || entry.kind === 'RELEASE') return 0
  return KINDS.indexOf(entry.kind === 'POOL' ? 'WHITE' : entry.kind)
}

/** The row that names no key: so much changed at once that everything is to be compared. */
export function encodeEverything(rule: ChangeRule, stamp: Stamp, nodes: NodeNumbers): string {
  return encodeRow({ kinds: NO_KEY, cause: { rule }, stamp }, '', nodes)
}

interface RowHead {
  kinds: number
  cause: Cause
  stamp: Stamp
}

function encodeRow(
  { kinds, cause: { rule, actor }, stamp: { time, counter, node } }: RowHead,
  key: string,
  nodes: NodeNumbers,
  count?: number,
): string {
  const who = actor === undefined ? '' : Buffer.from(actor, 'utf8').toString('latin1')
  const more = count === undefined ? '' : `,${count}`
  return `${kinds},${CHANGE_RULES.indexOf(rule)},${time},${counter},${nodes.numberOf(node)},${who.length},${key.length}${more};${who}${key}`
}

/** The rows of one chunk; `first` is the number of its first. */
export function* decodeRows(bytes: Buffer, first: number, nodes: NodeNumbers): Generator<JournalRow> {
  const text = bytes.toString('latin1')
  let at = 0
  for (let seq = first; at < text.length; ) {
    const end = text.indexOf(';', at)
    const head = text.slice(at, end).split(',').map(Number)
    const [kinds = NO_KEY, rule = 0, time = 0, counter = 0, node = 0, actorLength = 0, keyLength = 0, count] =
      head
    const actorEnd = end + 1 + actorLength
    const actor = text.slice(end + 1, actorEnd)
    at = actorEnd + keyLength
    const keys = text.slice(actorEnd, at)
    const stamp = { time, counter, node: nodes.nodeOf(node) }
    for (const [place, key] of (count === undefined ? [keys] : keys.split('\0')).entries()) {
      yield {
        seq,
        stamp: stampBehind(stamp, place),
        ...changeOf(kinds, key),
        rule: CHANGE_RULES[rule] ?? 'merge',
        actor: actor === '' ? undefined : Buffer.from(actor, 'latin1').toString('utf8'),
      }
      seq += 1
    }
  }
}

function changeOf(kinds: number, key: string): Pick<JournalRow, 'key' | 'before' | 'after'> {
  if (kinds === NO_KEY) return { key: undefined, before: undefined, after: undefined }
  return {
    key: decodeKey(kinds, key),
    before: kindOf(kinds, Math.floor(kinds / 5) % 5),
    after: kindOf(kinds, kinds % 5),
  }
}

function kindOf(kinds: number, code: number): EntryKind | undefined {
  const isPool = KEY_KINDS[Math.floor(kinds / 25)] === 'pool'
  return isPool && code > 0 ? 'POOL' : KINDS[code]
}

function decodeKey(kinds: number, text: string): ChangeKey {
  switch (KEY_KINDS[Math.floor(kinds / 25)]) {
    case 'tuple': {
      const [ip = '', helo = '', from = '', to = ''] = text.split('\0')
      return { kind: 'tuple', ip, helo, from, to }
    }
    case 'spamtrap':
      return { kind: 'spamtrap', address: text.slice(1) }
    case 'release':
      return { kind: 'release', id: text.slice(1) }
    case 'pool':
      return { kind: 'pool', ip: text }
    default:
      return { kind: 'host', ip: text }
  }
}
