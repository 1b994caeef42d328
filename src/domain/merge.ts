/**
 * How two gateways become equal: each entry consists of a few registers, of which the larger wins
 * independently, and the state of an address or tuple follows from the registers and the time. The functions
 * are commutative, associative and idempotent, so neither order nor number of messages matters; see
 * docs/protocol/journal.md.
 */
import type { GreyEntry, HostEntry, Tuple } from './entry.js'
import type { HeldHost, HeldTuple, HostMarks } from './held.js'
import { isPinned, TRAPPED_PCOUNT } from './host-state.js'
import { compareStamps, type Stamp } from './stamp.js'
import { EXPIRE_NEVER } from './times.js'

/** The registers of an address; times in seconds since the Epoch. */
export interface HostRegisters {
  reset?: Stamp | undefined
  white?: WhiteRegister | undefined
  trap?: TrapRegister | undefined
  hand?: HandRegister | undefined
  /** Only counted, never compared: they do not affect whether two gateways are equal. */
  bcount: number
  pcount: number
}

export interface WhiteRegister {
  grant: Stamp
  stamp: Stamp
  first: number
  pass: number
  expire: number
}

export interface TrapRegister {
  stamp: Stamp
  first: number
  expire: number
}

export interface HandRegister {
  stamp: Stamp
  pinned: boolean
  kind: HostEntry['kind']
  /** Removal time given by hand. */
  expire?: number | undefined
  comment?: string | undefined
}

/** Merges what two gateways know of one address. */
export function mergeHosts(one: HostRegisters, other: HostRegisters): HostRegisters {
  return withoutVoid({
    reset: larger(one.reset, other.reset, compareStamps),
    white: larger(one.white, other.white, compareWhite),
    trap: larger(one.trap, other.trap, compareTrap),
    hand: larger(one.hand, other.hand, compareHand),
    bcount: Math.max(one.bcount, other.bcount),
    pcount: Math.max(one.pcount, other.pcount),
  })
}

/** Registers that can never show again are dropped, to save space. */
function withoutVoid({ reset, white, trap, hand, bcount, pcount }: HostRegisters): HostRegisters {
  const isAlive = (stamp: Stamp): boolean => compareStamps(stamp, reset) >= 0
  const keepsTrap = trap !== undefined && isAlive(trap.stamp)
  // A WHITE granted before a trap does not come back.
  const keepsWhite =
    white !== undefined && isAlive(white.grant) && (!keepsTrap || compareStamps(white.grant, trap.stamp) > 0)
  // Without spreading: this runs several times for each address of a database that is moved.
  const kept: HostRegisters = { bcount, pcount }
  if (reset !== undefined) kept.reset = reset
  if (keepsWhite) kept.white = white
  if (keepsTrap) kept.trap = trap
  if (hand !== undefined && isAlive(hand.stamp)) kept.hand = hand
  return kept
}

/**
 * The state of an address at a time; undefined is nothing.
 * @internal Tests say what shows of merged registers.
 */
export function visibleHost(ip: string, registers: HostRegisters, now: number): HostEntry | undefined {
  const { white, trap, hand, bcount, pcount } = withoutVoid(registers)
  const comment = hand?.comment === undefined ? {} : { comment: hand.comment }
  if (hand?.pinned === true) {
    const times = hand.kind === 'WHITE' ? white : trap
    const first = times?.first ?? Math.floor(hand.stamp.time / 1000)
    if (hand.kind === 'TRAPPED')
      return {
        kind: 'TRAPPED',
        ip,
        first,
        pass: 0,
        expire: EXPIRE_NEVER,
        bcount,
        pcount: TRAPPED_PCOUNT,
        ...comment,
      }
    const pass = white?.pass ?? first
    return {
      kind: 'WHITE',
      ip,
      first,
      pass,
      expire: EXPIRE_NEVER,
      bcount,
      pcount: Math.max(0, pcount),
      ...comment,
    }
  }
  if (trap !== undefined && trap.expire > now) {
    const { first, expire } = trap
    return { kind: 'TRAPPED', ip, first, pass: expire, expire, bcount, pcount: TRAPPED_PCOUNT, ...comment }
  }
  if (white !== undefined && white.expire > now) {
    const { first, pass, expire } = white
    return { kind: 'WHITE', ip, first, pass, expire, bcount, pcount: Math.max(0, pcount), ...comment }
  }
  return undefined
}

/**
 * True for an address that is only WHITE and has not expired, as nearly all in a database: storing and comparing it needs
 * no rules.
 */
export function isPlainWhite({ reset, white, trap, hand }: HostRegisters, nowSec: number): boolean {
  return (
    trap === undefined &&
    hand === undefined &&
    white !== undefined &&
    white.expire > nowSec &&
    compareStamps(white.grant, reset) >= 0
  )
}

/** The registers of an address on record. */
export function registersOf({ entry, marks }: HeldHost): HostRegisters {
  const hidden = marks ?? {}
  if (entry !== undefined && isPlainEntry(entry, hidden)) return plainRegisters(entry, hidden)
  if (entry === undefined) return { ...hiddenRegisters(hidden), reset: hidden.reset, bcount: 0, pcount: 0 }
  const { kind, first, pass, expire, bcount } = entry
  // In a TRAPPED entry it is a mark, not a count.
  const counts = { bcount, pcount: Math.max(0, entry.pcount) }
  // An entry older than stamps: its creation stands for every change.
  const old = oldStamp(first)
  const registers: HostRegisters = { ...hiddenRegisters(hidden), reset: hidden.reset, ...counts }
  // A pin shows its kind even without a register of that kind, if another one was stronger.
  const shown = kind === 'WHITE' ? hidden.white : hidden.trap
  if (shown !== undefined || hidden.hand?.pinned !== true) {
    if (kind === 'WHITE') {
      const { grant = old, stamp = old } = hidden.white ?? {}
      registers.white = { grant, stamp, first, pass, expire }
    } else registers.trap = { stamp: hidden.trap ?? old, first, expire }
  }
  const handRegister = handOf(entry, hidden)
  if (handRegister !== undefined) registers.hand = handRegister
  return registers
}

/** WHITE with an expiry, without hidden or manual state. */
function isPlainEntry(entry: HostEntry, { trap, hand, hiddenWhite, hiddenTrap }: HostMarks): boolean {
  return (
    entry.kind === 'WHITE' &&
    (trap ?? hand ?? hiddenWhite ?? hiddenTrap) === undefined &&
    entry.comment === undefined &&
    !isPinned(entry)
  )
}

/** The rules of `registersOf` for such an entry, without object spread, since this runs for each address of a move. */
function plainRegisters(
  { first, pass, expire, bcount, pcount }: HostEntry,
  { reset, white }: HostMarks,
): HostRegisters {
  const stamp = white?.stamp ?? oldStamp(first)
  const grant = white === undefined ? stamp : (white.grant ?? oldStamp(first))
  return {
    reset,
    bcount,
    pcount: Math.max(0, pcount),
    white: { grant, stamp, first, pass, expire },
  }
}

/** What administrators set for an address on record. */
function handOf(entry: HostEntry, { hand }: HostMarks): HostRegisters['hand'] {
  const { kind, first, comment } = entry
  if (hand !== undefined) {
    return { stamp: hand.stamp, pinned: hand.pinned, kind: hand.kind, expire: hand.expire, comment }
  }
  const pinned = isPinned(entry)
  return pinned || comment !== undefined ? { stamp: oldStamp(first), pinned, kind, comment } : undefined
}

function hiddenRegisters({
  white,
  trap,
  hiddenWhite,
  hiddenTrap,
}: HostMarks): Pick<HostRegisters, 'white' | 'trap'> {
  return {
    ...(hiddenWhite !== undefined && white?.grant !== undefined
      ? { white: { grant: white.grant, stamp: white.stamp, ...hiddenWhite } }
      : {}),
    ...(hiddenTrap !== undefined && trap !== undefined ? { trap: { stamp: trap, ...hiddenTrap } } : {}),
  }
}

/** How registers are stored at a time: the entry that they show, and the marks beside it. */
export function heldHostOf(ip: string, registers: HostRegisters, now: number): HeldHost {
  const { reset, white, trap, hand } = withoutVoid(registers)
  const entry = visibleHost(ip, registers, now)
  const marks: HostMarks = {
    reset,
    white: white === undefined ? undefined : { grant: white.grant, stamp: white.stamp },
    trap: trap?.stamp,
    hand:
      hand === undefined
        ? undefined
        : { stamp: hand.stamp, pinned: hand.pinned, kind: hand.kind, expire: hand.expire },
    hiddenWhite:
      white === undefined || entry?.kind === 'WHITE'
        ? undefined
        : { first: white.first, pass: white.pass, expire: white.expire },
    hiddenTrap:
      trap === undefined || entry?.kind === 'TRAPPED'
        ? undefined
        : { first: trap.first, expire: trap.expire },
  }
  const isEmpty = Object.values(marks).every((value) => value === undefined)
  return { entry, marks: isEmpty ? undefined : marks }
}

/** Stamp of an entry that is older than stamps: that of its creation. */
export function oldStamp(first: number): Stamp {
  return { time: Math.max(0, first) * 1000, counter: 0, node: 0 }
}

function larger<Register>(
  one: Register | undefined,
  other: Register | undefined,
  compare: (one: Register, other: Register) => number,
): Register | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return compare(one, other) >= 0 ? one : other
}

// Stamps are unique, so fields decide only between entries older than stamps.

function compareWhite(one: WhiteRegister, other: WhiteRegister): number {
  return (
    compareStamps(one.grant, other.grant) ||
    compareStamps(one.stamp, other.stamp) ||
    one.expire - other.expire ||
    one.pass - other.pass ||
    one.first - other.first
  )
}

function compareTrap(one: TrapRegister, other: TrapRegister): number {
  return compareStamps(one.stamp, other.stamp) || one.expire - other.expire || one.first - other.first
}

function compareHand(one: HandRegister, other: HandRegister): number {
  const fields = ({ pinned, kind, expire, comment }: HandRegister): string =>
    JSON.stringify([pinned, kind, expire ?? -1, comment ?? ''])
  const difference = compareStamps(one.stamp, other.stamp)
  if (difference !== 0) return difference
  return fields(one) < fields(other) ? -1 : 1
}

/** When and where a tuple was seen. */
export interface SeenAt {
  /** Seconds since the Epoch, by the clock of the gateway to which the client connected. */
  time: number
  node: number
}

/** The registers of a tuple. */
export interface TupleState {
  /** The last reset of its address when the tuple was created. */
  epoch?: Stamp | undefined
  first: SeenAt
  last: SeenAt
  /** End of its lifetime, which belongs to `first`. */
  expire: number
  count: number
}

/** A tuple that was deleted by hand: older ones are void, one seen later has this stamp as its epoch. */
export interface DeletedTuple {
  epoch: Stamp
  first?: undefined
}

/** Merges what two gateways know of one tuple: the one after the later reset wins as a whole. */
export function mergeTuples(
  one: TupleState | DeletedTuple,
  other: TupleState | DeletedTuple,
): TupleState | DeletedTuple {
  const difference = compareStamps(one.epoch, other.epoch)
  if (difference !== 0) return difference > 0 ? one : other
  // Within one epoch, a gateway that has seen it again knows more than that it was deleted.
  if (one.first === undefined || other.first === undefined) return one.first === undefined ? other : one
  const isFirst = compareSeen(one.first, other.first) || other.expire - one.expire
  const { first, expire } = isFirst <= 0 ? one : other
  return {
    ...(one.epoch === undefined ? {} : { epoch: one.epoch }),
    first,
    last: compareSeen(one.last, other.last) >= 0 ? one.last : other.last,
    expire,
    count: Math.max(one.count, other.count),
  }
}

/** A tuple seen by two gateways waits this much longer, because their clocks may differ. */
export const OTHER_NODE_SEC = 120

/**
 * True when a tuple has waited; `reset` is the last reset of its address.
 * @internal Tests say when a tuple of two gateways has waited.
 */
export function hasWaited(tuple: TupleState, reset: Stamp | undefined, passSec: number): boolean {
  if (compareStamps(tuple.epoch, reset) < 0) return false
  const allowance = tuple.first.node === tuple.last.node ? 0 : OTHER_NODE_SEC
  return tuple.last.time - tuple.first.time > passSec + allowance
}

/** The registers of a tuple on record in the database of `node`. */
export function tupleStateOf({ entry, marks }: HeldTuple & { entry: GreyEntry }, node: number): TupleState {
  const first = { time: entry.first, node: marks?.firstNode ?? node }
  return {
    ...(marks?.epoch === undefined ? {} : { epoch: marks.epoch }),
    first,
    last: marks?.last === undefined ? first : { time: marks.last, node: marks.lastNode ?? node },
    expire: entry.expire,
    count: entry.bcount,
  }
}

/** How a tuple is stored in the database of `node`. */
export function heldTupleOf(
  { ip, helo, from, to }: Tuple,
  state: TupleState,
  context: { node: number; reset: Stamp | undefined; passSec: number },
): HeldTuple {
  const { epoch, first, last, expire, count } = state
  const { node, reset, passSec } = context
  const pass = hasWaited(state, reset, passSec) ? last.time : expire
  return {
    entry: {
      kind: 'GREY',
      ip,
      helo,
      from,
      to,
      first: first.time,
      pass,
      expire,
      bcount: count,
      pcount: 0,
    },
    marks: {
      epoch,
      last: last.time,
      firstNode: first.node === node ? undefined : first.node,
      lastNode: last.node,
    },
  }
}

function compareSeen(one: SeenAt, other: SeenAt): number {
  return one.time - other.time || one.node - other.node
}
