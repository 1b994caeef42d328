import { describe, expect, test } from 'vitest'
import type { Store, SyncChange, TupleAttempt } from '../../../src/db/store.js'
import type { Entry } from '../../../src/domain/entry.js'
import { attemptOf, entriesOf, NOW, POLICY, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const TRAP = 'trap@example.net'

async function withTrap(): Promise<Store> {
  const store = await scratch.store({ durability: 'normal' })
  await store.edit([{ operation: 'add', kind: 'SPAMTRAP', address: TRAP }], NOW)
  return store
}

function numbered(n: number, changes: Partial<TupleAttempt> = {}): TupleAttempt {
  return attemptOf(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, changes)
}

async function resultsOf(store: Store, attempts: TupleAttempt[], now: number): Promise<string[]> {
  return (await store.recordAttempts(attempts, POLICY, now)).outcomes.map((outcome) => outcome.result)
}

async function kindOf(store: Store, ip: string): Promise<string | undefined> {
  return (await store.get({ kind: 'host', ip }))?.kind
}

describe('attempts', () => {
  test('new, repeated too early, promoted strictly after passtime; the tuple is gone then', async () => {
    const store = await withTrap()
    const attempt = attemptOf('192.0.2.1')
    expect(await resultsOf(store, [attempt, attempt], NOW)).toEqual(['new', 'repeated'])
    expect(await resultsOf(store, [attempt], NOW + 1500)).toEqual(['repeated'])
    expect(await resultsOf(store, [attempt], NOW + 1501)).toEqual(['promoted'])
    expect(await entriesOf(store, { kinds: ['WHITE', 'GREY'] })).toEqual([
      {
        kind: 'WHITE',
        ip: '192.0.2.1',
        first: NOW,
        pass: NOW + 1501,
        expire: NOW + 1501 + POLICY.whiteExpireSec,
        bcount: 4,
        pcount: 0,
      },
    ])
    expect((await store.check()).problems).toEqual([])
  })

  test('deleting a promoted address lasts: the next attempt begins anew', async () => {
    const store = await withTrap()
    const attempt = attemptOf('192.0.2.1')
    await store.recordAttempts([attempt], POLICY, NOW)
    await store.recordAttempts([attempt], POLICY, NOW + 2000)
    await store.edit([{ operation: 'delete', key: { kind: 'host', ip: '192.0.2.1' } }], NOW + 2001)
    expect(await resultsOf(store, [attempt], NOW + 2002)).toEqual(['new'])
  })

  test('an address on a block list is counted but not promoted; later it is', async () => {
    const store = await withTrap()
    const attempt = attemptOf('192.0.2.1')
    await store.recordAttempts([attempt], POLICY, NOW)
    expect(await resultsOf(store, [{ ...attempt, mayPromote: false }], NOW + 1600)).toEqual(['repeated'])
    expect(await kindOf(store, '192.0.2.1')).toBeUndefined()
    expect(await resultsOf(store, [attempt], NOW + 1601)).toEqual(['promoted'])
  })

  test('a tuple past its end that no scan removed begins anew', async () => {
    const store = await withTrap()
    const attempt = attemptOf('192.0.2.1')
    await store.recordAttempts([attempt], POLICY, NOW)
    expect(await resultsOf(store, [attempt], NOW + POLICY.greyExpireSec)).toEqual(['new'])
    expect(await entriesOf(store, { kinds: ['GREY'] })).toMatchObject([
      { first: NOW + POLICY.greyExpireSec, bcount: 1 },
    ])
    expect((await store.check()).problems).toEqual([])
  })

  test('a tuple that was made while the clock stood a year ahead begins anew, and passes in time', async () => {
    const store = await withTrap()
    const attempt = attemptOf('192.0.2.1')
    await store.recordAttempts([attempt], POLICY, NOW + 365 * 86_400)
    expect(await resultsOf(store, [attempt], NOW)).toEqual(['new'])
    expect(await resultsOf(store, [attempt], NOW + 1501)).toEqual(['promoted'])
    expect((await store.check()).problems).toEqual([])
  })

  test('an address that became WHITE while the clock stood a year ahead passes now when its client came back', async () => {
    const store = await withTrap()
    const year = 365 * 86_400
    const attempt = attemptOf('192.0.2.1')
    await store.recordAttempts([attempt], POLICY, NOW + year)
    await store.recordAttempts([attempt], POLICY, NOW + year + 1501)
    await store.edit(
      [{ operation: 'add', kind: 'WHITE', ip: '192.0.2.2', options: { expire: 0 } }],
      NOW + year,
    )
    const pinned = attemptOf('192.0.2.2')
    await store.recordAttempts([attempt, pinned], POLICY, NOW)
    expect(await resultsOf(store, [attempt, pinned], NOW + 1501)).toEqual(['promoted', 'promoted'])
    expect(await store.get({ kind: 'host', ip: '192.0.2.1' })).toMatchObject({
      kind: 'WHITE',
      first: NOW,
      pass: NOW + 1501,
      expire: NOW + 1501 + POLICY.whiteExpireSec,
    })
    expect(await store.get({ kind: 'host', ip: '192.0.2.2' })).toMatchObject({ pass: NOW + year, expire: 0 })
    expect((await store.check()).problems).toEqual([])
  })

  test('the key of a pool promotes the client that came and stays for the others', async () => {
    const store = await withTrap()
    const key = { kind: 'network', network: '192.0.2.0/24' } as const
    const from = (clientIp: string): TupleAttempt => attemptOf(clientIp, { pools: [{ key, mayOpen: true }] })
    expect(await resultsOf(store, [from('192.0.2.1')], NOW)).toEqual(['new'])
    expect(await resultsOf(store, [from('192.0.2.2')], NOW + 1600)).toEqual(['promoted'])
    expect(await resultsOf(store, [from('192.0.2.3')], NOW + 1601)).toEqual(['promoted'])
    const entries = await entriesOf(store, { kinds: ['WHITE', 'GREY', 'POOL'] })
    expect(entries.map((entry) => entry.kind !== 'SPAMTRAP' && `${entry.kind} ${entry.ip}`)).toEqual([
      'WHITE 192.0.2.2',
      'WHITE 192.0.2.3',
      'GREY 192.0.2.0/24',
      'GREY 192.0.2.1',
      'POOL 192.0.2.0/24',
    ])
  })

  test('IPv6 clients like any other', async () => {
    const store = await withTrap()
    const attempt = attemptOf('2001:db8::1')
    await store.recordAttempts([attempt], POLICY, NOW)
    expect(await resultsOf(store, [attempt], NOW + 1501)).toEqual(['promoted'])
    expect(await kindOf(store, '2001:db8::1')).toBe('WHITE')
  })
})

describe('traps', () => {
  test('a spamtrap traps at once and leaves no tuple; another hit extends', async () => {
    const store = await withTrap()
    const attempt = attemptOf('192.0.2.1', { trapKey: TRAP })
    expect((await store.recordAttempts([attempt, attempt], POLICY, NOW)).outcomes).toEqual([
      { result: 'trapped', isNewHost: true, evictedCount: 0, trapExpire: NOW + POLICY.trapExpireSec },
      { result: 'trapped', isNewHost: false, evictedCount: 0, trapExpire: NOW + POLICY.trapExpireSec },
    ])
    await store.recordAttempts([attempt], POLICY, NOW + 100)
    expect(await entriesOf(store, { kinds: ['TRAPPED', 'GREY'] })).toMatchObject([
      { kind: 'TRAPPED', expire: NOW + 100 + POLICY.trapExpireSec, bcount: 3 },
    ])
  })

  test('the outcome says when the trap ends on record: never if pinned, not earlier than before', async () => {
    const store = await withTrap()
    const ips = ['192.0.2.1', '192.0.2.2', '192.0.2.3']
    const expires = [0, NOW + 1_000_000, NOW + 5]
    const edits = ips.map((ip, index) => {
      return { operation: 'add', kind: 'TRAPPED', ip, options: { expire: expires[index]! } } as const
    })
    await store.edit(edits, NOW)
    const attempts = [
      attemptOf(ips[0]!, { trapKey: TRAP }),
      attemptOf(ips[1]!, { isDomainTrap: true }),
      attemptOf(ips[2]!, { isLowPriorityMx: true }),
    ]
    const { outcomes } = await store.recordAttempts(attempts, POLICY, NOW + 1)
    expect(outcomes.map(({ result, trapExpire }) => [result, trapExpire])).toEqual([
      ['trapped', 0],
      ['trapped', NOW + 1_000_000],
      ['trapped-mx', NOW + 1 + POLICY.trapExpireSec],
    ])
    for (const [index, ip] of ips.entries()) {
      expect(await store.get({ kind: 'host', ip })).toMatchObject({ expire: outcomes[index]!.trapExpire })
    }
  })

  test('only SPAMTRAP entries trap: neither an address literal nor a tuple does', async () => {
    const store = await withTrap()
    await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], NOW)
    expect(await resultsOf(store, [attemptOf('192.0.2.9', { trapKey: '192.0.2.1' })], NOW)).toEqual(['new'])
  })

  test('a WHITE address is trapped for the trap time; a pinned one is exempt and greylisted', async () => {
    const store = await withTrap()
    await store.edit(
      [
        { operation: 'add', kind: 'WHITE', ip: '192.0.2.1' },
        { operation: 'add', kind: 'WHITE', ip: '192.0.2.2', options: { expire: 0 } },
        { operation: 'add', kind: 'TRAPPED', ip: '192.0.2.3', options: { expire: 0 } },
      ],
      NOW,
    )
    const attempts = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((ip) => attemptOf(ip, { trapKey: TRAP }))
    expect(await resultsOf(store, attempts, NOW + 5)).toEqual(['trapped', 'new', 'trapped'])
    expect(await store.get({ kind: 'host', ip: '192.0.2.1' })).toMatchObject({
      kind: 'TRAPPED',
      expire: NOW + 5 + POLICY.trapExpireSec,
    })
    expect(await store.get({ kind: 'host', ip: '192.0.2.2' })).toMatchObject({ kind: 'WHITE', expire: 0 })
    expect(await store.get({ kind: 'host', ip: '192.0.2.3' })).toMatchObject({ kind: 'TRAPPED', expire: 0 })
  })

  test('each text of a recipient is looked for', async () => {
    const store = await withTrap()
    const attempts = [
      attemptOf('192.0.2.1', { trapKey: 'x@y', otherTrapKeys: ['z@y', TRAP] }),
      attemptOf('192.0.2.2', { trapKey: 'x@y', otherTrapKeys: ['z@y'] }),
      attemptOf('192.0.2.3', { trapKey: 'x@y' }),
    ]
    expect(await resultsOf(store, attempts, NOW)).toEqual(['trapped', 'new', 'new'])
  })

  test('a TRAPPED address that tries the low-priority MX stays trapped for longer, without a tuple', async () => {
    const store = await withTrap()
    await store.recordAttempts([attemptOf('192.0.2.1', { trapKey: TRAP })], POLICY, NOW)
    const atMx = attemptOf('192.0.2.1', { isLowPriorityMx: true })
    expect(await resultsOf(store, [atMx], NOW + 500)).toEqual(['trapped-mx'])
    expect(await entriesOf(store, { kinds: ['TRAPPED', 'GREY'] })).toMatchObject([
      { kind: 'TRAPPED', ip: '192.0.2.1', expire: NOW + 500 + POLICY.trapExpireSec, bcount: 2 },
    ])
  })

  test('a recipient outside the allowed domains traps', async () => {
    const store = await withTrap()
    expect(await resultsOf(store, [attemptOf('192.0.2.1', { isDomainTrap: true })], NOW)).toEqual(['trapped'])
  })

  test('the low-priority MX first traps; a known tuple is spared', async () => {
    const store = await withTrap()
    await store.recordAttempts([attemptOf('192.0.2.1')], POLICY, NOW)
    const attempts = ['192.0.2.1', '192.0.2.2'].map((ip) => attemptOf(ip, { isLowPriorityMx: true }))
    expect(await resultsOf(store, attempts, NOW + 1)).toEqual(['repeated', 'trapped-mx'])
    expect(await kindOf(store, '192.0.2.2')).toBe('TRAPPED')
  })

  test('the low-priority MX right after the retry that promoted does not trap; one made WHITE by hand is trapped', async () => {
    const store = await withTrap()
    const [passed, byHand] = ['192.0.2.1', '192.0.2.2'].map((ip) => attemptOf(ip, { isLowPriorityMx: true }))
    await store.recordAttempts([attemptOf('192.0.2.1')], POLICY, NOW)
    await store.recordAttempts([attemptOf('192.0.2.1')], POLICY, NOW + 2000)
    await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.2' }], NOW + 1990)
    expect(await resultsOf(store, [passed!, byHand!], NOW + 2000)).toEqual(['new', 'trapped-mx'])
    expect(await kindOf(store, '192.0.2.1')).toBe('WHITE')
    const other = { ...passed!, tuple: { ...passed!.tuple, to: '<other@example.net>' } }
    expect(await resultsOf(store, [other], NOW + POLICY.greyExpireSec)).toEqual(['trapped-mx'])
  })

  test('what is new: the WHITE entry of a promotion once, the TRAPPED one where there was none', async () => {
    const store = await withTrap()
    const attempt = attemptOf('192.0.2.1')
    const second = { ...attempt, tuple: { ...attempt.tuple, to: '<other@example.net>' } }
    await store.recordAttempts([attempt, second], POLICY, NOW)
    const hit = attemptOf('192.0.2.1', { trapKey: TRAP })
    expect((await store.recordAttempts([attempt, second, hit], POLICY, NOW + 2000)).outcomes).toEqual([
      { result: 'promoted', isNewHost: true, evictedCount: 0, waitedSec: 2000 },
      { result: 'promoted', isNewHost: false, evictedCount: 0, waitedSec: 2000 },
      {
        result: 'trapped',
        isNewHost: false,
        evictedCount: 0,
        trapExpire: NOW + 2000 + POLICY.trapExpireSec,
      },
    ])
  })

  test('a TRAPPED address is not promoted and keeps its tuple', async () => {
    const store = await withTrap()
    const attempt = attemptOf('192.0.2.1')
    await store.recordAttempts([attempt], POLICY, NOW)
    await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.1' }], NOW)
    expect(await resultsOf(store, [attempt], NOW + 1600)).toEqual(['repeated'])
    expect(await store.count()).toMatchObject({ TRAPPED: 1, WHITE: 0, GREY: 1 })
  })
})

describe('limits of tuples', () => {
  test('of one address: the oldest goes, whatever its key; others are untouched', async () => {
    const store = await withTrap()
    const policy = { ...POLICY, maxTuplesPerAddress: 3 }
    const attempt = (helo: string): TupleAttempt => ({
      ...attemptOf('192.0.2.1'),
      tuple: { ...attemptOf('192.0.2.1').tuple, helo },
    })
    await store.recordAttempts([attemptOf('192.0.2.2')], policy, NOW - 9)
    await store.recordAttempts([attempt('d')], policy, NOW)
    await store.recordAttempts([attempt('c')], policy, NOW + 1)
    await store.recordAttempts([attempt('a')], policy, NOW + 2)
    expect((await store.recordAttempts([attempt('b')], policy, NOW + 3)).outcomes[0]).toMatchObject({
      evictedCount: 1,
    })
    const left = await entriesOf(store, { kinds: ['GREY'], network: '192.0.2.1/32' })
    expect(left.map((entry) => entry.kind === 'GREY' && entry.helo)).toEqual(['a', 'b', 'c'])
    const flood = Array.from({ length: 500 }, (_, n) => attempt(`flood${n}`))
    const { outcomes } = await store.recordAttempts(flood, policy, NOW + 4)
    expect(outcomes.reduce((sum, outcome) => sum + outcome.evictedCount, 0)).toBe(500)
    expect(await store.count()).toMatchObject({ GREY: 4 })
    expect((await store.check()).problems).toEqual([])
  })

  test('of all: a small database loses its very oldest', async () => {
    const store = await withTrap()
    const policy = { ...POLICY, maxTuples: 10 }
    for (let n = 0; n < 25; n += 1) {
      const { outcomes } = await store.recordAttempts([numbered((n * 7) % 25)], policy, NOW + n)
      expect(outcomes).toMatchObject([{ result: 'new', evictedCount: n < 10 ? 0 : 1 }])
    }
    const left = await entriesOf(store, { kinds: ['GREY'] })
    expect(left.map((entry) => entry.first - NOW).toSorted((a, b) => a - b)).toEqual([
      15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
    ])
  })

  test('of all: a large one loses only from its oldest thirty-second', async () => {
    const store = await withTrap()
    const total = 20_000
    const shuffled = (n: number): number => (n * 7919) % total
    const old: Entry[] = Array.from({ length: total }, (_, n) => {
      const { tuple } = numbered(n)
      const first = NOW - total + shuffled(n)
      return { kind: 'GREY', ...tuple, first, pass: NOW + 14_400, expire: NOW + 14_400, bcount: 1, pcount: 0 }
    })
    await store.upsertAll([old], { ifMissing: false })
    const policy = { ...POLICY, maxTuples: total }
    let evictedCount = 0
    for (let round = 0; round < 4; round += 1) {
      const flood = Array.from({ length: 300 }, (_, n) => numbered(100_000 + round * 1000 + n))
      for (const outcome of (await store.recordAttempts(flood, policy, NOW + round)).outcomes) {
        evictedCount += outcome.evictedCount
      }
      expect(await store.count()).toMatchObject({ GREY: total })
    }
    expect(evictedCount).toBe(1200)
    const left = new Set((await entriesOf(store, { kinds: ['GREY'] })).map((entry) => entry.first))
    // 1,200 evicted, each among the oldest 1/32 of its time, give or take one step of the age table.
    const surelyKept = NOW - total + 1200 + total / 32 + 2 * 64
    for (let first = surelyKept; first < NOW; first += 1) expect(left.has(first)).toBe(true)
    expect((await store.check()).problems).toEqual([])
  })

  test('of all: imported tuples above the limit go with the next attempt', async () => {
    const store = await withTrap()
    const attempts = Array.from({ length: 200 }, (_, n) => numbered(n))
    await store.recordAttempts(attempts, POLICY, NOW)
    const { outcomes } = await store.recordAttempts([numbered(999)], { ...POLICY, maxTuples: 50 }, NOW + 1)
    expect(outcomes[0]?.evictedCount).toBe(151)
    expect(await store.count()).toMatchObject({ GREY: 50 })
    expect(await store.get({ kind: 'tuple', ...numbered(999).tuple })).toBeDefined()
  })
})

describe('sightings', () => {
  test('are applied in order, the same address twice in one batch too', async () => {
    const store = await scratch.store()
    await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.2' }], NOW)
    const sightings = ['192.0.2.1', '192.0.2.2', '192.0.2.1'].map((ip) => ({ ip, count: 2 }))
    const options = { whiteExpireSec: 1000, untrap: false }
    expect((await store.recordSightings(sightings, options, NOW + 1)).outcomes).toEqual([
      { result: 'added', expire: NOW + 1001 },
      { result: 'left-trapped' },
      { result: 'refreshed', expire: NOW + 1001 },
    ])
    expect(await store.get({ kind: 'host', ip: '192.0.2.1' })).toMatchObject({
      pcount: 3,
      expire: NOW + 1001,
    })
    const untrap = { ...options, untrap: true }
    expect((await store.recordSightings([{ ip: '192.0.2.2', count: 1 }], untrap, NOW + 2)).outcomes).toEqual([
      { result: 'untrapped', expire: NOW + 1002 },
    ])
    expect(await store.get({ kind: 'host', ip: '192.0.2.2' })).toMatchObject({ kind: 'WHITE', pass: NOW + 2 })
  })
})

test('the outcome of a sighting says when the entry ends on record: never if pinned, and a clock behind shortens none', async () => {
  const store = await scratch.store()
  const options = { whiteExpireSec: 1000, untrap: false }
  await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1', options: { expire: 0 } }], NOW)
  await store.recordSightings([{ ip: '192.0.2.2', count: 1 }], options, NOW)
  const seen = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((ip) => ({ ip, count: 1 }))
  const { outcomes } = await store.recordSightings(seen, options, NOW - 7200)
  expect(outcomes).toEqual([
    { result: 'refreshed', expire: 0 },
    { result: 'refreshed', expire: NOW + 1000 },
    { result: 'added', expire: NOW - 6200 },
  ])
})

describe('sync', () => {
  test('hosts and deletions, in order', async () => {
    const store = await withTrap()
    const expire = NOW + 500
    const changes: SyncChange[] = [
      { type: 'WHITE', ip: '192.0.2.1', expire },
      { type: 'TRAPPED', ip: '192.0.2.1', expire },
      { type: 'WHITE', ip: '192.0.2.1', expire },
      { type: 'WHITE', ip: '192.0.2.2', expire: NOW - 1 },
      { type: 'TRAPPED', ip: '192.0.2.4', expire },
      { type: 'delete', ip: '192.0.2.1' },
      { type: 'delete', ip: '192.0.2.1' },
    ]
    expect((await store.applySync(changes, POLICY, NOW)).outcomes).toEqual([
      'created',
      'applied',
      'ignored',
      'ignored',
      'created',
      'applied',
      'ignored',
    ])
    expect(await store.count()).toEqual({ WHITE: 0, TRAPPED: 1, SPAMTRAP: 1, GREY: 0, POOL: 0 })
    expect(await kindOf(store, '192.0.2.4')).toBe('TRAPPED')
  })

  test('an expiry of a peer is cut to the life of an own entry', async () => {
    const store = await withTrap()
    const far = 0x7fffffff
    const { whiteExpireSec, trapExpireSec } = POLICY
    const lives: [SyncChange, number][] = [
      [{ type: 'WHITE', ip: '192.0.2.1', expire: far }, whiteExpireSec],
      [{ type: 'TRAPPED', ip: '192.0.2.2', expire: far }, trapExpireSec],
      [{ type: 'WHITE', ip: '192.0.2.3', expire: NOW + whiteExpireSec + 1 }, whiteExpireSec],
      [{ type: 'TRAPPED', ip: '192.0.2.4', expire: NOW + trapExpireSec - 1 }, trapExpireSec - 1],
    ]
    await store.applySync(
      lives.map(([change]) => change),
      POLICY,
      NOW,
    )
    for (const [{ ip }, lifeSec] of lives) {
      expect(await store.get({ kind: 'host', ip })).toMatchObject({ expire: NOW + lifeSec })
    }
  })

  test('a bad entry changes nothing at all', async () => {
    const store = await withTrap()
    const changes: SyncChange[] = [
      { type: 'WHITE', ip: '192.0.2.1', expire: NOW + 5 },
      { type: 'TRAPPED', ip: 'a\0b', expire: NOW + 5 },
    ]
    await expect(store.applySync(changes, POLICY, NOW)).rejects.toThrow(TypeError)
    expect(await store.count()).toMatchObject({ WHITE: 0, GREY: 0 })
  })
})
