/**
 * Story 21: a sender like Outlook, whose servers are spread over a /16, so that no network of theirs is known. With
 * --grey-spf its SPF record tells that they belong together; without it none of two rounds passes. Anybody can publish
 * a record: `+all` lets nobody in. A client on a DNS block list waits for as long as it is listed. With DNS dead all is
 * plain greylisting.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, NET } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { NAME_SERVER, startNameServer } from '../support/name-server.js'
import { probe } from '../support/smtp-probe.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
const PASS_MS = 6000
const SHARED = ['-G', '6s:4h:36d', '-S', '0', '-s', '0', '--scan-interval', '2s']
const CHECKS = [
  ...['--grey-spf', 'all', '--dnswl', 'good.example', '--dnsbl', 'bad.example'],
  ...['--dns-server', NAME_SERVER],
]
const SIZE = 12
const SERVERS = [
  {
    name: 'a /16',
    server: NET.inside.ipv4,
    set: 'spamd-white',
    netSet: 'spamd-white-net',
    domain: 'four.example',
    address: (index: number) => `44.128.${(index % SIZE) * 21}.${1 + (index % SIZE)}`,
    other: '44.128.250.250',
    stranger: '100.64.7.7',
  },
  {
    name: 'a /32 of IPv6',
    server: NET.inside.ipv6,
    set: 'spamd-white6',
    netSet: 'spamd-white-net6',
    domain: 'six.example',
    address: (index: number) => `2a00:db8:${((index % SIZE) * 21).toString(16)}::1`,
    other: '2a00:db8:ffff::9',
    stranger: '2001:db8:100::77',
  },
]
const txt = (text: string) => ({ records: [{ type: 'TXT', strings: [text] } as const] })
const ZONE = {
  'four.example': txt('v=spf1 include:spf.protection.example -all'),
  'six.example': txt('v=spf1 redirect=spf.protection.example'),
  'spf.protection.example': txt('v=spf1 ip4:44.128.0.0/16 ip6:2a00:db8::/32 -all'),
  'open.example': txt('v=spf1 +all'),
  // Of a second: what it says is asked again with each try.
  '66.1.128.44.bad.example': { records: [{ type: 'A', value: '127.0.0.2', ttl: 1 } as const] },
  '9.1.128.44.good.example': { records: [{ type: 'A', value: '127.0.5.3' } as const] },
}

describe.skipIf(skipReason !== undefined)('story 21: SPF and DNS lists', () => {
  const lab = new Lab({ senders: [], spamd: [...SHARED, ...CHECKS] })
  let stopNameServer: () => Promise<void>
  beforeAll(async () => {
    await lab.start()
    stopNameServer = await startNameServer(lab.gateway.machine, ZONE)
  })
  afterAll(() => lab.stop())

  const attempt = async (server: string, source: string, from: string, to?: string): Promise<number> => {
    const helo = `out-${source.replace(/[.:]+/g, '-')}.bulk.example`
    const ended = await probe(lab.outside, server, source, { from, helo, ...(to !== undefined && { to }) })
    return ended.code
  }
  const elapsed = (sinceMs: number, leastMs: number): Promise<void> =>
    until(
      async () => performance.now() - sinceMs > leastMs,
      () => `${leastMs} ms`,
    )

  test.each(SERVERS)('servers all over $name wait together, and are let in as they come', async (pool) => {
    const { server, address, domain } = pool
    const send = (index: number) => attempt(server, address(index), `news@${domain}`)
    const startedMs = performance.now()
    for (let index = 0; index < 3; index += 1) expect(await send(index)).toBe(451)
    await elapsed(startedMs, PASS_MS + 2000)
    for (let index = 0; index < 3; index += 1) {
      expect(await lab.gateway.isInSet(pool.set, address(index))).toBe(false)
    }
    // The try that completes passtime, and each that follows: 451, and its address is WHITE.
    for (let index = 3; index < SIZE + 3; index += 1) {
      expect(await send(index)).toBe(451)
      await lab.gateway.awaitInSet(pool.set, address(index))
    }
    // All have been there: the next one passes, whichever it is.
    expect(await send(SIZE + 3)).toBe(250)
    expect(await attempt(server, address(7), `boss@${domain}`, 'other@example.org')).toBe(250)
    // One that was never there comes with other mail of the domain: let in from its second attempt on.
    expect(await attempt(server, pool.other, `boss@${domain}`)).toBe(451)
    await lab.gateway.awaitInSet(pool.netSet, pool.other)
    expect(await attempt(server, pool.other, `boss@${domain}`)).toBe(250)
    expect(await lab.gateway.entries('--kind', 'POOL')).toContain(`POOL|${pool.other}/`)
    // A stranger who says that he is of that domain, and a neighbour with a sender of his own, wait.
    expect(await attempt(server, pool.stranger, `boss@${domain}`)).toBe(451)
    await lab.gateway.awaitEntry(`GREY|${pool.stranger}|`)
    expect(await lab.gateway.isInSet(pool.netSet, pool.stranger)).toBe(false)
  })

  test('a spammer with +all is let in by no number of addresses', async () => {
    const startedMs = performance.now()
    const source = (index: number): string => `100.64.9.${1 + index}`
    expect(await attempt(NET.inside.ipv4, source(0), 'win@open.example')).toBe(451)
    await elapsed(startedMs, PASS_MS + 2000)
    for (let index = 1; index < 8; index += 1) {
      expect(await attempt(NET.inside.ipv4, source(index), 'win@open.example')).toBe(451)
    }
    for (let index = 0; index < 8; index += 1) {
      expect(await lab.gateway.isInSet('spamd-white', source(index))).toBe(false)
      expect(await lab.gateway.isInSet('spamd-white-net', source(index))).toBe(false)
    }
  })

  test('a client on a DNS allow list passes with its second attempt', async () => {
    expect(await attempt(NET.inside.ipv4, '44.128.1.9', 'news@nowhere.example')).toBe(451)
    await lab.gateway.awaitInSet('spamd-white', '44.128.1.9')
    expect(await attempt(NET.inside.ipv4, '44.128.1.9', 'news@nowhere.example')).toBe(250)
  })

  test('a client on a DNS block list waits beyond passtime, and passes when it is listed no more', async () => {
    const [listed, other] = ['44.128.1.66', '44.128.1.67']
    const send = (source: string) => attempt(NET.inside.ipv4, source, `news@of-${source}.example`)
    const startedMs = performance.now()
    for (const source of [listed, other]) expect(await send(source)).toBe(451)
    await elapsed(startedMs, PASS_MS + 2000)
    for (const source of [listed, other]) expect(await send(source)).toBe(451)
    // The other one was told the same, and is in by now: so has the listed one been looked at.
    await lab.gateway.awaitInSet('spamd-white', other)
    expect(await send(listed)).toBe(451)
    expect(await send(other)).toBe(250)
    expect(await lab.gateway.isInSet('spamd-white', listed)).toBe(false)
    expect(await lab.gateway.entries('--ip', listed)).toContain(`GREY|${listed}|`)
    await stopNameServer()
    const { '66.1.128.44.bad.example': _listed, ...without } = ZONE
    stopNameServer = await startNameServer(lab.gateway.machine, without)
    expect(await send(listed)).toBe(451)
    await lab.gateway.awaitInSet('spamd-white', listed)
    expect(await send(listed)).toBe(250)
  })

  test('with DNS dead all is plain greylisting: the address that comes back passes, another does not', async () => {
    await stopNameServer()
    const [one, two] = ['100.64.11.1', '100.64.11.2']
    const send = (source: string) => attempt(NET.inside.ipv4, source, 'news@late.example')
    const startedMs = performance.now()
    expect(await send(one)).toBe(451)
    expect(performance.now() - startedMs).toBeLessThan(PASS_MS)
    await elapsed(startedMs, PASS_MS + 2000)
    expect(await send(two)).toBe(451)
    expect(await send(one)).toBe(451)
    await lab.gateway.awaitInSet('spamd-white', one)
    expect(await send(one)).toBe(250)
    expect(await lab.gateway.isInSet('spamd-white', two)).toBe(false)
  })

  test('without --grey-spf no try of two rounds passes', async () => {
    const { machine } = lab.gateway
    await lab.gateway.addWords('spamd.service', SHARED)
    await machine.run('systemctl', 'daemon-reload')
    await machine.run('systemctl', 'restart', 'spamd.service')
    const [{ server }] = SERVERS as [(typeof SERVERS)[number]]
    const source = (index: number): string => `44.128.${(index % SIZE) * 21}.${100 + (index % SIZE)}`
    const startedMs = performance.now()
    for (let index = 0; index < SIZE; index += 1) {
      expect(await attempt(server, source(index), 'lost@four.example')).toBe(451)
    }
    await elapsed(startedMs, PASS_MS + 2000)
    for (let index = SIZE; index < 2 * SIZE; index += 1) {
      expect(await attempt(server, source(index), 'lost@four.example')).toBe(451)
    }
  })
})
