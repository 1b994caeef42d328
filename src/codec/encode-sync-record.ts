/** Records of version 3 as bytes; see sync-record.ts. */
import { ipToBytes } from '../ip/cidr.js'
import {
  HAND_FLAG,
  HEAD_BYTES,
  HOST_FLAG,
  isSoundRecord,
  MAX_RECORD_BYTES,
  MAX_TIME,
  MAX_U32,
  POOL_FLAG,
  RECORD_TYPE,
  RELEASE_FLAG,
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

const scratch = Buffer.alloc(MAX_RECORD_BYTES)
let at = 0

/**
 * The bytes of a record that peers accept; undefined for one that they would refuse, together with everything in the
 * same message: an import may bring a tuple without sender, or a control character.
 */
export function encodeSoundRecord(record: SyncRecord): Buffer | undefined {
  return isSoundRecord(record) ? encodeRecord(record) : undefined
}

/**
 * The bytes of one record; undefined if it is longer than any that this suite makes.
 * @internal Tests make records that `encodeSoundRecord` refuses, to read them.
 */
export function encodeRecord(record: SyncRecord): Buffer | undefined {
  at = HEAD_BYTES
  try {
    const [type, flags] = writeBody(record)
    scratch[0] = type
    scratch[1] = flags
    scratch.writeUInt16BE(at, 2)
  } catch (error) {
    // Node's error code for a write beyond the end of a buffer.
    if (error instanceof RangeError) return undefined
    throw error
  }
  return Buffer.from(scratch.subarray(0, at))
}

function writeBody(record: SyncRecord): [type: number, flags: number] {
  switch (record.kind) {
    case 'host':
      return [RECORD_TYPE.host, writeHost(record)]
    case 'tuple':
      return [RECORD_TYPE.tuple, writeTuple(record)]
    case 'spamtrap':
      return [RECORD_TYPE.spamtrap, writeSpamtrap(record)]
    case 'pool':
      return [RECORD_TYPE.pool, writePool(record)]
    case 'release':
      return [RECORD_TYPE.release, writeRelease(record)]
  }
}

function writeHost({ ip, registers }: WireHost): number {
  const { reset, white, trap, hand, bcount, pcount } = registers
  const address = ipToBytes(ip)
  scratch.set(address, at)
  at += address.length
  u32(bcount)
  u32(pcount)
  let flags = address.length === 16 ? HOST_FLAG.ipv6 : 0
  if (reset !== undefined) {
    flags |= HOST_FLAG.reset
    stamp(reset)
  }
  if (white !== undefined) {
    flags |= HOST_FLAG.white
    stamp(white.grant)
    stamp(white.stamp)
    for (const value of [white.first, white.pass, white.expire]) time(value)
  }
  if (trap !== undefined) {
    flags |= HOST_FLAG.trap
    stamp(trap.stamp)
    for (const value of [trap.first, trap.expire]) time(value)
  }
  if (hand !== undefined) {
    flags |= HOST_FLAG.hand
    stamp(hand.stamp)
    const { pinned, kind, expire, comment } = hand
    scratch[at] =
      (pinned ? HAND_FLAG.pinned : 0) |
      (kind === 'TRAPPED' ? HAND_FLAG.trapped : 0) |
      (expire === undefined ? 0 : HAND_FLAG.expire) |
      (comment === undefined ? 0 : HAND_FLAG.comment)
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
    flags |= TUPLE_FLAG.epoch
    stamp(state.epoch)
  }
  if (state.first === undefined) return flags | TUPLE_FLAG.deleted
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
  if (entry.comment === undefined) return SPAMTRAP_FLAG.there
  text(entry.comment, 'utf8')
  return SPAMTRAP_FLAG.there | SPAMTRAP_FLAG.comment
}

function writePool({ network, reset, entry }: WirePool): number {
  text(network, 'latin1')
  if (reset !== undefined) stamp(reset)
  if (entry !== undefined) {
    text(entry.pool, 'latin1')
    for (const value of [entry.first, entry.pass, entry.expire]) time(value)
    u32(entry.bcount)
    u32(entry.pcount)
  }
  return (reset === undefined ? 0 : POOL_FLAG.closed) | (entry === undefined ? 0 : POOL_FLAG.open)
}

function writeRelease({ id, stamp: changed, entry }: WireRelease): number {
  const { from, to, network, scope, first, expire, used, author } = entry
  text(id, 'latin1')
  stamp(changed)
  time(first)
  time(expire)
  u32(used)
  for (const term of [from, to, network]) if (term !== undefined) text(term, 'latin1')
  if (author !== undefined) text(author, 'utf8')
  return (
    (from === undefined ? 0 : RELEASE_FLAG.from) |
    (to === undefined ? 0 : RELEASE_FLAG.to) |
    (network === undefined ? 0 : RELEASE_FLAG.network) |
    (author === undefined ? 0 : RELEASE_FLAG.author) |
    (scope === 'pool' ? RELEASE_FLAG.forPool : 0)
  )
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
