/**
 * Story 17: three gateways on one PostgreSQL database with a streaming standby. The first try at one gateway, the retry at
 * another, mail through the third. The primary loses power in the middle of a burst: all gateways go on alone, mail flows on;
 * the standby is promoted: what they did meanwhile is handed over, each mail arrived once, all tables are equal. Before that, one
 * gateway alone loses the cable to its server. The shell on a gateway reads its settings by the line of the guide.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ClusterLab, GATES, LOCAL_DB, LOCATION, MX4, MX6 } from '../support/cluster.js'
import { recordFigure } from '../support/figures.js'
import { whyNoLab } from '../support/machine.js'
import { labMessage } from '../support/message.js'
import { probe } from '../support/smtp-probe.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
const BURST = 120
const PASS_SEC = 20
const ALONE_MS = 60_000
const SENDERS = Array.from({ length: 40 }, (_, index) => ({
  domain: `s${index}.example`,
  helo: `mx${index}.example`,
  ...(index % 3 === 2
    ? { address: `2001:db8:100::${100 + index}`, server: MX6 }
    : { address: `198.51.100.${100 + index}`, server: MX4 }),
}))

describe.skipIf(skipReason !== undefined)('story 17: three gateways on a database with a standby', () => {
  const lab = new ClusterLab({
    senders: SENDERS,
    spamd: ['-G', `${PASS_SEC}s:4h:36d`, '-S', '0', '-s', '0', '--scan-interval', '2s'],
  })
  const messagesOf = (what: string) =>
    Array.from({ length: BURST / 2 }, (_, index) => ({
      domain: SENDERS[index % SENDERS.length]!.domain,
      ...labMessage(`story17-${what}-${index}`, 1000),
    }))
  const send = async (messages: ReturnType<typeof messagesOf>): Promise<void> => {
    for (const { domain, id, bytes } of messages) {
      await lab.sender.send(`${id}@${domain}`, 'reader@example.org', bytes)
    }
  }
  const greyCount = async (location: string, index = 0): Promise<number> =>
    (await lab.entries(index, location)).split('\n').filter((line) => line.startsWith('GREY|')).length

  /** The database, the sets of all gateways and their files have the same WHITE addresses, which it returns. */
  const allEqual = async (): Promise<string[]> => {
    const white = async (index: number, location: string): Promise<string[]> =>
      (await lab.entries(index, location))
        .split('\n')
        .filter((line) => line.startsWith('WHITE|'))
        .map((line) => line.split('|')[1]!)
        .sort()
    const wanted = await white(0, LOCATION)
    for (const index of GATES.keys()) {
      let found: string[] = []
      await until(
        async () => {
          found = [
            ...(await lab.setOf(index, 'spamd-white')),
            ...(await lab.setOf(index, 'spamd-white6')),
          ].sort()
          return JSON.stringify(found) === JSON.stringify(wanted)
        },
        () => `the sets of ${GATES[index]!.name}: ${JSON.stringify([found, wanted])}`,
      )
      await until(
        async () => {
          found = await white(index, LOCAL_DB)
          return wanted.every((address) => found.includes(address))
        },
        () => `the file of ${GATES[index]!.name}: ${JSON.stringify([found, wanted])}`,
      )
    }
    return wanted
  }

  beforeAll(() => lab.start(), 240_000)
  afterAll(() => lab.stop())

  test.each(['ipv4', 'ipv6'] as const)(
    'the first try at one, the retry at another, mail through the third (%s)',
    async (version) => {
      const source = version === 'ipv4' ? '198.51.100.20' : '2001:db8:100::20'
      const [a, b, c] = GATES.map(({ mx }) => mx[version]) as [string, string, string]
      expect((await probe(lab.outside, a, source)).code).toBe(451)
      expect((await probe(lab.outside, b, source)).code).toBe(451)
      const firstMs = performance.now()
      await until(
        async () => performance.now() - firstMs > (PASS_SEC + 2) * 1000,
        () => 'passtime',
      )
      expect((await probe(lab.outside, b, source)).code).toBe(451)
      const promotedMs = performance.now()
      const set = version === 'ipv4' ? 'spamd-white' : 'spamd-white6'
      for (const gateway of lab.gateways) await gateway.awaitInSet(set, source)
      const seenSec = (performance.now() - promotedMs) / 1000
      expect((await probe(lab.outside, c, source)).code).toBe(250)
      expect(await lab.entries(2)).toMatch(new RegExp(`^WHITE\\|${source}\\|`, 'm'))
      recordFigure('17', `promoted at B (${version}), in all three sets after ${seenSec.toFixed(1)} s`)
    },
  )

  test('a shell that has read the settings as the guide says has the tools and the doctor on the server', async () => {
    expect((await lab.typeOnGateway(1, 'spamdb')).stdout).toBe(await lab.entries(1))
    const { stdout, stderr } = await lab.typeOnGateway(1, 'spamdctl doctor')
    expect(`${stdout}${stderr}`).toContain('db1.example.org')
    expect(`${stdout}${stderr}`).not.toMatch(/^(error|fail)/im)
  })

  test('one gateway of three loses its cable: it goes on alone, the others go on together, and all end equal', async () => {
    const [cut, other] = [1, 2] as [number, number]
    const [there, here] = ['198.51.100.40', '198.51.100.41'] as const
    const mxOf = (index: number): string => GATES[index]!.mx.ipv4
    lab.setCable(cut, 'down')
    const cutMs = performance.now()
    expect((await probe(lab.outside, mxOf(cut), there)).code).toBe(451)
    const answeredSec = (performance.now() - cutMs) / 1000
    await lab.awaitAlone(true, undefined, [cut])
    await lab.awaitAlone(false, undefined, [0, other])
    // Now both wait: one at the gateway that is alone, one at another.
    expect((await probe(lab.outside, mxOf(cut), there)).code).toBe(451)
    expect((await probe(lab.outside, mxOf(other), here)).code).toBe(451)
    const firstMs = performance.now()
    await until(
      async () => performance.now() - firstMs > (PASS_SEC + 2) * 1000,
      () => 'passtime',
    )
    expect((await probe(lab.outside, mxOf(cut), there)).code).toBe(451)
    expect((await probe(lab.outside, mxOf(other), here)).code).toBe(451)
    await lab.gateways[cut]!.awaitInSet('spamd-white', there)
    for (const index of [0, other]) await lab.gateways[index]!.awaitInSet('spamd-white', here)
    expect(await lab.setOf(cut, 'spamd-white')).not.toContain(here)
    expect(await lab.setOf(other, 'spamd-white')).not.toContain(there)
    lab.setCable(cut, 'up')
    const healedMs = performance.now()
    await lab.awaitAlone(false, undefined, [cut])
    for (const gateway of lab.gateways) {
      for (const source of [there, here]) await gateway.awaitInSet('spamd-white', source)
    }
    await allEqual()
    recordFigure(
      '17',
      `one cable of three: a stranger answered ${answeredSec.toFixed(1)} s after the cut; equal ${((performance.now() - healedMs) / 1000).toFixed(1)} s after it healed`,
    )
  }, 240_000)

  test('the primary loses power in a burst: nobody waits, all go on alone, then hand over', async () => {
    const early = messagesOf('early')
    const late = messagesOf('late')
    const sending = send(early)
    await until(
      async () => (await greyCount(LOCATION)) > BURST / 4,
      () => 'half of the tuples',
    )
    const cutMs = performance.now()
    await lab.cutPower(0)
    // A stranger is answered at once, whatever the server does.
    const longest: number[] = []
    for (const [index, { mx }] of GATES.entries()) {
      const startMs = performance.now()
      expect((await probe(lab.outside, mx.ipv4, `198.51.100.${30 + index}`)).code).toBe(451)
      longest.push(performance.now() - startMs)
    }
    await lab.awaitAlone(true)
    const aloneSec = (performance.now() - cutMs) / 1000
    await sending
    // Each gateway has only what came to it since; with passtime over there, mail passes.
    await until(
      async () => (await lab.server.mailbox()).size >= early.length,
      () => 'the first half of the burst, while all are alone',
      150_000,
    )
    const throughSec = (performance.now() - cutMs) / 1000
    await until(
      async () => performance.now() - cutMs > ALONE_MS - 5000,
      () => 'a minute alone',
      ALONE_MS,
    )
    const before = await greyCount(LOCAL_DB)
    await send(late.slice(0, late.length / 2))
    await until(
      async () => (await greyCount(LOCAL_DB)) >= before || (await lab.sender.queued()) === 0,
      () => 'tuples of the second half at gateways that are alone',
    )
    await lab.promote(1)
    const promotedMs = performance.now()
    await lab.awaitAlone(false)
    const backSec = (performance.now() - promotedMs) / 1000
    await send(late.slice(late.length / 2))
    await until(
      async () => (await lab.sender.queued()) === 0,
      () => 'an empty queue',
      150_000,
    )
    const box = await lab.server.mailbox()
    for (const { id, digest } of [...early, ...late]) expect(box.get(id), id).toEqual([digest])
    for (const { machine } of lab.gateways) {
      const log = await machine.run('journalctl', '--no-pager', '-o', 'cat', '-u', 'spamd.service')
      expect(log).toMatch(/the database server is unreachable \(.*\): using /)
      expect(log).toMatch(
        /the database server is reachable again after \d+ s alone: handed over \d+ addresses/,
      )
    }
    recordFigure(
      '17',
      `strangers answered within ${(Math.max(...longest) / 1000).toFixed(1)} s of the cut; all alone after ${aloneSec.toFixed(1)} s; first half of ${BURST} through ${throughSec.toFixed(0)} s after it; all back ${backSec.toFixed(1)} s after the standby was promoted; each message once`,
    )
  }, 420_000)

  test('all tables are equal afterwards', async () => {
    expect((await allEqual()).length).toBeGreaterThan(SENDERS.length - 1)
  })
})
