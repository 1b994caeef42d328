import {
  canonicalIp,
  familyOf,
  formatIpv4,
  formatIpv6,
  type IpFamily,
  ipv4ToNumber,
  parseIpv6Groups,
} from './address.js'
import { isIpv4Text } from './numeric-text.js'

/** Bits of an address of each family. */
export const ADDRESS_BITS: Readonly<Record<IpFamily, number>> = { 4: 32, 6: 128 }

/** An IPv4-mapped prefix (`::ffff:192.0.2.0/120`) is an IPv4 prefix this many bits shorter. */
const MAPPED_PREFIX_BITS = 96

/** A network as it is compared and printed; host bits are always zero. */
export interface Network {
  family: IpFamily
  /** Canonical text of the lowest address. */
  address: string
  /** 0 to 32, or 0 to 128. */
  prefixLength: number
  /** The lowest address, most significant byte first: 4 or 16 bytes. */
  bytes: Uint8Array
}

/** Result of `parseCidr`, with a note of what was corrected. */
export interface ParsedCidr extends Network {
  /** True when bits after the prefix length were set in the text (`10.1.2.3/24`); they are zero here. */
  hadHostBits: boolean
}

/**
 * Reads `ADDRESS` (as /32 or /128) or `ADDRESS/LENGTH`. Addresses are read as by `canonicalIp`, so
 * IPv4-mapped IPv6 becomes IPv4 (with a prefix of 96 or more). Host bits are cleared. `undefined` for
 * anything else, such as short forms (`10/8`), netmasks, leading zeros or blanks.
 */
export function parseCidr(text: string): ParsedCidr | undefined {
  const slash = text.indexOf('/')
  const addressText = slash < 0 ? text : text.slice(0, slash)
  const canonical = canonicalIp(addressText)
  if (canonical === undefined) return undefined
  let family = familyOf(canonical)
  let prefixLength = ADDRESS_BITS[family]
  let bytes = ipToBytes(canonical)
  if (slash >= 0) {
    const lengthText = text.slice(slash + 1)
    if (!/^(0|[1-9][0-9]{0,2})$/.test(lengthText)) return undefined
    prefixLength = Number(lengthText)
    const isMapped = family === 4 && !isIpv4Text(addressText)
    if (isMapped) {
      if (prefixLength > ADDRESS_BITS[6]) return undefined
      if (prefixLength >= MAPPED_PREFIX_BITS) {
        prefixLength -= MAPPED_PREFIX_BITS
      } else {
        bytes = mappedBytes(bytes)
        family = 6
      }
    }
    if (prefixLength > ADDRESS_BITS[family]) return undefined
  }
  const masked = maskBytes(bytes, prefixLength)
  return {
    family,
    address: bytesToIp(masked),
    prefixLength,
    bytes: masked,
    hadHostBits: masked.some((byte, index) => byte !== bytes[index]),
  }
}

/** `ADDRESS/LENGTH`, the text that `parseCidr` reads back to the same network. */
export function formatCidr(network: Network): string {
  return `${network.address}/${network.prefixLength}`
}

/** True when the canonical address lies inside the network; never across families. */
export function isInNetwork(canonicalText: string, network: Network): boolean {
  if (familyOf(canonicalText) !== network.family) return false
  const bytes = ipToBytes(canonicalText)
  const wholeBytes = network.prefixLength >> 3
  for (let index = 0; index < wholeBytes; index += 1) {
    if (bytes[index] !== network.bytes[index]) return false
  }
  const restBits = network.prefixLength & 7
  if (restBits === 0) return true
  const mask = (0xff00 >> restBits) & 0xff
  return (bytes[wholeBytes]! & mask) === network.bytes[wholeBytes]
}

/**
 * The network of a canonical address: `networkOf('192.0.2.7', 24)` is that of `192.0.2.0/24`.
 * `prefixLength` must be 0 to 32, or 0 to 128 for IPv6; RangeError otherwise.
 */
export function networkOf(canonicalText: string, prefixLength: number): Network {
  const family = familyOf(canonicalText)
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > ADDRESS_BITS[family]) {
    throw new RangeError(`prefix length ${prefixLength} is not 0 to ${ADDRESS_BITS[family]}`)
  }
  const bytes = maskBytes(ipToBytes(canonicalText), prefixLength)
  return { family, address: bytesToIp(bytes), prefixLength, bytes }
}

/** `formatCidr(networkOf(canonicalText, prefixLength))`, faster: every attempt calls it several times. */
export function networkText(canonicalText: string, prefixLength: number): string {
  const isWhole = Number.isInteger(prefixLength) && prefixLength > 0 && prefixLength <= 32
  const isPlain = isWhole && familyOf(canonicalText) === 4
  if (!isPlain) return formatCidr(networkOf(canonicalText, prefixLength))
  const mask = -1 << (32 - prefixLength)
  return `${formatIpv4((ipv4ToNumber(canonicalText) & mask) >>> 0)}/${prefixLength}`
}

/** Big-endian bytes of a canonical address: 4 for IPv4, 16 for IPv6. */
export function ipToBytes(canonicalText: string): Uint8Array {
  if (familyOf(canonicalText) === 4) {
    const value = ipv4ToNumber(canonicalText)
    return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
  }
  const bytes = new Uint8Array(16)
  parseIpv6Groups(canonicalText).forEach((group, index) => {
    bytes[index * 2] = group >>> 8
    bytes[index * 2 + 1] = group & 255
  })
  return bytes
}

/**
 * Canonical text of 4 or 16 big-endian bytes; RangeError for another length. Sixteen bytes always give IPv6
 * text, even for an IPv4-mapped address: pass the result to `canonicalIp` to fold that.
 */
export function bytesToIp(bytes: Uint8Array): string {
  // Without a DataView, which would double the cost: each attempt needs the network of its client.
  if (bytes.length === 4) {
    return formatIpv4(((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length !== 16) throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`)
  const groups = new Uint16Array(8)
  for (let index = 0; index < 8; index += 1) groups[index] = view.getUint16(index * 2)
  return formatIpv6(groups)
}

function maskBytes(bytes: Uint8Array, prefixLength: number): Uint8Array {
  const masked = new Uint8Array(bytes.length)
  for (let index = 0; index < bytes.length; index += 1) {
    const keptBits = Math.min(8, Math.max(0, prefixLength - index * 8))
    masked[index] = bytes[index]! & (0xff00 >> keptBits)
  }
  return masked
}

function mappedBytes(ipv4Bytes: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes.fill(0xff, 10, 12)
  bytes.set(ipv4Bytes, 12)
  return bytes
}
