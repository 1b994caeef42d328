/** Values of the domain as columns on the server, and back; the order is that of `pg-schema.ts`. */
import { hash } from 'node:crypto'
import type { HostEntry, Tuple } from '../../domain/entry.js'
import type { HeldHost, HeldPool, HeldSpamtrap, HeldTuple, HostMarks } from '../../domain/held.js'
import { hostKindOf } from '../../domain/host-state.js'
import type { Stamp } from '../../domain/stamp.js'
import { sourceOf } from '../../domain/tuple-limits.js'
import { packStamp, unpackStamp } from '../tables/marks-codec.js'
import { commentValue, wireValue } from '../tables/wire-value.js'
import type { Row } from './pg-link.js'

type Cell = string | number | boolean | null
/** A stamp in two columns. */
type StampCells = [at: number | null, node: number | null]

/** Kind of an address without an entry, whose marks are kept. */
const REMOVED = '-'

/** The network by which rows are partitioned. */
export function netOf(ip: string): string {
  return sourceOf(ip)
}

/** 128 bits that stand for HELO, sender and recipient, as the text of a uuid. */
export function digestOf({ helo, from, to }: Tuple): string {
  const text = `${helo}\0${from}\0${to}`
  // ASCII text is hashed directly, without copying its bytes first.
  return hash('sha256', IS_ASCII.test(text) ? text : Buffer.from(text, 'latin1'), 'hex').slice(0, 32)
}

const IS_ASCII = /^[\0-\x7f]*$/

/** Text from the wire as the server takes it; throws TypeError for NUL and for what is no bytes. */
export function wireText(text: string): string {
  wireValue(text)
  return text
}

function stampCells(stamp: Stamp | undefined): StampCells {
  return stamp === undefined ? [null, null] : [packStamp(stamp), stamp.node]
}

function stampOf(at: unknown, node: unknown): Stamp | undefined {
  return at === null ? undefined : unpackStamp(at as number, node as number)
}

/** The columns of an address after its key; it has an entry or marks. */
// eslint-disable-next-line complexity -- a flat table: one column each
export function hostCells({ entry, marks }: HeldHost): Cell[] {
  const { reset, white, trap, hand, hiddenWhite, hiddenTrap } = marks ?? {}
  return [
    entry?.kind ?? REMOVED,
    entry?.first ?? 0,
    entry?.pass ?? 0,
    entry?.expire ?? 0,
    entry?.bcount ?? 0,
    entry?.pcount ?? 0,
    commentValue(entry?.comment) as string | null,
    ...stampCells(reset),
    ...stampCells(white?.grant),
    ...stampCells(white?.stamp),
    ...stampCells(trap),
    ...stampCells(hand?.stamp),
    hand?.pinned ?? null,
    hand?.kind ?? null,
    hand?.expire ?? null,
    hiddenWhite?.first ?? null,
    hiddenWhite?.pass ?? null,
    hiddenWhite?.expire ?? null,
    hiddenTrap?.first ?? null,
    hiddenTrap?.expire ?? null,
  ]
}

/** The address of a row, whose columns after the key begin at `at`. */
export function heldHostOfRow(ip: string, row: Row, at: number): HeldHost {
  const cells = row.slice(at)
  const marks = hostMarksOf(cells)
  if (cells[0] === REMOVED) return { entry: undefined, marks }
  return { entry: hostEntryOf(ip, cells), marks }
}

function hostEntryOf(ip: string, cells: Row): HostEntry {
  const [, first, pass, expire, bcount, pcount, comment] = cells as [
    string,
    number,
    number,
    number,
    number,
    number,
    string | null,
  ]
  const times = { first, pass, expire, bcount, pcount }
  return { kind: hostKindOf(times), ip, ...times, ...(comment === null ? {} : { comment }) }
}

function hostMarksOf(cells: Row): HostMarks | undefined {
  const marks: { -readonly [Name in keyof HostMarks]: HostMarks[Name] } = {}
  const reset = stampOf(cells[7], cells[8])
  if (reset !== undefined) marks.reset = reset
  const whiteStamp = stampOf(cells[11], cells[12])
  if (whiteStamp !== undefined) marks.white = { grant: stampOf(cells[9], cells[10]), stamp: whiteStamp }
  const trap = stampOf(cells[13], cells[14])
  if (trap !== undefined) marks.trap = trap
  const handStamp = stampOf(cells[15], cells[16])
  if (handStamp !== undefined) {
    const expire = cells[19] as number | null
    marks.hand = {
      stamp: handStamp,
      pinned: cells[17] === 't',
      kind: cells[18] as HostEntry['kind'],
      expire: expire ?? undefined,
    }
  }
  const [whiteFirst, whitePass, whiteExpire, trapFirst, trapExpire] = cells.slice(20) as (number | null)[]
  if (whiteFirst != null) marks.hiddenWhite = { first: whiteFirst, pass: whitePass!, expire: whiteExpire! }
  if (trapFirst != null) marks.hiddenTrap = { first: trapFirst, expire: trapExpire! }
  return Object.keys(marks).length === 0 ? undefined : marks
}

/** The columns of a tuple after its key and texts; it has an entry or the mark of its deletion. */
// eslint-disable-next-line complexity -- a flat table: one column each
export function tupleCells({ entry, marks }: HeldTuple): Cell[] {
  return [
    entry === undefined,
    entry?.first ?? 0,
    entry?.pass ?? 0,
    entry?.expire ?? 0,
    entry?.bcount ?? 0,
    entry?.pcount ?? 0,
    marks?.last ?? null,
    ...stampCells(marks?.epoch),
    marks?.firstNode ?? null,
    marks?.lastNode ?? null,
  ]
}

/** The tuple of a row, whose columns after the key begin at `at`. */
export function heldTupleOfRow({ ip, helo, from, to }: Tuple, row: Row, at: number): HeldTuple {
  const [isRemoved, first, pass, expire, bcount, pcount, last, epochAt, epochNode, firstNode, lastNode] =
    row.slice(at) as [string, number, number, number, number, number, ...(number | null)[]]
  const epoch = stampOf(epochAt, epochNode)
  const hasMarks = last !== null || epoch !== undefined || firstNode !== null || lastNode !== null
  return {
    entry:
      isRemoved === 't'
        ? undefined
        : { kind: 'GREY', ip, helo, from, to, first, pass, expire, bcount, pcount },
    marks: hasMarks
      ? {
          epoch,
          last: last ?? undefined,
          firstNode: firstNode ?? undefined,
          lastNode: lastNode ?? undefined,
        }
      : undefined,
  }
}

/** The columns of a spamtrap after its key; it has an entry or a stamp. */
export function spamtrapCells({ entry, stamp }: HeldSpamtrap): Cell[] {
  const comment = commentValue(entry?.comment) as string | null
  return [entry === undefined, entry?.first ?? 0, comment, ...stampCells(stamp)]
}

/** The spamtrap of a row, whose columns after the key begin at `at`. */
export function heldSpamtrapOfRow(address: string, row: Row, at: number): HeldSpamtrap {
  const [isRemoved, first, comment, stampAt, node] = row.slice(at) as [
    string,
    number,
    string | null,
    number,
    number,
  ]
  const entry = { kind: 'SPAMTRAP' as const, address, first, ...(comment === null ? {} : { comment }) }
  return { entry: isRemoved === 't' ? undefined : entry, stamp: stampOf(stampAt, node) }
}

/** Rows of values as one array for each column, as unnest takes them; it pads shorter ones, so a column of only NULL is an empty array. */
export function columnsOf(rows: readonly (readonly Cell[])[], columnCount: number): Cell[][] {
  return Array.from({ length: columnCount }, (_, index) => {
    const column = rows.map((row) => row[index]!)
    return column.every((cell) => cell === null) ? [] : column
  })
}

/** The columns of a network of a pool after its key; it is open or was closed. */
export function poolCells({ entry, reset }: HeldPool): Cell[] {
  return [
    entry === undefined,
    entry?.pool ?? null,
    entry?.first ?? 0,
    entry?.pass ?? 0,
    entry?.expire ?? 0,
    entry?.bcount ?? 0,
    entry?.pcount ?? 0,
    ...stampCells(reset),
  ]
}

/** The network of a row, whose columns after the key begin at `at`. */
export function heldPoolOfRow(network: string, row: Row, at: number): HeldPool {
  const [isRemoved, pool, first, pass, expire, bcount, pcount, resetAt, resetNode] = row.slice(at) as [
    string,
    string,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return {
    entry:
      isRemoved === 't'
        ? undefined
        : { kind: 'POOL', ip: network, pool, first, pass, expire, bcount, pcount },
    reset: stampOf(resetAt, resetNode),
  }
}
