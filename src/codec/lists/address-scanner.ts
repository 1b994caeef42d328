/**
 * Reads numeric addresses directly from the bytes of a list, without making strings. One scanner is used for millions
 * of lines; its fields hold the last result.
 */
const DOT = 0x2e
const COLON = 0x3a
const PERCENT = 0x25
const UNDERSCORE = 0x5f
const GROUPS_PER_ADDRESS = 8

/** Value of each hexadecimal digit, -1 for every other byte. */
const HEX_VALUES = new Int8Array(256).fill(-1)
for (let value = 0; value < 16; value += 1) {
  HEX_VALUES[value.toString(16).charCodeAt(0)] = value
  HEX_VALUES[value.toString(16).toUpperCase().charCodeAt(0)] = value
}

/** True for an ASCII decimal digit. */
export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

/** True for an ASCII hexadecimal digit of either case. */
export function isHexDigit(byte: number | undefined): boolean {
  return byte !== undefined && HEX_VALUES[byte]! >= 0
}

/** Reads one address from bytes; its fields hold what the last call read. */
export class AddressScanner {
  /** IPv4: the address read, missing octets zero (`172.16` is 0xac100000). */
  ipv4 = 0
  /** IPv6: the address read, four words, most significant first. */
  readonly ipv6 = new Uint32Array(4)
  /**
   * Number of octets that the last `scanIpv4` read: 4 for a complete address, 1 to 3 for a short form, 0 for neither.
   */
  octets = 0
  /** True if a number of the last `scanIpv4` had a leading zero, as in `010`. */
  hadLeadingZeros = false
  /** True if the last `scanIpv6` found a dotted quad. */
  hadQuad = false
  readonly #groups = new Uint16Array(GROUPS_PER_ADDRESS)

  /**
   * Reads the run of digits and dots at `start` and returns its end. `octets` says whether it is an address: up to
   * four decimal numbers of one to three digits (also with leading zeros, as in the original), none above 255, no dot
   * at the end.
   */
  // eslint-disable-next-line complexity -- one loop over a byte grammar, run for each of millions of lines
  scanIpv4(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    let value = 0
    let octet = 0
    let digits = 0
    let octets = 0
    let isValid = true
    this.hadLeadingZeros = false
    for (; at < end; at += 1) {
      const byte = bytes[at]!
      const digit = byte - 0x30
      if (digit >= 0 && digit <= 9) {
        if (digits === 1 && octet === 0) this.hadLeadingZeros = true
        octet = octet * 10 + digit
        digits += 1
        if (digits > 3) isValid = false
      } else if (byte === DOT) {
        if (digits === 0 || octet > 255 || octets === 3) isValid = false
        value = value * 256 + octet
        octets += 1
        octet = 0
        digits = 0
      } else break
      if (!isValid) break
    }
    while (at < end && (isDigit(bytes[at]) || bytes[at] === DOT)) at += 1
    if (!isValid || digits === 0 || octet > 255) {
      this.octets = 0
      return at
    }
    this.octets = octets + 1
    this.ipv4 = (value * 256 + octet) * 256 ** (3 - octets)
    return at
  }

  /**
   * Reads an IPv6 address (RFC 4291 section 2.2, also with an embedded dotted quad) at `start` and returns its end;
   * -1 if there is none, or if letters, digits, colons or a zone follow it. The byte at `end`, if there is one, must
   * not be a hexadecimal digit.
   */
  // eslint-disable-next-line complexity -- as above; split, it was 10 % slower (measured)
  scanIpv6(bytes: Uint8Array, start: number, end: number): number {
    const groups = this.#groups
    let at = start
    let count = 0
    let gapAt = -1
    this.hadQuad = false
    if (bytes[at] === COLON) {
      if (at + 1 >= end || bytes[at + 1] !== COLON) return -1
      gapAt = 0
      at += 2
    }
    while (at < end && count < GROUPS_PER_ADDRESS) {
      const groupStart = at
      let group = HEX_VALUES[bytes[at]!]!
      if (group < 0) break
      at += 1
      let digit = HEX_VALUES[bytes[at]!]!
      if (digit >= 0) {
        group = (group << 4) | digit
        at += 1
        digit = HEX_VALUES[bytes[at]!]!
        if (digit >= 0) {
          group = (group << 4) | digit
          at += 1
          digit = HEX_VALUES[bytes[at]!]!
          if (digit >= 0) {
            group = (group << 4) | digit
            at += 1
            if (HEX_VALUES[bytes[at]!]! >= 0) return -1
          }
        }
      }
      if (at < end && bytes[at] === DOT) {
        at = this.scanIpv4(bytes, groupStart, end)
        this.hadQuad = true
        if (this.octets !== 4 || this.hadLeadingZeros || count > GROUPS_PER_ADDRESS - 2) return -1
        groups[count] = this.ipv4 >>> 16
        groups[count + 1] = this.ipv4
        count += 2
        break
      }
      groups[count] = group
      count += 1
      if (at >= end || bytes[at] !== COLON) break
      if (at + 1 < end && bytes[at + 1] === COLON) {
        if (gapAt >= 0) return -1
        gapAt = count
        at += 2
      } else {
        at += 1
        if (at >= end || !isHexDigit(bytes[at])) return -1
      }
    }
    if (gapAt < 0 ? count !== GROUPS_PER_ADDRESS : count === GROUPS_PER_ADDRESS) return -1
    if (at < end && continuesAddress(bytes[at]!)) return -1
    this.#storeGroups(count, gapAt < 0 ? count : gapAt)
    return at
  }

  /** Writes `count` groups into the address, with zeros for the gap before group `gapAt`. */
  #storeGroups(count: number, gapAt: number): void {
    const groups = this.#groups
    if (count < GROUPS_PER_ADDRESS) {
      let to = GROUPS_PER_ADDRESS - 1
      for (let from = count - 1; from >= gapAt; from -= 1) {
        groups[to] = groups[from]!
        to -= 1
      }
      for (; to >= gapAt; to -= 1) groups[to] = 0
    }
    const words = this.ipv6
    words[0] = (groups[0]! << 16) | groups[1]!
    words[1] = (groups[2]! << 16) | groups[3]!
    words[2] = (groups[4]! << 16) | groups[5]!
    words[3] = (groups[6]! << 16) | groups[7]!
  }
}

function continuesAddress(byte: number): boolean {
  const lowerCase = byte | 0x20
  return (
    isDigit(byte) ||
    (lowerCase >= 0x61 && lowerCase <= 0x7a) ||
    byte === COLON ||
    byte === DOT ||
    byte === PERCENT ||
    byte === UNDERSCORE
  )
}
