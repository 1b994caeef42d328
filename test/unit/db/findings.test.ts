/** What DNS said of attempts after their answers, as the database takes it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AttemptFinding, Store, TupleAttempt, TupleOutcome } from '../../../src/db/store.js'
import type { Tuple } from '../../../src/domain/entry.js'
import {
  attemptOf,
  entriesOf,
  listingOf,
  NOW,
  POLICY,
  runsWithDatabase,
  Scratch,
} from '../../support/scratch-database.js'

const scratch = new Scratch()
const PASSED = NOW + POLICY.passSec + 1
const WEEK = 7 * 86_400

/** An attempt of one of many servers, each with a HELO of its own. */
function from(ip: string, changes: Partial<Tuple> = {}, more: Partial<TupleAttempt> = {}): TupleAttempt {
  const attempt = attemptOf(ip, more)
  return { ...attempt, tuple: { ...attempt.tuple, helo: `mx-${ip}.example.org`, ...changes } }
}

/** What spamd does with an attempt whose SPF passes for example.org. */
async function send(
  store: Store,
  attempt: TupleAttempt,
  now: number,
  finding: Omit<AttemptFinding, 'attempt'> = { spfPass: { domain: 'example.org', isOfDomain: true } },
): Promise<TupleOutcome> {
  await store.recordAttempts([attempt], POLICY, now)
  const { outcomes } = await store.recordFindings([{ attempt, ...finding }], POLICY, now)
  return outcomes[0]!
}

const white = async (store: Store): Promise<string[]> =>
  (await entriesOf(store, { kinds: ['WHITE'] })).map((entry) => (entry.kind === 'WHITE' ? entry.ip : ''))
const opened = async (store: Store): Promise<string[]> =>
  (await listingOf(store, { kinds: ['POOL'] }))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, network, pool, , , expire] = line.split('|')
      return `${network} ${pool} ${expire}`
    })

describe('a domain that passes SPF', () => {
  test('never passes with its first attempt', async () => {
    const store = await scratch.store()
    expect((await send(store, from('192.0.2.1'), NOW)).result).toBe('repeated')
    expect(await white(store)).toEqual([])
    expect(await opened(store)).toEqual([])
  })

  test('passes by a retry after passtime from another address, and lets its other addresses in for a week', async () => {
    const store = await scratch.store()
    await send(store, from('192.0.2.1'), NOW)
    await send(store, from('198.51.100.1'), NOW + 600)
    expect(await send(store, from('203.0.113.1'), PASSED)).toMatchObject({
      result: 'promoted',
      isNewHost: true,
      waitedSec: POLICY.passSec + 1,
      opened: ['203.0.113.1/32'],
    })
    expect(await white(store)).toEqual(['203.0.113.1'])
    // Another mail of the domain, from another address.
    const other = from('203.0.113.99', { from: '<boss@example.org>', to: '<other@example.net>' })
    expect(await send(store, other, PASSED + 3600)).toMatchObject({
      result: 'repeated',
      opened: ['203.0.113.99/32'],
    })
    // Nothing but a completed retry makes it longer.
    const end = PASSED + WEEK
    expect(await opened(store)).toEqual([
      `203.0.113.1/32 spf:example.org ${end}`,
      `203.0.113.99/32 spf:example.org ${end}`,
    ])
    await send(store, from('203.0.113.98', { to: '<third@example.net>' }), end + 1)
    expect(await white(store)).toEqual(['203.0.113.1'])
    expect(await opened(store)).toHaveLength(2)
  })

  test('is another one than a domain that names itself alike, and than another recipient', async () => {
    const store = await scratch.store()
    await send(store, from('192.0.2.1'), NOW)
    const finding = { spfPass: { domain: 'example.com', isOfDomain: true } }
    expect((await send(store, from('192.0.2.2'), PASSED, finding)).result).toBe('repeated')
    expect((await send(store, from('192.0.2.3', { to: '<x@example.net>' }), PASSED)).result).toBe('repeated')
    expect(await white(store)).toEqual([])
    expect(await opened(store)).toEqual([])
  })

  test('by ptr, exists or a macro lets the client in that came back, and nobody else', async () => {
    const store = await scratch.store()
    const finding = { spfPass: { domain: 'example.org', isOfDomain: false } }
    await send(store, from('192.0.2.1'), NOW, finding)
    expect((await send(store, from('192.0.2.2'), PASSED, finding)).result).toBe('promoted')
    expect(await white(store)).toEqual(['192.0.2.2'])
    expect(await opened(store)).toEqual([])
    await send(store, from('192.0.2.3', { to: '<other@example.net>' }), PASSED + 1, finding)
    expect(await white(store)).toEqual(['192.0.2.2'])
  })

  test('opens no more than 256 addresses', async () => {
    const store = await scratch.store()
    await send(store, from('10.0.0.1'), NOW)
    await send(store, from('10.0.0.2'), PASSED)
    for (let index = 0; index < 300; index += 1) {
      const to = `<u${index}@example.net>`
      await send(store, from(`10.1.${index >> 8}.${index & 255}`, { to }), PASSED + 1)
    }
    expect(await opened(store)).toHaveLength(256)
  })

  test('a block-listed or TRAPPED client is counted, and waits', async () => {
    const store = await scratch.store()
    await send(store, from('192.0.2.1'), NOW)
    expect((await send(store, from('192.0.2.2', {}, { mayPromote: false }), PASSED)).result).toBe('repeated')
    await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.3' }], NOW)
    expect((await send(store, from('192.0.2.3'), PASSED)).result).toBe('repeated')
    expect(await white(store)).toEqual([])
    expect(await opened(store)).toEqual([])
    const sum = (await entriesOf(store, { kinds: ['GREY'] })).find(
      (entry) => entry.kind === 'GREY' && entry.ip === 'spf:example.org',
    )
    expect(sum).toMatchObject({ bcount: 3, helo: '' })
  })

  test('an address that was deleted meanwhile stays deleted until a new wait', async () => {
    const store = await scratch.store()
    await send(store, from('192.0.2.1'), NOW)
    await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.2' }], NOW + 10)
    await store.edit([{ operation: 'delete', key: { kind: 'host', ip: '192.0.2.2' } }], NOW + 20)
    expect((await send(store, from('192.0.2.2'), PASSED)).result).toBe('repeated')
    expect(await white(store)).toEqual([])
  })

  test('a trap closes the address that hit it', async () => {
    const store = await scratch.store()
    await send(store, from('192.0.2.1'), NOW)
    await send(store, from('192.0.2.2'), PASSED)
    await send(store, from('192.0.2.3', { to: '<x@example.net>' }), PASSED + 1)
    await store.edit([{ operation: 'add', kind: 'SPAMTRAP', address: 'user@example.net' }], PASSED + 2)
    await store.recordAttempts([from('192.0.2.3')], POLICY, PASSED + 3)
    expect(await opened(store)).toEqual([`192.0.2.2/32 spf:example.org ${PASSED + WEEK}`])
  })

  test('the tuples of a domain have the limit of those of an address', async () => {
    const store = await scratch.store()
    const policy = { ...POLICY, maxTuplesPerAddress: 10 }
    let evictedCount = 0
    for (let index = 0; index < 30; index += 1) {
      const attempt = from('192.0.2.1', { to: `<u${index}@example.net>` })
      const finding = { attempt, spfPass: { domain: 'example.org', isOfDomain: true } }
      const { outcomes } = await store.recordFindings([finding], policy, NOW + index)
      evictedCount += outcomes[0]!.evictedCount
    }
    expect(evictedCount).toBe(20)
    expect((await entriesOf(store, { kinds: ['GREY'] })).length).toBe(10)
  })
})

test('a flood of domains that pass SPF keeps within the limit of tuples, and pushes out nobody else', async () => {
  const store = await scratch.store()
  const policy = { ...POLICY, maxTuples: 500 }
  await store.recordAttempts([from('203.0.113.5'), from('203.0.113.6')], policy, NOW)
  let evictedCount = 0
  for (let round = 0; round < 20; round += 1) {
    const findings = Array.from({ length: 100 }, (_, index) => {
      const domain = `d${round}-${index}.example`
      const attempt = from('198.51.100.1', { from: `<s@${domain}>` })
      return { attempt, spfPass: { domain, isOfDomain: true } }
    })
    const { outcomes } = await store.recordFindings(findings, policy, NOW + round)
    for (const outcome of outcomes) evictedCount += outcome.evictedCount
  }
  expect(evictedCount).toBe(1500)
  const left = (await entriesOf(store, { kinds: ['GREY'] })).flatMap((entry) =>
    entry.kind === 'GREY' ? [entry.ip] : [],
  )
  expect(left.filter((ip) => ip.startsWith('spf:'))).toHaveLength(500)
  expect(left.filter((ip) => !ip.startsWith('spf:'))).toEqual(['203.0.113.5', '203.0.113.6'])
})

describe('other findings', () => {
  test('a sender that fails SPF is trapped where that is asked for, one that is WHITE is not', async () => {
    const store = await scratch.store()
    await store.edit(
      [
        { operation: 'add', kind: 'WHITE', ip: '192.0.2.2' },
        { operation: 'add', kind: 'TRAPPED', ip: '192.0.2.3', options: { expire: 0 } },
      ],
      NOW,
    )
    expect(await send(store, from('192.0.2.1'), NOW, { isSpfFail: true })).toMatchObject({
      result: 'trapped-spf',
      trapExpire: NOW + POLICY.trapExpireSec,
    })
    expect(await send(store, from('192.0.2.3'), NOW, { isSpfFail: true })).toMatchObject({
      result: 'trapped-spf',
      trapExpire: 0,
    })
    expect((await send(store, from('192.0.2.2'), NOW, { isSpfFail: true })).result).not.toBe('trapped-spf')
    const [trapped] = await entriesOf(store, { kinds: ['TRAPPED'] })
    expect(trapped).toMatchObject({ ip: '192.0.2.1', expire: NOW + POLICY.trapExpireSec })
    expect(
      (await store.readHistory({ after: 0, limit: 10, ip: '192.0.2.1' })).map(({ rule }) => rule),
    ).toContain('spf-fail')
  })

  test('a client on a list of good senders is WHITE at its first attempt', async () => {
    const store = await scratch.store()
    const outcome = await send(store, from('192.0.2.1'), NOW, { isAllowListed: true })
    expect(outcome).toEqual({ result: 'promoted', isNewHost: true, evictedCount: 0 })
    expect(await entriesOf(store)).toMatchObject([
      { kind: 'WHITE', ip: '192.0.2.1', first: NOW, pass: NOW, expire: NOW + POLICY.whiteExpireSec },
    ])
    await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.2' }], NOW)
    expect((await send(store, from('192.0.2.2'), NOW, { isAllowListed: true })).result).toBe('repeated')
    const listed = from('192.0.2.3', {}, { mayPromote: false })
    expect((await send(store, listed, NOW, { isAllowListed: true })).result).toBe('repeated')
  })

  test('a client that waited while a list held it back passes once none does', async () => {
    const store = await scratch.store()
    const attempt = from('192.0.2.1')
    const held = { ...attempt, mayPromote: false }
    await store.recordAttempts([held], POLICY, NOW)
    await store.recordAttempts([held], POLICY, PASSED)
    expect((await store.recordFindings([{ attempt: held }], POLICY, PASSED)).outcomes[0]!.result).toBe(
      'repeated',
    )
    const { outcomes } = await store.recordFindings([{ attempt }], POLICY, PASSED)
    expect(outcomes[0]).toEqual({ result: 'promoted', isNewHost: true, evictedCount: 0, waitedSec: 1501 })
    expect(await listingOf(store)).toMatch(/^WHITE\|192\.0\.2\.1\|[^\n]*\n$/)
  })

  test('so does a pool by network, and its network is open then', async () => {
    const store = await scratch.store()
    const pools = [{ key: { kind: 'network', network: '192.0.2.0/24' }, mayOpen: true }] as const
    const held = (ip: string) => from(ip, {}, { pools, mayPromote: false })
    await store.recordAttempts([held('192.0.2.1')], POLICY, NOW)
    await store.recordAttempts([held('192.0.2.2')], POLICY, PASSED)
    const attempt = { ...held('192.0.2.2'), mayPromote: true }
    const { outcomes } = await store.recordFindings([{ attempt }], POLICY, PASSED)
    expect(outcomes[0]).toMatchObject({ result: 'promoted', opened: ['192.0.2.0/24'] })
  })

  test('a tuple of before its address was deleted does not pass by a finding', async () => {
    const store = await scratch.store()
    const attempt = from('192.0.2.1')
    await store.recordAttempts([attempt], POLICY, NOW)
    await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], NOW + 10)
    await store.edit([{ operation: 'delete', key: { kind: 'host', ip: '192.0.2.1' } }], NOW + 20)
    const { outcomes } = await store.recordFindings([{ attempt }], POLICY, PASSED)
    expect(outcomes[0]!.result).toBe('repeated')
  })
})

test('whatever the order of attempts, nobody is let in by SPF before passtime after the first attempt of a key', async () => {
  const attempt = fc.record({
    host: fc.integer({ min: 1, max: 4 }),
    to: fc.integer({ min: 1, max: 2 }),
    domain: fc.integer({ min: 1, max: 2 }),
    isOfDomain: fc.boolean(),
    isPass: fc.boolean(),
    gapSec: fc.integer({ min: 0, max: 700 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(attempt, { minLength: 1, maxLength: 25 }), async (attempts) => {
      const store = await scratch.store()
      let now = NOW
      /** First attempt of each key, exact and by domain. */
      const firsts = new Map<string, number>()
      let isDomainOpen = new Set<number>()
      for (const { host, to, domain, isOfDomain, isPass, gapSec } of attempts) {
        now += gapSec
        const ip = `192.0.2.${host}`
        const exact = `${host} ${to}`
        const shared = `${domain} ${to}`
        const known = new Set(await white(store))
        const sender = { from: `<s@d${domain}.example>`, to: `<u${to}@example.net>` }
        if (!firsts.has(`${exact} ${domain}`)) firsts.set(`${exact} ${domain}`, now)
        if (isPass && !firsts.has(shared)) firsts.set(shared, now)
        const spfPass = { domain: `d${domain}.example`, isOfDomain }
        const outcome = await send(store, from(ip, sender), now, isPass ? { spfPass } : {})
        const isDue = (key: string): boolean => now - (firsts.get(key) ?? now) > POLICY.passSec
        const isByKey = isDue(`${exact} ${domain}`) || (isPass && isDue(shared))
        const isNowWhite = (await white(store)).includes(ip)
        if (isNowWhite && !known.has(ip)) expect(isByKey).toBe(true)
        if ((outcome.opened ?? []).length > 0) {
          expect(isPass && isOfDomain && (isDue(shared) || isDomainOpen.has(domain))).toBe(true)
          isDomainOpen = isDomainOpen.add(domain)
        }
      }
    }),
    { numRuns: runsWithDatabase(60) },
  )
})
