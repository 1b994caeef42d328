/**
 * Records of version 3 of the synchronisation protocol: everything that a gateway knows under one key, with its
 * stamps. The same bytes travel in datagrams (sync-state-message.ts) and over ssh (pull-stream.ts). All numbers are
 * big-endian; docs/protocol/sync.md has the table.
 */
import { canonicalIp } from '../ip/address.js'
import { bytesToIp, formatCidr, ipToBytes, parseCidr } from '../ip/cidr.js'
import { ByteReader } from './byte-reader.js'

/** See `Stamp` of domain/stamp.ts; times in milliseconds since the Epoch. */
export interface WireStamp {
  time: number
  counter: number
  node: number
}

/** Registers of an address; times in seconds since the Epoch. */
export interface WireHost {
  kind: 'host'
  ip: string
  registers: {
    reset?: WireStamp | undefined
    white?: { grant: WireStamp; stamp: WireStamp; first: number; pass: number; expire: number } | undefined
    trap?: { stamp: WireStamp; first: number; expire: number } | undefined
    hand?:
      | {
          stamp: WireStamp
          pinned: boolean
          kind: 'WHITE' | 'TRAPPED'
          expire?: number | undefined
          comment?: string | undefined
        }
      | undefined
    bcount: number
    pcount: number
  }
}

/** Sightings of a tuple, or that it was deleted by hand (`first` undefined). Texts hold one character a byte. */
export interface WireTuple {
  kind: 'tuple'
  tuple: { ip: string; helo: string; from: string; to: string }
  state:
    | {
        epoch?: WireStamp | undefined
        first: { time: number; node: number }
        last: { time: number; node: number }
        expire: number
        count: number
      }
    | { epoch: WireStamp; first?: undefined }
}

/** A spamtrap, or that it was deleted (`entry` undefined). */
export interface WireSpamtrap {
  kind: 'spamtrap'
  address: string
  stamp: WireStamp
  entry: { kind: 'SPAMTRAP'; address: string; first: number; comment?: string } | undefined
}

export type SyncRecord = WireHost | WireTuple | WireSpamtrap

/** Why records are refused. */
export type RecordRefusal = 'entry length' | 'address' | 'string'

const HEAD_BYTES = 4
const TYPE_HOST = 1
const TYPE_TUPLE = 2
const TYPE_SPAMTRAP = 3

const IS_IPV6 = 1
const HAS_RESET = 2
const HAS_WHITE = 4
const HAS_TRAP = 8
const HAS_HAND = 16

const HAND_PINNED = 1
const HAND_TRAPPED = 2
const HAND_EXPIRE = 4
const HAND_COMMENT = 8

const HAS_EPOCH = 1
const IS_DELETED = 2

const IS_PRESENT = 1
const HAS_COMMENT = 2

/** Source: MAX_MAIL of grey.h, less its NUL; comments have the same bound. */
const MAX_TEXT_BYTES = 1023
/** Key of a tuple: an address, a network, or the name of a pool in a domain. */
const MAX_KEY_BYTES = 300
const MAX_TIME = 2 ** 48 - 1
const MAX_U32 = 2 ** 32 - 1
/** Longest record: a tuple of three full texts; every other one is shorter. */
export const MAX_RECORD_BYTES = HEAD_BYTES + 4 * 2 + MAX_KEY_BYTES + 3 * MAX_TEXT_BYTES + 12 + 2 * 10 + 6 + 4

const scratch = Buffer.alloc(MAX_RECORD_BYTES)
let at = 0

/** The bytes of one record; undefined for one that is longer than any that this suite makes. */
export function encodeRecord(record: SyncRecord): Buffer | undefined {
  at = HEAD_BYTES
  try {
    const [type, flags] = writeBody(record)
    scratch[0] = type
    scratch[1] = flags
    scratch.writeUInt16BE(at, 2)
  } catch (error) {
    // Node's own word for a write beyond the end of a buffer.
    if (error instanceof RangeError) return undefined
    throw error
  }
  return Buffer.from(scratch.subarray(0, at))
}

function writeBody(record: SyncRecord): [type: number, flags: number] {
  switch (record.kind) {
    case 'host':
      return [TYPE_HOST, writeHost(record)]
    case 'tuple':
      return [TYPE_TUPLE, writeTuple(record)]
    case 'spamtrap':
      return [TYPE_SPAMTRAP, writeSpamtrap(record)]
  }
}

function writeHost({ ip, registers }: WireHost): number {
  const { reset, white, trap, hand, bcount, pcount } = registers
  const address = ipToBytes(ip)
  scratch.set(address, at)
  at += address.length
  u32(bcount)
  u32(pcount)
  let flags = address.length === 16 ? IS_IPV6 : 0
  if (reset !== undefined) {
    flags |= HAS_RESET
    stamp(reset)
  }
  if (white !== undefined) {
    flags |= HAS_WHITE
    stamp(white.grant)
    stamp(white.stamp)
    for (const value of [white.first, white.pass, white.expire]) time(value)
  }
  if (trap !== undefined) {
    flags |= HAS_TRAP
    stamp(trap.stamp)
    for (const value of [trap.first, trap.expire]) time(value)
  }
  if (hand !== undefined) {
    flags |= HAS_HAND
    stamp(hand.stamp)
    const { pinned, kind, expire, comment } = hand
    scratch[at] =
      (pinned ? HAND_PINNED : 0) |
      (kind === 'TRAPPED' ? HAND_TRAPPED : 0) |
      (expire === undefined ? 0 : HAND_EXPIRE) |
      (comment === undefined ? 0 : HAND_COMMENT)
    at += 1
    if (expire !== undefined) time(expire)
    if (comment !== undefined) text(comment, 'utf8')
  }
  return flags
}

function writeTuple({ tuple, state }: WireTuple): number {
  for (const field of [tuple.ip, tuple.helo, tuple.from, tuple.to]) text(field, 'latin1')
  let flags = 0
  if (state.epoch !== undefined) {
    flags |= HAS_EPOCH
    stamp(state.epoch)
  }
  if (state.first === undefined) return flags | IS_DELETED
  for (const seen of [state.first, state.last]) {
    time(seen.time)
    u32(seen.node)
  }
  time(state.expire)
  u32(state.count)
  return flags
}

function writeSpamtrap({ address, stamp: changed, entry }: WireSpamtrap): number {
  text(address, 'latin1')
  stamp(changed)
  if (entry === undefined) return 0
  time(entry.first)
  if (entry.comment === undefined) return IS_PRESENT
  text(entry.comment, 'utf8')
  return IS_PRESENT | HAS_COMMENT
}

function u32(value: number): void {
  at = scratch.writeUInt32BE(Math.min(MAX_U32, Math.max(0, value)), at)
}

function time(value: number): void {
  at = scratch.writeUIntBE(Math.min(MAX_TIME, Math.max(0, value)), at, 6)
}

function stamp(value: WireStamp): void {
  time(value.time)
  at = scratch.writeUInt16BE(value.counter, at)
  u32(value.node)
}

function text(value: string, encoding: 'latin1' | 'utf8'): void {
  const lengthBytes = Buffer.byteLength(value, encoding)
  at = scratch.writeUInt16BE(lengthBytes, at)
  if (at + lengthBytes > scratch.length) throw new RangeError('longer than a record')
  at += scratch.write(value, at, encoding)
}

/**
 * Reads records up to `end`. One that is not whole, or holds an address or text that no entry may have, refuses all of
 * them; records of a type that is not known are passed over and counted.
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
    case TYPE_HOST:
      return readHost(flags, reader)
    case TYPE_TUPLE:
      return readTuple(flags, reader)
    case TYPE_SPAMTRAP:
      return readSpamtrap(flags, reader)
    default:
      return 'unknown'
  }
}

function readHost(flags: number, reader: ByteReader): WireHost | RecordRefusal {
  const bytes = reader.take((flags & IS_IPV6) === 0 ? 4 : 16)
  if (reader.isShort) return 'entry length'
  const ip = bytesToIp(bytes)
  // An IPv4 address in an IPv6 one, which would be another key for the same client.
  if (canonicalIp(ip) !== ip) return 'address'
  const bcount = reader.u32be()
  const pcount = reader.u32be()
  const registers: WireHost['registers'] = { bcount, pcount }
  if ((flags & HAS_RESET) !== 0) registers.reset = readStamp(reader)
  if ((flags & HAS_WHITE) !== 0) {
    registers.white = {
      grant: readStamp(reader),
      stamp: readStamp(reader),
      first: readTime(reader),
      pass: readTime(reader),
      expire: readTime(reader),
    }
  }
  if ((flags & HAS_TRAP) !== 0) {
    registers.trap = { stamp: readStamp(reader), first: readTime(reader), expire: readTime(reader) }
  }
  if ((flags & HAS_HAND) !== 0) {
    const handStamp = readStamp(reader)
    const handFlags = reader.u8()
    const expire = (handFlags & HAND_EXPIRE) === 0 ? undefined : readTime(reader)
    const comment = (handFlags & HAND_COMMENT) === 0 ? undefined : readComment(reader)
    if (comment === false) return 'string'
    registers.hand = {
      stamp: handStamp,
      pinned: (handFlags & HAND_PINNED) !== 0,
      kind: (handFlags & HAND_TRAPPED) === 0 ? 'WHITE' : 'TRAPPED',
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
  const epoch = (flags & HAS_EPOCH) === 0 ? undefined : readStamp(reader)
  if ((flags & IS_DELETED) !== 0) {
    return epoch === undefined ? 'entry length' : { kind: 'tuple', tuple, state: { epoch } }
  }
  const first = { time: readTime(reader), node: reader.u32be() }
  const last = { time: readTime(reader), node: reader.u32be() }
  const state = { first, last, expire: readTime(reader), count: reader.u32be() }
  return { kind: 'tuple', tuple, state: epoch === undefined ? state : { epoch, ...state } }
}

/** A name in lower case, which may have a domain behind it: the key of a pool. */
const POOL_KEY = /^[a-z]+(?::[a-z0-9._-]+)?$/

function isTupleKey(key: string): boolean {
  if (canonicalIp(key) === key) return true
  const network = parseCidr(key)
  if (network !== undefined) return formatCidr(network) === key
  return POOL_KEY.test(key)
}

function readSpamtrap(flags: number, reader: ByteReader): WireSpamtrap | RecordRefusal {
  const address = readText(reader, MAX_TEXT_BYTES)
  if (reader.isShort) return 'entry length'
  if (address === false || address === '') return 'string'
  const changed = readStamp(reader)
  if ((flags & IS_PRESENT) === 0) return { kind: 'spamtrap', address, stamp: changed, entry: undefined }
  const first = readTime(reader)
  const comment = (flags & HAS_COMMENT) === 0 ? undefined : readComment(reader)
  if (comment === false) return 'string'
  const entry = { kind: 'SPAMTRAP' as const, address, first, ...(comment === undefined ? {} : { comment }) }
  return { kind: 'spamtrap', address, stamp: changed, entry }
}

function readTime(reader: ByteReader): number {
  return reader.u16be() * 2 ** 32 + reader.u32be()
}

function readStamp(reader: ByteReader): WireStamp {
  return { time: readTime(reader), counter: reader.u16be(), node: reader.u32be() }
}

/** Bytes without control characters, as text of one character a byte; false for others. */
function readText(reader: ByteReader, maxBytes: number): string | false {
  const bytes = reader.take(reader.u16be())
  if (bytes.length > maxBytes) return false
  for (const byte of bytes) if (byte < 0x20 || byte === 0x7f) return false
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

function readComment(reader: ByteReader): string | false {
  const bytes = reader.take(reader.u16be())
  if (bytes.length > MAX_TEXT_BYTES) return false
  try {
    const comment = utf8.decode(bytes)
    return CONTROL.test(comment) ? false : comment
  } catch {
    return false
  }
}
