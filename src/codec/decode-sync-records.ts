/** Reads the records of version 3; see sync-record.ts. */
import { canonicalIp } from '../ip/address.js'
import { bytesToIp } from '../ip/cidr.js'
import { ByteReader } from './byte-reader.js'
import {
  HAND_FLAG,
  HEAD_BYTES,
  HOST_FLAG,
  isNetworkText,
  isReleaseId,
  isTupleKey,
  isWireComment,
  isWireText,
  MAX_KEY_BYTES,
  MAX_TEXT_BYTES,
  POOL_FLAG,
  RECORD_TYPE,
  RELEASE_FLAG,
  type RecordRefusal,
  SPAMTRAP_FLAG,
  type SyncRecord,
  TUPLE_FLAG,
  type WireHost,
  type WirePool,
  type WireRelease,
  type WireSpamtrap,
  type WireStamp,
  type WireTuple,
} from './sync-record.js'

/**
 * Reads records up to `end`. If one is incomplete, or contains an address or text that no entry may have, all
 * are refused; records of an unknown type are skipped and counted.
 */
export function decodeRecords(
  bytes: Uint8Array,
  start: number,
  end: number,
): { records: SyncRecord[]; unknownCount: number } | RecordRefusal {
  const records: SyncRecord[] = []
  let unknownCount = 0
  for (let position = start; position < end; ) {
    const head = new ByteReader(bytes, position, end)
    const type = head.u8()
    const flags = head.u8()
    const lengthBytes = head.u16be()
    if (head.isShort || lengthBytes < HEAD_BYTES || position + lengthBytes > end) return 'entry length'
    const reader = new ByteReader(bytes, position + HEAD_BYTES, position + lengthBytes)
    const record = readBody(type, flags, reader)
    if (record === 'unknown') unknownCount += 1
    else if (typeof record === 'string') return record
    else if (reader.isShort || reader.remaining > 0) return 'entry length'
    else records.push(record)
    position += lengthBytes
  }
  return { records, unknownCount }
}

function readBody(type: number, flags: number, reader: ByteReader): SyncRecord | RecordRefusal | 'unknown' {
  switch (type) {
    case RECORD_TYPE.host:
      return readHost(flags, reader)
    case RECORD_TYPE.tuple:
      return readTuple(flags, reader)
    case RECORD_TYPE.spamtrap:
      return readSpamtrap(flags, reader)
    case RECORD_TYPE.pool:
      return readPool(flags, reader)
    case RECORD_TYPE.release:
      return readRelease(flags, reader)
    default:
      return 'unknown'
  }
}

function readHost(flags: number, reader: ByteReader): WireHost | RecordRefusal {
  const bytes = reader.take((flags & HOST_FLAG.ipv6) === 0 ? 4 : 16)
  if (reader.isShort) return 'entry length'
  const ip = bytesToIp(bytes)
  // An IPv4 address in an IPv6 one, which would be another key for the same client.
  if (canonicalIp(ip) !== ip) return 'address'
  const bcount = reader.u32be()
  const pcount = reader.u32be()
  const registers: WireHost['registers'] = { bcount, pcount }
  if ((flags & HOST_FLAG.reset) !== 0) registers.reset = readStamp(reader)
  if ((flags & HOST_FLAG.white) !== 0) {
    registers.white = {
      grant: readStamp(reader),
      stamp: readStamp(reader),
      first: readTime(reader),
      pass: readTime(reader),
      expire: readTime(reader),
    }
  }
  if ((flags & HOST_FLAG.trap) !== 0) {
    registers.trap = { stamp: readStamp(reader), first: readTime(reader), expire: readTime(reader) }
  }
  if ((flags & HOST_FLAG.hand) !== 0) {
    const handStamp = readStamp(reader)
    const handFlags = reader.u8()
    const expire = (handFlags & HAND_FLAG.expire) === 0 ? undefined : readTime(reader)
    const comment = (handFlags & HAND_FLAG.comment) === 0 ? undefined : readComment(reader)
    if (comment === false) return 'string'
    registers.hand = {
      stamp: handStamp,
      pinned: (handFlags & HAND_FLAG.pinned) !== 0,
      kind: (handFlags & HAND_FLAG.trapped) === 0 ? 'WHITE' : 'TRAPPED',
      expire,
      comment,
    }
  }
  return { kind: 'host', ip, registers }
}

function readTuple(flags: number, reader: ByteReader): WireTuple | RecordRefusal {
  const ip = readText(reader, MAX_KEY_BYTES)
  const helo = readText(reader, MAX_TEXT_BYTES)
  const from = readText(reader, MAX_TEXT_BYTES)
  const to = readText(reader, MAX_TEXT_BYTES)
  if (reader.isShort) return 'entry length'
  if (ip === false || helo === false || from === false || to === false) return 'string'
  if (from === '' || to === '') return 'string'
  if (!isTupleKey(ip)) return 'address'
  const tuple = { ip, helo, from, to }
  const epoch = (flags & TUPLE_FLAG.epoch) === 0 ? undefined : readStamp(reader)
  if ((flags & TUPLE_FLAG.deleted) !== 0) {
    return epoch === undefined ? 'entry length' : { kind: 'tuple', tuple, state: { epoch } }
  }
  const first = { time: readTime(reader), node: reader.u32be() }
  const last = { time: readTime(reader), node: reader.u32be() }
  const state = { first, last, expire: readTime(reader), count: reader.u32be() }
  return { kind: 'tuple', tuple, state: epoch === undefined ? state : { epoch, ...state } }
}

function readSpamtrap(flags: number, reader: ByteReader): WireSpamtrap | RecordRefusal {
  const address = readText(reader, MAX_TEXT_BYTES)
  if (reader.isShort) return 'entry length'
  if (address === false || address === '') return 'string'
  const changed = readStamp(reader)
  if ((flags & SPAMTRAP_FLAG.there) === 0)
    return { kind: 'spamtrap', address, stamp: changed, entry: undefined }
  const first = readTime(reader)
  const comment = (flags & SPAMTRAP_FLAG.comment) === 0 ? undefined : readComment(reader)
  if (comment === false) return 'string'
  const entry = { kind: 'SPAMTRAP' as const, address, first, ...(comment === undefined ? {} : { comment }) }
  return { kind: 'spamtrap', address, stamp: changed, entry }
}

function readPool(flags: number, reader: ByteReader): WirePool | RecordRefusal {
  const network = readText(reader, MAX_KEY_BYTES)
  if (reader.isShort) return 'entry length'
  if (network === false || !isNetworkText(network)) return 'address'
  const reset = (flags & POOL_FLAG.closed) === 0 ? undefined : readStamp(reader)
  if ((flags & POOL_FLAG.open) === 0) return { kind: 'pool', network, reset, entry: undefined }
  const pool = readText(reader, MAX_KEY_BYTES)
  if (reader.isShort) return 'entry length'
  if (pool === false || !isTupleKey(pool)) return 'address'
  const times = { first: readTime(reader), pass: readTime(reader), expire: readTime(reader) }
  const counts = { bcount: reader.u32be(), pcount: reader.u32be() }
  return { kind: 'pool', network, reset, entry: { kind: 'POOL', ip: network, pool, ...times, ...counts } }
}

// eslint-disable-next-line complexity -- a wire format: one field after the other, each may be absent or bad
function readRelease(flags: number, reader: ByteReader): WireRelease | RecordRefusal {
  const id = readText(reader, MAX_KEY_BYTES)
  if (reader.isShort) return 'entry length'
  if (id === false || !isReleaseId(id)) return 'string'
  const changed = readStamp(reader)
  const times = { first: readTime(reader), expire: readTime(reader), used: reader.u32be() }
  const has = (flag: number): boolean => (flags & flag) !== 0
  const from = has(RELEASE_FLAG.from) ? readText(reader, MAX_TEXT_BYTES) : undefined
  const to = has(RELEASE_FLAG.to) ? readText(reader, MAX_TEXT_BYTES) : undefined
  const network = has(RELEASE_FLAG.network) ? readText(reader, MAX_KEY_BYTES) : undefined
  const author = has(RELEASE_FLAG.author) ? readComment(reader) : undefined
  if (reader.isShort) return 'entry length'
  if (from === false || to === false || author === false) return 'string'
  if (from === undefined && to === undefined) return 'string'
  if (network === false || (network !== undefined && !isNetworkText(network))) return 'address'
  const scope = has(RELEASE_FLAG.forPool) ? 'pool' : 'address'
  const terms = present({ from, to, network, author })
  return { kind: 'release', id, stamp: changed, entry: { kind: 'RELEASE', id, scope, ...times, ...terms } }
}

/** The object without fields that are undefined. */
function present<F extends Record<string, string | undefined>>(fields: F): { [K in keyof F]?: string } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof F]?: string }
}

function readTime(reader: ByteReader): number {
  return reader.u16be() * 2 ** 32 + reader.u32be()
}

function readStamp(reader: ByteReader): WireStamp {
  return { time: readTime(reader), counter: reader.u16be(), node: reader.u32be() }
}

/** Bytes as text of one character per byte; false if they contain control characters. */
function readText(reader: ByteReader, maxBytes: number): string | false {
  const bytes = reader.take(reader.u16be())
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  return isWireText(text, maxBytes) && text
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readComment(reader: ByteReader): string | false {
  const bytes = reader.take(reader.u16be())
  if (bytes.length > MAX_TEXT_BYTES) return false
  try {
    const comment = utf8.decode(bytes)
    return isWireComment(comment) && comment
  } catch {
    return false
  }
}
