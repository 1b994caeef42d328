/**
 * Records of pflog(4), link type 117: a header, then the IP packet.
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 1 | length of the header without its final padding |
 * | 1 | 1 | address family, in the numbers of the capturing system |
 * | 2 | 1 | action: 0 pass, 1 block, 8 redirect |
 * | 3 | 1 | reason: 0 rule match |
 * | 4 | 16 | interface name, NUL-padded |
 * | 20 | 16 | ruleset (anchor) name, NUL-padded |
 * | 36 | 4 | rule number, big-endian |
 * | 40 | 4 | sub-rule number, big-endian, all ones for none |
 * | 44 | 1 | direction, in headers of 45 to 60 bytes |
 * | 60 | 1 | direction, in headers of 61 bytes and more |
 * | 62 | 1 | family after translation, in headers of 100 bytes and more (OpenBSD) |
 *
 * Lengths in use: 45 (old), 61 (FreeBSD up to 13.0, NetBSD, macOS), 68, 69 (current FreeBSD), 100 (OpenBSD). Source:
 * net/if_pflog.h of OpenBSD, FreeBSD, NetBSD and macOS (struct pfloghdr).
 */
import type { IpFamily } from '../../ip/address.js'
import { ByteReader } from '../byte-reader.js'
import type { Decoded } from '../decoded.js'

/** Source: DLT_PFLOG of net/bpf.h. */
export const LINK_TYPE_PFLOG = 117

/** Smallest header that has all common fields: MIN_PFLOG_HDRLEN. */
export const PFLOG_MIN_LENGTH = 45
/** Largest length byte whose padded header length still fits into one byte; no system writes a larger one. */
const PFLOG_MAX_LENGTH = 252
/** Headers of this length or more have their direction at offset 60. */
const LONG_HEADER_LENGTH = 61
const OPENBSD_HEADER_LENGTH = 100
const SHORT_DIRECTION_OFFSET = 44
const LONG_DIRECTION_OFFSET = 60
const TRANSLATED_FAMILY_OFFSET = 62
/** Builds with the new struct but the old length state 61 for a header of 68 bytes. */
const FREEBSD_MIXED_HEADER_BYTES = 68

/** Action of a rule that lets the packet pass: PF_PASS. */
export const PF_PASS = 0

export type PflogDirection = 'both' | 'in' | 'out' | 'forward' | 'unknown'
/** By number: PF_INOUT, PF_IN, PF_OUT, PF_FWD. */
const DIRECTIONS: readonly PflogDirection[] = ['both', 'in', 'out', 'forward']

export interface PflogRecord {
  /** The length byte: header without padding. */
  length: number
  /** Address family as written; see `pflogFamily`. */
  af: number
  action: number
  reason: number
  /** One character a byte, untrusted. */
  ifname: string
  ruleset: string
  rulenr: number
  /** 0xffffffff for none. */
  subrulenr: number
  direction: PflogDirection
  /** Where the IP packet begins, from the start of the record. */
  packetOffset: number
}

export type PflogReason = 'truncated' | 'header-length' | 'family' | 'no-packet'

/**
 * Decodes the header and finds the packet after it. The padding differs between systems: the version nibble at the
 * expected offset must match the family; otherwise the other offsets in use are tried.
 */
export function decodePflog(bytes: Uint8Array): Decoded<PflogRecord, PflogReason> {
  const reader = new ByteReader(bytes)
  const length = reader.u8()
  const af = reader.u8()
  const action = reader.u8()
  const reason = reader.u8()
  if (reader.isShort) return { ok: false, reason: 'truncated', offset: bytes.length }
  if (length < PFLOG_MIN_LENGTH || length > PFLOG_MAX_LENGTH) {
    return { ok: false, reason: 'header-length', offset: 0 }
  }
  const ifname = reader.paddedText(16)
  const ruleset = reader.paddedText(16)
  const rulenr = reader.u32be()
  const subrulenr = reader.u32be()
  reader.seek(length >= LONG_HEADER_LENGTH ? LONG_DIRECTION_OFFSET : SHORT_DIRECTION_OFFSET)
  const directionNumber = reader.u8()
  const family = pflogFamily(af)
  let translatedFamily: IpFamily | undefined
  if (length >= OPENBSD_HEADER_LENGTH) {
    reader.seek(TRANSLATED_FAMILY_OFFSET)
    translatedFamily = pflogFamily(reader.u8())
  }
  if (reader.isShort || bytes.length <= roundUp(length, 4)) {
    return { ok: false, reason: 'truncated', offset: bytes.length }
  }
  if (family === undefined) return { ok: false, reason: 'family', offset: 1 }
  const packetOffset = findPacket(bytes, length, family, translatedFamily)
  if (packetOffset === undefined) return { ok: false, reason: 'no-packet', offset: roundUp(length, 4) }
  const direction = DIRECTIONS[directionNumber] ?? 'unknown'
  return {
    ok: true,
    value: { length, af, action, reason, ifname, ruleset, rulenr, subrulenr, direction, packetOffset },
    bytesRead: packetOffset,
  }
}

/** IP version of an address-family number of any supported system, or undefined. */
export function pflogFamily(af: number): IpFamily | undefined {
  if (af === 2) return 4
  return af === 24 || af === 28 || af === 30 || af === 10 ? 6 : undefined
}

/** Where the packet begins by the rule that all variants in use follow. */
export function pflogHeaderBytes(length: number): number {
  return roundUp(length, 4)
}

function findPacket(
  bytes: Uint8Array,
  length: number,
  family: IpFamily,
  translatedFamily: IpFamily | undefined,
): number | undefined {
  const fits = (offset: number): boolean => {
    if (offset >= bytes.length) return false
    const version = bytes[offset]! >> 4
    return version === family || version === translatedFamily
  }
  const usual = roundUp(length, 4)
  if (fits(usual)) return usual
  const wide = roundUp(length, 8)
  if (fits(wide)) return wide
  if (length === LONG_HEADER_LENGTH && fits(FREEBSD_MIXED_HEADER_BYTES)) return FREEBSD_MIXED_HEADER_BYTES
  return undefined
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}
