/**
 * Stamps as stored in the database: short, because every entry has one. A stamp is its time (6 bytes, most
 * significant first, so that the bytes of stamps sort by time), then number of the node and counter as
 * varints. Nodes have small numbers in each database (table `nodes`).
 */
import type { HostMarks, TupleMarks } from '../../domain/held.js'
import { latestMark } from '../../domain/host-marks.js'
import { compareStamps, type Stamp } from '../../domain/stamp.js'

/** Numbers of nodes in one database, both ways. */
export interface NodeNumbers {
  numberOf(node: number): number
  nodeOf(number: number): number
}

/** Bytes of a stamp that hold its time, and stand first. */
export const STAMP_TIME_BYTES = 6
/**
 * Bytes of marks of an address, no more of which have room for two stamps: the time of the only one stands behind the first
 * byte.
 */
export const ONE_STAMP_BYTES = 2 * (STAMP_TIME_BYTES + 2)
/** In place of a time: the same stamp as the one before. No time begins with it before the year 10889. */
const SAME = 0xff

/** What a blob of host marks holds, in this order. */
const HAS_RESET = 1
const HAS_WHITE = 2
const HAS_GRANT = 4
const HAS_TRAP = 8
const HAS_HAND = 16
const HAS_HIDDEN_WHITE = 32
const HAS_HIDDEN_TRAP = 64

const IS_PINNED = 1
const IS_TRAPPED = 2
const HAS_OWN_EXPIRE = 4

/** Longest blob: five stamps of at most 16 bytes and six numbers, with their flags. */
const SCRATCH = Buffer.alloc(160)

class Writer {
  #length = 0
  #last: Stamp | undefined
  readonly #nodes: NodeNumbers

  constructor(nodes: NodeNumbers) {
    this.#nodes = nodes
  }

  byte(value: number): void {
    SCRATCH[this.#length++] = value
  }

  stamp(stamp: Stamp): void {
    if (compareStamps(stamp, this.#last) === 0) {
      this.byte(SAME)
      return
    }
    this.#last = stamp
    this.#length = SCRATCH.writeUIntBE(stamp.time, this.#length, STAMP_TIME_BYTES)
    this.#varint(this.#nodes.numberOf(stamp.node))
    this.#varint(stamp.counter)
  }

  number(value: number): void {
    this.#length = SCRATCH.writeDoubleBE(value, this.#length)
  }

  take(): Buffer {
    return Buffer.from(SCRATCH.subarray(0, this.#length))
  }

  #varint(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.byte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.byte(rest)
  }
}

class Reader {
  #at = 0
  #last: Stamp | undefined
  readonly #bytes: Buffer
  readonly #nodes: NodeNumbers

  constructor(bytes: Buffer, nodes: NodeNumbers) {
    this.#bytes = bytes
    this.#nodes = nodes
  }

  byte(): number {
    return this.#bytes[this.#at++] ?? 0
  }

  stamp(): Stamp {
    if (this.#bytes[this.#at] === SAME && this.#last !== undefined) {
      this.#at += 1
      return this.#last
    }
    const time = this.#bytes.readUIntBE(this.#at, STAMP_TIME_BYTES)
    this.#at += STAMP_TIME_BYTES
    const node = this.#nodes.nodeOf(this.#varint())
    this.#last = { time, counter: this.#varint(), node }
    return this.#last
  }

  number(): number {
    const value = this.#bytes.readDoubleBE(this.#at)
    this.#at += 8
    return value
  }

  #varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
}

/** The bytes of one stamp. */
export function encodeStamp(stamp: Stamp, nodes: NodeNumbers): Buffer {
  const writer = new Writer(nodes)
  writer.stamp(stamp)
  return writer.take()
}

/** The stamp that its encoder wrote. */
export function decodeStamp(bytes: Buffer, nodes: NodeNumbers): Stamp {
  return new Reader(bytes, nodes).stamp()
}

/**
 * Columns of an address: stamp, granted, node, marks. Numbers if possible, because reading bytes costs more.
 */
export type HostMarkColumns = [number | null, number | null, number | null, Buffer | null]

/** Values of `granted`: the register is older than stamps; the entry was made by hand, its reset is `stamp` too. */
const GRANTED_BEFORE = 0
const BY_HAND = -1

/**
 * The columns of an address. `stamp` is that of the register that the entry shows, `granted` the grant of a WHITE
 * entry when it is another one; whatever is more than that is in `marks`, the others NULL.
 */
// eslint-disable-next-line complexity -- the packed shapes of a mark, tried one after the other
export function hostMarkColumns(
  kind: 'WHITE' | 'TRAPPED',
  marks: HostMarks | undefined,
  nodes: NodeNumbers,
): HostMarkColumns {
  if (marks === undefined) return [null, null, null, null]
  const { reset, white, trap, hand, hiddenWhite, hiddenTrap } = marks
  const stamp = kind === 'WHITE' ? white?.stamp : trap
  const other = kind === 'WHITE' ? trap : white
  const isPlain =
    stamp !== undefined &&
    stamp.counter < COUNTERS &&
    (other ?? hand ?? hiddenWhite ?? hiddenTrap) === undefined
  if (isPlain) {
    const node = nodes.numberOf(stamp.node)
    const isByHand = reset !== undefined && compareStamps(reset, stamp) === 0
    if (kind === 'TRAPPED' || (white?.grant !== undefined && compareStamps(white.grant, stamp) === 0)) {
      if (reset === undefined) return [packStamp(stamp), null, node, null]
      if (isByHand) return [packStamp(stamp), BY_HAND, node, null]
    } else if (reset === undefined) {
      const grant = white?.grant
      if (grant === undefined) return [packStamp(stamp), GRANTED_BEFORE, node, null]
      if (grant.node === stamp.node && grant.counter < COUNTERS) {
        return [packStamp(stamp), packStamp(grant), node, null]
      }
    }
  }
  return [null, null, null, encodeHostMarks(marks, nodes)]
}

/** The marks that `hostMarkColumns` stored; undefined for an entry older than stamps. */
export function hostMarksOf(
  kind: 'WHITE' | 'TRAPPED',
  [packed, granted, number, bytes]: HostMarkColumns,
  nodes: NodeNumbers,
): HostMarks | undefined {
  if (bytes !== null) return decodeHostMarks(bytes, nodes)
  if (packed === null) return undefined
  const node = nodes.nodeOf(number ?? 0)
  const stamp = unpackStamp(packed, node)
  const reset = granted === BY_HAND ? stamp : undefined
  if (kind === 'TRAPPED') return { reset, trap: stamp }
  if (granted === null || granted === BY_HAND) return { reset, white: { grant: stamp, stamp } }
  const grant = granted === GRANTED_BEFORE ? undefined : unpackStamp(granted, node)
  return { white: { grant, stamp } }
}

/** The latest stamp in the columns of an address; see `latestMark`. The grant is never later than `stamp`. */
export function latestMarkOf(
  packed: number | null,
  number: number | null,
  bytes: Buffer | null,
  nodes: NodeNumbers,
): Stamp | undefined {
  if (bytes !== null) return latestMark(decodeHostMarks(bytes, nodes))
  return packed === null ? undefined : unpackStamp(packed, nodes.nodeOf(number ?? 0))
}

/**
 * True when columns without `marks` hold nothing of a WHITE entry but its stamp and its grant, if any, in a form that can
 * stay beside a new stamp of this database; `origin`: the database that made the stamp.
 */
export function isGrantOnly(packed: number | null, granted: number | null, origin: 'own' | 'other'): boolean {
  if (packed === null || granted === GRANTED_BEFORE) return true
  return origin === 'own' && granted !== BY_HAND
}

/** A stamp without its node as one whole number: 42 bits for the time, which last until 2109, 11 for the counter. */
const COUNTERS = 2048

/** See `COUNTERS`. */
export function packStamp({ time, counter }: Stamp): number {
  return time * COUNTERS + counter
}

/** The stamp that `packStamp` made a number of. */
export function unpackStamp(packed: number, node: number): Stamp {
  return { time: Math.floor(packed / COUNTERS), counter: packed % COUNTERS, node }
}

/** The bytes of host marks; null when there are none. */
// eslint-disable-next-line complexity -- a flat record: one flag and one field each
export function encodeHostMarks(marks: HostMarks | undefined, nodes: NodeNumbers): Buffer | null {
  if (marks === undefined) return null
  const { reset, white, trap, hand, hiddenWhite, hiddenTrap } = marks
  const writer = new Writer(nodes)
  writer.byte(
    (reset === undefined ? 0 : HAS_RESET) |
      (white === undefined ? 0 : HAS_WHITE) |
      (white?.grant === undefined ? 0 : HAS_GRANT) |
      (trap === undefined ? 0 : HAS_TRAP) |
      (hand === undefined ? 0 : HAS_HAND) |
      (hiddenWhite === undefined ? 0 : HAS_HIDDEN_WHITE) |
      (hiddenTrap === undefined ? 0 : HAS_HIDDEN_TRAP),
  )
  if (reset !== undefined) writer.stamp(reset)
  if (white?.grant !== undefined) writer.stamp(white.grant)
  if (white !== undefined) writer.stamp(white.stamp)
  if (trap !== undefined) writer.stamp(trap)
  if (hand !== undefined) {
    writer.stamp(hand.stamp)
    const { pinned, kind, expire } = hand
    writer.byte(
      (pinned ? IS_PINNED : 0) |
        (kind === 'TRAPPED' ? IS_TRAPPED : 0) |
        (expire === undefined ? 0 : HAS_OWN_EXPIRE),
    )
    if (expire !== undefined) writer.number(expire)
  }
  if (hiddenWhite !== undefined) {
    for (const value of [hiddenWhite.first, hiddenWhite.pass, hiddenWhite.expire]) writer.number(value)
  }
  if (hiddenTrap !== undefined) {
    for (const value of [hiddenTrap.first, hiddenTrap.expire]) writer.number(value)
  }
  return writer.take()
}

/** The marks that their encoder wrote; `undefined` for NULL. */
export function decodeHostMarks(bytes: Buffer | null, nodes: NodeNumbers): HostMarks | undefined {
  if (bytes === null) return undefined
  const reader = new Reader(bytes, nodes)
  const flags = reader.byte()
  const has = (flag: number): boolean => (flags & flag) !== 0
  const marks: { -readonly [Name in keyof HostMarks]: HostMarks[Name] } = {}
  if (has(HAS_RESET)) marks.reset = reader.stamp()
  const grant = has(HAS_GRANT) ? reader.stamp() : undefined
  if (has(HAS_WHITE)) marks.white = { grant, stamp: reader.stamp() }
  if (has(HAS_TRAP)) marks.trap = reader.stamp()
  if (has(HAS_HAND)) {
    const stamp = reader.stamp()
    const handFlags = reader.byte()
    marks.hand = {
      stamp,
      pinned: (handFlags & IS_PINNED) !== 0,
      kind: (handFlags & IS_TRAPPED) === 0 ? 'WHITE' : 'TRAPPED',
      expire: (handFlags & HAS_OWN_EXPIRE) === 0 ? undefined : reader.number(),
    }
  }
  if (has(HAS_HIDDEN_WHITE)) {
    marks.hiddenWhite = { first: reader.number(), pass: reader.number(), expire: reader.number() }
  }
  if (has(HAS_HIDDEN_TRAP)) marks.hiddenTrap = { first: reader.number(), expire: reader.number() }
  return marks
}

const HAS_EPOCH = 1
const HAS_FIRST_NODE = 2
const HAS_LAST_NODE = 4

/** The bytes of a tuple's marks but for `last`, which has a column of its own; null when there are none. */
export function encodeTupleMarks(marks: TupleMarks | undefined, nodes: NodeNumbers): Buffer | null {
  const { epoch, firstNode, lastNode } = marks ?? {}
  if ((epoch ?? firstNode ?? lastNode) === undefined) return null
  const writer = new Writer(nodes)
  writer.byte(
    (epoch === undefined ? 0 : HAS_EPOCH) |
      (firstNode === undefined ? 0 : HAS_FIRST_NODE) |
      (lastNode === undefined ? 0 : HAS_LAST_NODE),
  )
  if (epoch !== undefined) writer.stamp(epoch)
  for (const value of [firstNode, lastNode]) if (value !== undefined) writer.number(value)
  return writer.take()
}

/** The marks of a tuple; undefined when there are none. */
export function tupleMarksOf(
  last: number | null,
  bytes: Buffer | null,
  nodes: NodeNumbers,
): TupleMarks | undefined {
  if (bytes === null) return last === null ? undefined : { last }
  const reader = new Reader(bytes, nodes)
  const flags = reader.byte()
  return {
    epoch: (flags & HAS_EPOCH) === 0 ? undefined : reader.stamp(),
    last: last ?? undefined,
    firstNode: (flags & HAS_FIRST_NODE) === 0 ? undefined : reader.number(),
    lastNode: (flags & HAS_LAST_NODE) === 0 ? undefined : reader.number(),
  }
}
