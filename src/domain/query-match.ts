import { familyOf } from '../ip/address.js'
import { ADDRESS_BITS, isInNetwork, type Network, parseCidr } from '../ip/cidr.js'
import { CLASSIC_KINDS, type Entry, type EntryKind, type WireText } from './entry.js'
import { namesNoAddress } from './pool-key.js'
import type { EntryQuery } from './query.js'
import { EXPIRE_NEVER } from './times.js'

/**
 * A test whether an entry meets every condition of a query; `sort` and `limit` are ignored. Conditions on a
 * field that a kind does not have are not met: only GREY has `helo`, `from` and `to`, a SPAMTRAP has no
 * address and never expires. Throws RangeError for a `network` that is not `ADDRESS/LENGTH`.
 */
export function compileQuery(query: EntryQuery): (entry: Entry) => boolean {
  const tests: ((entry: Entry) => boolean)[] = []
  const { kinds, ip, network, expiresBy, createdBefore } = query
  const wanted: readonly EntryKind[] = kinds ?? CLASSIC_KINDS
  tests.push((entry) => wanted.includes(entry.kind))
  if (ip !== undefined) tests.push((entry) => entry.kind !== 'SPAMTRAP' && entry.ip === ip)
  if (network !== undefined) {
    const parsed = parseCidr(network)
    if (parsed === undefined) throw new RangeError(`not a network: ${network}`)
    tests.push((entry) => entry.kind !== 'SPAMTRAP' && isKeyInNetwork(entry.ip, parsed))
  }
  for (const field of ['helo', 'from', 'to'] as const) {
    const pattern = query[field]
    if (pattern === undefined) continue
    const matches = compileTextPattern(pattern)
    tests.push((entry) => entry.kind === 'GREY' && matches(entry[field]))
  }
  if (expiresBy !== undefined) {
    tests.push((entry) => {
      if (entry.kind === 'SPAMTRAP') return false
      if (entry.kind !== 'GREY' && entry.expire === EXPIRE_NEVER) return false
      return entry.expire <= expiresBy
    })
  }
  if (createdBefore !== undefined) tests.push((entry) => entry.first < createdBefore)
  return (entry) => tests.every((test) => test(entry))
}

/** True when a query selects by anything but kind or number. */
export function hasConditions(query: EntryQuery): boolean {
  const { kinds: _kinds, sort: _sort, isDescending: _isDescending, limit: _limit, ...conditions } = query
  return Object.values(conditions).some((condition) => condition !== undefined)
}

/** Pools are keyed by network: they match if all their addresses do. */
function isKeyInNetwork(ip: string, network: Network): boolean {
  if (!namesNoAddress(ip)) return isInNetwork(ip, network)
  const own = parseCidr(ip)
  return own !== undefined && own.prefixLength >= network.prefixLength && isInNetwork(own.address, network)
}

/**
 * A test for text without its angle brackets, ASCII case ignored: a pattern with `*` or `?` must match the
 * whole text, another one its end.
 */
function compileTextPattern(pattern: WireText): (text: WireText) => boolean {
  const wanted = foldText(pattern)
  if (!isGlob(wanted)) return (text) => foldText(text).endsWith(wanted)
  return (text) => matchesGlob(foldText(text), wanted)
}

/** True when a pattern is a glob, which must match the whole text. */
export function isGlob(pattern: WireText): boolean {
  return /[*?]/.test(pattern)
}

/** Text without its angle brackets, ASCII letters in lower case, for comparison with patterns. */
export function foldText(text: WireText): WireText {
  const bare = text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1) : text
  return bare.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/**
 * Glob with `*` and `?` in linear space and without regular expressions, so that no pattern takes exponential
 * time.
 */
function matchesGlob(text: string, pattern: string): boolean {
  let textIndex = 0
  let patternIndex = 0
  let starIndex = -1
  let retryIndex = 0
  while (textIndex < text.length) {
    const wanted = pattern[patternIndex]
    if (wanted === '*') {
      starIndex = patternIndex
      retryIndex = textIndex
      patternIndex += 1
    } else if (wanted === '?' || (wanted !== undefined && wanted === text[textIndex])) {
      textIndex += 1
      patternIndex += 1
    } else if (starIndex >= 0) {
      retryIndex += 1
      textIndex = retryIndex
      patternIndex = starIndex + 1
    } else {
      return false
    }
  }
  while (pattern[patternIndex] === '*') patternIndex += 1
  return patternIndex === pattern.length
}

/**
 * The sort key of an entry: addresses by family and number, everything else by the field itself. undefined if
 * the kind has no such field; those come last.
 */
export function sortKeyOf(entry: Entry, field: NonNullable<EntryQuery['sort']>): string | number | undefined {
  if (field === 'kind') return entry.kind
  if (field === 'first') return entry.first
  if (entry.kind === 'SPAMTRAP') return undefined
  if (field === 'ip') return addressSortKey(entry.ip)
  if (field === 'pass' || field === 'expire' || field === 'bcount' || field === 'pcount') return entry[field]
  return entry.kind === 'GREY' ? entry[field] : undefined
}

/** A text by which addresses and networks sort by family and number; what is neither stands for itself. */
export function addressSortKey(ip: string): string {
  const network = parseCidr(ip)
  if (network === undefined) return ip
  let digits = ''
  for (const byte of network.bytes) digits += byte.toString(16).padStart(2, '0')
  const familyDigit = familyOf(network.address)
  return `${familyDigit}${digits}${(ADDRESS_BITS[familyDigit] - network.prefixLength).toString(16)}`
}
