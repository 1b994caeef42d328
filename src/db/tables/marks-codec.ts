/**
 * Stamps as the database keeps them: short, since every entry has one. A stamp is its time (6 bytes, most
 * significant first, so that the bytes of stamps sort by time), then number of the node and counter as varints.
 * Nodes have small numbers of their own in each database (table `nodes`).
 */
import type { HostMarks, TupleMarks } from '../../domain/held.js'
import { compareStamps, type Stamp } from '../../domain/stamp.js'

/** Numbers of nodes in one database, both ways. */
export interface NodeNumbers {
  numberOf(node: number): number
  nodeOf(number: number): number
}

const TIME_BYTES = 6
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
    this.#length = SCRATCH.writeUIntBE(stamp.time, this.#length, TIME_BYTES)
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
    const time = this.#bytes.readUIntBE(this.#at, TIME_BYTES)
    this.#at += TIME_BYTES
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

/** The bytes of host marks; null when there are none. */
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
const HAS_LAST = 2
const HAS_FIRST_NODE = 4
const HAS_LAST_NODE = 8

/** The bytes of a tuple's marks; null when there are none. */
export function encodeTupleMarks(marks: TupleMarks | undefined, nodes: NodeNumbers): Buffer | null {
  if (marks === undefined) return null
  const { epoch, last, firstNode, lastNode } = marks
  const writer = new Writer(nodes)
  writer.byte(
    (epoch === undefined ? 0 : HAS_EPOCH) |
      (last === undefined ? 0 : HAS_LAST) |
      (firstNode === undefined ? 0 : HAS_FIRST_NODE) |
      (lastNode === undefined ? 0 : HAS_LAST_NODE),
  )
  if (epoch !== undefined) writer.stamp(epoch)
  for (const value of [last, firstNode, lastNode]) if (value !== undefined) writer.number(value)
  return writer.take()
}

/** The marks that their encoder wrote; `undefined` for NULL. */
export function decodeTupleMarks(bytes: Buffer | null, nodes: NodeNumbers): TupleMarks | undefined {
  if (bytes === null) return undefined
  const reader = new Reader(bytes, nodes)
  const flags = reader.byte()
  return {
    epoch: (flags & HAS_EPOCH) === 0 ? undefined : reader.stamp(),
    last: (flags & HAS_LAST) === 0 ? undefined : reader.number(),
    firstNode: (flags & HAS_FIRST_NODE) === 0 ? undefined : reader.number(),
    lastNode: (flags & HAS_LAST_NODE) === 0 ? undefined : reader.number(),
  }
}
