import { CLASSIC_KINDS, type EntryKind, type WireText } from '../../domain/entry.js'
import type { EntryQuery } from '../../domain/query.js'
import { foldText, isGlob } from '../../domain/query-match.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import { parseCidr } from '../../ip/cidr.js'
import { textRangesOf } from '../../ip/text-ranges.js'
import type { KeyScope } from './key-ranges.js'

/** How SQLite finds the entries of one kind that a query selects. */
export interface KindPlan {
  /** Where to look, in the order of the key; undefined is everywhere. */
  scopes: readonly (KeyScope | undefined)[]
  /** SQL condition on the rows found there; undefined is true. */
  filter: string | undefined
  /** False when `compileQuery` must check the rest: SQLite returns more than is wanted. */
  isExact: boolean
}

/** Longer patterns are left to `compileQuery`: SQLite refuses those of 50,000 bytes. */
const MAX_LIKE_CHARS = 1000

/** The plan for one kind; undefined when the query selects nothing of it. */
// eslint-disable-next-line complexity -- one clause for each field of a query, all narrowing one plan
export function planKind(query: EntryQuery, kind: EntryKind): KindPlan | undefined {
  const wanted: readonly EntryKind[] = query.kinds ?? CLASSIC_KINDS
  if (!wanted.includes(kind)) return undefined
  const { ip, network, expiresBy, createdBefore } = query
  const conditions: string[] = []
  let scopes: readonly (KeyScope | undefined)[] = [undefined]
  let isExact = true
  const addBound = (sql: string, bound: number): void => {
    if (Number.isFinite(bound)) conditions.push(`${sql} ${bound}`)
    else isExact = false
  }
  if (kind === 'SPAMTRAP' && (ip ?? network ?? expiresBy) !== undefined) return undefined
  if (kind !== 'GREY' && (query.helo ?? query.from ?? query.to) !== undefined) return undefined
  if (network !== undefined) {
    const parsed = parseCidr(network)
    if (parsed === undefined) throw new RangeError(`not a network: ${network}`)
    const found = textRangesOf(parsed)
    scopes = found.ranges
    isExact = found.isExact
    if (parsed.prefixLength === 0) {
      conditions.push(`instr(ip, ':') ${parsed.family === 4 ? '=' : '>'} 0`)
      isExact = true
    }
    conditions.push(
      `(instr(ip, '/') = 0 OR CAST(substr(ip, instr(ip, '/') + 1) AS INTEGER) >= ${parsed.prefixLength})`,
    )
  }
  if (ip !== undefined) {
    scopes = [{ ip }]
    if (network !== undefined) isExact = false
  }
  for (const field of ['helo', 'from', 'to'] as const) {
    const pattern = query[field]
    if (pattern === undefined) continue
    const like = likeCondition(`"${field}"`, pattern)
    isExact &&= like.isExact
    if (like.condition !== undefined) conditions.push(like.condition)
  }
  if (expiresBy !== undefined) {
    if (kind !== 'GREY') conditions.push(`expire <> ${EXPIRE_NEVER}`)
    addBound('expire <=', expiresBy)
  }
  if (createdBefore !== undefined) addBound('first <', createdBefore)
  return { scopes, filter: conditions.length === 0 ? undefined : conditions.join(' AND '), isExact }
}

/**
 * The pattern of a field as LIKE, which ignores the case of ASCII letters as we do. It counts characters, not
 * bytes, so what is not ASCII, and `?`, let more through.
 */
function likeCondition(
  column: string,
  pattern: WireText,
): { condition: string | undefined; isExact: boolean } {
  const wanted = foldText(pattern)
  if (wanted === '') return { condition: undefined, isExact: true }
  if (wanted.length > MAX_LIKE_CHARS || wanted.includes('\0')) return { condition: undefined, isExact: false }
  const isWhole = isGlob(wanted)
  let like = isWhole ? '' : '%'
  let isExact = true
  for (const character of wanted) {
    if (isWhole && character === '*') like += '%'
    else if (character > '\x7f' || (isWhole && character === '?')) {
      like += '%'
      isExact = false
    } else like += character.replace(/[%_\\]/, '\\$&').replace("'", "''")
  }
  return {
    condition: `(${column} LIKE '<${like}>' ESCAPE '\\' OR (${column} LIKE '${like}' ESCAPE '\\' AND ${column} NOT LIKE '<%>'))`,
    isExact,
  }
}
