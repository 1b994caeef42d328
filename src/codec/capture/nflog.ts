/**
 * Records of Linux NFLOG, link type 239: a header of 4 bytes, then TLVs.
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 1 | family: 2 IPv4, 10 IPv6, 7 bridge, 0 unspecified |
 * | 1 | 1 | version, 0 |
 * | 2 | 2 | group, big-endian |
 * | 4 | .. | TLVs: length (with these 4 bytes) and type, 2 bytes each **in host order**; value; padding to 4 |
 *
 * Values are big-endian. Source: linux/netfilter/nfnetlink_log.h (enum nfulnl_attr_type) and the LINKTYPE_NFLOG
 * page of tcpdump.org.
 */
import { ByteReader } from '../byte-reader.js'
import type { Decoded } from '../decoded.js'

/** Source: LINKTYPE_NFLOG of the tcpdump.org link-layer types. */
export const LINK_TYPE_NFLOG = 239

/** NFULA_* attribute numbers that we read. */
const NFULA_PACKET_HDR = 1
const NFULA_IFINDEX_INDEV = 4
const NFULA_IFINDEX_OUTDEV = 5
const NFULA_PAYLOAD = 9
const NFULA_PREFIX = 10
/** The two top bits of a type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER). */
const TYPE_MASK = 0x3fff
/**
 * The kernel knows 21 attributes and writes each once; a record with more is not from the kernel.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_NFLOG_TLVS = 64
/**
 * nft allows 127 bytes of prefix and a NUL.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_PREFIX_BYTES = 128

/** NF_INET_* hook numbers. */
export const HOOK_PREROUTING = 0
export const HOOK_INPUT = 1
export const HOOK_FORWARD = 2
export const HOOK_OUTPUT = 3
export const HOOK_POSTROUTING = 4

export type ByteOrder = 'little' | 'big'

export interface NflogRecord {
  family: number
  group: number
  /** Netfilter hook, or undefined when there is no packet header. */
  hook: number | undefined
  /** Interface indexes, or undefined when not given. */
  inputIndex: number | undefined
  outputIndex: number | undefined
  /** Text of the rule, without its NUL; one character per byte; '' when absent. */
  prefix: string
  /** The packet from its IP header on, a view into the given bytes. */
  payload: Uint8Array
}

export type NflogReason = 'truncated' | 'version' | 'tlv-length' | 'too-many-tlvs' | 'no-payload'

/** Decodes one record whose TLV heads are in the given byte order (that of the capturing host). */
export function decodeNflog(bytes: Uint8Array, byteOrder: ByteOrder): Decoded<NflogRecord, NflogReason> {
  const reader = new ByteReader(bytes)
  const family = reader.u8()
  const version = reader.u8()
  const group = reader.u16be()
  if (reader.isShort) return { ok: false, reason: 'truncated', offset: bytes.length }
  if (version !== 0) return { ok: false, reason: 'version', offset: 1 }
  const record: NflogRecord = {
    family,
    group,
    hook: undefined,
    inputIndex: undefined,
    outputIndex: undefined,
    prefix: '',
    payload: bytes.subarray(0, 0),
  }
  let hasPayload = false
  for (let count = 0; reader.remaining >= 4; count += 1) {
    const tlvAt = reader.position
    if (count === MAX_NFLOG_TLVS) return { ok: false, reason: 'too-many-tlvs', offset: tlvAt }
    const lengthBytes = byteOrder === 'little' ? reader.u16le() : reader.u16be()
    const type = (byteOrder === 'little' ? reader.u16le() : reader.u16be()) & TYPE_MASK
    const valueBytes = lengthBytes - 4
    if (valueBytes < 0 || valueBytes > reader.remaining) {
      return { ok: false, reason: 'tlv-length', offset: tlvAt }
    }
    if (type === NFULA_PAYLOAD) {
      record.payload = reader.take(valueBytes)
      hasPayload = true
    } else {
      readAttribute(record, type, reader, valueBytes)
    }
    // The last value may lack its padding.
    reader.seek(Math.min(tlvAt + Math.ceil(lengthBytes / 4) * 4, bytes.length))
  }
  if (!hasPayload) return { ok: false, reason: 'no-payload', offset: bytes.length }
  return { ok: true, value: record, bytesRead: bytes.length - reader.remaining }
}

function readAttribute(record: NflogRecord, type: number, reader: ByteReader, valueBytes: number): void {
  if (type === NFULA_PACKET_HDR && valueBytes >= 4) {
    reader.skip(2)
    record.hook = reader.u8()
  } else if (type === NFULA_IFINDEX_INDEV && valueBytes >= 4) {
    record.inputIndex = reader.u32be()
  } else if (type === NFULA_IFINDEX_OUTDEV && valueBytes >= 4) {
    record.outputIndex = reader.u32be()
  } else if (type === NFULA_PREFIX) {
    record.prefix = reader.paddedText(Math.min(valueBytes, MAX_PREFIX_BYTES))
  }
}
