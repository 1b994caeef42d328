/** Merges what another gateway knows into what is on record here; the rules are in merge.ts. */
import { type Cause, tupleText } from './change.js'
import { makeRoomFor } from './decide-attempts.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { HostEntry, PoolEntry, SpamtrapEntry, Tuple, WireText } from './entry.js'
import type { HeldHost, HeldPool, HeldSpamtrap, HeldTuple, HostMarks } from './held.js'
import { expiredMarks } from './host-marks.js'
import {
  type DeletedTuple,
  type HostRegisters,
  heldHostOf,
  heldTupleOf,
  isPlainWhite,
  mergeHosts,
  mergeTuples,
  oldStamp,
  registersOf,
  type TupleState,
  tupleStateOf,
} from './merge.js'
import { isPoolTuple, parsePoolKey } from './pool-key.js'
import { type HeldRelease, KEEP_RELEASE_SEC, type Release } from './release.js'
import type { GreyPolicy } from './requests.js'
import { compareStamps, isAheadOf, laterStamp, type Stamp } from './stamp.js'
import { KEEP_RESET_SEC } from './times.js'

/** Everything that one gateway knows under one key, in the form in which gateways exchange it. */
export type MergeRecord =
  | { kind: 'host'; ip: string; registers: HostRegisters }
  | { kind: 'tuple'; tuple: Tuple; state: TupleState | DeletedTuple }
  /** `entry` undefined: deleted. */
  | { kind: 'spamtrap'; address: WireText; stamp: Stamp; entry: SpamtrapEntry | undefined }
  /** A network that a pool of senders opened, and when it was last closed. */
  | { kind: 'pool'; network: string; reset: Stamp | undefined; entry: PoolEntry | undefined }
  | { kind: 'release'; id: string; stamp: Stamp; entry: Release }

/**
 * `ahead`: dated more than five minutes in the future; nothing was stored, and the record must be fetched
 * again later.
 */
export type MergeOutcome = 'applied' | 'unchanged' | 'ahead'

/** What must be loaded to merge records. */
export function selectMerge(
  records: readonly MergeRecord[],
  policy: Pick<GreyPolicy, 'maxTuplesPerAddress'>,
): Selection {
  const selection = emptySelection()
  for (const record of records) {
    switch (record.kind) {
      case 'host':
        selection.hosts.add(record.ip)
        break
      case 'tuple':
        selection.hosts.add(record.tuple.ip)
        selection.tuples.set(tupleText(record.tuple), record.tuple)
        break
      case 'spamtrap':
        selection.spamtraps.add(record.address)
        break
      case 'pool':
        selection.pools.add(record.network)
        selection.trapsIn.add(record.network)
        break
      case 'release':
        selection.releases = true
    }
  }
  if (selection.tuples.size > 0) selection.maxTuplesPerAddress = policy.maxTuplesPerAddress
  return selection
}

/** The part of `selectMerge` that is needed if nothing is stored under the keys of the records. */
export function selectMove(records: readonly MergeRecord[]): Selection {
  const selection = emptySelection()
  for (const record of records) {
    if (record.kind === 'tuple') selection.hosts.add(record.tuple.ip)
    if (record.kind === 'pool') selection.trapsIn.add(record.network)
  }
  return selection
}

/** An address as it is stored if nothing is stored under it yet, with its entry. */
export type MovedHost = { entry: HostEntry; marks: HostMarks }

/** Records of a database that is moved: the addresses that need no rules, and the others. */
export interface MovedRecords {
  hosts: MovedHost[]
  others: MergeRecord[]
  /** The latest stamp of the addresses. */
  newest: Stamp | undefined
  /** For each record whether it is one of the others. */
  isOther: boolean[]
}

/** The result of `decideMerge` for records that are only WHITE and not stored yet, at a tenth of its cost. */
export function splitMoved(records: readonly MergeRecord[], now: number): MovedRecords {
  const moved: MovedRecords = { hosts: [], others: [], newest: undefined, isOther: [] }
  for (const record of records) {
    const isPlain = record.kind === 'host' && isPlainWhite(record.registers, now) && !isAhead(record, now)
    moved.isOther.push(!isPlain)
    if (!isPlain) {
      moved.others.push(record)
      continue
    }
    const { ip, registers } = record
    const { reset, bcount, pcount } = registers
    const { grant, stamp, first, pass, expire } = registers.white!
    moved.hosts.push({
      entry: {
        kind: 'WHITE',
        ip,
        first,
        pass,
        expire,
        bcount: Math.max(0, bcount),
        pcount: Math.max(0, pcount),
      },
      marks: { reset, white: { grant, stamp } },
    })
    // The grant and the reset are not later.
    moved.newest = laterStamp(moved.newest, laterStamp(stamp, grant))
  }
  return moved
}

/** The outcomes of all records in their order, from those of the others. */
export function outcomesOfMoved(
  isOther: readonly boolean[],
  others: readonly MergeOutcome[],
): MergeOutcome[] {
  let next = 0
  return isOther.map((isOne) => (isOne ? others[next++]! : 'applied'))
}

/** Decides records in order; outcomes in the same order. `cause` names the gateway they came from. */
export function decideMerge(
  draft: Draft,
  records: readonly MergeRecord[],
  policy: Pick<GreyPolicy, 'passSec' | 'maxTuplesPerAddress'>,
  cause: Cause,
): MergeOutcome[] {
  return records.map((record, index) => {
    draft.begin(index)
    if (isAhead(record, draft.now)) return 'ahead'
    const newest = newestStamp(record)
    const outcome = decideRecord(draft, record, policy, cause)
    if (newest !== undefined && outcome === 'applied') draft.observe(newest)
    return outcome
  })
}

/** True for a record that was changed more than five minutes after `now`. */
export function isAhead(record: MergeRecord, now: number): boolean {
  const newest = newestStamp(record)
  return newest !== undefined && isAheadOf(newest, now)
}

function newestStamp(record: MergeRecord): Stamp | undefined {
  switch (record.kind) {
    case 'host': {
      const { reset, white, trap, hand } = record.registers
      return [white?.grant, white?.stamp, trap?.stamp, hand?.stamp].reduce(laterStamp, reset)
    }
    case 'tuple': {
      const { state } = record
      return laterStamp(
        state.epoch,
        state.first && { time: state.last.time * 1000, counter: 0, node: state.last.node },
      )
    }
    case 'spamtrap':
    case 'release':
      return record.stamp
    case 'pool': {
      const { reset, entry } = record
      return laterStamp(reset, entry && { time: entry.pass * 1000, counter: 0, node: 0 })
    }
  }
}

function decideRecord(
  draft: Draft,
  record: MergeRecord,
  policy: Pick<GreyPolicy, 'passSec' | 'maxTuplesPerAddress'>,
  cause: Cause,
): MergeOutcome {
  switch (record.kind) {
    case 'host':
      return mergeHost(draft, record.ip, record.registers, cause)
    case 'tuple':
      if (isPoolTuple(record.tuple)) return 'unchanged'
      return mergeTuple(draft, record.tuple, record.state, policy, cause)
    case 'spamtrap':
      return mergeSpamtrap(draft, record.address, record, cause)
    case 'pool':
      return mergePool(draft, record.network, record, cause)
    case 'release':
      return mergeRelease(draft, record.id, record, cause)
  }
}

function mergeHost(draft: Draft, ip: string, registers: HostRegisters, cause: Cause): MergeOutcome {
  const held = draft.host(ip)
  const known = registersOf(held)
  const merged = mergeHosts(known, registers)
  // The winning record is passed on unchanged: a combination of known registers contains nothing new. Counts
  // alone are not reported.
  const isKnown =
    merged.reset === known.reset &&
    merged.white === known.white &&
    merged.trap === known.trap &&
    merged.hand === known.hand
  if (isKnown) return 'unchanged'
  const after = heldHostOf(ip, merged, draft.now)
  if (after.entry === undefined) return mergeNothing(draft, ip, held, after, cause)
  draft.putHost(ip, after, draft.nextStamp(), cause)
  return 'applied'
}

/** Nothing is visible any more: as after an expiry, only the reset is kept. */
function mergeNothing(draft: Draft, ip: string, held: HeldHost, after: HeldHost, cause: Cause): MergeOutcome {
  const marks = expiredMarks(after.marks, draft.now, KEEP_RESET_SEC)
  if (held.entry === undefined && compareStamps(held.marks?.reset, marks?.reset) === 0) return 'unchanged'
  draft.putHost(ip, { entry: undefined, marks }, draft.nextStamp(), cause)
  return 'applied'
}

function mergeTuple(
  draft: Draft,
  tuple: Tuple,
  state: TupleState | DeletedTuple,
  { passSec, maxTuplesPerAddress }: Pick<GreyPolicy, 'passSec' | 'maxTuplesPerAddress'>,
  cause: Cause,
): MergeOutcome {
  const { entry: host, marks: hostMarks } = draft.host(tuple.ip)
  const reset = hostMarks?.reset
  const text = tupleText(tuple)
  const held = draft.tuple(text)
  const known = knownTuple(held, draft.node)
  const merged = known === undefined ? state : mergeTuples(known, state)
  if (merged === known || (known !== undefined && isSameTuple(merged, known))) return 'unchanged'
  if (merged.first === undefined) {
    draft.putTuple(text, tuple, { entry: undefined, marks: { epoch: merged.epoch } }, cause)
    return 'applied'
  }
  // A tuple that expired, is older than a reset, or belongs to a WHITE address is no longer needed.
  const isUseless = merged.expire <= draft.now || host?.kind === 'WHITE'
  if (isUseless || compareStamps(merged.epoch, reset) < 0) return 'unchanged'
  makeRoomFor(draft, tuple, maxTuplesPerAddress)
  const after = heldTupleOf(tuple, merged, { node: draft.node, reset, passSec })
  draft.putTuple(text, tuple, after, cause)
  return 'applied'
}

function knownTuple({ entry, marks }: HeldTuple, node: number): TupleState | DeletedTuple | undefined {
  if (entry !== undefined) return tupleStateOf({ entry, marks }, node)
  return marks?.epoch === undefined ? undefined : { epoch: marks.epoch }
}

function isSameTuple(one: TupleState | DeletedTuple, other: TupleState | DeletedTuple): boolean {
  if (one.first === undefined || other.first === undefined) return one.first === other.first
  return (
    compareStamps(one.epoch, other.epoch) === 0 &&
    one.first === other.first &&
    one.last === other.last &&
    one.expire === other.expire &&
    one.count === other.count
  )
}

function mergeSpamtrap(
  draft: Draft,
  address: WireText,
  { stamp, entry }: { stamp: Stamp; entry: SpamtrapEntry | undefined },
  cause: Cause,
): MergeOutcome {
  const held = draft.spamtrap(address)
  const order = compareStamps(stamp, spamtrapStamp(held))
  // Stamps are unique, except those of entries older than stamps.
  if (order < 0 || (order === 0 && (entry?.comment ?? '') <= (held.entry?.comment ?? ''))) return 'unchanged'
  draft.putSpamtrap(address, { entry, stamp }, draft.nextStamp(), cause)
  return 'applied'
}

/**
 * Takes the later closing, and the network that was opened later, or of one opening the longer one. A network
 * that was opened before it was closed, or that contains an address TRAPPED here, stays closed.
 */
function mergePool(draft: Draft, network: string, { reset, entry }: HeldPool, cause: Cause): MergeOutcome {
  const held = draft.pool(network)
  const closed = laterStamp(held.reset, reset)
  const isOpen = (each: PoolEntry | undefined): each is PoolEntry =>
    each !== undefined && each.expire > draft.now && each.pass * 1000 > (closed?.time ?? 0)
  const [known, other] = [held.entry, entry].map((each) => (isOpen(each) ? each : undefined))
  const later = known === undefined || (other !== undefined && comparePools(other, known) > 0) ? other : known
  const after = later === undefined || draft.hasTrapIn(network) ? undefined : later
  if (after === held.entry && (after !== undefined || closed === held.reset)) return 'unchanged'
  draft.putPool(
    network,
    { entry: after, reset: after === undefined ? closed : undefined },
    draft.nextStamp(),
    cause,
  )
  return 'applied'
}

function comparePools(one: PoolEntry, other: PoolEntry): number {
  const difference = one.pass - other.pass || one.expire - other.expire || one.first - other.first
  return difference === 0 ? (one.pool < other.pool ? -1 : one.pool > other.pool ? 1 : 0) : difference
}

function mergeRelease(
  draft: Draft,
  id: string,
  { stamp, entry }: { stamp: Stamp; entry: Release },
  cause: Cause,
): MergeOutcome {
  const held = draft.release(id)
  if (compareStamps(stamp, held.stamp) <= 0 || entry.expire + KEEP_RELEASE_SEC < draft.now) return 'unchanged'
  draft.putRelease(id, { entry, stamp }, draft.nextStamp(), cause)
  return 'applied'
}

function spamtrapStamp({ entry, stamp }: HeldSpamtrap): Stamp | undefined {
  return stamp ?? (entry && oldStamp(entry.first))
}

/** What is on record under a key, as sent to other gateways; undefined when there is nothing to send. */
export function recordOfHost(ip: string, held: HeldHost): MergeRecord | undefined {
  if (held.entry === undefined && held.marks === undefined) return undefined
  return { kind: 'host', ip, registers: registersOf(held) }
}

/** See `recordOfHost`; `node` is that of the database. */
export function recordOfTuple(
  { ip, helo, from, to }: Tuple,
  held: HeldTuple,
  node: number,
): MergeRecord | undefined {
  // Each gateway counts pools by its own settings.
  if (isPoolTuple({ ip, helo })) return undefined
  const state = knownTuple(held, node)
  return state && { kind: 'tuple', tuple: { ip, helo, from, to }, state }
}

/** See `recordOfHost`. */
export function recordOfSpamtrap(address: WireText, held: HeldSpamtrap): MergeRecord | undefined {
  const stamp = spamtrapStamp(held)
  return stamp && { kind: 'spamtrap', address, stamp, entry: held.entry }
}

/** See `recordOfHost`. What learn-only mode lets in is a matter of this gateway alone. */
export function recordOfPool(network: string, { entry, reset }: HeldPool): MergeRecord | undefined {
  const told = entry !== undefined && parsePoolKey(entry.pool)?.kind === 'learn' ? undefined : entry
  return told === undefined && reset === undefined ? undefined : { kind: 'pool', network, reset, entry: told }
}

/** See `recordOfHost`. */
export function recordOfRelease(id: string, { entry, stamp }: HeldRelease): MergeRecord | undefined {
  return entry === undefined || stamp === undefined ? undefined : { kind: 'release', id, stamp, entry }
}
