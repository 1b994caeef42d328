/**
 * Messages of version 3 of the synchronisation protocol, exchanged between gateways of this suite only: which changes
 * of a journal a datagram covers, and the resulting records. Other programs refuse the version without reading
 * further.
 *
 * | offset | size | field                                                                 |
 * | ---    | ---  | ---                                                                   |
 * | 0      | 1    | version, 3                                                            |
 * | 1      | 1    | flags: 1 = the sender tells the receiver everything in this version   |
 * | 2      | 2    | length of header and records                                          |
 * | 4      | 4    | number of the sender's database                                       |
 * | 8      | 6    | number of the message: larger with every message of that database     |
 * | 14     | 6    | the sender's clock, milliseconds since the Epoch                      |
 * | 20     | 6    | `from`: the records tell all that changed behind this number of the journal … |
 * | 26     | 6    | `upTo`: … up to this one; both are equal in a heartbeat               |
 * | 32     | 32   | HMAC-SHA-256 over the length, with these bytes zero                   |
 *
 * Records follow (sync-record.ts).
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { ByteReader } from './byte-reader.js'
import { decodeRecords } from './decode-sync-records.js'
import type { Decoded } from './decoded.js'
import { MAX_RECORD_BYTES, type RecordRefusal, type SyncRecord } from './sync-record.js'

/** First byte of every message. */
export const STATE_VERSION = 3
const HEADER_BYTES = 64
const HMAC_OFFSET = 32
const HMAC_BYTES = 32
const IS_TOLD_ALL = 1

/** Maximum length: fits into an Ethernet packet after the headers of IP and UDP, with room for a tunnel. */
const USUAL_BYTES = 1400
/**
 * Maximum length of a message with a single long record, which travels in fragments.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_STATE_MESSAGE_BYTES = HEADER_BYTES + MAX_RECORD_BYTES

/** The header fields of a message. */
export interface StateHeader {
  node: number
  number: number
  /** The sender's clock, milliseconds since the Epoch. */
  clockMs: number
  from: number
  upTo: number
  /** The sender sends everything to this receiver in version 3, so its messages of version 2 need not be applied. */
  isTellingAll: boolean
}

export interface StateMessage extends StateHeader {
  records: SyncRecord[]
  /** Number of records of an unknown type. */
  unknownCount: number
}

export type StateRefusal = 'too long' | 'truncated' | 'version' | 'hmac' | RecordRefusal

/** The key of version 3, derived from the content of the key file; it cannot be derived from the key of version 2. */
export function stateKeyOf(fileContent: Uint8Array): Uint8Array {
  return createHash('sha256').update('spamd sync version 3\0').update(fileContent).digest()
}

/** Bytes of records that fit into one message; a single longer record is sent alone. */
export const USUAL_RECORD_BYTES = USUAL_BYTES - HEADER_BYTES

/** One datagram. `records` are the bytes of encoded records. */
export function encodeStateMessage(
  header: StateHeader,
  records: readonly Uint8Array[],
  key: Uint8Array,
): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), ...records])
  bytes[0] = STATE_VERSION
  bytes[1] = header.isTellingAll ? IS_TOLD_ALL : 0
  bytes.writeUInt16BE(bytes.length, 2)
  bytes.writeUInt32BE(header.node, 4)
  let at = 8
  for (const value of [header.number, header.clockMs, header.from, header.upTo]) {
    at = bytes.writeUIntBE(value, at, 6)
  }
  createHmac('sha256', key).update(bytes).digest().copy(bytes, HMAC_OFFSET)
  return bytes
}

const ZERO_HMAC = new Uint8Array(HMAC_BYTES)

/** Reads a datagram; the HMAC is compared in constant time before anything after the length is read. */
export function decodeStateMessage(bytes: Uint8Array, key: Uint8Array): Decoded<StateMessage, StateRefusal> {
  if (bytes.length > MAX_STATE_MESSAGE_BYTES) return refused('too long', MAX_STATE_MESSAGE_BYTES)
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  const flags = reader.u8()
  const totalBytes = reader.u16be()
  const node = reader.u32be()
  const [number, clockMs, from, upTo] = [u48(reader), u48(reader), u48(reader), u48(reader)] as const
  const mac = reader.take(HMAC_BYTES)
  if (reader.isShort) return refused('truncated', bytes.length)
  if (version !== STATE_VERSION) return refused('version', 0)
  if (totalBytes !== bytes.length) return refused('truncated', 2)
  const wanted = createHmac('sha256', key)
    .update(bytes.subarray(0, HMAC_OFFSET))
    .update(ZERO_HMAC)
    .update(bytes.subarray(HEADER_BYTES))
    .digest()
  if (!timingSafeEqual(wanted, mac)) return refused('hmac', HMAC_OFFSET)
  if (upTo < from) return refused('truncated', 20)
  const decoded = decodeRecords(bytes, HEADER_BYTES, totalBytes)
  if (typeof decoded === 'string') return refused(decoded, HEADER_BYTES)
  const header = { node, number, clockMs, from, upTo, isTellingAll: (flags & IS_TOLD_ALL) !== 0 }
  return { ok: true, value: { ...header, ...decoded }, bytesRead: totalBytes }
}

function u48(reader: ByteReader): number {
  return reader.u16be() * 2 ** 32 + reader.u32be()
}

function refused(reason: StateRefusal, offset: number): Decoded<StateMessage, StateRefusal> {
  return { ok: false, reason, offset }
}
