/**
 * The lines of a table of single addresses, produced in small steps so that the event loop is not blocked.
 */
import { formatIpv4, formatIpv6 } from './address.js'
import type { IpRangeSet } from './ip-range-set.js'
import { addBlockSize, compareWords, WORDS_PER_ADDRESS } from './ipv6-words.js'

/** `255.255.255.255/32` and a line feed. */
const LONGEST_IPV4_LINE = 19
/** `ffff:` eight times less one colon, `/128` and a line feed. */
const LONGEST_IPV6_LINE = 44

/** Lines of one family: text with a line feed after each line, and the number of lines. */
export interface HostLines {
  text: Uint8Array
  count: number
}

/**
 * Every address of a set on a line of its own with /32 or /128, ascending, IPv4 and IPv6 apart. Yields after
 * every `linesPerStep` lines.
 */
export function* hostLines(
  set: IpRangeSet,
  linesPerStep: number,
): Generator<undefined, { ipv4: HostLines; ipv6: HostLines }> {
  const ipv4 = new LineBuffer(set.ipv4.length * LONGEST_IPV4_LINE)
  for (let range = 0; range < set.ipv4.length; range += 1) {
    const last = set.ipv4.lasts[range]!
    for (let address = set.ipv4.firsts[range]!; address <= last; address += 1) {
      ipv4.add(`${formatIpv4(address)}/32\n`, LONGEST_IPV4_LINE)
      if (ipv4.count % linesPerStep === 0) yield
    }
  }
  const ipv6 = new LineBuffer(set.ipv6.length * LONGEST_IPV6_LINE)
  const words = new Uint32Array(WORDS_PER_ADDRESS)
  const groups = new Uint16Array(WORDS_PER_ADDRESS * 2)
  for (let range = 0; range < set.ipv6.length; range += 1) {
    const at = range * WORDS_PER_ADDRESS
    words.set(set.ipv6.firsts.subarray(at, at + WORDS_PER_ADDRESS))
    do {
      for (let word = 0; word < WORDS_PER_ADDRESS; word += 1) {
        groups[word * 2] = words[word]! >>> 16
        groups[word * 2 + 1] = words[word]! & 0xffff
      }
      ipv6.add(`${formatIpv6(groups)}/128\n`, LONGEST_IPV6_LINE)
      if (ipv6.count % linesPerStep === 0) yield
    } while (addBlockSize(words, 0, 128) && compareWords(words, 0, set.ipv6.lasts, at) <= 0)
  }
  return { ipv4: ipv4.lines(), ipv6: ipv6.lines() }
}

/** Appends text to bytes that double as they fill. */
class LineBuffer {
  count = 0
  #bytes: Buffer
  #lengthBytes = 0

  constructor(expectedBytes: number) {
    this.#bytes = Buffer.alloc(Math.max(64, expectedBytes))
  }

  add(line: string, mostBytes: number): void {
    if (this.#lengthBytes + mostBytes > this.#bytes.length) {
      const larger = Buffer.alloc(this.#bytes.length * 2)
      this.#bytes.copy(larger)
      this.#bytes = larger
    }
    this.#lengthBytes += this.#bytes.write(line, this.#lengthBytes, 'latin1')
    this.count += 1
  }

  lines(): HostLines {
    return { text: this.#bytes.subarray(0, this.#lengthBytes), count: this.count }
  }
}
