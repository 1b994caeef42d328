/** spamd as a whole with a name server of the test: SPF, DNS lists, and what happens when DNS is dead. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askDaemon } from '../../../../src/app/ask-daemon.js'
import { parseSpamdOptions } from '../../../../src/cli/spamd/parse-spamd-options.js'
import { reversedUnder } from '../../../../src/codec/dns/dns-name.js'
import { openStore } from '../../../../src/db/open-store.js'
import { TestDnsServer } from '../../../support/dns-server.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { TestClient } from '../../../support/spamd/test-client.js'
import { createTestDaemon, daemonEnvironment, type TestDaemon } from '../../../support/spamd/test-daemon.js'
import { waitFor } from '../../../support/spamd/wait-for.js'

const RETRY_SEC = 300

let folder: string
let dns: TestDnsServer
let clock: ManualClock
const daemons: TestDaemon[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-senders-'))
  clock = new ManualClock()
  dns = new TestDnsServer({
    'pool.example': { records: [{ type: 'TXT', strings: ['v=spf1 ip4:127.40.0.0/16 -all'] }] },
    'open.example': { records: [{ type: 'TXT', strings: ['v=spf1 +all'] }] },
  })
  await dns.start()
})
afterEach(async () => {
  for (const { service } of daemons.splice(0)) await service.stop()
  dns.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function start(argv: string[], place = folder): Promise<TestDaemon> {
  const words = ['-G', '60s:4h:36d', '-s', '0', '-S', '0', '--dns-server', dns.place, ...argv]
  const parsed = parseSpamdOptions(words, {
    hostname: 'mx.example',
    maxFiles: undefined,
    environment: daemonEnvironment(place),
  })
  if (!parsed.ok) throw new Error(parsed.stderr)
  const daemon = createTestDaemon(parsed.config, clock)
  daemons.push(daemon)
  await daemon.service.start()
  return daemon
}

interface Mail {
  ip: string
  from?: string
  to?: string
  helo?: string
}

/** One delivery attempt up to its 451; the time from RCPT to it, in milliseconds. */
async function attempt(daemon: TestDaemon, mail: Mail): Promise<number> {
  const { ip, from = 'boss@pool.example', to = 'user@example.net', helo = `out-${ip}.pool.example` } = mail
  const client = await TestClient.open({
    host: '127.0.0.1',
    port: daemon.resources.smtpPort,
    localAddress: ip,
  })
  const hears = (code: string): Promise<void> =>
    waitFor(
      () => client.received.includes(code),
      () => `${code} in ${client.received}`,
    )
  client.send(`HELO ${helo}\r\nMAIL FROM:<${from}>\r\n`)
  await hears('250 You are about')
  const startMs = performance.now()
  client.send(`RCPT TO:<${to}>\r\n`)
  await hears('250 This is hurting')
  client.send('DATA\r\n')
  await hears('451 ')
  const tookMs = performance.now() - startMs
  client.close()
  return tookMs
}

/** An attempt, and what DNS has to say of it. */
async function sendAndCheck(daemon: TestDaemon, mail: Mail): Promise<void> {
  const { checks } = daemon.service.senders!
  const before = daemon.service.greylister!.counters.recorded
  await attempt(daemon, mail)
  await waitFor(
    () => daemon.service.greylister!.counters.recorded > before && checks.openCount === 0,
    () => `the checks of ${mail.ip}`,
  )
}

/** What passes spamd: the addresses and networks of its two tables. */
const letIn = async (daemon: TestDaemon): Promise<string[]> => {
  const { firewall } = daemon
  // Written within a second, and a scan brings all of it.
  await daemon.service.scanner!.scan()
  return ['spamd-white', 'spamd-white-net'].flatMap((table) => firewall.tables.get(table) ?? [])
}
const isLetIn = async (daemon: TestDaemon, ip: string): Promise<boolean> =>
  (await letIn(daemon)).includes(`${ip}/32`)
const resultsOf = ({ service }: TestDaemon): Record<string, number> =>
  Object.fromEntries(Object.entries(service.senders!.checks.counters.spf).filter(([, count]) => count > 0))

describe('--grey-spf', () => {
  /** Twelve servers far apart in a /16, each with a HELO of its own, that take turns. */
  const servers = Array.from({ length: 12 }, (_, index) => `127.40.${index * 20}.${index + 1}`)
  const triesUntilLetIn = async (daemon: TestDaemon, tries: number): Promise<number | undefined> => {
    for (let number = 1; number <= tries; number += 1) {
      const ip = servers[(number - 1) % servers.length]!
      if (await isLetIn(daemon, ip)) return number
      if (daemon.service.senders === undefined) await attempt(daemon, { ip })
      else await sendAndCheck(daemon, { ip })
      clock.advance(RETRY_SEC)
    }
    return undefined
  }

  test('a pool over a /16 passes with its second turn, and not within two without it', async () => {
    const checked = await start(['--grey-spf', 'all'])
    // The second try completes passtime, and each address that tries is let in from then on.
    expect(await triesUntilLetIn(checked, 24)).toBe(servers.length + 2)
    const other = mkdtempSync(join(folder, 'plain-'))
    expect(await triesUntilLetIn(await start([], other), 24)).toBeUndefined()
    // The next mail of the domain, from any of them, goes straight in.
    expect(await isLetIn(checked, servers[5]!)).toBe(true)
    expect(await isLetIn(checked, '127.40.99.99')).toBe(false)
  }, 60_000)

  test('a first attempt never passes by SPF alone, and another mail of a domain that passed does', async () => {
    const daemon = await start(['--grey-spf', 'all'])
    await sendAndCheck(daemon, { ip: '127.40.0.1' })
    await sendAndCheck(daemon, { ip: '127.40.0.2', to: 'other@example.net' })
    expect(await letIn(daemon)).toEqual([])
    clock.advance(RETRY_SEC)
    await sendAndCheck(daemon, { ip: '127.40.0.3' })
    await sendAndCheck(daemon, { ip: '127.40.0.4', from: 'x@pool.example', to: 'third@example.net' })
    expect(await letIn(daemon)).toEqual(['127.40.0.3/32', '127.40.0.3/32', '127.40.0.4/32'])
    expect(resultsOf(daemon)).toEqual({ pass: 4 })
  })

  test('a cloud neighbour with another sender stays grey', async () => {
    const daemon = await start(['--grey-spf', 'all'])
    await sendAndCheck(daemon, { ip: '127.40.0.1' })
    clock.advance(RETRY_SEC)
    await sendAndCheck(daemon, { ip: '127.40.0.2' })
    dns.zone.set('neighbour.example', { records: [{ type: 'TXT', strings: ['v=spf1 ip4:127.40.0.9 -all'] }] })
    await sendAndCheck(daemon, { ip: '127.40.0.9', from: 'x@neighbour.example' })
    expect(await isLetIn(daemon, '127.40.0.9')).toBe(false)
  })

  test.each([
    ['+all', 'open.example', 'too-wide'],
    ['half of the address space', 'half.example', 'too-wide'],
    ['an error behind a match', 'broken.example', 'permerror'],
    ['a name that exists for everyone', 'wildcard.example', 'too-wide'],
  ])('a spammer with %s never passes by SPF', async (_, domain, result) => {
    dns.zone.set('half.example', { records: [{ type: 'TXT', strings: ['v=spf1 ip4:0.0.0.0/1 -all'] }] })
    dns.zone.set('broken.example', {
      records: [{ type: 'TXT', strings: ['v=spf1 ip4:127.0.0.0/8 nonsense'] }],
    })
    dns.zone.set('wildcard.example', {
      records: [
        { type: 'TXT', strings: ['v=spf1 exists:wildcard.example -all'] },
        { type: 'A', value: '127.0.0.2' },
      ],
    })
    const daemon = await start(['--grey-spf', 'all'])
    for (let host = 1; host <= 8; host += 1) {
      await sendAndCheck(daemon, { ip: `127.77.${host}.1`, from: `spam@${domain}` })
      clock.advance(RETRY_SEC)
    }
    expect(await letIn(daemon)).toEqual([])
    expect(resultsOf(daemon)).toEqual({ [result]: 8 })
  })

  test('of the null sender the host itself is asked about', async () => {
    dns.zone.set('mx.pool.example', {
      records: [{ type: 'TXT', strings: ['v=spf1 ip4:127.40.0.0/16 -all'] }],
    })
    const daemon = await start(['--grey-spf', 'all'])
    await sendAndCheck(daemon, { ip: '127.40.0.1', from: '', helo: 'mx.pool.example' })
    clock.advance(RETRY_SEC)
    await sendAndCheck(daemon, { ip: '127.40.0.2', from: '', helo: 'mx.pool.example' })
    expect(await isLetIn(daemon, '127.40.0.2')).toBe(true)
  })

  test('a file names the domains, and a reload reads it again', async () => {
    const file = join(folder, 'domains')
    writeFileSync(file, '# those that complain\n other.example\n.pool.example\n')
    const daemon = await start(['--grey-spf', file])
    await sendAndCheck(daemon, { ip: '127.40.0.1' })
    expect(resultsOf(daemon)).toEqual({})
    await sendAndCheck(daemon, { ip: '127.40.0.1', from: 'x@sub.pool.example' })
    expect(resultsOf(daemon)).toEqual({ none: 1 })
    writeFileSync(file, 'pool.example\n')
    await daemon.service.reload()
    await sendAndCheck(daemon, { ip: '127.40.0.1' })
    expect(resultsOf(daemon)).toEqual({ none: 1, pass: 1 })
    writeFileSync(file, 'no domain\n')
    await daemon.service.reload()
    const messages = daemon.logger.lines.map(({ message }) => message)
    expect(messages).toContain(`reload of SPF domains failed: ${file}:1: "no domain" is not a domain`)
    await sendAndCheck(daemon, { ip: '127.40.0.2' })
    expect(resultsOf(daemon)).toMatchObject({ pass: 2 })
  })

  test('without its file nothing is checked, and mail goes on', async () => {
    const daemon = await start(['--grey-spf', join(folder, 'nowhere')])
    await sendAndCheck(daemon, { ip: '127.40.0.1' })
    expect(resultsOf(daemon)).toEqual({})
    expect(daemon.logger.lines.map(({ message }) => message).join('\n')).toContain(
      `SPF is not checked: --grey-spf ${join(folder, 'nowhere')}: No such file or directory`,
    )
  })

  test('a sender that fails is trapped with --spf-fail trap alone', async () => {
    const other = mkdtempSync(join(folder, 'plain-'))
    const [trapping, plain] = [
      await start(['--grey-spf', 'all', '--spf-fail', 'trap']),
      await start(['--grey-spf', 'all'], other),
    ]
    for (const daemon of [trapping, plain]) await sendAndCheck(daemon, { ip: '127.66.0.1' })
    expect(resultsOf(trapping)).toEqual({ fail: 1 })
    expect(trapping.service.senders!.checks.counters.trapped).toBe(1)
    await trapping.service.scanner!.scan()
    await plain.service.scanner!.scan()
    const trappedBy = ({ service }: TestDaemon) => service.blockLists.match('127.66.0.1').length > 0
    expect([trappedBy(trapping), trappedBy(plain)]).toEqual([true, false])
  })
})

describe('DNS lists', () => {
  const list = (zone: string, ip: string, answer: string, ttl = 30): void => {
    dns.zone.set(reversedUnder(ip, zone), { records: [{ type: 'A', value: answer, ttl }] })
  }

  test('--dnswl: a listed client is WHITE after its first attempt, by the answers that count', async () => {
    const daemon = await start(['--dnswl', 'good.example=127.0.*.2-3'])
    list('good.example', '127.50.0.1', '127.0.5.3')
    list('good.example', '127.50.0.2', '127.0.5.1')
    for (const ip of ['127.50.0.1', '127.50.0.2', '127.50.0.3']) await sendAndCheck(daemon, { ip })
    expect(await letIn(daemon)).toEqual(['127.50.0.1/32'])
    expect(daemon.service.senders!.checks.counters).toMatchObject({ allowListed: 1, promoted: 1 })
  })

  test('--dnsbl: nobody passes while listed, and passes once the list has let go', async () => {
    const daemon = await start(['--dnsbl', 'bad.example'])
    list('bad.example', '127.50.0.1', '127.0.0.2')
    for (let tries = 0; tries < 3; tries += 1) {
      for (const ip of ['127.50.0.1', '127.50.0.2']) await sendAndCheck(daemon, { ip })
      clock.advance(RETRY_SEC)
    }
    expect(await letIn(daemon)).toEqual(['127.50.0.2/32'])
    expect(daemon.service.senders!.checks.counters.held).toBeGreaterThanOrEqual(3)
    dns.zone.delete(reversedUnder('127.50.0.1', 'bad.example'))
    clock.advance(60)
    // A scan asks again by itself.
    await daemon.service.scanner!.scan()
    await waitFor(
      () => daemon.service.senders!.checks.openCount === 0,
      () => 'the answer of the list',
    )
    expect(await isLetIn(daemon, '127.50.0.1')).toBe(true)
  })

  test('a zone that refuses who asks says nothing, and that is logged', async () => {
    const daemon = await start(['--dnsbl', 'bad.example', '--dnswl', 'good.example'])
    list('bad.example', '127.50.0.1', '127.255.255.254')
    list('good.example', '127.50.0.1', '127.0.0.255')
    await sendAndCheck(daemon, { ip: '127.50.0.1' })
    expect(await letIn(daemon)).toEqual([])
    clock.advance(RETRY_SEC)
    await sendAndCheck(daemon, { ip: '127.50.0.1' })
    expect(await isLetIn(daemon, '127.50.0.1')).toBe(true)
    expect(daemon.logger.lines.map(({ message }) => message).join('\n')).toContain(
      'bad.example does not answer queries from this host',
    )
  })
})

describe('DNS that does not answer', () => {
  const all = ['--grey-spf', 'all', '--dnswl', 'good.example', '--dnsbl', 'bad.example']

  test('is plain greylisting: the address that comes back passes', async () => {
    dns.isDead = true
    const daemon = await start(all)
    await sendAndCheck(daemon, { ip: '127.40.0.1' })
    expect(resultsOf(daemon)).toEqual({ temperror: 1 })
    clock.advance(RETRY_SEC)
    await sendAndCheck(daemon, { ip: '127.40.0.2' })
    expect(await letIn(daemon)).toEqual([])
    await sendAndCheck(daemon, { ip: '127.40.0.1' })
    expect(await letIn(daemon)).toEqual(['127.40.0.1/32'])
  }, 30_000)

  test('strangers decide how much is asked only within the budget of their network', async () => {
    dns.isDead = true
    const daemon = await start(['--grey-spf', 'all'])
    for (let number = 0; number < 80; number += 1) {
      await attempt(daemon, { ip: '127.40.0.1', from: `x@d${number}.example` })
    }
    await waitFor(
      () => daemon.service.greylister!.counters.recorded === 80,
      () => 'all attempts on record',
    )
    const { counters, openCount } = daemon.service.senders!.checks
    const checked = Object.values(counters.spf).reduce((sum, count) => sum + count, 0)
    expect(counters.skipped).toBe(20)
    expect(checked + openCount).toBe(60)
  }, 30_000)
})

test('the status of spamd tells what DNS is asked, and how it answers', async () => {
  const daemon = await start([
    '--grey-spf',
    'all',
    '--dnswl',
    'good.example',
    '--dnsbl',
    'bad.example=127.0.0.2',
  ])
  await sendAndCheck(daemon, { ip: '127.40.0.1' })
  const { senders } = await askDaemon(join(folder, 'control.sock'), 'status')
  expect(senders).toEqual({
    spf: 'all',
    dnswl: ['good.example'],
    dnsbl: ['bad.example'],
    answered: 3,
    failed: 0,
  })
})

test('what was found before the end is in the database', async () => {
  const daemon = await start(['--dnswl', 'good.example'])
  dns.zone.set(reversedUnder('127.50.0.1', 'good.example'), { records: [{ type: 'A', value: '127.0.0.2' }] })
  await sendAndCheck(daemon, { ip: '127.50.0.1' })
  await daemon.service.stop()
  daemons.length = 0
  const store = await openStore(join(folder, 'db'), { mode: 'read' })
  expect(await store.count()).toMatchObject({ WHITE: 1, GREY: 0 })
  await store.close()
})
