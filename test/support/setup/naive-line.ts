/**
 * Parses one line of a list according to docs/protocol/list-formats.md, with only regular expressions and big
 * integers.
 */
import { isIPv6 } from 'node:net'

export interface NaiveRange {
  family: 4 | 6
  first: bigint
  last: bigint
}

export const BITS = { 4: 32, 6: 128 } as const
const ENDS = String.raw`(?=$|[\t\r "#'),:;>\]|}])`
const DASH = String.raw`(?:-|~|\x96|\x97|\xe2\x80[\x90-\x95]|\xe2\x88\x92)`
const MARKS = String.raw`(?:[ \t,|"']|(?<![ \t]);)+`
const DASHED = new RegExp(`^((?:[ \\t]|${DASH})*${DASH}(?:[ \\t]|${DASH})*)(.*)$`, 's')
const NUMBER = new RegExp(String.raw`^([ \t]*)\+?(\d+)${ENDS}(.*)$`, 's')
const QUAD_MASK = /^(\d+\.\d+\.\d+\.\d+)(?![\d.])/
const COLUMN_QUAD = new RegExp(`^${MARKS}(\\d+\\.\\d+\\.\\d+\\.\\d+)${ENDS}`)
const COLUMN_V6 = new RegExp(`^${MARKS}([0-9a-fA-F:.]+)${ENDS}`)
const FULL_V4 = 0xffffffffn
const FULL_V6 = (1n << 128n) - 1n

/** A dotted quad of decimal numbers, also with leading zeros. */
export function isIPv4(text: string): boolean {
  return /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text) && text.split('.').every((octet) => Number(octet) <= 255)
}

/** The addresses of an item and the text after it; undefined if it is refused. */
export function readNaiveItem(line: string): NaiveRange | undefined {
  const digits = /^\d[\d.]*/.exec(line)?.[0]
  if (digits !== undefined && isIPv4(digits)) return readIpv4(toNumber(digits), line.slice(digits.length))
  const rest = digits === undefined ? '' : line.slice(digits.length)
  if (digits !== undefined && rest.startsWith('/')) return readShort(digits, rest.slice(1))
  const hex = /^0[xX]([0-9a-fA-F]{1,8})\/(.*)$/s.exec(line)
  if (hex !== null) {
    const number = numberOf(hex[2]!)
    return typeof number === 'bigint' ? network(4, BigInt(`0x${hex[1]!.padEnd(8, '0')}`), number) : undefined
  }
  return readIpv6(line)
}

/** What follows a slash: a prefix length, `impossible` for one that cannot be, `other` for anything else. */
function numberOf(text: string): bigint | 'impossible' | 'other' {
  if (/^[ \t]*-\d/.test(text)) return 'impossible'
  const match = NUMBER.exec(text)
  if (match === null) return 'other'
  const [, gap = '', digits = '', rest = ''] = match
  if (gap !== '' && !/^[ \t]*(?:$|[#;])/.test(rest)) return 'other'
  return digits.length > 3 ? 'impossible' : BigInt(digits)
}

function readShort(digits: string, rest: string): NaiveRange | undefined {
  const octets = digits.split('.')
  if (octets.length > 3 || !octets.every((octet) => /^\d{1,3}$/.test(octet) && Number(octet) <= 255))
    return undefined
  const number = numberOf(rest)
  if (typeof number !== 'bigint' || number < 8n || number > BigInt(octets.length * 8)) return undefined
  const value = toNumber([...octets, '0', '0', '0'].slice(0, 4).join('.'))
  const range = network(4, value, number)
  return range?.first === value ? range : undefined
}

function readIpv4(first: bigint, rest: string): NaiveRange | undefined {
  const alone: NaiveRange = { family: 4, first, last: first }
  if (rest.startsWith('/')) {
    const mask = QUAD_MASK.exec(rest.slice(1))?.[1]
    if (mask !== undefined && isIPv4(mask)) {
      const bits = contiguousBits(toNumber(mask), 32) ?? inverseBits(first, toNumber(mask))
      const isEnded = new RegExp(`^${ENDS}`).test(rest.slice(1 + mask.length))
      return bits === undefined || !isEnded ? undefined : network(4, first, BigInt(bits))
    }
    const number = numberOf(rest.slice(1))
    if (number === 'impossible') return undefined
    return number === 'other' ? alone : network(4, first, number)
  }
  const dashed = DASHED.exec(rest)
  if (dashed !== null) {
    const tail = dashed[2]!
    const last = /^\d[\d.]*/.exec(tail)?.[0]
    if (last === undefined) return looksLikeV6(tail) ? undefined : alone
    if (!isIPv4(last) || !new RegExp(`^(?:/|${ENDS})`).test(tail.slice(last.length))) return undefined
    return rangeTo(first, toNumber(last))
  }
  const column = COLUMN_QUAD.exec(rest)?.[1]
  if (column !== undefined && isIPv4(column)) {
    const bits = maskBits(first, toNumber(column))
    if (bits !== undefined) return network(4, first, BigInt(bits))
  }
  const row = /^[ ]*\t[ \t]*(\d[\d.]*)\t[ \t]*\+?(\d{1,3})(?!\d)/.exec(rest)
  if (
    row !== null &&
    isIPv4(row[1]!) &&
    numberOf(rest.slice(rest.indexOf(row[1]!) + row[1]!.length + 1)) !== 'other'
  ) {
    const last = toNumber(row[1]!)
    const size = Number(row[2]) <= 32 ? 1n << BigInt(32 - Number(row[2])) : 0n
    if (last - first + 1n === size)
      return first === 0n && last === FULL_V4 ? undefined : { family: 4, first, last }
  }
  const pair = /^([ \t]+)(to[ \t]+)?(\d[\d.]*)[ \t]*$/i.exec(rest)
  if (pair === null || !isIPv4(pair[3]!)) return alone
  const last = toNumber(pair[3]!)
  if (pair[1]!.includes('\t') && pair[2] === undefined) return alone
  return readPairV4(first, last)
}

/** `A B`: a range if `B` is not a netmask of any length, the line is not one of a hosts file, and they are in order. */
function readPairV4(first: bigint, last: bigint): NaiveRange {
  const alone: NaiveRange = { family: 4, first, last: first }
  if (last < first || last >= 0xf0000000n || contiguousBits(last, 32) !== undefined) return alone
  const net = first >> 24n
  if ((net === 0n || net === 127n) && last >> 24n !== net) return alone
  return { family: 4, first, last }
}

/** `A - B`: a range if `B` is not certainly a netmask, they are in order, and it is not everything. */
function rangeTo(first: bigint, last: bigint): NaiveRange | undefined {
  const bits = contiguousBits(last, 32)
  if (bits !== undefined && bits >= 8 && bits <= 30) return undefined
  if (last < first || (first === 0n && last === FULL_V4)) return undefined
  return { family: 4, first, last }
}

function readIpv6(line: string): NaiveRange | undefined {
  const text = /^[0-9a-fA-F:.]+/.exec(line)?.[0]
  if (text === undefined || !isIPv6(unpadded(text)) || /^[a-z_%]/i.test(line.slice(text.length)))
    return undefined
  const rest = line.slice(text.length)
  const first = toBigInt6(text)
  const alone: NaiveRange = { family: 6, first, last: first }
  if (rest.startsWith('/')) {
    if (looksLikeV6(rest.slice(1))) {
      const mask = new RegExp(`^([0-9a-fA-F:.]+)${ENDS}`).exec(rest.slice(1))?.[1]
      return mask === undefined ? undefined : maskedV6(first, mask, text)
    }
    const number = numberOf(rest.slice(1))
    if (number === 'impossible') return undefined
    return number === 'other' ? folded(alone) : networkV6(first, number, text)
  }
  const dashed = DASHED.exec(rest)
  if (dashed !== null) {
    const tail = dashed[2]!
    const last = /^[0-9a-fA-F:.]*/.exec(tail)![0]
    if (isIPv6(unpadded(last)) && !/^[a-z_%]/i.test(tail.slice(last.length))) {
      if (!new RegExp(`^(?:/|${ENDS})`).test(tail.slice(last.length))) return undefined
      const end = toBigInt6(last)
      const bits = contiguousBits(end, 128) ?? 0
      if (bits >= 16 && bits < 128) return undefined
      if (isMapped(end) && rangeTo(1n, end & FULL_V4) === undefined) return undefined
      if (end < first || (first === 0n && end === FULL_V6)) return undefined
      return folded({ family: 6, first, last: end })
    }
    const isHexWord = !/[ \t]/.test(dashed[1]!) && new RegExp(`^[0-9a-fA-F]+${ENDS}`).test(tail)
    return /^\d/.test(tail) || isHexWord || looksLikeV6(tail) ? undefined : folded(alone)
  }
  const column = COLUMN_V6.exec(rest)?.[1]
  if (column !== undefined && looksLikeV6(column)) {
    if (isMapped(first) && isIPv6(unpadded(column)) && isMapped(toBigInt6(column))) {
      const bits = maskBits(first & FULL_V4, toBigInt6(column) & FULL_V4)
      if (bits !== undefined) return network(4, first & FULL_V4, BigInt(bits))
    }
    const masked = maskedV6(first, column, text)
    if (isIPv6(unpadded(column)) && (contiguousBits(toBigInt6(column), 128) ?? 0) >= 16) return masked
  }
  const pair = /^([ \t]+)(to[ \t]+)?([0-9a-fA-F:.]+)[ \t]*$/i.exec(rest)
  if (pair === null || !isIPv6(unpadded(pair[3]!))) return folded(alone)
  if (pair[1]!.includes('\t') && pair[2] === undefined) return folded(alone)
  const last = toBigInt6(pair[3]!)
  const high = 0xfe00n << 112n
  if (isMapped(first)) return isMapped(last) ? readPairV4(first & FULL_V4, last & FULL_V4) : folded(alone)
  if (first <= 1n || contiguousBits(last, 128) !== undefined) return folded(alone)
  if (last < first || (last >= high && first < high)) return folded(alone)
  return first === 0n && last === FULL_V6 ? undefined : folded({ family: 6, first, last })
}

function isMapped(address: bigint): boolean {
  return address >> 32n === 0xffffn
}

function maskedV6(first: bigint, mask: string, text: string): NaiveRange | undefined {
  const bits = isIPv6(unpadded(mask)) ? contiguousBits(toBigInt6(mask), 128) : undefined
  return bits === undefined || bits < 16 ? undefined : networkV6(first, BigInt(bits), text)
}

/** A prefix length that goes beyond a dotted quad is refused. */
function networkV6(first: bigint, length: bigint, text: string): NaiveRange | undefined {
  if ((isMapped(first) && length <= 96n) || (text.includes('.') && length < 96n)) return undefined
  const range = network(6, first, length)
  return range === undefined ? undefined : folded(range)
}

/** Addresses of ::ffff:0:0/96 are those of IPv4; all of them are too many. */
function folded(range: NaiveRange): NaiveRange | undefined {
  const base = 0xffffn << 32n
  if (range.first < base || range.last > base + FULL_V4) return range
  if (range.first === base && range.last === base + FULL_V4) return undefined
  return { family: 4, first: range.first - base, last: range.last - base }
}

function looksLikeV6(text: string): boolean {
  return (/^[0-9a-fA-F:.]*/.exec(text)![0].match(/:/g) ?? []).length >= 2
}

/** Prefix length of a netmask of `width` bits; undefined if it is not one. */
function contiguousBits(mask: bigint, width: number): number | undefined {
  const text = mask.toString(2).padStart(width, '0')
  return /^1+0*$/.test(text) ? text.lastIndexOf('1') + 1 : undefined
}

/** Prefix length, at least 8, of an inverse netmask that clears no bit of the address. */
function inverseBits(address: bigint, mask: bigint): number | undefined {
  const text = mask.toString(2).padStart(32, '0')
  return /^0{8}0*1+$/.test(text) && (address & mask) === 0n ? text.indexOf('1') : undefined
}

/** As `contiguousBits` or `inverseBits`; less than 8 only if it clears no bit of the address. */
function maskBits(address: bigint, mask: bigint): number | undefined {
  const bits = contiguousBits(mask, 32)
  if (bits === undefined) return inverseBits(address, mask)
  return bits >= 8 || (address & (FULL_V4 - mask)) === 0n ? bits : undefined
}

function network(family: 4 | 6, address: bigint, length: bigint): NaiveRange | undefined {
  if (length < 1n || length > BigInt(BITS[family])) return undefined
  const size = 1n << (BigInt(BITS[family]) - length)
  const first = (address / size) * size
  return { family, first, last: first + size - 1n }
}

export function toNumber(text: string): bigint {
  return text.split('.').reduce((value, octet) => value * 256n + BigInt(octet), 0n)
}

/** Removes the leading zeros of a dotted quad, which node:net does not accept. */
function unpadded(text: string): string {
  return text.replace(/(?<=[:.])0+(?=\d{1,2}\.|\d{1,2}$)(?=[\d.]*$)/g, (zeros) =>
    text.includes('.') ? '' : zeros,
  )
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
