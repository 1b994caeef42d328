/**
 * A second, slow and simple implementation of address lists and their arithmetic: the transcripts of spamd-setup are
 * compared with it where the original is known to be wrong. Written from the specification; shares no code with the
 * product.
 */
import { BITS, isIPv4, type NaiveRange, readNaiveItem, toNumber } from './naive-line.js'

export interface NaiveList {
  /** Number of accepted lines. */
  entries: number
  unknown: number
  ranges: NaiveRange[]
  /** Lines that the original and the specification may understand differently. */
  disputedLines: string[]
  isMostlyUnknown: boolean
  /** True if an HTML or XML page begins before the first address. */
  isPage: boolean
}

/** Lines without an item: blank lines, comments, and directives of rbldnsd and ipset files. */
const NO_ENTRY =
  /^[ \t\r]*$|^[#;$]|^:(?:[^:]|$)|^(?:create|flush|destroy|swap|rename)[ \t]|^COMMIT[ \t]*$|^\{.*"type":"metadata"/
const PAGE_START = /^<(?:!doctype|html|head|body|title|script|meta|\?xml|!--)/i

/** Lines that both understand in the same way, whatever follows them. */
const COMMON =
  /^ *(?:#.*)?\r?$|^ *(\d+\.\d+\.\d+\.\d+)(?:\/(\d+)|(?: +- +|-)(\d+\.\d+\.\d+\.\d+))?\r?(?: *\r?| +#.*)$/

/** Reads a list according to the specification. `bytes` are already decompressed. */
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
    const exclusion = stripped.startsWith('!') ? readNaiveItem(stripped.replace(/^![ \t]*/, '')) : undefined
    if (exclusion !== undefined) {
      excluded.push(exclusion)
      list.disputedLines.push(line)
      continue
    }
    if (PAGE_START.test(stripped) && list.entries === 0) list.isPage = true
    const range = readNaiveItem(addressPart(stripped))
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

/** The address in a line of a format that begins with something else. */
function addressPart(line: string): string {
  if (!line.startsWith('{')) return line.replace(/^(?:"|add[ \t]+[^ \t]+[ \t]+)/, '')
  return /"(?:cidr|ip)":"([^"]*)"/.exec(line)?.[1] ?? ''
}

function without(ranges: NaiveRange[], excluded: NaiveRange[]): NaiveRange[] {
  return ([4, 6] as const).flatMap((family) =>
    naiveCidrs(ranges, excluded, family).map((cidr) => readNaiveItem(cidr)!),
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

/** The smallest list of CIDR blocks for `black` without `white`, ascending, as text, always with the prefix length. */
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
