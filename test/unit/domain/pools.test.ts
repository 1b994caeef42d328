/** Pools of senders, on drafts alone: what opens a network, and what does not. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Change, keyText, tupleText } from '../../../src/domain/change.js'
import { decideAttempts, selectAttempts } from '../../../src/domain/decide-attempts.js'
import { decideEdits } from '../../../src/domain/decide-edits.js'
import { MOST_OPENED, selectPools } from '../../../src/domain/decide-pools.js'
import { decideScan } from '../../../src/domain/decide-scan.js'
import { Draft } from '../../../src/domain/draft.js'
import type { HeldHost, HeldPool, HeldTuple } from '../../../src/domain/held.js'
import {
  isPoolTuple,
  networksAround,
  openedNetwork,
  type PoolKey,
  parsePoolKey,
  poolKeyOf,
  poolKeyText,
} from '../../../src/domain/pool-key.js'
import type { GreyPolicy, ManualEdit, TupleAttempt, TupleOutcome } from '../../../src/domain/requests.js'
import { HybridClock } from '../../../src/domain/stamp.js'
import { familyOf } from '../../../src/ip/address.js'
import { formatCidr, isInNetwork, networkOf, parseCidr } from '../../../src/ip/cidr.js'
import { attemptOf, NOW, POLICY } from '../../support/scratch-database.js'

const PASSED = NOW + POLICY.passSec + 1

/** What is on record, as a store keeps it: decisions are laid over it one batch after the other. */
class World {
  readonly held = new Map<string, Change['after']>()
  readonly changes: Change[] = []
  readonly #clock = new HybridClock(7, { time: 0, counter: 0 })

  attempt(attempts: TupleAttempt | TupleAttempt[], now: number, policy: GreyPolicy = POLICY): TupleOutcome[] {
    const batch = Array.isArray(attempts) ? attempts : [attempts]
    const draft = this.#draft(now)
    // What a store looks up is a part of what this draft holds, so that nothing may be missing in the selections.
    const wanted = [selectAttempts(batch, policy), selectPools(draft, batch, policy)]
    const outcomes = decideAttempts(draft, batch, policy)
    for (const { key } of draft.changes) {
      const isWanted = wanted.some(
        ({ hosts, tuples, pools, poolsAround }) =>
          (key.kind === 'host' && hosts.has(key.ip)) ||
          (key.kind === 'tuple' && tuples.has(tupleText(key))) ||
          (key.kind === 'pool' &&
            (pools.has(key.ip) || [...poolsAround].some((ip) => networksAround(ip).includes(key.ip)))),
      )
      expect(isWanted, JSON.stringify(key)).toBe(true)
    }
    this.#take(draft)
    return outcomes
  }

  edit(edit: ManualEdit, now: number): void {
    const draft = this.#draft(now)
    decideEdits(draft, [edit], { rule: 'manual' })
    this.#take(draft)
  }

  scan(changes: Parameters<typeof decideScan>[1], now: number): number {
    const draft = this.#draft(now)
    const { deletedCount } = decideScan(draft, changes, POLICY)
    this.#take(draft)
    return deletedCount
  }

  get pools(): string[] {
    return [...this.held].flatMap(([text, { entry }]) => (entry?.kind === 'POOL' ? [text] : []))
  }

  kindOf(text: string): string | undefined {
    return this.held.get(text)?.entry?.kind
  }

  #draft(now: number): Draft {
    const draft = new Draft(this.#clock, now)
    const counts = new Map<string, number>()
    for (const [text, held] of this.held) {
      if (text.includes('\0')) draft.holdTuple(text, held as HeldTuple)
      else if (text.includes('/')) draft.holdPool(text, held as HeldPool)
      else draft.holdHost(text, held as HeldHost)
      if (held.entry?.kind === 'POOL') counts.set(held.entry.pool, (counts.get(held.entry.pool) ?? 0) + 1)
    }
    for (const [pool, count] of counts) draft.holdOpened(pool, { count, lastExpire: 0 })
    draft.holdSpamtrap('trap@example.net', {
      entry: { kind: 'SPAMTRAP', address: 'trap@example.net', first: 1 },
      stamp: undefined,
    })
    return draft
  }

  #take(draft: Draft): void {
    this.changes.push(...draft.changes)
    for (const { key, after } of draft.changes) this.held.set(keyText(key), after)
  }
}

/** An attempt with the key of its network. */
function from(ip: string, bits = 24, changes: Partial<TupleAttempt> = {}): TupleAttempt {
  const key = { kind: 'network', network: formatCidr(networkOf(ip, bits)) } as const
  const attempt = attemptOf(ip, { pools: [{ key, mayOpen: true }], ...changes })
  return { ...attempt, tuple: { ...attempt.tuple, helo: `out-${ip}.example.org` } }
}

describe('keys', () => {
  const keys: { key: PoolKey; text: string }[] = [
    { key: { kind: 'network', network: '192.0.2.0/24' }, text: '192.0.2.0/24' },
    { key: { kind: 'network', network: '2001:db8::/64' }, text: '2001:db8::/64' },
    { key: { kind: 'spf', domain: 'example.org' }, text: 'spf:example.org' },
    { key: { kind: 'learn' }, text: 'learn' },
  ]
  test.each(keys)('$text is read back', ({ key, text }) => {
    expect(poolKeyText(key)).toBe(text)
    expect(parsePoolKey(text)).toEqual(key)
    expect(poolKeyOf({ ip: text, helo: '' })).toEqual(key)
    expect(poolKeyOf({ ip: text, helo: 'h' })).toBeUndefined()
    expect(isPoolTuple({ ip: text, helo: 'h' })).toBe(false)
    // A release opens networks, but counts no attempts.
    expect(isPoolTuple({ ip: text, helo: '' })).toBe(key.kind !== 'release')
  })
  test('an address is no key', () => {
    for (const text of ['192.0.2.1', '2001:db8::1', '']) {
      expect(parsePoolKey(text)).toBeUndefined()
      expect(isPoolTuple({ ip: text, helo: '' })).toBe(false)
    }
  })
  const opened: { name: string; key: PoolKey; ip: string; want: string }[] = [
    {
      name: 'the /24 of a wider network',
      key: { kind: 'network', network: '192.0.0.0/16' },
      ip: '192.0.2.9',
      want: '192.0.2.0/24',
    },
    {
      name: 'a narrower network as it is',
      key: { kind: 'network', network: '192.0.2.0/28' },
      ip: '192.0.2.9',
      want: '192.0.2.0/28',
    },
    {
      name: 'the /64 of a wider network',
      key: { kind: 'network', network: '2001:db8::/32' },
      ip: '2001:db8:1::9',
      want: '2001:db8:1::/64',
    },
    {
      name: 'the address alone of a domain',
      key: { kind: 'spf', domain: 'example.org' },
      ip: '2001:db8::9',
      want: '2001:db8::9/128',
    },
  ]
  test.each(opened)('opens $name', ({ key, ip, want }) => {
    expect(openedNetwork(key, ip)).toBe(want)
    expect(networksAround(ip)).toContain(want)
  })
})

describe('a pool', () => {
  const sizes = [5, 16, 250].flatMap((size) => [
    {
      name: `of ${size} in a /24`,
      size,
      bits: 24,
      address: (index: number) => `192.0.2.${1 + (index % size)}`,
    },
    {
      name: `of ${size} in a /64`,
      size,
      bits: 64,
      address: (index: number) => `2001:db8:0:7::${(1 + (index % size)).toString(16)}`,
    },
  ])
  test.each(sizes)('$name is open after the try that completes passtime', ({ bits, address }) => {
    const world = new World()
    const network = formatCidr(networkOf(address(0), bits))
    for (const [index, minute] of [0, 5, 15, 24].entries()) {
      const [outcome] = world.attempt(from(address(index), bits), NOW + minute * 60)
      expect([outcome!.result, outcome!.opened]).toEqual(['new', undefined])
    }
    const [outcome] = world.attempt(from(address(4), bits), PASSED)
    expect(outcome).toMatchObject({ result: 'promoted', opened: [network], waitedSec: 1501 })
    expect(world.held.get(network)?.entry).toEqual({
      kind: 'POOL',
      ip: network,
      pool: network,
      first: NOW,
      pass: PASSED,
      expire: PASSED + 7 * 86_400,
      bcount: 5,
      pcount: 0,
    })
    expect(world.changes.at(-1)?.cause.rule).toBe('pool')
  })

  test('of a wider key opens the network that came back, and then the next', () => {
    const world = new World()
    world.attempt(from('192.0.1.1', 16), NOW)
    expect(world.attempt(from('192.0.2.1', 16), PASSED)[0]!.opened).toEqual(['192.0.2.0/24'])
    expect(world.attempt(from('192.0.3.1', 16), PASSED + 1)[0]!.opened).toEqual(['192.0.3.0/24'])
    expect(world.pools.toSorted()).toEqual(['192.0.2.0/24', '192.0.3.0/24'])
  })

  test('is no single server: that one alone becomes WHITE', () => {
    const world = new World()
    world.attempt(from('192.0.2.1'), NOW)
    world.attempt(from('192.0.2.1'), NOW + 600)
    expect(world.attempt(from('192.0.2.1'), PASSED)[0]).toMatchObject({ result: 'promoted' })
    expect(world.pools).toEqual([])
    expect(world.kindOf('192.0.2.1')).toBe('WHITE')
    // It comes once more before the packet filter lets it past: still no pool.
    world.attempt(from('192.0.2.1'), PASSED + 1)
    expect(world.pools).toEqual([])
    // Another one of the same mail shows that it is one.
    expect(world.attempt(from('192.0.2.2'), PASSED + 2)[0]!.opened).toEqual(['192.0.2.0/24'])
  })

  test('a neighbour with another sender or recipient waits', () => {
    const world = new World()
    const other = attemptOf('192.0.2.9').tuple
    world.attempt(from('192.0.2.1'), NOW)
    for (const tuple of [
      { ...other, from: '<spam@example.com>' },
      { ...other, to: '<other@example.net>' },
    ]) {
      expect(world.attempt(from('192.0.2.9', 24, { tuple }), PASSED)[0]!.result).toBe('new')
    }
    expect(world.pools).toEqual([])
  })

  test('opens at most 64 networks for a key', () => {
    const world = new World()
    world.attempt(from('10.0.255.1', 16), NOW)
    for (let index = 0; index < MOST_OPENED.network; index += 1) {
      expect(world.attempt(from(`10.0.${index}.1`, 16), PASSED + index)[0]!.opened).toHaveLength(1)
    }
    const [outcome] = world.attempt(from('10.0.200.1', 16), PASSED + 100)
    expect(outcome).toMatchObject({ result: 'promoted' })
    expect(outcome!.opened).toBeUndefined()
    expect(world.pools).toHaveLength(MOST_OPENED.network)
    // One that ended leaves room.
    const later = PASSED + 8 * 86_400
    expect(
      world.scan(
        { expired: [{ kind: 'pool', ip: '10.0.0.0/24' }], promoted: [], blocked: [], blockedTuples: [] },
        later,
      ),
    ).toBe(1)
    world.attempt(from('10.0.201.1', 16), later)
    expect(world.attempt(from('10.0.202.1', 16), later + 1501)[0]!.opened).toEqual(['10.0.202.0/24'])
  })

  test('with a block-listed address stays closed, its client is WHITE', () => {
    const world = new World()
    const listed = (ip: string): TupleAttempt => {
      const attempt = from(ip)
      return { ...attempt, pools: attempt.pools!.map(({ key }) => ({ key, mayOpen: false })) }
    }
    world.attempt(listed('192.0.2.1'), NOW)
    expect(world.attempt(listed('192.0.2.2'), PASSED)[0]!.result).toBe('promoted')
    expect(world.pools).toEqual([])
    const free = from('192.0.2.3', 24, { mayPromote: false })
    expect(world.attempt(free, PASSED)[0]!.result).toBe('new')
    expect([world.pools, world.kindOf('192.0.2.3')]).toEqual([[], undefined])
  })

  test('with a TRAPPED address stays closed', () => {
    const world = new World()
    world.edit({ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.77' }, NOW)
    world.attempt(from('192.0.2.1'), NOW)
    expect(world.attempt(from('192.0.2.2'), PASSED)[0]!.opened).toBeUndefined()
    expect(world.pools).toEqual([])
  })

  test('is closed by a trap inside, and what was before does not open it again', () => {
    const world = new World()
    world.attempt(from('192.0.2.1'), NOW)
    world.attempt(from('192.0.2.2'), PASSED)
    const [outcome] = world.attempt(from('192.0.2.3', 24, { trapKey: 'trap@example.net' }), PASSED + 5)
    expect(outcome).toMatchObject({ result: 'trapped', closed: ['192.0.2.0/24'] })
    expect(world.pools).toEqual([])
    world.edit({ operation: 'delete', key: { kind: 'host', ip: '192.0.2.3' } }, PASSED + 6)
    expect(world.attempt(from('192.0.2.4'), PASSED + 7)[0]!.opened).toBeUndefined()
    // A mail that began after it may.
    const later = { ...attemptOf('192.0.2.5').tuple, from: '<later@example.org>' }
    world.attempt(from('192.0.2.5', 24, { tuple: later }), PASSED + 8)
    const again = from('192.0.2.6', 24, { tuple: { ...later, ip: '192.0.2.6' } })
    expect(world.attempt(again, PASSED + 8 + 1501)[0]!.opened).toEqual(['192.0.2.0/24'])
  })

  test.each([
    {
      name: 'by hand',
      close: (world: World) =>
        world.edit({ operation: 'delete', key: { kind: 'pool', ip: '192.0.2.0/24' } }, PASSED + 5),
    },
    {
      name: 'by a trap set by hand',
      close: (world: World) => world.edit({ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.9' }, PASSED + 5),
    },
    {
      name: 'by a scan',
      close: (world: World) =>
        world.scan(
          { expired: [], promoted: [], blocked: [], blockedTuples: [], closedPools: ['192.0.2.0/24'] },
          PASSED + 5,
        ),
    },
  ])('that is closed $name stays closed to the same mail', ({ close }) => {
    const world = new World()
    world.attempt(from('192.0.2.1'), NOW)
    world.attempt(from('192.0.2.2'), PASSED)
    expect(world.pools).toEqual(['192.0.2.0/24'])
    close(world)
    expect(world.pools).toEqual([])
    expect(world.attempt(from('192.0.2.3'), PASSED + 6)[0]!.opened).toBeUndefined()
    expect(world.pools).toEqual([])
  })

  test('does not give back an address that was deleted', () => {
    const world = new World()
    world.attempt(from('192.0.2.1'), NOW)
    world.attempt(from('192.0.2.2'), PASSED)
    world.edit({ operation: 'delete', key: { kind: 'host', ip: '192.0.2.2' } }, PASSED + 1)
    expect(world.attempt(from('192.0.2.2'), PASSED + 2)[0]!.result).toBe('new')
    expect(world.kindOf('192.0.2.2')).toBeUndefined()
  })

  test('is prolonged by another completed retry alone', () => {
    const world = new World()
    const mail = (ip: string, sender: string): TupleAttempt => {
      const attempt = from(ip)
      return { ...attempt, tuple: { ...attempt.tuple, from: sender } }
    }
    world.attempt(mail('192.0.2.1', '<a@b>'), NOW)
    world.attempt(mail('192.0.2.2', '<a@b>'), PASSED)
    const expire = PASSED + 7 * 86_400
    world.attempt(mail('192.0.2.3', '<c@d>'), PASSED + 60)
    expect(world.held.get('192.0.2.0/24')?.entry).toMatchObject({ expire, pcount: 0 })
    world.attempt(mail('192.0.2.4', '<c@d>'), PASSED + 60 + 1501)
    expect(world.held.get('192.0.2.0/24')?.entry).toMatchObject({
      expire: expire + 1561,
      pcount: 1,
      bcount: 4,
    })
  })

  test('lives as long as told', () => {
    const world = new World()
    const policy = { ...POLICY, poolExpireSec: 3600 }
    world.attempt(from('192.0.2.1'), NOW, policy)
    world.attempt(from('192.0.2.2'), PASSED, policy)
    const expired = [{ kind: 'pool', ip: '192.0.2.0/24' } as const]
    expect(world.scan({ expired, promoted: [], blocked: [], blockedTuples: [] }, PASSED + 3599)).toBe(0)
    expect(world.scan({ expired, promoted: [], blocked: [], blockedTuples: [] }, PASSED + 3600)).toBe(1)
    expect(world.pools).toEqual([])
  })
})

describe('learn-only mode', () => {
  const learning: GreyPolicy = { ...POLICY, isLearning: true }
  test('lets a client through at its second try, for a day, and greylisting counts on', () => {
    const world = new World()
    const attempt = attemptOf('192.0.2.1')
    expect(world.attempt(attempt, NOW, learning)[0]).toEqual({
      result: 'new',
      isNewHost: false,
      evictedCount: 0,
    })
    expect(world.attempt(attempt, NOW + 30, learning)[0]).toMatchObject({
      result: 'repeated',
      opened: ['192.0.2.1/32'],
    })
    expect(world.held.get('192.0.2.1/32')?.entry).toMatchObject({
      pool: 'learn',
      expire: NOW + 30 + 86_400,
      bcount: 2,
    })
    expect(world.kindOf('192.0.2.1')).toBeUndefined()
    // Until its table knows, tries change nothing.
    expect(world.attempt(attempt, NOW + 40, learning)[0]!.opened).toBeUndefined()
  })
  test('neither a listed client nor one that is trapped', () => {
    const world = new World()
    const listed = attemptOf('192.0.2.1', { mayPromote: false })
    world.attempt(listed, NOW, learning)
    world.attempt(listed, NOW + 30, learning)
    world.edit({ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.2' }, NOW)
    world.attempt(attemptOf('192.0.2.2'), NOW, learning)
    world.attempt(attemptOf('192.0.2.2'), NOW + 30, learning)
    expect(world.pools).toEqual([])
  })
  test('a trap takes it back', () => {
    const world = new World()
    world.attempt(attemptOf('192.0.2.1'), NOW, learning)
    world.attempt(attemptOf('192.0.2.1'), NOW + 30, learning)
    world.attempt(attemptOf('192.0.2.1', { trapKey: 'trap@example.net' }), NOW + 40, learning)
    expect(world.pools).toEqual([])
  })
})

describe('whatever the order of attempts', () => {
  const addresses = [
    '192.0.2.1',
    '192.0.2.2',
    '192.0.3.1',
    '198.51.100.1',
    '2001:db8::1',
    '2001:db8::2',
    '2001:db8:0:1::1',
  ]
  const step = fc.record({
    ip: fc.constantFrom(...addresses),
    sender: fc.constantFrom('<a@b>', '<c@d>'),
    wait: fc.oneof(fc.nat({ max: 2000 }), fc.nat({ max: 20_000 })),
    what: fc.constantFrom('try', 'try', 'try', 'try', 'trap', 'delete', 'listed'),
  })
  test.each([
    { bits4: 24, bits6: 64 },
    { bits4: 16, bits6: 32 },
    { bits4: 32, bits6: 128 },
  ])(
    'nothing is let in earlier than passtime after the first attempt of its key (%j)',
    ({ bits4, bits6 }) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          const world = new World()
          /** When each key was tried. */
          const tries = new Map<string, number[]>()
          let now = NOW
          for (const { ip, sender, wait, what } of steps) {
            now += wait
            if (what === 'delete') {
              world.edit({ operation: 'delete', key: { kind: 'host', ip } }, now)
              continue
            }
            const attempt = from(ip, familyOf(ip) === 4 ? bits4 : bits6, {
              mayPromote: what !== 'listed',
              ...(what === 'trap' ? { trapKey: 'trap@example.net' } : {}),
            })
            attempt.tuple = { ...attempt.tuple, from: sender }
            const keys = [ip, attempt.pools![0]!.key].map((key) => JSON.stringify([key, sender]))
            const hadWaited = keys.some((key) =>
              (tries.get(key) ?? []).some(
                (at) => at + POLICY.passSec < now && now < at + POLICY.greyExpireSec,
              ),
            )
            const before = world.changes.length
            const [outcome] = world.attempt(attempt, now)
            for (const key of keys) tries.set(key, [...(tries.get(key) ?? []), now])
            for (const { key, before: was, after, cause } of world.changes.slice(before)) {
              const isLetIn = after.entry?.kind === 'WHITE' || after.entry?.kind === 'POOL'
              if (!isLetIn) continue
              expect(hadWaited, `${keyText(key)} ${cause.rule} ${JSON.stringify(was)}`).toBe(true)
              expect(what).toBe('try')
              if (key.kind === 'pool') {
                const network = parseCidr(key.ip)!
                expect(isInNetwork(ip, network)).toBe(true)
                expect(network.prefixLength).toBeGreaterThanOrEqual(
                  familyOf(ip) === 4 ? Math.max(24, bits4) : Math.max(64, bits6),
                )
              }
            }
            if (outcome!.result === 'promoted') expect(hadWaited).toBe(true)
            // A network never stays open around a TRAPPED address.
            for (const network of world.pools) {
              for (const each of addresses) {
                if (isInNetwork(each, parseCidr(network)!)) expect(world.kindOf(each)).not.toBe('TRAPPED')
              }
            }
          }
        }),
        { numRuns: 400 },
      )
    },
  )
})
