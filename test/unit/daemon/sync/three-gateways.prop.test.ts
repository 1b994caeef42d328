/** What the sync of own gateways promises: whatever the network does, a pull makes all databases equal. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ManualEdit } from '../../../../src/db/store.js'
import { attemptOf, NOW, POLICY, Scratch } from '../../../support/scratch-database.js'
import { type Flying, Gateway, knowledgeOf } from '../../../support/sync/gateways.js'

const scratch = new Scratch()

const CLIENTS = ['198.51.100.1', '198.51.100.2', '2001:db8::5', '2001:db8::6']
const TRAPS = ['trap@example.org', 'old@example.org']

/** What happens at one gateway. */
const change = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant('attempt' as const), client: fc.nat(3), isTrap: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('sighting' as const), client: fc.nat(3) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constantFrom('white', 'trapped', 'pin', 'delete', 'delete-tuples', 'import', 'promote'),
      client: fc.nat(3),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constantFrom('spamtrap', 'no-spamtrap'), client: fc.nat(1) }),
  },
)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('change' as const), at: fc.nat(2), change }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('look' as const), at: fc.nat(2) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('deliver' as const),
      which: fc.nat(),
      fate: fc.constantFrom('arrives', 'arrives', 'arrives', 'twice', 'lost'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), sec: fc.constantFrom(1, 20, 400, 1700) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('cut' as const), between: fc.nat(2), isCut: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), at: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pull' as const), at: fc.nat(2), from: fc.nat(2) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

async function apply({ store, clock }: Gateway, { what, client, ...rest }: Change): Promise<void> {
  const now = clock.nowSec()
  const ip = CLIENTS[client]!
  const edit = (edits: ManualEdit[]) => store.edit(edits, now)
  switch (what) {
    case 'attempt': {
      const isDomainTrap = 'isTrap' in rest && rest.isTrap && client === 3
      await store.recordAttempts([attemptOf(ip, { isDomainTrap })], POLICY, now)
      return
    }
    case 'sighting':
      await store.recordSightings([{ ip, count: 1 }], { whiteExpireSec: 3_110_400, untrap: false }, now)
      return
    case 'white':
    case 'pin': {
      const options = what === 'pin' ? { options: { expire: 0, comment: `by ${client}` } } : {}
      await edit([{ operation: 'add', kind: 'WHITE', ip, ...options }])
      return
    }
    case 'trapped':
      await edit([{ operation: 'add', kind: 'TRAPPED', ip }])
      return
    case 'delete':
      await edit([{ operation: 'delete', key: { kind: 'host', ip } }])
      return
    case 'delete-tuples':
      await edit([{ operation: 'delete-tuples', ip, all: true }])
      return
    case 'import':
      await store.upsert(
        [{ kind: 'WHITE', ip, first: now, pass: now, expire: now + 999_999, bcount: 1, pcount: 0 }],
        { ifMissing: false, now },
      )
      return
    case 'promote':
      await store.applyScan(
        { expired: [], promoted: [attemptOf(ip).tuple], blocked: [], blockedTuples: [] },
        POLICY,
        now,
      )
      return
    case 'spamtrap':
      await edit([{ operation: 'add', kind: 'SPAMTRAP', address: TRAPS[client]! }])
      return
    case 'no-spamtrap':
      await edit([{ operation: 'delete', key: { kind: 'spamtrap', address: TRAPS[client]! } }])
  }
}

describe('three gateways', () => {
  test('know the same after any operations and any trouble of the network, once they have pulled', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 80 }),
        fc.tuple(fc.integer({ min: -140, max: 140 }), fc.integer({ min: -140, max: 140 })),
        async (steps, [skewB, skewC]) => {
          const flying: Flying[] = []
          const gateways = await Promise.all(
            [0, skewB, skewC].map(async (skew, index) => {
              const peers = [0, 1, 2].filter((peer) => peer !== index)
              const gateway = new Gateway(index, await scratch.store(), NOW + skew, peers, flying)
              await gateway.start()
              return gateway
            }),
          )
          const cuts = new Set<number>()
          for (const one of steps) await play(gateways, flying, cuts, one)
          // The network heals; one after the other pulls from the others.
          flying.length = 0
          for (const round of [0, 1]) {
            for (const gateway of gateways) {
              for (const other of gateways) {
                if (other !== gateway) await gateway.pull(other, round === 0)
              }
            }
          }
          const [one, two, three] = await Promise.all(gateways.map(({ store }) => knowledgeOf(store)))
          expect(two).toEqual(one)
          expect(three).toEqual(one)
          for (const { troubles } of gateways) expect(troubles).toEqual([])
          // What is known is known: another pull changes nothing, and the one after it has nothing to read.
          const again = await gateways[0]!.pull(gateways[1]!, true)
          expect(again).toMatchObject({ isWhole: false, changed: 0 })
          expect(await gateways[0]!.pull(gateways[1]!, true)).toMatchObject({ isWhole: false, read: 0 })
        },
      ),
      { numRuns: 25, interruptAfterTimeLimit: 60_000 },
    )
  }, 120_000)
})

async function play(gateways: Gateway[], flying: Flying[], cuts: Set<number>, one: Step): Promise<void> {
  switch (one.kind) {
    case 'change':
      await apply(gateways[one.at]!, one.change)
      return
    case 'look':
      await gateways[one.at]!.look()
      return
    case 'deliver': {
      if (flying.length === 0) return
      const at = one.which % flying.length
      const { from, to, bytes } = flying[at]!
      if (one.fate !== 'twice') flying.splice(at, 1)
      if (one.fate === 'lost' || cuts.has(3 - from - to)) return
      await gateways[to]!.take(from, bytes)
      return
    }
    case 'wait':
      for (const { clock } of gateways) clock.advance(one.sec)
      return
    case 'cut':
      if (one.isCut) cuts.add(one.between)
      else cuts.delete(one.between)
      return
    case 'restart':
      await gateways[one.at]!.start()
      return
    case 'pull':
      if (one.at !== one.from) await gateways[one.at]!.pull(gateways[one.from]!, true)
  }
}
