/**
 * The last check of a table's content before a packet filter reads it. pfctl looks up anything that is not a
 * number in DNS, and a `/0` blocks or whitelists every host, so only canonical prefixes may pass.
 */
import type { IpFamily } from '../ip/address.js'
import { AppError } from '../platform/app-error.js'
import type { TableContent, TableSpec } from './backend.js'

const LF = 0x0a
const DOT = 0x2e
const SLASH = 0x2f
const COLON = 0x3a

/**
 * Letters, digits, dash and underscore: valid for pf and for nft and ipset with what we append. pf names end
 * at 31 bytes (PF_TABLE_NAME_SIZE); 24 leave space for `6` and the suffix of a set that is being filled.
 */
const TABLE_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,23}$/

/** Families in the order in which tables are written and read. */
export const FAMILIES = ['ipv4', 'ipv6'] as const

/**
 * Checks name and content of a table; throws `AppError` `ERR_FIREWALL_CONTENT` that names the first bad line.
 * Every line must be an RFC 5952 or dotted-quad address, `/`, a prefix length other than 0 with no bit set
 * after it, and LF; hosts /32 and /128 only. Order and overlaps are not checked, because the packet filter
 * handles them.
 */
export function checkTable(table: TableSpec, content: TableContent): void {
  checkTableName(table)
  for (const family of FAMILIES) {
    const { text, count } = content[family]
    let lineCount = 0
    for (let start = 0; start < text.length; lineCount += 1) {
      const found =
        family === 'ipv4'
          ? readIpv4Line(text, start, table.content)
          : readIpv6Line(text, start, table.content)
      if (found < 0) throw badLine(table, text, start, lineCount)
      start = found
    }
    if (lineCount !== count) {
      throw contentError(table, `${lineCount} ${family} prefixes where ${count} were announced`)
    }
  }
}

/** Throws `AppError` `ERR_FIREWALL_CONTENT` for a table name that not every packet filter accepts. */
export function checkTableName(table: TableSpec): void {
  if (!TABLE_NAME.test(table.name)) {
    throw contentError(table, 'a table name has 1 to 24 letters, digits, "-" and "_", a letter first')
  }
}

/** Offset after the line that starts at `start`, or -1 when it is not a canonical IPv4 prefix. */
function readIpv4Line(text: Uint8Array, start: number, content: TableSpec['content']): number {
  let at = start
  let value = 0
  for (let octetIndex = 0; octetIndex < 4; octetIndex += 1) {
    let octet = 0
    const octetStart = at
    for (let digit = digitAt(text, at); digit >= 0 && at < octetStart + 3; digit = digitAt(text, at)) {
      octet = octet * 10 + digit
      at += 1
    }
    const digits = at - octetStart
    if (digits === 0 || octet > 255 || digits !== decimalLength(octet)) return -1
    if (text[at] !== (octetIndex === 3 ? SLASH : DOT)) return -1
    at += 1
    value = value * 256 + octet
  }
  const prefixLength = readPrefixLength(text, at, 4, content)
  if (prefixLength < 0 || value % 2 ** (32 - prefixLength) !== 0) return -1
  return at + decimalLength(prefixLength) + 1
}

/** Offset after the line that starts at `start`, or -1 when it is not a canonical IPv6 prefix. */
// eslint-disable-next-line complexity -- one loop over a byte grammar, run for each entry of a table
function readIpv6Line(text: Uint8Array, start: number, content: TableSpec['content']): number {
  const groups = new Uint16Array(8)
  let at = start
  let filled = 0
  let gapAt = -1
  if (text[at] === COLON) {
    if (text[at + 1] !== COLON) return -1
    gapAt = 0
    at += 2
  }
  while (text[at] !== SLASH) {
    const groupStart = at
    let group = 0
    for (let digit = lowerHexAt(text, at); digit >= 0 && at < groupStart + 4; digit = lowerHexAt(text, at)) {
      group = group * 16 + digit
      at += 1
    }
    if (filled === 8 || at === groupStart || at - groupStart !== hexLength(group)) return -1
    groups[filled] = group
    filled += 1
    if (text[at] === SLASH) break
    if (text[at] !== COLON) return -1
    at += 1
    if (text[at] === COLON) {
      if (gapAt >= 0) return -1
      gapAt = filled
      at += 1
    } else if (text[at] === SLASH) return -1
  }
  const gapLength = gapAt < 0 ? 0 : 8 - filled
  if (gapAt < 0 && filled !== 8) return -1
  if (gapAt >= 0) {
    groups.copyWithin(gapAt + gapLength, gapAt, filled)
    groups.fill(0, gapAt, gapAt + gapLength)
  }
  if (!isCanonicalGap(groups, gapAt, gapLength)) return -1
  at += 1
  const prefixLength = readPrefixLength(text, at, 6, content)
  if (prefixLength < 0 || hasBitsBehind(groups, prefixLength)) return -1
  return at + decimalLength(prefixLength) + 1
}

/** RFC 5952: `::` stands for the longest run of two or more zero groups, the first of equally long ones. */
function isCanonicalGap(groups: Uint16Array, gapAt: number, gapLength: number): boolean {
  let longestAt = -1
  let longest = 1
  for (let index = 0; index < 8; ) {
    let run = 0
    while (index + run < 8 && groups[index + run] === 0) run += 1
    if (run > longest) {
      longest = run
      longestAt = index
    }
    index += run + 1
  }
  return longestAt === gapAt && (gapAt < 0 || gapLength === longest)
}

function hasBitsBehind(groups: Uint16Array, prefixLength: number): boolean {
  for (let index = prefixLength >> 4; index < 8; index += 1) {
    const keptBits = Math.max(0, prefixLength - index * 16)
    if ((groups[index]! & (0xffff >> keptBits)) !== 0) return true
  }
  return false
}

/**
 * The prefix length at `at`, followed by LF; -1 for 0, a leading zero, a length too large or not that of a
 * host.
 */
function readPrefixLength(
  text: Uint8Array,
  at: number,
  family: IpFamily,
  content: TableSpec['content'],
): number {
  let value = 0
  let end = at
  for (let digit = digitAt(text, end); digit >= 0 && end < at + 3; digit = digitAt(text, end)) {
    value = value * 10 + digit
    end += 1
  }
  const bits = family === 4 ? 32 : 128
  const isAllowed = content === 'hosts' ? value === bits : value >= 1 && value <= bits
  return isAllowed && end - at === decimalLength(value) && text[end] === LF ? value : -1
}

function digitAt(text: Uint8Array, at: number): number {
  const digit = (text[at] ?? 0) - 0x30
  return digit >= 0 && digit <= 9 ? digit : -1
}

function lowerHexAt(text: Uint8Array, at: number): number {
  const byte = text[at] ?? 0
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x57
  return digitAt(text, at)
}

function decimalLength(value: number): number {
  return value < 10 ? 1 : value < 100 ? 2 : 3
}

function hexLength(value: number): number {
  return value < 0x10 ? 1 : value < 0x100 ? 2 : value < 0x1000 ? 3 : 4
}

/** Length of the excerpt of a bad line: the longest valid one has 43 bytes. */
const SHOWN_BYTES = 60

function badLine(table: TableSpec, text: Uint8Array, start: number, lineIndex: number): AppError {
  const line = Buffer.from(text.subarray(start, start + SHOWN_BYTES))
    .toString('latin1')
    .split('\n', 1)[0]
  const kind = table.content === 'hosts' ? 'a canonical host' : 'a canonical prefix'
  return contentError(table, `entry ${lineIndex + 1} is not ${kind}: ${JSON.stringify(line)}`)
}

function contentError(table: TableSpec, reason: string): AppError {
  return new AppError(
    'ERR_FIREWALL_CONTENT',
    `refused to load table ${JSON.stringify(table.name)}: ${reason}`,
  )
}
