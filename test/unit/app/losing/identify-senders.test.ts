/** What DNS says of senders that are losing mail, by a name server of the test's own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adviseSenders } from '../../../../src/app/losing/advise-senders.js'
import { identifySenders } from '../../../../src/app/losing/identify-senders.js'
import type { LosingSender } from '../../../../src/app/losing/losing-senders.js'
import { renderLosing } from '../../../../src/cli/losing/render-losing.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { DnsClient } from '../../../../src/platform/dns-client.js'
import { TestDnsServer, type ZoneName } from '../../../support/dns-server.js'

const NOW = 1_700_000_000
const txt = (...strings: string[]): ZoneName => ({ records: [{ type: 'TXT', strings }] })
const ptr = (value: string): ZoneName => ({ records: [{ type: 'PTR', value }] })
const a = (value: string): ZoneName => ({ records: [{ type: 'A', value }] })
const ZONE: Record<string, ZoneName> = {
  'big.example': txt('v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/64 -all'),
  'wide.example': txt('v=spf1 ip4:0.0.0.0/1 -all'),
  'open.example': txt('v=spf1 +all'),
  'mute.example': { behaviour: 'silent' },
  'broken.example': { behaviour: 'servfail' },
  '1.2.0.192.in-addr.arpa': ptr('Out-1.Big.example'),
  'out-1.big.example': a('192.0.2.1'),
  '2.2.0.192.in-addr.arpa': ptr('out-2.big.example'),
  'out-2.big.example': a('192.0.2.2'),
  // A name that does not lead back.
  '3.2.0.192.in-addr.arpa': ptr('mail.bank.example'),
  'mail.bank.example': a('203.0.113.1'),
}

const senderOf = (domain: string, clients: string[], helo = 'x'): LosingSender => ({
  domain,
  mails: 1,
  tries: clients.length,
  firstSec: NOW,
  lastSec: NOW,
  recipients: ['a@example.net', 'b@example.net'],
  clients: clients.map((ip) => ({ ip, helo })),
  addressCount: clients.length,
  networks: ['192.0.2.0/24'],
  releasedBy: undefined,
  allowedBy: undefined,
})
const POOL = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']
const FRAME = { nowSec: NOW, forSec: 3600, minAddresses: 3 }

describe('of a sender', () => {
  const server = new TestDnsServer(ZONE)
  const clients: DnsClient[] = []
  beforeAll(() => server.start())
  afterAll(() => {
    for (const client of clients) client.close()
    server.stop()
  })

  const client = (limits = {}): DnsClient => {
    const made = new DnsClient({ clock: systemClock, servers: [server.place], limits })
    clients.push(made)
    return made
  }
  const identify = async (sender: LosingSender, timeoutMs = 20_000) =>
    (await identifySenders([sender], { dns: client(), clock: systemClock, timeoutMs }))[0]

  test('its record, its names, and who greets with his own', async () => {
    expect(await identify(senderOf('big.example', POOL, 'OUT-2.big.example.'))).toEqual({
      spf: { state: 'usable', passing: 4 },
      names: { asked: 4, unanswered: 0, named: 2, greeting: 1, example: 'out-1.big.example' },
    })
    expect((await identify(senderOf('big.example', ['198.51.100.1', '2001:db8::9'])))!.spf).toEqual({
      state: 'usable',
      passing: 1,
    })
  })

  test.each([
    ['wide.example', /^its SPF record is too wide/],
    ['open.example', /^its SPF record is too wide/],
    ['none.example', /^no SPF record/],
  ])('a record of %s that is of no use', async (domain, reason) => {
    expect((await identify(senderOf(domain, POOL)))!.spf).toEqual({
      state: 'unusable',
      reason: expect.stringMatching(reason),
    })
  })

  test.each([
    ['mute.example', 100],
    ['broken.example', 20_000],
  ])('that DNS did not answer about %s', async (domain, timeoutMs) => {
    expect((await identify(senderOf(domain, POOL), timeoutMs))!.spf).toEqual({ state: 'unanswered' })
  })

  test.each(['', 'root', '\xff.example', '192.0.2.0/24'])('%j has no record to ask for', async (domain) => {
    expect((await identify(senderOf(domain, POOL)))!.spf).toBeUndefined()
  })

  test('is told for people, with the command that follows from it', async () => {
    const senders = [
      senderOf('big.example', POOL, 'out-1.big.example'),
      senderOf('big.example', [...POOL, '198.51.100.1']),
      senderOf('big.example', ['198.51.100.1', '198.51.100.2', '198.51.100.3']),
      senderOf('wide.example', ['203.0.113.9']),
    ]
    const report = await adviseSenders(
      { senders, isCut: false, history: 'full' },
      { identify: { dns: client(), clock: systemClock, timeoutMs: 20_000 }, minAddresses: 3 },
    )
    const text = renderLosing(report, FRAME, { width: undefined, hasColour: false })
    const parts = text.split('\n').filter((line) => /^(SPF|names|command) /.test(line))
    expect(parts).toEqual([
      'SPF         all 4 addresses pass SPF of big.example',
      'names       2 of 4 addresses have a name that resolves back, such as out-1.big.example; 1 greets with it',
      'command     spamdctl allow add big.example',
      'SPF         4 of 5 addresses pass SPF of big.example; mail from the others may be forged',
      'names       2 of 5 addresses have a name that resolves back, such as out-1.big.example; 0 greet with it',
      'command     spamdctl allow add big.example',
      'SPF         none of the 3 addresses passes SPF of big.example: the mail may be forged',
      'names       none of 3 addresses has a name that resolves back to it',
      'command     spamdctl release --from big.example --for 1d --pool',
      'SPF         not usable: its SPF record is too wide: more than a /12 of IPv4 or a /28 of IPv6 passes for it',
      'names       none of 1 address has a name that resolves back to it',
      'command     spamdctl release --from wide.example --for 1d',
    ])
  })

  test('costs no more than its time, however many senders there are and though DNS is dead', async () => {
    server.isDead = true
    const senders = Array.from({ length: 60 }, (_, n) => senderOf(`dead-${n}.example`, POOL))
    const startedMs = performance.now()
    const report = await adviseSenders(
      { senders, isCut: false, history: 'full' },
      { identify: { dns: client({ tryMs: 50 }), clock: systemClock, timeoutMs: 300 }, minAddresses: 3 },
    )
    // Ten times the time allowed: a machine under load.
    expect(performance.now() - startedMs).toBeLessThan(3000)
    server.isDead = false
    expect(report.senders).toHaveLength(60)
    expect(report.senders[0]!.identity!.spf).toEqual({ state: 'unanswered' })
    expect(report.senders[59]!.identity).toBeUndefined()
    for (const { command } of report.senders) expect(command).toContain('spamdctl release --from dead-')
    expect(renderLosing(report, FRAME, { width: undefined, hasColour: false })).toContain(
      'DNS gave no answer in time; try again with spamdctl allow add --dry-run dead-0.example',
    )
  })
})
