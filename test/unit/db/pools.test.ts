/** Pools in the database: beside the tuples, apart from their limits, and in no listing of the original. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { exportEntries } from '../../../src/app/database/export-entries.js'
import { openRenderer, renderLines } from '../../../src/cli/spamdb/entry-renderers.js'
import { APPLICATION_ID, MIGRATIONS } from '../../../src/db/schema.js'
import type { Store, TupleAttempt } from '../../../src/db/store.js'
import { ENTRY_KINDS, type Entry } from '../../../src/domain/entry.js'
import { familyOf } from '../../../src/ip/address.js'
import { formatCidr, networkOf } from '../../../src/ip/cidr.js'
import { attemptOf, entriesOf, listingOf, NOW, POLICY, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const PASSED = NOW + POLICY.passSec + 1

function from(ip: string, changes: Partial<TupleAttempt['tuple']> = {}, bits = 24): TupleAttempt {
  const length = familyOf(ip) === 4 ? bits : 64
  const key = { kind: 'network', network: formatCidr(networkOf(ip, length)) } as const
  const attempt = attemptOf(ip, { pools: [{ key, mayOpen: true }] })
  return { ...attempt, tuple: { ...attempt.tuple, helo: ip, ...changes } }
}

/** A store with two open networks, one of each family. */
async function opened(): Promise<Store> {
  const store = await scratch.store()
  await store.recordAttempts([from('192.0.2.1'), from('2001:db8::1')], POLICY, NOW)
  const { outcomes } = await store.recordAttempts([from('192.0.2.2'), from('2001:db8::2')], POLICY, PASSED)
  expect(outcomes.map((outcome) => outcome.opened)).toEqual([['192.0.2.0/24'], ['2001:db8::/64']])
  return store
}

const keysOf = (entries: readonly Entry[]): string[] =>
  entries.map((entry) => `${entry.kind} ${entry.kind === 'SPAMTRAP' ? entry.address : entry.ip}`)

describe('what listings show', () => {
  test('pools where their kind is named, in each form as the renderer makes it', async () => {
    const store = await opened()
    expect(await listingOf(store)).not.toContain('POOL')
    expect(await listingOf(store, { kinds: ['POOL'] })).toBe(
      ['192.0.2.0/24', '2001:db8::/64']
        .map((network) => `POOL|${network}|${network}|${NOW}|${PASSED}|${PASSED + 604_800}|2|0\n`)
        .join(''),
    )
    expect(await store.count()).toEqual({ WHITE: 2, TRAPPED: 0, SPAMTRAP: 0, GREY: 4, POOL: 0 })
    expect(await store.count({ kinds: ENTRY_KINDS })).toMatchObject({ POOL: 2 })
    const query = { kinds: ENTRY_KINDS }
    const entries = await entriesOf(store, query)
    for (const format of ['json', 'ndjson', 'csv'] as const) {
      const pieces: Uint8Array[] = []
      for await (const piece of renderLines(format, store, query)) pieces.push(piece)
      const renderer = openRenderer(format, { nowSec: 0, width: undefined })
      const text = [renderer.start(), ...entries.map((entry) => renderer.render(entry)), renderer.end()].join(
        '',
      )
      expect(Buffer.concat(pieces).toString('latin1')).toBe(text)
      if (format === 'ndjson') {
        expect(text).toContain('{"kind":"GREY","ip":"192.0.2.0/24","key":"network","helo":"","from":')
        expect(text).toContain('{"kind":"GREY","ip":"192.0.2.1","helo":"192.0.2.1",')
        expect(text).toContain('{"kind":"POOL","ip":"192.0.2.0/24","key":"network","pool":"192.0.2.0/24",')
      }
    }
  })

  test('filters and orders take pools like anything else', async () => {
    const store = await opened()
    const kinds = ENTRY_KINDS
    expect(keysOf(await entriesOf(store, { kinds, network: '192.0.0.0/16' }))).toEqual([
      'WHITE 192.0.2.2',
      'GREY 192.0.2.0/24',
      'GREY 192.0.2.1',
      'POOL 192.0.2.0/24',
    ])
    expect(keysOf(await entriesOf(store, { kinds: ['POOL'], network: '192.0.2.0/28' }))).toEqual([])
    expect(keysOf(await entriesOf(store, { kinds: ['POOL'], expiresBy: PASSED + 604_799 }))).toEqual([])
    expect(keysOf(await entriesOf(store, { kinds: ['POOL'], sort: 'ip', isDescending: true }))).toEqual([
      'POOL 2001:db8::/64',
      'POOL 192.0.2.0/24',
    ])
    expect(await store.get({ kind: 'pool', ip: '192.0.2.0/24' })).toMatchObject({ kind: 'POOL', bcount: 2 })
    expect(await store.get({ kind: 'pool', ip: '192.0.3.0/24' })).toBeUndefined()
  })

  test('an export holds neither pools nor what counts for them', async () => {
    const store = await opened()
    let text = ''
    for await (const piece of exportEntries(store, () => undefined))
      text += Buffer.from(piece).toString('latin1')
    expect(text.split('\n').map((line) => line.split('|').slice(0, 2).join(' '))).toEqual([
      'WHITE 192.0.2.2',
      'WHITE 2001:db8::2',
      'GREY 192.0.2.1',
      'GREY 2001:db8::1',
      '',
    ])
  })

  test('a database of before pools, opened to be read, has none', async () => {
    const path = join(scratch.folder(), 'spamd.sqlite')
    const database = new Database(path)
    database.pragma(`application_id = ${APPLICATION_ID}`)
    database.exec(MIGRATIONS[0]!)
    database.pragma('user_version = 1')
    database.close()
    const store = await scratch.open(path, { mode: 'read' })
    expect(await listingOf(store, { kinds: ['POOL'] })).toBe('')
    expect(await store.count({ kinds: ENTRY_KINDS })).toMatchObject({ POOL: 0 })
    expect(await store.get({ kind: 'pool', ip: '192.0.2.0/24' })).toBeUndefined()
  })
})

describe('what is kept beside', () => {
  test('journal and history name the networks, and a deletion is taken back', async () => {
    const store = await opened()
    const { rows } = await store.readJournal(0, 100)
    // What counts attempts for a key concerns no other gateway, and would double the journal.
    expect(rows.filter(({ key }) => key?.kind === 'tuple' && key.helo === '')).toEqual([])
    expect(rows.filter(({ key }) => key?.kind === 'pool')).toMatchObject([
      { key: { ip: '192.0.2.0/24' }, before: undefined, after: 'POOL', rule: 'pool' },
      { key: { ip: '2001:db8::/64' }, before: undefined, after: 'POOL', rule: 'pool' },
    ])
    const key = { kind: 'pool', ip: '192.0.2.0/24' } as const
    const was = await store.get(key)
    expect((await store.edit([{ operation: 'delete', key }], PASSED + 1, { actor: 'ann' })).outcomes).toEqual(
      ['deleted'],
    )
    expect(await store.get(key)).toBeUndefined()
    const history = await store.readHistory({ after: 0, limit: 100 })
    expect(history.filter((row) => row.key?.kind === 'tuple' && row.key.helo === '')).toEqual([])
    expect(history.at(-1)).toMatchObject({ key, before: was, after: undefined, actor: 'ann', rule: 'manual' })
    // What was deleted does not come back by the mail that opened it, nor after the database was opened again.
    const again = await scratch.open(store.location)
    await again.recordAttempts([from('192.0.2.3')], POLICY, PASSED + 2)
    expect(await again.get(key)).toBeUndefined()
    await again.undo('last', { force: false, isDryRun: false, actor: 'ann' }, PASSED + 3)
    expect(await again.get(key)).toEqual(was)
  })

  test('a TRAPPED address of either family keeps its network closed', async () => {
    for (const [trapped, first, second] of [
      ['192.0.2.200', '192.0.2.1', '192.0.2.2'],
      ['2001:db8::aaaa:1', '2001:db8::1', '2001:db8::2'],
    ] as const) {
      const store = await scratch.store()
      await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: trapped }], NOW)
      await store.recordAttempts([from(first)], POLICY, NOW)
      const { outcomes } = await store.recordAttempts([from(second)], POLICY, PASSED)
      expect(outcomes[0]).toMatchObject({ result: 'promoted' })
      expect(await store.count({ kinds: ['POOL'] })).toMatchObject({ POOL: 0 })
      // One beside it keeps nothing closed.
      const neighbour = first.replace('192.0.2', '192.0.3').replace('2001:db8::', '2001:db8:0:1::')
      await store.recordAttempts([from(neighbour)], POLICY, PASSED)
      await store.recordAttempts([from(neighbour.replace(/1$/, '9'))], POLICY, PASSED + 1501)
      expect(await store.count({ kinds: ['POOL'] })).toMatchObject({ POOL: 1 })
    }
  })

  test('a trap, a hand and a peer close it in the transaction that traps', async () => {
    const key = { kind: 'pool', ip: '192.0.2.0/24' } as const
    const traps: ((store: Store) => Promise<unknown>)[] = [
      (store) => store.recordAttempts([{ ...from('192.0.2.9'), isDomainTrap: true }], POLICY, PASSED + 1),
      (store) => store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.9' }], PASSED + 1),
      (store) =>
        store.applySync([{ type: 'TRAPPED', ip: '192.0.2.9', expire: PASSED + 999 }], POLICY, PASSED + 1),
    ]
    for (const trap of traps) {
      const store = await opened()
      await trap(store)
      expect(await store.get(key)).toBeUndefined()
      expect(await store.get({ kind: 'pool', ip: '2001:db8::/64' })).toBeDefined()
    }
  })

  test('a network that was closed, or an address deleted, while the clock was ahead is open to later mail', async () => {
    const store = await opened()
    const key = { kind: 'pool', ip: '192.0.2.0/24' } as const
    const ahead = PASSED + 365 * 86_400
    await store.edit([{ operation: 'delete', key }], ahead)
    await store.edit([{ operation: 'delete', key: { kind: 'host', ip: '192.0.2.3' } }], ahead)
    const later = PASSED + 2 * 86_400
    const mail = { from: '<later@example.com>' }
    await store.recordAttempts([from('192.0.2.5', mail)], POLICY, later)
    const retry = later + POLICY.passSec + 1
    const { outcomes } = await store.recordAttempts([from('192.0.2.3', mail)], POLICY, retry)
    expect(outcomes[0]).toMatchObject({ result: 'promoted', opened: ['192.0.2.0/24'] })
  })

  test('a scan reads every network once, whatever its slices', async () => {
    const store = await opened()
    for (const limit of [1, 2, 100]) {
      const found: Entry[] = []
      let next: string | undefined
      do {
        const slice = await store.readScanSlice(next, limit, { dueAt: PASSED })
        found.push(...slice.entries)
        next = slice.next
      } while (next !== undefined)
      expect(keysOf(found.filter(({ kind }) => kind === 'POOL'))).toEqual([
        'POOL 192.0.2.0/24',
        'POOL 2001:db8::/64',
      ])
    }
  })

  test('networks of one key are counted in the database', async () => {
    const store = await scratch.store({ durability: 'normal' })
    await store.recordAttempts([from('10.9.255.1', {}, 16)], POLICY, NOW)
    const wave = Array.from({ length: 70 }, (_, index) => from(`10.9.${index}.1`, {}, 16))
    await store.recordAttempts(wave.slice(0, 40), POLICY, PASSED)
    await store.recordAttempts(wave.slice(40), POLICY, PASSED + 1)
    expect(await store.count({ kinds: ['POOL'] })).toMatchObject({ POOL: 64 })
    expect(await store.count({ kinds: ['WHITE'] })).toMatchObject({ WHITE: 70 })
  })
})

describe('limits', () => {
  const policy = { ...POLICY, maxTuples: 2000, maxTuplesPerAddress: 100 }

  test('the key of a pool is no second tuple against --max-tuples', async () => {
    const store = await scratch.store({ durability: 'normal' })
    const attempts = Array.from({ length: 2000 }, (_, n) => from(`10.${n >> 8}.${n & 255}.1`))
    const { outcomes } = await store.recordAttempts(attempts, policy, NOW)
    expect(outcomes.every(({ evictedCount }) => evictedCount === 0)).toBe(true)
    expect(await store.tupleCount()).toBe(2000)
    expect(await store.count()).toMatchObject({ GREY: 4000 })
    expect((await store.check()).problems).toEqual([])
  })

  test('a flood with keys on stays within both limits and evicts itself', async () => {
    const store = await scratch.store({ durability: 'normal' })
    const good = Array.from({ length: 300 }, (_, n) =>
      n % 2 === 0 ? from(`198.51.${n >> 1}.25`) : from(`2001:db8:${n.toString(16)}::25`),
    )
    await store.recordAttempts(good, policy, NOW)
    for (let batch = 0; batch < 20; batch += 1) {
      const flood = Array.from({ length: 1000 }, (_, n) => {
        const sender = `<flood${batch}.${n}@example.com>`
        return from(`203.${n % 100}.113.${n % 250}`, { from: sender })
      })
      await store.recordAttempts(flood, policy, NOW + 1 + batch)
    }
    expect(await store.tupleCount()).toBe(2000)
    const { GREY } = await store.count()
    expect(GREY).toBeLessThanOrEqual(4000)
    for (const { tuple, pools } of good) {
      expect(await store.get({ kind: 'tuple', ...tuple })).toBeDefined()
      const shared = { ...tuple, helo: '', ip: (pools![0]!.key as { network: string }).network }
      expect(await store.get({ kind: 'tuple', ...shared })).toBeDefined()
    }
    expect((await store.check()).problems).toEqual([])
    // The pools among the good ones come back as if nothing had been.
    const { outcomes } = await store.recordAttempts([from('198.51.7.26')], policy, PASSED)
    expect(outcomes[0]).toMatchObject({ result: 'promoted', opened: ['198.51.7.0/24'] })
  })

  /** Tuples of one busy sender: more than a fair share, and none of them is of the kind that is too many. */
  const BUSY = 40
  const few = { ...POLICY, maxTuples: 400 }
  const single = (ip: string, changes: Partial<TupleAttempt['tuple']> = {}): TupleAttempt => ({
    ...from(ip, changes),
    pools: [],
  })
  const countOf = async (store: Store, isWanted: (ip: string) => boolean): Promise<number> =>
    (await entriesOf(store, { kinds: ['GREY'] })).filter(
      (entry) => entry.kind === 'GREY' && isWanted(entry.ip),
    ).length

  test('too many domains that pass SPF take nothing from a busy server', async () => {
    const store = await scratch.store()
    const busy = Array.from({ length: BUSY }, (_, n) => single('203.0.113.5', { to: `<u${n}@example.net>` }))
    await store.recordAttempts(busy, few, NOW)
    for (let round = 0; round < 5; round += 1) {
      const findings = Array.from({ length: 100 }, (_, index) => {
        const domain = `d${round}-${index}.example`
        const attempt = single('198.51.100.1', { from: `<s@${domain}>` })
        return { attempt, spfPass: { domain, isOfDomain: true } }
      })
      await store.recordFindings(findings, few, NOW + round)
    }
    expect(await countOf(store, (ip) => ip === '203.0.113.5')).toBe(BUSY)
    expect(await countOf(store, (ip) => ip.startsWith('spf:'))).toBe(400)
    expect((await store.check()).problems).toEqual([])
  })

  test('too many clients take nothing from a busy domain', async () => {
    const store = await scratch.store()
    const findings = Array.from({ length: BUSY }, (_, n) => ({
      attempt: single('203.0.113.5', { to: `<u${n}@example.net>` }),
      spfPass: { domain: 'example.org', isOfDomain: true },
    }))
    await store.recordFindings(findings, few, NOW)
    const flood = Array.from({ length: 500 }, (_, n) => single(`10.${n >> 8}.${n & 255}.1`))
    await store.recordAttempts(flood, few, NOW + 1)
    expect(await countOf(store, (ip) => ip === 'spf:example.org')).toBe(BUSY)
    expect(await countOf(store, (ip) => ip.startsWith('10.'))).toBe(400)
    expect((await store.check()).problems).toEqual([])
  })

  test('a domain with most of the keys gives way to the others', async () => {
    const store = await scratch.store()
    const findingOf = (domain: string, n: number) => ({
      attempt: single('203.0.113.5', { from: `<s@${domain}>`, to: `<u${n}@example.net>` }),
      spfPass: { domain, isOfDomain: true },
    })
    const others = Array.from({ length: 30 }, (_, n) => findingOf(`d${n}.example`, n))
    await store.recordFindings(others, few, NOW)
    const flood = Array.from({ length: 500 }, (_, n) => findingOf('example.org', n))
    await store.recordFindings(flood, few, NOW + 1)
    expect(await countOf(store, (ip) => ip.startsWith('spf:d'))).toBe(30)
    expect(await countOf(store, (ip) => ip === 'spf:example.org')).toBe(370)
  })

  const findingFor = (domain: string, from: string, to = '<user@example.net>') => ({
    attempt: { ...single('203.0.113.5', { from, to }), mayPromote: false },
    spfPass: { domain, isOfDomain: true },
  })
  const floodOf = (count: number, domainOf: (n: number) => string, from = '<s@evil.example>') =>
    Array.from({ length: count }, (_, n) => findingFor(domainOf(n), from))
  const goodDomains = [
    ...Array.from({ length: 26 }, (_, n) => `d${n}.example`),
    ...['mail.firm.example', 'shop.co.uk', 'other.co.uk', 'third.com.br'],
  ]
  const goodFindings = goodDomains.map((domain) => findingFor(domain, `<s@${domain}>`))
  const missingGood = async (store: Store): Promise<string[]> => {
    const stored = new Set((await entriesOf(store, { kinds: ['GREY'] })).map((entry) => keysOf([entry])[0]))
    return goodDomains.filter((domain) => !stored.has(`GREY spf:${domain}`))
  }

  test.each([
    ['of two labels', (n: number) => `n${n}.evil.example`],
    ['many labels below it', (n: number) => `a.b${n % 7}.c${n}.evil.example`],
    ['below a suffix of two labels', (n: number) => `n${n}.evil.co.uk`],
    ['short, of two letters', (n: number) => `n${n}.q7.ws`],
    ['that is a source itself', (n: number) => (n % 2 === 0 ? 'evil.example' : `n${n}.evil.example`)],
  ])('names that a domain makes up are one source: a domain %s', async (_name, domainOf) => {
    const store = await scratch.store({ durability: 'normal' })
    await store.recordFindings(goodFindings, few, NOW)
    for (let round = 0; round < 4; round += 1) {
      const flood = floodOf(500, (n) => domainOf(round * 500 + n), `<${round}@evil.example>`)
      await store.recordFindings(flood, few, NOW + 1 + round)
    }
    expect(await missingGood(store)).toEqual([])
    expect(await countOf(store, (ip) => ip.startsWith('spf:'))).toBe(few.maxTuples)
    expect((await store.check()).problems).toEqual([])
  })

  test('long texts of names that a domain makes up meet the limit of bytes alone', async () => {
    const store = await scratch.store({ durability: 'normal' })
    const bytes = { ...few, maxTuples: 4000, maxTupleBytes: 200_000 }
    const waiting = Array.from({ length: 30 }, (_, n) => single(`10.0.${n}.1`))
    await store.recordAttempts(waiting, bytes, NOW)
    await store.recordFindings(goodFindings, bytes, NOW)
    // Known from the start, and seen by a store that is opened later.
    const stores = [store, await scratch.open(store.location)]
    for (let round = 0; round < 6; round += 1) {
      const flood = floodOf(150, (n) => `n${round}-${n}.evil.example`, `<${'s'.repeat(700)}@evil.example>`)
      await stores[round % 2]!.recordFindings(flood, bytes, NOW + 1 + round)
    }
    expect(await missingGood(store)).toEqual([])
    expect(await countOf(store, (ip) => ip.startsWith('10.'))).toBe(30)
    expect(await countOf(store, (ip) => ip.endsWith('.evil.example'))).toBeLessThan(285)
    expect((await store.check()).problems).toEqual([])
  })

  test('among names of one domain, older ones go before newer ones, and those that have come back last', async () => {
    const store = await scratch.store({ durability: 'normal' })
    await store.recordFindings(goodFindings, few, NOW)
    const older = floodOf(30, (n) => `z${n}.evil.example`)
    await store.recordFindings(older, few, NOW + 1)
    await store.recordFindings(older, few, NOW + 2)
    for (let round = 0; round < 5; round += 1) {
      await store.recordFindings(
        floodOf(150, (n) => `r${round}n${n}.evil.example`),
        few,
        NOW + 3 + round,
      )
    }
    expect(await missingGood(store)).toEqual([])
    const left = async (start: string): Promise<number> =>
      countOf(store, (ip) => ip.startsWith(`spf:${start}`))
    expect(await left('z')).toBe(30)
    // A server tells no order of the names that it had before.
    expect((await left('r0')) + (await left('r1'))).toBeLessThan(20)
    expect(await left('r4')).toBeGreaterThan(130)
  })

  test('the keys of a network of many /24s push out nobody in its first', async () => {
    const store = await scratch.store({ durability: 'normal' })
    const good = Array.from({ length: 3 }, (_, n) => from(`10.1.0.${n + 1}`, {}, 16))
    await store.recordAttempts(good, policy, NOW)
    const wide = { ...policy, maxTuples: 400 }
    for (let batch = 0; batch < 2; batch += 1) {
      const flood = Array.from({ length: 400 }, (_, n) =>
        from(`10.1.${1 + (n % 10)}.9`, { from: `<${batch}.${n}@example.com>` }, 16),
      )
      await store.recordAttempts(flood, wide, NOW + 1 + batch)
    }
    for (const { tuple } of good) expect(await store.get({ kind: 'tuple', ...tuple })).toBeDefined()
    expect(await store.tupleCount()).toBeLessThanOrEqual(400)
    expect((await store.check()).problems).toEqual([])
  })

  test('one neighbour cannot fill a network beyond the limit of an address', async () => {
    const store = await scratch.store({ durability: 'normal' })
    for (let batch = 0; batch < 3; batch += 1) {
      const flood = Array.from({ length: 100 }, (_, n) =>
        from(`192.0.2.${n}`, { from: `<${batch}.${n}@example.com>` }),
      )
      await store.recordAttempts(flood, policy, NOW + batch)
    }
    const shared = await entriesOf(store, { kinds: ['GREY'], ip: '192.0.2.0/24' })
    expect(shared).toHaveLength(100)
    expect((await store.check()).problems).toEqual([])
  })
})
