import type { Network } from './cidr.js'

/** A range of texts in byte order: `low` included, `high` excluded. */
export interface TextRange {
  low: string
  high: string
}

/** Where the keys of a network are in a table that is ordered by the text of the address. */
export interface NetworkRanges {
  /** Disjoint, in order; every key inside the network is in one of them. */
  ranges: TextRange[]
  /** False when they may contain other addresses too. */
  isExact: boolean
}

/** After every text that starts with `prefix` and continues with `/`, `.` or nothing, and before digits. */
const BEHIND_SLASH = '0'
/** After every hexadecimal digit and colon. */
const BEHIND_HEX = 'g'

/**
 * The texts of canonical addresses inside a network, and of networks (`ADDRESS/LENGTH`) whose lowest address
 * is inside: their length must still be checked. An octet or group that the prefix splits becomes ranges of
 * its values, at most 128.
 */
export function textRangesOf(network: Network): NetworkRanges {
  if (network.prefixLength === 0) return { ranges: [{ low: '', high: BEHIND_HEX }], isExact: false }
  if (network.prefixLength === network.bytes.length * 8) {
    return { ranges: [{ low: network.address, high: network.address + BEHIND_SLASH }], isExact: true }
  }
  return network.family === 4 ? ipv4Ranges(network) : ipv6Ranges(network)
}

function ipv4Ranges({ bytes, prefixLength }: Network): NetworkRanges {
  const wholeCount = prefixLength >> 3
  const restBits = prefixLength & 7
  const prefix = [...bytes.subarray(0, wholeCount)].map((octet) => `${octet}.`).join('')
  if (restBits === 0) return { ranges: [startingWith(prefix)], isExact: true }
  const lowest = bytes[wholeCount]!
  const ranges: TextRange[] = []
  for (let octet = lowest; octet <= (lowest | (0xff >> restBits)); octet += 1) {
    const text = `${prefix}${octet}`
    ranges.push(wholeCount === 3 ? { low: text, high: text + BEHIND_SLASH } : startingWith(`${text}.`))
  }
  return { ranges: joined(ranges), isExact: true }
}

/**
 * IPv6 text omits zeros in two ways, so from the first group of zero on, and within a group, the ranges
 * contain more than the network.
 */
function ipv6Ranges({ bytes, prefixLength }: Network): NetworkRanges {
  const groups = Array.from({ length: 8 }, (_, index) => (bytes[index * 2]! << 8) | bytes[index * 2 + 1]!)
  const wholeCount = prefixLength >> 4
  const restBits = prefixLength & 15
  const zeroIndex = groups.indexOf(0)
  const plainCount = zeroIndex < 0 ? wholeCount : Math.min(zeroIndex, wholeCount)
  const prefix = groups
    .slice(0, plainCount)
    .map((group) => `${group.toString(16)}:`)
    .join('')
  if (plainCount < wholeCount) {
    return { ranges: joined([startingWith(`${prefix}:`), startingWith(`${prefix}0:`)]), isExact: false }
  }
  if (restBits === 0) return { ranges: [startingWith(prefix)], isExact: true }
  const lowest = groups[wholeCount]!
  const highest = lowest | (0xffff >> restBits)
  const ranges: TextRange[] = lowest === 0 ? [startingWith(`${prefix}:`)] : []
  // Numbers with the same number of digits sort like their texts.
  for (let limit = 16; limit <= 0x10000; limit *= 16) {
    const from = Math.max(lowest, limit === 16 ? 0 : limit / 16)
    const to = Math.min(highest, limit - 1)
    if (from > to) continue
    ranges.push({ low: prefix + from.toString(16), high: prefix + to.toString(16) + BEHIND_HEX })
  }
  return { ranges: joined(ranges), isExact: false }
}

/** `prefix` ends with a dot or colon. */
function startingWith(prefix: string): TextRange {
  const last = prefix.charCodeAt(prefix.length - 1)
  return { low: prefix, high: prefix.slice(0, -1) + String.fromCharCode(last + 1) }
}

/** The same texts in ranges that are in order and do not touch. */
function joined(ranges: readonly TextRange[]): TextRange[] {
  const inOrder = ranges.toSorted((left, right) => (left.low < right.low ? -1 : 1))
  const result: TextRange[] = []
  for (const { low, high } of inOrder) {
    const last = result.at(-1)
    if (last === undefined || low > last.high) result.push({ low, high })
    else if (high > last.high) last.high = high
  }
  return result
}
