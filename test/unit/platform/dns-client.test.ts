import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askDns } from '../../../src/codec/dns/dns-question.js'
import { systemClock } from '../../../src/platform/clock.js'
import { DnsClient, type DnsLimits } from '../../../src/platform/dns-client.js'
import { inStrings, TestDnsServer, type ZoneName } from '../../support/dns-server.js'
import { ManualClock } from '../../support/manual-clock.js'

const QUICK: Partial<DnsLimits> = { tryMs: 60, tries: 1 }
const address = (value: string, ttl?: number): ZoneName => ({
  records: [{ type: 'A', value, ...(ttl === undefined ? {} : { ttl }) }],
})

describe('asking DNS', () => {
  let server: TestDnsServer
  let client: DnsClient
  let clock: ManualClock

  beforeEach(async () => {
    server = new TestDnsServer()
    await server.start()
    clock = new ManualClock()
  })
  afterEach(() => {
    client.close()
    server.stop()
  })
  const open = (limits: Partial<DnsLimits> = {}): DnsClient => {
    client = new DnsClient({ clock, servers: [server.place], limits: { ...QUICK, ...limits } })
    return client
  }

  test('each type comes as its values', async () => {
    server.zone.set('all.example', {
      records: [
        { type: 'A', value: '192.0.2.1' },
        { type: 'A', value: '192.0.2.2' },
        { type: 'AAAA', value: '2001:db8::1' },
        { type: 'MX', preference: 20, value: 'second.example' },
        { type: 'MX', preference: 10, value: 'first.example' },
        { type: 'TXT', strings: ['v=spf1 ', 'a \xe9'] },
      ],
    })
    server.zone.set('1.2.0.192.in-addr.arpa', { records: [{ type: 'PTR', value: 'host.example' }] })
    open()
    const values = async (type: 'A' | 'AAAA' | 'MX' | 'PTR' | 'TXT', name = 'all.example') =>
      client.ask({ type, name })
    expect(await values('A')).toEqual({ status: 'found', values: ['192.0.2.1', '192.0.2.2'] })
    expect(await values('AAAA')).toEqual({ status: 'found', values: ['2001:db8::1'] })
    expect(await values('MX')).toEqual({ status: 'found', values: ['first.example', 'second.example'] })
    expect(await values('PTR', '1.2.0.192.in-addr.arpa')).toEqual({
      status: 'found',
      values: ['host.example'],
    })
    expect(await values('TXT')).toEqual({
      status: 'found',
      values: [expect.stringMatching(/^v=spf1 a [^ -~]+$/)],
    })
  })

  test.each([
    ['a name that is not there', 'nowhere.example', 'none'],
    ['a name without such a record', 'mx-only.example', 'none'],
    ['a name that DNS cannot hold', 'a..b', 'none'],
    ['a name with an escape', 'a\\.b.example', 'none'],
    ['silence', 'silent.example', 'failed'],
    ['SERVFAIL', 'servfail.example', 'failed'],
    ['a refusal', 'refused.example', 'failed'],
    ['bytes that are no answer', 'garbage.example', 'failed'],
    ['the answer to another question', 'other-id.example', 'failed'],
    ['an alias of itself', 'loop.example', 'none'],
  ])('%s', async (_, name, status) => {
    server.zone.set('mx-only.example', { records: [{ type: 'MX', preference: 0, value: 'x.example' }] })
    server.zone.set('loop.example', { records: [{ type: 'CNAME', value: 'loop.example' }] })
    for (const behaviour of ['silent', 'servfail', 'refused', 'garbage', 'other-id'] as const) {
      server.zone.set(`${behaviour}.example`, { behaviour })
    }
    open()
    expect((await client.ask({ type: 'A', name })).status).toBe(status)
  })

  test('an answer that UDP cuts comes whole over TCP, up to 64 KiB', async () => {
    const long = 'x'.repeat(60_000)
    server.zone.set('long.example', { records: [{ type: 'TXT', strings: inStrings(long) }] })
    server.zone.set('cut.example', { behaviour: 'cut', records: [{ type: 'A', value: '192.0.2.7' }] })
    open({ tryMs: 2000 })
    expect(await client.ask({ type: 'TXT', name: 'long.example' })).toEqual({
      status: 'found',
      values: [long],
    })
    expect(await client.ask({ type: 'A', name: 'cut.example' })).toEqual({
      status: 'found',
      values: ['192.0.2.7'],
    })
  })

  test('an answer is kept for its time to live, and asked for again after it', async () => {
    server.zone.set('kept.example', address('192.0.2.1', 120))
    open()
    const ask = () => client.ask({ type: 'A', name: 'kept.example' })
    await ask()
    clock.advance(119)
    server.zone.set('kept.example', address('192.0.2.2', 120))
    expect(await ask()).toEqual({ status: 'found', values: ['192.0.2.1'] })
    expect(server.asked).toHaveLength(1)
    clock.advance(2)
    expect(await ask()).toEqual({ status: 'found', values: ['192.0.2.2'] })
    expect(client.counters).toMatchObject({ asked: 2, cached: 1 })
  })

  test('a failure is kept for seconds, and a name that is not there for a minute', async () => {
    server.zone.set('ill.example', { behaviour: 'servfail' })
    open()
    const count = (name: string) => server.asked.filter((asked) => asked === `A ${name}`).length
    await client.ask({ type: 'A', name: 'ill.example' })
    await client.ask({ type: 'A', name: 'none.example' })
    const before = count('ill.example')
    await client.ask({ type: 'A', name: 'ill.example' })
    expect(count('ill.example')).toBe(before)
    clock.advance(6)
    server.zone.set('ill.example', address('192.0.2.1'))
    expect((await client.ask({ type: 'A', name: 'ill.example' })).status).toBe('found')
    await client.ask({ type: 'A', name: 'none.example' })
    expect(count('none.example')).toBe(1)
    clock.advance(60)
    await client.ask({ type: 'A', name: 'none.example' })
    expect(count('none.example')).toBe(2)
  })

  test('the same question of several is asked once', async () => {
    server.zone.set('one.example', address('192.0.2.1'))
    open()
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => client.ask({ type: 'A', name: 'one.example' })),
    )
    expect(answers.every(({ status }) => status === 'found')).toBe(true)
    expect(server.asked).toHaveLength(1)
  })

  test('the cache keeps within its bytes, and forgets the oldest', async () => {
    for (let index = 0; index < 40; index += 1) {
      server.zone.set(`n${index}.example`, {
        records: [{ type: 'TXT', strings: inStrings('x'.repeat(900)) }],
      })
    }
    open({ maxCacheBytes: 20_000 })
    for (let index = 0; index < 40; index += 1) await client.ask({ type: 'TXT', name: `n${index}.example` })
    expect(client.cacheBytes).toBeLessThanOrEqual(20_000)
    await client.ask({ type: 'TXT', name: 'n39.example' })
    expect(server.asked).toHaveLength(40)
    await client.ask({ type: 'TXT', name: 'n0.example' })
    expect(server.asked).toHaveLength(41)
  })

  test('no more questions than allowed are on the network, and beyond those that may wait they fail at once', async () => {
    server.isDead = true
    open({ maxOpen: 3, maxWaiting: 4, tryMs: 100 })
    const answers = Array.from({ length: 20 }, (_, index) =>
      client.ask({ type: 'A', name: `n${index}.example` }),
    )
    expect(client.counters).toMatchObject({ asked: 3, refused: 13 })
    expect((await Promise.all(answers)).every(({ status }) => status === 'failed')).toBe(true)
    expect(client.counters).toMatchObject({ asked: 7, refused: 13 })
    server.isDead = false
    server.zone.set('again.example', address('192.0.2.1'))
    expect((await client.ask({ type: 'A', name: 'again.example' })).status).toBe('found')
  })

  test('closing ends what is open, and what waits', async () => {
    server.isDead = true
    open({ maxOpen: 1, tryMs: 60_000 })
    const answers = ['a.example', 'b.example'].map((name) => client.ask({ type: 'A', name }))
    client.close()
    expect(await Promise.all(answers)).toEqual([{ status: 'failed' }, { status: 'failed' }])
  })

  test('a dialogue that takes too long has no result, and one that ends in time has its own', async () => {
    server.zone.set('good.example', address('192.0.2.1'))
    open({ tryMs: 60_000 })
    const statusOf = function* (name: string) {
      const answer = yield* askDns('A', name)
      return answer.status
    }
    expect(await client.run(statusOf('Good.example'), 5000)).toBe('found')
    server.isDead = true
    expect(await client.run(statusOf('other.example'), 50)).toBeUndefined()
  })

  test('without servers of its own it takes those of the system', async () => {
    client = new DnsClient({ clock: systemClock, limits: QUICK })
    expect((await client.ask({ type: 'A', name: 'nowhere.invalid' })).status).not.toBe('found')
  })
})
