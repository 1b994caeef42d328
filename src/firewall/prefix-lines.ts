/**
 * Prefix lines as strings and in parts: for listings and for the rare cases in which a table cannot be loaded
 * at once.
 */
import { formatIpv4, ipv4ToNumber } from '../ip/address.js'
import { parseCidr } from '../ip/cidr.js'

const LF = 0x0a

/** The lines of LF-terminated text, without their LF. */
export function splitLines(text: Uint8Array): string[] {
  const lines = Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString('latin1').split('\n')
  lines.pop()
  return lines
}

/** The lines of all parts in pieces of at most `maxLines` lines; no empty piece. */
export function* cutIntoPortions(parts: Iterable<Uint8Array>, maxLines: number): Generator<Uint8Array> {
  for (const part of parts) {
    let start = 0
    let lineCount = 0
    for (let end = part.indexOf(LF); end >= 0; end = part.indexOf(LF, end + 1)) {
      lineCount += 1
      if (lineCount < maxLines) continue
      yield part.subarray(start, end + 1)
      start = end + 1
      lineCount = 0
    }
    if (start < part.length) yield part.subarray(start)
  }
}

/** LF-terminated text of the prefixes that are not lines of `wanted`. */
export function missingFrom(prefixes: readonly string[], wanted: Iterable<Uint8Array>): Uint8Array {
  const kept = new Set<string>()
  for (const text of wanted) for (const line of splitLines(text)) kept.add(line)
  return Buffer.from(
    prefixes
      .filter((prefix) => !kept.has(prefix))
      .map((prefix) => `${prefix}\n`)
      .join(''),
    'latin1',
  )
}

/** Canonical prefixes ascending, IPv4 first, a shorter prefix before a longer one of the same address. */
export function sortPrefixes(prefixes: Iterable<string>): string[] {
  const ipv4Keys: number[] = []
  const ipv6: { key: string; prefix: string }[] = []
  for (const prefix of prefixes) {
    if (prefix.includes(':')) {
      const { bytes, prefixLength } = parseCidr(prefix)!
      ipv6.push({ key: Buffer.from([...bytes, prefixLength]).toString('latin1'), prefix })
    } else {
      const [address = '', lengthText] = prefix.split('/')
      ipv4Keys.push(ipv4ToNumber(address) * 64 + Number(lengthText))
    }
  }
  ipv6.sort((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0))
  return [
    ...Array.from(
      Float64Array.from(ipv4Keys).sort(),
      (key) => `${formatIpv4(Math.floor(key / 64))}/${key % 64}`,
    ),
    ...ipv6.map(({ prefix }) => prefix),
  ]
}
