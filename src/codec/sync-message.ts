/**
 * Messages of spamd's synchronisation protocol, version 2: one UDP datagram each, all numbers big-endian.
 *
 * | offset | size | header field                                                                  |
 * | ---    | ---  | ---                                                                           |
 * | 0      | 1    | version, 2                                                                    |
 * | 1      | 1    | address family, 2 (AF_INET)                                                   |
 * | 2      | 2    | length of header and entries                                                  |
 * | 4      | 4    | counter of the sender                                                         |
 * | 8      | 20   | HMAC-SHA1 over the length, with these bytes zero                              |
 * | 28     | 4    | reserved, 0                                                                   |
 *
 * Entries follow, each with type (2) and length (2, itself included):
 *
 * | type | offset: field                                                                           |
 * | ---  | ---                                                                                     |
 * | 0    | END, length 4                                                                           |
 * | 1    | GREY: 4 timestamp, 8 IPv4, 12 F, 14 T, 16 H, 18 from, to, helo with their NULs, padding |
 * | 2, 3 | WHITE, TRAPPED, length 16: 4 timestamp, 8 expire, 12 IPv4                               |
 * | 4, 5 | the deletions of greyd, as 2 and 3                                                      |
 *
 * Source: sync.h of OpenBSD spamd, spamd_sync of greyd for the deletions; docs/protocol/sync.md.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { formatIpv4, ipv4ToNumber } from '../ip/address.js'
import { ByteReader } from './byte-reader.js'
import type { Decoded } from './decoded.js'

/**
 * Maximum length of a datagram; receivers truncate longer ones. Source: SPAM_SYNC_MAXSIZE of sync.h.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_SYNC_MESSAGE_BYTES = 1408
/** Source: SPAM_SYNC_HMAC_LEN. */
export const HMAC_BYTES = 20

const SYNC_VERSION = 2
/** AF_INET, which is 2 everywhere. */
const FAMILY_INET = 2
const HEADER_BYTES = 32
const HMAC_OFFSET = 8
const TYPE_END = 0
const TYPE_GREY = 1
const TLV_HEAD_BYTES = 4
const ADDRESS_TLV_BYTES = 16
const GREY_HEAD_BYTES = 18
/** Source: SPAM_ALIGNBYTES: GREY entries are padded to a multiple of 16. */
const GREY_ALIGN_BYTES = 16
/** Maximum length of a text with its NUL. Source: MAX_MAIL of grey.h. */
const MAX_STRING_BYTES = 1024

/** Entries that consist of an address and an expiry, by their type on the wire. */
const ADDRESS_TYPES = { 2: 'WHITE', 3: 'TRAPPED', 4: 'DELETE-WHITE', 5: 'DELETE-TRAPPED' } as const
type AddressType = (typeof ADDRESS_TYPES)[keyof typeof ADDRESS_TYPES]
const TYPE_NUMBERS: Readonly<Record<AddressType, number>> = {
  WHITE: 2,
  TRAPPED: 3,
  'DELETE-WHITE': 4,
  'DELETE-TRAPPED': 5,
}

/** A tuple that the sender saw. Strings hold one character per byte. */
export interface SyncGrey {
  type: 'GREY'
  /** The sender's clock, seconds since the Epoch. */
  timestamp: number
  /** Dotted quad. */
  ip: string
  from: string
  to: string
  helo: string
}

/** An address that became WHITE or TRAPPED, or was deleted. `expire` is in seconds since the Epoch, 32 bits. */
export interface SyncAddress {
  type: AddressType
  timestamp: number
  ip: string
  expire: number
}

export type SyncEntry = SyncGrey | SyncAddress

export interface SyncMessage {
  counter: number
  entries: SyncEntry[]
}

/** Why a datagram is refused, in the order of the checks. */
export type SyncRefusal =
  | 'too long'
  | 'truncated'
  | 'version'
  | 'address family'
  | 'hmac'
  | 'entry length'
  | 'entry type'
  | 'string'

/**
 * The HMAC key made from the content of a key file: its SHA-1 as 40 lower-case hexadecimal digits. Without a file
 * (undefined) the key is empty, and anybody can forge messages. Source: sync_init of sync.c.
 */
export function syncKeyOf(fileContent: Uint8Array | undefined): Uint8Array {
  if (fileContent === undefined) return new Uint8Array(0)
  return Buffer.from(createHash('sha1').update(fileContent).digest('hex'), 'latin1')
}

/**
 * One message with one entry and an END; undefined if it would be longer than receivers accept. The entry's text must
 * not contain a NUL and its address must be IPv4; times and counter are truncated to 32 bits.
 */
export function encodeSyncMessage(
  counter: number,
  entry: SyncEntry,
  key: Uint8Array,
): Uint8Array | undefined {
  const entryBytes = entry.type === 'GREY' ? greyBytes(entry) : ADDRESS_TLV_BYTES
  const totalBytes = HEADER_BYTES + entryBytes + TLV_HEAD_BYTES
  if (totalBytes > MAX_SYNC_MESSAGE_BYTES) return undefined
  const bytes = Buffer.alloc(totalBytes)
  bytes[0] = SYNC_VERSION
  bytes[1] = FAMILY_INET
  bytes.writeUInt16BE(totalBytes, 2)
  bytes.writeUInt32BE(counter >>> 0, 4)
  bytes.writeUInt16BE(entry.type === 'GREY' ? TYPE_GREY : TYPE_NUMBERS[entry.type], HEADER_BYTES)
  bytes.writeUInt16BE(entryBytes, HEADER_BYTES + 2)
  bytes.writeUInt32BE(entry.timestamp >>> 0, HEADER_BYTES + 4)
  if (entry.type === 'GREY') writeGrey(bytes, entry)
  else {
    bytes.writeUInt32BE(entry.expire >>> 0, HEADER_BYTES + 8)
    bytes.writeUInt32BE(ipv4ToNumber(entry.ip), HEADER_BYTES + 12)
  }
  bytes.writeUInt16BE(TLV_HEAD_BYTES, totalBytes - 2)
  createHmac('sha1', key).update(bytes).digest().copy(bytes, HMAC_OFFSET)
  return bytes
}

function greyBytes({ from, to, helo }: SyncGrey): number {
  const usedBytes = GREY_HEAD_BYTES + from.length + to.length + helo.length + 3
  return Math.ceil(usedBytes / GREY_ALIGN_BYTES) * GREY_ALIGN_BYTES
}

function writeGrey(bytes: Buffer, { ip, from, to, helo }: SyncGrey): void {
  bytes.writeUInt32BE(ipv4ToNumber(ip), HEADER_BYTES + 8)
  let lengthAt = HEADER_BYTES + 12
  let textAt = HEADER_BYTES + GREY_HEAD_BYTES
  for (const text of [from, to, helo]) {
    bytes.writeUInt16BE(text.length + 1, lengthAt)
    bytes.write(text, textAt, 'latin1')
    lengthAt += 2
    textAt += text.length + 1
  }
}

const ZERO_HMAC = new Uint8Array(HMAC_BYTES)

/**
 * Reads a datagram. The HMAC is checked in constant time before anything after the length is read. Bytes after the
 * stated length or after an END are ignored; END may be missing at the exact end of an entry. Stricter than the
 * originals: one bad entry refuses the whole message, and each string must have its only NUL as its last byte and no
 * control character.
 */
export function decodeSyncMessage(bytes: Uint8Array, key: Uint8Array): Decoded<SyncMessage, SyncRefusal> {
  if (bytes.length > MAX_SYNC_MESSAGE_BYTES) return refused('too long', MAX_SYNC_MESSAGE_BYTES)
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  const family = reader.u8()
  const totalBytes = reader.u16be()
  const counter = reader.u32be()
  const mac = reader.take(HMAC_BYTES)
  reader.skip(4)
  if (reader.isShort) return refused('truncated', bytes.length)
  if (version !== SYNC_VERSION) return refused('version', 0)
  if (family !== FAMILY_INET) return refused('address family', 1)
  if (totalBytes < HEADER_BYTES || totalBytes > bytes.length) return refused('truncated', 2)
  const wanted = createHmac('sha1', key)
    .update(bytes.subarray(0, HMAC_OFFSET))
    .update(ZERO_HMAC)
    .update(bytes.subarray(HMAC_OFFSET + HMAC_BYTES, totalBytes))
    .digest()
  if (!timingSafeEqual(wanted, mac)) return refused('hmac', HMAC_OFFSET)
  return decodeEntries(bytes, totalBytes, counter)
}

function decodeEntries(
  bytes: Uint8Array,
  totalBytes: number,
  counter: number,
): Decoded<SyncMessage, SyncRefusal> {
  const entries: SyncEntry[] = []
  let at = HEADER_BYTES
  while (at < totalBytes) {
    const reader = new ByteReader(bytes, at, totalBytes)
    const type = reader.u16be()
    const lengthBytes = reader.u16be()
    if (reader.isShort || lengthBytes < TLV_HEAD_BYTES || at + lengthBytes > totalBytes) {
      return refused('entry length', at)
    }
    if (type === TYPE_END) {
      if (lengthBytes !== TLV_HEAD_BYTES) return refused('entry length', at)
      break
    }
    const entry = decodeEntry(type, new ByteReader(bytes, at, at + lengthBytes), lengthBytes)
    if (typeof entry === 'string') return refused(entry, at)
    entries.push(entry)
    at += lengthBytes
  }
  return { ok: true, value: { counter, entries }, bytesRead: totalBytes }
}

function decodeEntry(type: number, reader: ByteReader, lengthBytes: number): SyncEntry | SyncRefusal {
  reader.skip(TLV_HEAD_BYTES)
  if (type === TYPE_GREY) return decodeGrey(reader)
  const name = (ADDRESS_TYPES as Readonly<Record<number, AddressType | undefined>>)[type]
  if (name === undefined) return 'entry type'
  if (lengthBytes !== ADDRESS_TLV_BYTES) return 'entry length'
  const timestamp = reader.u32be()
  const expire = reader.u32be()
  return { type: name, timestamp, ip: formatIpv4(reader.u32be()), expire }
}

function decodeGrey(reader: ByteReader): SyncGrey | SyncRefusal {
  const timestamp = reader.u32be()
  const ip = formatIpv4(reader.u32be())
  const fromBytes = reader.u16be()
  const toBytes = reader.u16be()
  const heloBytes = reader.u16be()
  const from = reader.take(fromBytes)
  const to = reader.take(toBytes)
  const helo = reader.take(heloBytes)
  if (reader.isShort || reader.remaining >= GREY_ALIGN_BYTES) return 'entry length'
  if (!isText(from) || !isText(to) || !isText(helo)) return 'string'
  // No gateway makes a tuple without sender or recipient. One without HELO may arrive; the greylister drops it.
  if (fromBytes === 1 || toBytes === 1) return 'string'
  return { type: 'GREY', timestamp, ip, from: textOf(from), to: textOf(to), helo: textOf(helo) }
}

/** True for 0 to 1023 bytes without control characters, followed by a NUL. */
function isText(bytes: Uint8Array): boolean {
  const last = bytes.length - 1
  if (last < 0 || bytes.length > MAX_STRING_BYTES || bytes[last] !== 0) return false
  for (let index = 0; index < last; index += 1) {
    const byte = bytes[index]!
    if (byte < 0x20 || byte === 0x7f) return false
  }
  return true
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length - 1).toString('latin1')
}

function refused(reason: SyncRefusal, offset: number): Decoded<SyncMessage, SyncRefusal> {
  return { ok: false, reason, offset }
}
