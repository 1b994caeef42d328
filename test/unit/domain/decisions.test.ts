/** What holds for every decision, whatever the requests: tried with random ones on a few keys of two gateways. */
import { expect, test } from 'vitest'
import {
  CHANGE_RULES,
  type Change,
  type ChangeKey,
  type ChangeRule,
  isHostChange,
} from '../../../src/domain/change.js'
import {
  type MergeRecord,
  recordOfHost,
  recordOfPool,
  recordOfRelease,
  recordOfSpamtrap,
  recordOfTuple,
} from '../../../src/domain/decide-merge.js'
import { Draft } from '../../../src/domain/draft.js'
import type { HeldHost, HeldPool, HeldSpamtrap, HeldTuple } from '../../../src/domain/held.js'
import { decideUndo, selectUndo, type UndoStep } from '../../../src/domain/history.js'
import { registersOf, visibleHost } from '../../../src/domain/merge.js'
import type { HeldRelease } from '../../../src/domain/release.js'
import type { GreyPolicy } from '../../../src/domain/requests.js'
import { type ClockState, compareStamps, HybridClock, laterStamp } from '../../../src/domain/stamp.js'
import { type Held, ModelStore } from '../../support/decisions/model-store.js'
import {
  type Batch,
  IPS,
  type Random,
  randomBatch,
  type Step,
} from '../../support/decisions/random-requests.js'
import { makeRandom } from '../../support/random.js'
import { NOW, POLICY } from '../../support/scratch-database.js'

const ROUNDS = 400
const STEPS = 24

/** A passtime and lifetimes that a few steps reach, and a limit that few tuples reach. */
const SHORT: GreyPolicy = {
  ...POLICY,
  passSec: 60,
  greyExpireSec: 2000,
  whiteExpireSec: 3000,
  trapExpireSec: 1000,
  poolExpireSec: 1500,
  maxTuplesPerAddress: 2,
}

/** One gateway between two batches. */
interface Gateway {
  node: number
  store: ModelStore
  clock: ClockState
}

interface Decided {
  outcome: unknown
  changes: Change[]
  store: ModelStore
  clock: ClockState
}

function decide({ node, store, clock: state }: Gateway, now: number, step: Step): Decided {
  const clock = new HybridClock(node, state)
  const draft = new Draft(clock, now)
  store.load(step.select(), draft)
  if (step.further !== undefined) store.load(step.further(draft), draft)
  const outcome = step.decide(draft)
  return { outcome, changes: draft.changes, store: store.applied(draft.changes), clock: clock.state }
}

function recordsOf({ node, store }: Gateway): MergeRecord[] {
  return store.rows().flatMap(({ key, held }) => recordOf(key, held, node) ?? [])
}

function recordOf(key: ChangeKey, held: Held, node: number): MergeRecord | undefined {
  switch (key.kind) {
    case 'host':
      return recordOfHost(key.ip, held as HeldHost)
    case 'tuple':
      return recordOfTuple(key, held as HeldTuple, node)
    case 'spamtrap':
      return recordOfSpamtrap(key.address, held as HeldSpamtrap)
    case 'pool':
      return recordOfPool(key.ip, held as HeldPool)
    case 'release':
      return recordOfRelease(key.id, held as HeldRelease)
  }
}

/** A batch is the same as its requests one by one. */
function checkParts(gateway: Gateway, now: number, { parts, join }: Batch, whole: Decided): void {
  let { store, clock } = gateway
  const outcomes = parts.map((part) => {
    const decided = decide({ ...gateway, store, clock }, now, part)
    store = decided.store
    clock = decided.clock
    return decided.outcome
  })
  if (parts.length > 0) expect(join(outcomes)).toEqual(whole.outcome)
  expect(store.text).toBe(whole.store.text)
  expect(clock).toEqual(whole.clock)
}

const BY_HAND: readonly ChangeRule[] = ['manual', 'import', 'undo']

/** Only an administrator takes a pin away, or changes what is pinned: here, or at another gateway. */
function checkPins(changes: readonly Change[]): void {
  for (const change of changes) {
    if (!isHostChange(change) || change.before.entry?.expire !== 0) continue
    const { before, after, cause } = change
    if (BY_HAND.includes(cause.rule)) continue
    const isSame = after.entry?.kind === before.entry!.kind && after.entry.expire === 0
    if (isSame && after.entry.comment === before.entry!.comment) continue
    expect(cause.rule).toBe('merge')
    const set = laterStamp(after.marks?.reset, after.marks?.hand?.stamp)
    expect(compareStamps(set, before.marks?.hand?.stamp)).toBeGreaterThan(0)
  }
}

/**
 * An address is WHITE or TRAPPED, and what its registers say, for as long as it lives. By a clock that went back, one
 * that is over would be alive.
 */
function checkHosts(store: ModelStore, now: number): void {
  for (const ip of IPS) {
    const held = store.hostOf(ip)
    const entry = held?.entry
    if (entry !== undefined)
      expect([entry.kind, entry.pcount < 0]).toEqual([entry.kind, entry.kind === 'TRAPPED'])
    if (held === undefined || (entry !== undefined && entry.expire !== 0 && entry.expire <= now)) continue
    const visible = visibleHost(ip, registersOf(held), now)
    expect([visible?.kind, visible?.expire, visible?.comment]).toEqual([
      entry?.kind,
      entry?.expire,
      entry?.comment,
    ])
  }
}

/** Undoing an event by hand gives the entries that there were. */
function checkUndo(gateway: Gateway, now: number, before: ModelStore, changes: readonly Change[]): Change[] {
  const steps = stepsOf(changes)
  const undone = decide(gateway, now, {
    select: () => selectUndo(steps),
    decide: (draft) => decideUndo(draft, steps, { force: false, actor: 'root' }),
  })
  expect(undone.outcome).toMatchObject({ changedSince: [] })
  expect(undone.store.entryText).toBe(before.entryText)
  return undone.changes
}

function stepsOf(changes: readonly Change[]): UndoStep[] {
  const steps = new Map<string, UndoStep>()
  for (const { key, before, after } of changes) {
    if (key.kind === 'release') continue
    const text = JSON.stringify(key)
    const known = steps.get(text)
    const first = known === undefined ? (before.entry as UndoStep['before']) : known.before
    steps.set(text, { key, before: first, after: after.entry as UndoStep['after'] })
  }
  return [...steps.values()]
}

function round(random: Random, seen: Set<string>): void {
  const policy = { ...SHORT, isLearning: random(4) === 0 }
  const start = { store: new ModelStore(), clock: { time: 0, counter: 0 } }
  const gateways: Gateway[] = [
    { node: 7, ...start },
    { node: 9, ...start },
  ]
  let time = NOW
  let latest = NOW
  for (let step = 0; step < STEPS; step += 1) {
    time += random(random(8) === 0 ? 1500 : 120)
    const at = random(2)
    const gateway = gateways[at]!
    // A clock may be wrong for a while.
    const now = random(30) === 0 ? time + random(9000) - 4500 : time
    latest = Math.max(latest, now)
    const records = recordsOf(gateways[1 - at]!)
    const batch = randomBatch({ random, now, policy, entries: gateway.store.entries(), records })
    const whole = decide(gateway, now, batch.whole)
    // Each change begins where the one before it ended, so that taking them away gives what was there.
    expect(whole.store.undone(whole.changes).text).toBe(gateway.store.text)
    checkParts(gateway, now, batch, whole)
    checkPins(whole.changes)
    checkHosts(whole.store, latest)
    for (const { cause } of whole.changes) seen.add(cause.rule)
    gateways[at] = { ...gateway, store: whole.store, clock: whole.clock }
    if (batch.name === 'edits' || batch.name === 'import') {
      for (const { cause } of checkUndo(gateways[at], now, gateway.store, whole.changes)) seen.add(cause.rule)
    }
  }
}

test('random decisions keep to the rules that hold for all', () => {
  const seen = new Set<string>()
  for (let seed = 1; seed <= ROUNDS; seed += 1) {
    try {
      round(makeRandom(seed * 7919), seen)
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
  // All that can happen did happen; exceptions are not entries.
  expect([...seen].sort()).toEqual(CHANGE_RULES.filter((rule) => rule !== 'allow').toSorted())
})
