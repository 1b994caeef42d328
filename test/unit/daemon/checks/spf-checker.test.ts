import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { setOfNetworks } from '../../../../src/app/allow/network-set.js'
import { SpfChecker } from '../../../../src/daemon/checks/spf-checker.js'
import { DnsClient } from '../../../../src/platform/dns-client.js'
import { inStrings, TestDnsServer, type ZoneName } from '../../../support/dns-server.js'
import { ManualClock } from '../../../support/manual-clock.js'

const txt = (text: string): ZoneName => ({ records: [{ type: 'TXT', strings: inStrings(text) }] })

describe('the SPF of a sender through DNS', () => {
  let server: TestDnsServer
  let dns: DnsClient
  let clock: ManualClock
  let checker: SpfChecker

  beforeEach(async () => {
    server = new TestDnsServer()
    await server.start()
    clock = new ManualClock()
    dns = new DnsClient({ clock, servers: [server.place], limits: { tryMs: 400, tries: 1 } })
    checker = new SpfChecker({ dns, clock })
  })
  afterEach(() => {
    dns.close()
    server.stop()
  })
  const check = (clientIp: string, from = '<u@d.example>', helo = 'h.example') =>
    checker.check({ clientIp, from, helo })

  test('a pass names its domain, and a further address of it costs no question', async () => {
    server.zone.set('d.example', txt('v=spf1 ip4:192.0.2.0/24 -all'))
    expect(await check('192.0.2.1')).toEqual({ result: 'pass', domain: 'd.example', isOfDomain: true })
    const asked = server.asked.length
    expect(await check('192.0.2.2', '<"x y"@D.Example.>')).toMatchObject({
      result: 'pass',
      domain: 'd.example',
    })
    expect(server.asked).toHaveLength(asked)
    expect(await check('198.51.100.1')).toEqual({ result: 'fail', domain: 'd.example' })
  })

  test('ranges are forgotten after five minutes', async () => {
    server.zone.set('d.example', txt('v=spf1 ip4:192.0.2.0/24 -all'))
    await check('192.0.2.1')
    server.zone.set('d.example', txt('v=spf1 -all'))
    clock.advance(299)
    expect((await check('192.0.2.2')).result).toBe('pass')
    clock.advance(2)
    expect((await check('192.0.2.2')).result).toBe('fail')
  })

  test('a pass by the client is kept for nobody', async () => {
    server.zone.set('d.example', txt('v=spf1 exists:%{i}.ok.example -all'))
    server.zone.set('192.0.2.1.ok.example', { records: [{ type: 'A', value: '127.0.0.2' }] })
    expect(await check('192.0.2.1')).toMatchObject({ result: 'pass', isOfDomain: false })
    expect((await check('192.0.2.2')).result).toBe('fail')
  })

  test.each([
    ['silence', 'silent', 'temperror'],
    ['SERVFAIL', 'servfail', 'temperror'],
    ['garbage', 'garbage', 'temperror'],
    ['an answer that comes over TCP alone', 'cut', 'pass'],
  ] as const)('%s', async (_, behaviour, result) => {
    server.zone.set('d.example', { behaviour, ...txt('v=spf1 ip4:192.0.2.0/24 -all') })
    expect((await check('192.0.2.1')).result).toBe(result)
  })

  test.each([
    ['a record of 60,000 characters', 'd.example', 'permerror'],
    ['an alias of itself', 'loop.example', 'none'],
    ['a record behind an alias', 'alias.example', 'pass'],
    ['a chain of includes without end', 'chain1.example', 'permerror'],
    ['no record', 'nowhere.example', 'none'],
  ])('%s', async (_, domain, result) => {
    server.zone.set('d.example', txt(`v=spf1 ${'ip4:192.0.2.1 '.repeat(4285)}`))
    server.zone.set('loop.example', { records: [{ type: 'CNAME', value: 'loop.example' }] })
    server.zone.set('alias.example', { records: [{ type: 'CNAME', value: 'real.example' }] })
    server.zone.set('real.example', txt('v=spf1 ip4:192.0.2.0/24 -all'))
    for (let number = 1; number < 40; number += 1) {
      server.zone.set(`chain${number}.example`, txt(`v=spf1 include:chain${number + 1}.example -all`))
    }
    expect((await check('192.0.2.1', `<u@${domain}>`)).result).toBe(result)
  })

  test('two thousand addresses of one host are read', async () => {
    // On a loaded machine that takes a while.
    dns.close()
    dns = new DnsClient({ clock, servers: [server.place], limits: { tryMs: 60_000, tries: 1 } })
    checker = new SpfChecker({ dns, clock })
    const records = Array.from({ length: 2000 }, (_, index) => ({
      type: 'A' as const,
      value: `10.0.${index >> 8}.${index & 255}`,
    }))
    server.zone.set('d.example', { records: [...records, { type: 'TXT', strings: ['v=spf1 a -all'] }] })
    expect((await check('10.0.7.100')).result).toBe('pass')
  })

  test('a name server that dribbles ends with the two seconds', async () => {
    dns.close()
    dns = new DnsClient({ clock, servers: [server.place], limits: { tryMs: 60_000, tries: 1 } })
    checker = new SpfChecker({ dns, clock })
    server.zone.set('d.example', { behaviour: 'silent' })
    const startMs = performance.now()
    expect((await check('192.0.2.1')).result).toBe('temperror')
    expect(performance.now() - startMs).toBeGreaterThan(1900)
  })

  test.each([
    ['<u@d.example>', true],
    ['<>', true],
    ['<@route.example:u@d.example>', true],
    ['<u@[192.0.2.1]>', false],
    ['<u>', false],
    ['<u@localhost>', false],
  ])('%j is asked about: %s', (from, isWanted) => {
    expect(checker.isWanted({ clientIp: '192.0.2.1', from, helo: 'h.example' })).toBe(isWanted)
    expect(checker.isWanted({ clientIp: '192.0.2.1', from: '<>', helo: '[192.0.2.1]' })).toBe(false)
  })
})

test('domains without end take no memory without end: the first of them are forgotten', async () => {
  const sure = setOfNetworks(['192.0.2.1/32'])
  let askedCount = 0
  const run = async (): Promise<unknown> => {
    askedCount += 1
    return { result: 'pass', sure, isOfDomain: true }
  }
  const checker = new SpfChecker({ dns: { run } as unknown as DnsClient, clock: new ManualClock() })
  const ask = (n: number) => checker.check({ clientIp: '192.0.2.1', helo: 'h', from: `<a@d${n}.example>` })
  for (let n = 0; n < 4000; n += 1) await ask(n)
  await ask(3999)
  expect(askedCount).toBe(4000)
  await ask(0)
  expect(askedCount).toBe(4001)
})

test('ranges that are read anew take the place of those before', async () => {
  const clock = new ManualClock()
  const sure = setOfNetworks(['192.0.2.1/32'])
  let askedCount = 0
  const run = async (): Promise<unknown> => {
    askedCount += 1
    return { result: 'pass', sure, isOfDomain: true }
  }
  const checker = new SpfChecker({ dns: { run } as unknown as DnsClient, clock })
  const ask = (n: number) => checker.check({ clientIp: '192.0.2.1', helo: 'h', from: `<a@d${n}.example>` })
  for (let round = 0; round < 3; round += 1) {
    for (let n = 0; n < 2000; n += 1) await ask(n)
    clock.advance(301)
  }
  for (let n = 0; n < 2000; n += 1) await ask(n)
  expect(askedCount).toBe(8000)
  await ask(0)
  expect(askedCount).toBe(8000)
})
