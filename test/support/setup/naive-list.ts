/**
 * The address lists and their arithmetic once more, slow and plain: what the transcripts of spamd-setup are
 * compared with where the original is known to be wrong. Written from the specification, it shares no code
 * with the product.
 */
import { isIPv6 } from 'node:net'

export interface NaiveRange {
  family: 4 | 6
  first: bigint
  last: bigint
}

export interface NaiveList {
  /** Accepted lines. */
  entries: number
  unknown: number
  ranges: NaiveRange[]
  /** Lines that the original and the specification may take for different things. */
  disputedLines: string[]
  isMostlyUnknown: boolean
  /** An HTML or XML page begins before the first address. */
  isPage: boolean
}

/** Nothing to read: blank lines, comments, what rbldnsd and ipset files say about themselves. */
const NO_ENTRY =
  /^[ \t\r]*$|^[#;$]|^:(?:[^:]|$)|^(?:create|flush|destroy|swap|rename)[ \t]|^COMMIT[ \t]*$|^\{.*"type":"metadata"/
const PAGE_START = /^<(?:!doctype|html|head|body|title|script|meta|\?xml|!--)/i

/** A dotted quad; leading zeros are decimal. */
function isIPv4(text: string): boolean {
  return /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text) && text.split('.').every((octet) => Number(octet) <= 255)
}

const BITS = { 4: 32, 6: 128 } as const
/** Lines that both take for the same, whatever stands behind them. */
const COMMON =
  /^ *(?:#.*)?\r?$|^ *(\d+\.\d+\.\d+\.\d+)(?:\/(\d+)|(?: +- +|-)(\d+\.\d+\.\d+\.\d+))?\r?(?: *\r?| +#.*)$/

/** Reads a list as the specification wants it. `bytes` are decompressed already. */
export function readNaiveList(bytes: Uint8Array): NaiveList {
  const text = Buffer.from(bytes).toString('latin1')
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  const list: NaiveList = {
    entries: 0,
    unknown: 0,
    ranges: [],
    disputedLines: [],
    isMostlyUnknown: false,
    isPage: false,
  }
  let counted = 0
  const excluded: NaiveRange[] = []
  for (const [index, line] of lines.entries()) {
    const stripped = (index === 0 ? line.replace(/^\xef\xbb\xbf/, '') : line)
      .replace(/^[ \t]+/, '')
      .replace(/\r$/, '')
    if (NO_ENTRY.test(stripped)) {
      if (!COMMON.test(line)) list.disputedLines.push(line)
      continue
    }
    counted += 1
    const exclusion = stripped.startsWith('!') ? readRange(stripped.replace(/^![ \t]*/, '')) : undefined
    if (exclusion !== undefined) {
      excluded.push(exclusion)
      list.disputedLines.push(line)
      continue
    }
    if (PAGE_START.test(stripped) && list.entries === 0) list.isPage = true
    const range = readRange(addressPart(stripped))
    if (range === undefined) list.unknown += 1
    else {
      list.entries += 1
      list.ranges.push(range)
    }
    if (!isCommon(line, range)) list.disputedLines.push(line)
  }
  list.isMostlyUnknown = list.unknown * 2 > counted
  if (excluded.length > 0) list.ranges = without(list.ranges, excluded)
  return list
}

/** The address of a line of the formats that begin with something else. */
function addressPart(line: string): string {
  if (!line.startsWith('{')) return line.replace(/^(?:"|add[ \t]+[^ \t]+[ \t]+)/, '')
  return /"(?:cidr|ip)":"([^"]*)"/.exec(line)?.[1] ?? ''
}

function without(ranges: NaiveRange[], excluded: NaiveRange[]): NaiveRange[] {
  return ([4, 6] as const).flatMap((family) =>
    naiveCidrs(ranges, excluded, family).map((cidr) => readRange(cidr)!),
  )
}

function isCommon(line: string, range: NaiveRange | undefined): boolean {
  const match = COMMON.exec(line)
  if (match === null || range === undefined) return false
  const [, address = '', length, last] = match
  if (!isIPv4(address) || range.first === 0n || range.last === 0xffffffffn) return false
  if (last !== undefined) return isIPv4(last)
  return length === undefined || toNumber(address) === range.first
}

function readRange(line: string): NaiveRange | undefined {
  const v4 = /^(\d[\d.]*)(\/)?/.exec(line)
  if (v4 !== null && isIPv4(v4[1]!)) return readIpv4(v4[1]!, line.slice(v4[1]!.length))
  if (v4 !== null && v4[2] === '/' && /^\d{1,3}(?:\.\d{1,3}){0,2}$/.test(v4[1]!)) {
    const octets = v4[1]!.split('.').map(Number)
    if (octets.some((octet) => octet > 255)) return undefined
    while (octets.length < 4) octets.push(0)
    const length = prefixOf(line.slice(v4[1]!.length + 1))
    return length === undefined ? undefined : network(4, toNumber(octets.join('.')), length)
  }
  const hex = /^0[xX]([0-9a-fA-F]{1,8})\/(.*)$/s.exec(line)
  if (hex !== null) {
    const length = prefixOf(hex[2]!)
    return length === undefined ? undefined : network(4, BigInt(`0x${hex[1]!.padEnd(8, '0')}`), length)
  }
  const v6 = /^[0-9a-fA-F:.]+/.exec(line)?.[0]
  if (v6 === undefined || !isIPv6(v6)) return undefined
  const rest = line.slice(v6.length)
  const value = toBigInt6(v6)
  if (rest.startsWith('/')) {
    const length = prefixOf(rest.slice(1))
    return length === undefined ? undefined : folded(network(6, value, length))
  }
  const lastText = /^(?: *-+ *)([0-9a-fA-F:.]+)/.exec(rest)?.[1]
  if (lastText === undefined || !isIPv6(lastText)) return folded({ family: 6, first: value, last: value })
  const last = toBigInt6(lastText)
  return last < value ? undefined : folded({ family: 6, first: value, last })
}

/** Addresses of ::ffff:0:0/96 are those of IPv4; all of them are too many. */
function folded(range: NaiveRange | undefined): NaiveRange | undefined {
  const base = 0xffffn << 32n
  if (range === undefined || range.first < base || range.last > base + 0xffffffffn) return range
  if (range.first === base && range.last === base + 0xffffffffn) return undefined
  return { family: 4, first: range.first - base, last: range.last - base }
}

function readIpv4(address: string, rest: string): NaiveRange | undefined {
  const first = toNumber(address)
  if (rest.startsWith('/')) {
    if (rest.startsWith('/-')) return undefined
    const length = prefixOf(rest.slice(1))
    return length === undefined ? { family: 4, first, last: first } : network(4, first, length)
  }
  const row = /^\t(\d[\d.]*)\t(\d+)/.exec(rest)
  if (
    row !== null &&
    isIPv4(row[1]!) &&
    toNumber(row[1]!) - first + 1n === 1n << BigInt(32 - Number(row[2]))
  ) {
    return { family: 4, first, last: toNumber(row[1]!) }
  }
  const second = /^([ \t-]+)(\d[\d.]*)/.exec(rest)
  if (second === null) return { family: 4, first, last: first }
  const [, separator = '', lastText = ''] = second
  if (!isIPv4(lastText)) return separator.includes('-') ? undefined : { family: 4, first, last: first }
  if (!separator.includes('-') && separator.includes('\t')) return { family: 4, first, last: first }
  const last = toNumber(lastText)
  if (last < first || (first === 0n && last === 0xffffffffn)) return undefined
  return { family: 4, first, last }
}

/** A number as scanf reads it, or undefined when there is none. */
function prefixOf(text: string): number | undefined {
  const digits = /^[ \t]*\+?(\d+)/.exec(text)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

function network(family: 4 | 6, address: bigint, length: number): NaiveRange | undefined {
  if (length < 1 || length > BITS[family]) return undefined
  const size = 1n << BigInt(BITS[family] - length)
  const first = (address / size) * size
  return { family, first, last: first + size - 1n }
}

function toNumber(text: string): bigint {
  return text.split('.').reduce((value, octet) => value * 256n + BigInt(octet), 0n)
}

function toBigInt6(text: string): bigint {
  const quad = /(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[1]
  const plain =
    quad === undefined
      ? text
      : text.replace(
          quad,
          `${(toNumber(quad) >> 16n).toString(16)}:${(toNumber(quad) & 0xffffn).toString(16)}`,
        )
  const [head = '', tail] = plain.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const left = groups(head)
  const right = groups(tail ?? '')
  const zeros = new Array<string>(tail === undefined ? 0 : 8 - left.length - right.length).fill('0')
  return [...left, ...zeros, ...right].reduce((value, group) => value * 65536n + BigInt(`0x${group}`), 0n)
}

/** The fewest CIDR blocks of what is in `black` and not in `white`, ascending, as text without the length of the family's maximum left out. */
export function naiveCidrs(black: NaiveRange[], white: NaiveRange[], family: 4 | 6): string[] {
  const merged = merge(black.filter((range) => range.family === family))
  const holes = merge(white.filter((range) => range.family === family))
  const blocks: string[] = []
  for (const range of merged) {
    let first = range.first
    for (const hole of holes) {
      if (hole.last < first || hole.first > range.last) continue
      if (hole.first > first) pushBlocks(blocks, family, first, hole.first - 1n)
      first = hole.last + 1n
    }
    if (first <= range.last) pushBlocks(blocks, family, first, range.last)
  }
  return blocks
}

function merge(ranges: NaiveRange[]): NaiveRange[] {
  const sorted = [...ranges].sort((left, right) =>
    left.first < right.first ? -1 : left.first > right.first ? 1 : 0,
  )
  const merged: NaiveRange[] = []
  for (const range of sorted) {
    const previous = merged.at(-1)
    if (previous !== undefined && range.first <= previous.last + 1n) {
      if (range.last > previous.last) previous.last = range.last
    } else merged.push({ ...range })
  }
  return merged
}

function pushBlocks(blocks: string[], family: 4 | 6, start: bigint, last: bigint): void {
  let first = start
  while (first <= last) {
    let length = BITS[family]
    while (length > 1) {
      const size = 1n << BigInt(BITS[family] - length + 1)
      if (first % size !== 0n || first + size - 1n > last) break
      length -= 1
    }
    blocks.push(`${textOf(family, first)}/${length}`)
    first += 1n << BigInt(BITS[family] - length)
  }
}

function textOf(family: 4 | 6, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
  const groups = Array.from({ length: 8 }, (_unused, index) =>
    ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16),
  )
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
