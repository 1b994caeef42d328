/** What holds for every decision, whatever the requests: tried with random ones on a few keys. */
import { describe, expect, test } from 'vitest'
import type { Change } from '../../../src/domain/change.js'
import { keyText } from '../../../src/domain/change.js'
import { decideAttempts } from '../../../src/domain/decide-attempts.js'
import { decideEdits } from '../../../src/domain/decide-edits.js'
import { decideSightings } from '../../../src/domain/decide-sightings.js'
import { decideSync } from '../../../src/domain/decide-sync.js'
import { Draft } from '../../../src/domain/draft.js'
import { registersOf, visibleHost } from '../../../src/domain/merge.js'
import type { ManualEdit, SyncChange, TupleAttempt } from '../../../src/domain/requests.js'
import { HybridClock } from '../../../src/domain/stamp.js'
import { makeRandom } from '../../support/random.js'
import { attemptOf, NOW, POLICY } from '../../support/scratch-database.js'

const ROUNDS = 400
const IPS = ['192.0.2.1', '192.0.2.2']

type Random = (below: number) => number

type Request =
  | { type: 'edit'; edit: ManualEdit }
  | { type: 'attempt'; attempt: TupleAttempt }
  | { type: 'sight'; ip: string; untrap: boolean }
  | { type: 'sync'; change: SyncChange }

function request(random: Random, now: number): Request {
  const ip = IPS[random(IPS.length)]!
  const kind = random(2) === 0 ? ('WHITE' as const) : ('TRAPPED' as const)
  switch (random(6)) {
    case 0: {
      const options = [{}, { expire: 0 }, { expire: now + 50 }, { comment: 'c' }, { ifMissing: true }][
        random(5)
      ]!
      return { type: 'edit', edit: { operation: 'add', kind, ip, options } }
    }
    case 1:
      return { type: 'edit', edit: { operation: 'delete', key: { kind: 'host', ip } } }
    case 2:
    case 3: {
      const part = [{}, { isDomainTrap: true }, { isLowPriorityMx: true }, { mayPromote: false }][random(4)]!
      return { type: 'attempt', attempt: attemptOf(ip, part) }
    }
    case 4:
      return { type: 'sight', ip, untrap: random(2) === 0 }
    default: {
      const change: SyncChange =
        random(3) === 0 ? { type: 'delete', ip } : { type: kind, ip, expire: now + 500 }
      return { type: 'sync', change }
    }
  }
}

function decide(draft: Draft, requests: readonly Request[]): void {
  for (const each of requests) {
    if (each.type === 'edit') decideEdits(draft, [each.edit], { rule: 'manual' })
    else if (each.type === 'attempt') decideAttempts(draft, [each.attempt], POLICY)
    else if (each.type === 'sync') decideSync(draft, [each.change], POLICY)
    else decideSightings(draft, [{ ip: each.ip, count: 1 }], { whiteExpireSec: 900, untrap: each.untrap })
  }
}

/** What a draft holds, by key. */
type World = Map<string, Change['after']>

function draftOf(world: World, clock: HybridClock, now: number): Draft {
  const draft = new Draft(clock, now)
  for (const [text, held] of world) {
    if (text.includes('\0')) draft.holdTuple(text, held as Parameters<Draft['holdTuple']>[1])
    else draft.holdHost(text, held as Parameters<Draft['holdHost']>[1])
  }
  return draft
}

function apply(world: World, changes: readonly Change[]): World {
  const after = new Map(world)
  for (const change of changes) after.set(keyText(change.key), change.after)
  return after
}

function undo(world: World, changes: readonly Change[]): World {
  const before = new Map(world)
  for (const change of changes.toReversed()) before.set(keyText(change.key), change.before)
  return before
}

const isThere = (held: Change['after']): boolean => Object.values(held).some((part) => part !== undefined)
const show = (world: World): string =>
  JSON.stringify([...world].filter(([, held]) => isThere(held)).toSorted(([a], [b]) => (a < b ? -1 : 1)))

describe('random decisions', () => {
  test('keep to the rules that hold for all', () => {
    for (let seed = 1; seed <= ROUNDS; seed += 1) {
      const random = makeRandom((seed * 7919) | 1)
      const clock = new HybridClock(7, { time: 0, counter: 0 })
      let world: World = new Map()
      let now = NOW
      for (let step = 0; step < 12; step += 1) {
        now += random(2000)
        const requests = [request(random, now), request(random, now)]
        const start = clock.state
        const draft = draftOf(world, clock, now)
        decide(draft, requests)
        const after = apply(world, draft.changes)
        // Each change begins where the one before it ended, so that undoing them gives what was there.
        expect(show(undo(after, draft.changes))).toBe(show(world))
        // A batch is the same as its requests one by one.
        const other = new HybridClock(7, start)
        const first = draftOf(world, other, now)
        decide(first, requests.slice(0, 1))
        const second = draftOf(apply(world, first.changes), other, now)
        decide(second, requests.slice(1))
        expect(show(apply(apply(world, first.changes), second.changes))).toBe(show(after))
        for (const change of draft.changes) {
          if (change.key.kind !== 'host') continue
          const was = change.before.entry
          const is = change.after.entry
          // Only an administrator takes a pin away, or changes what is pinned.
          if (was !== undefined && 'expire' in was && was.expire === 0 && change.cause.rule !== 'manual') {
            expect([is?.kind, is !== undefined && 'expire' in is && is.expire]).toEqual([was.kind, 0])
          }
        }
        // What is on record is what the registers say, for as long as it lives.
        for (const ip of IPS) {
          const held = after.get(ip) as Parameters<typeof registersOf>[0] | undefined
          const entry = held?.entry
          if (held === undefined || (entry !== undefined && entry.expire !== 0 && entry.expire <= now))
            continue
          const visible = visibleHost(ip, registersOf(held), now)
          expect([visible?.kind, visible?.expire, visible?.comment]).toEqual([
            entry?.kind,
            entry?.expire,
            entry?.comment,
          ])
        }
        world = after
      }
    }
  })
})
