/**
 * Story 3: a local user writes out. The mail leaves at once, past the gateway's own redirect, and whoever is written to
 * is WHITE before it writes back; by IPv4 and IPv6, from behind the gateway and from the gateway itself.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FRIEND, Lab, MX4, MX6, NET } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { labMessage } from '../support/message.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
const FAMILIES = [
  {
    name: 'IPv4',
    local: 'user@example.org',
    friend: FRIEND.ipv4,
    domain: FRIEND.domain,
    server: MX4,
    set: 'spamd-white',
  },
  {
    name: 'IPv6',
    local: 'user@six.example.org',
    friend: FRIEND.ipv6,
    domain: 'six.friend.example',
    server: MX6,
    set: 'spamd-white6',
  },
]

describe.skipIf(skipReason !== undefined)('story 3: a local user writes out', () => {
  const lab = new Lab({
    senders: FAMILIES.map(({ domain, friend, server }) => ({
      domain,
      address: friend,
      helo: `mx.${domain}`,
      server,
    })),
    spamd: ['--scan-interval', '2s'],
    // The unit trusts this host alone; the server behind the gateway is named, as its comment and init say.
    spamlogd: ['--outbound-source', NET.inside.ipv4, '--outbound-source', NET.inside.ipv6],
  })
  beforeAll(async () => {
    await lab.start()
    // With allowed domains, every recipient elsewhere is a spamtrap: own mail that met spamd would be trapped.
    await lab.gateway.machine.write('/etc/spamd/spamd.alloweddomains', 'example.org\n')
    await lab.gateway.machine.run('systemctl', 'reload', 'spamd.service')
  })
  afterAll(() => lab.stop())

  test.concurrent.each(FAMILIES)('$name: at once, and the answer comes straight in', async (family) => {
    const { local, friend, domain, set } = family
    const there = labMessage(`story3-out-${domain}`, 20_000)
    const back = labMessage(`story3-back-${domain}`, 20_000)

    const startedMs = performance.now()
    await lab.server.send(local, `friend@${FRIEND.domain}`, there.bytes)
    await until(
      async () => (await lab.sender.mailbox()).has(there.id),
      () => `the mail of ${local} outside`,
    )
    expect((await lab.sender.mailbox()).get(there.id)).toEqual([there.digest])
    const log = await lab.server.log()
    expect(log.split('\n').filter((line) => line.includes('status=deferred'))).toEqual([])
    expect(performance.now() - startedMs, 'milliseconds until the mail was there').toBeLessThan(20_000)

    // spamlogd saw it leave.
    await lab.gateway.awaitEntry(new RegExp(`^WHITE\\|${friend}\\|`, 'm'))
    await lab.gateway.awaitInSet(set, friend)
    await lab.sender.send(`friend@${domain}`, 'user@example.org', back.bytes)
    await until(
      async () => (await lab.server.mailbox()).has(back.id),
      () => `the answer of ${domain}`,
    )
    expect((await lab.server.mailbox()).get(back.id)).toEqual([back.digest])
    const answers = (await lab.sender.log())
      .split('\n')
      .filter((line) => line.includes(`helo=<mx.${domain}>`))
    expect(answers.filter((line) => line.includes('status=deferred'))).toEqual([])

    // spamd never met the mail server, nor the one that answered.
    const met = await lab.gateway.journal('spamd.service')
    for (const address of [NET.inside.ipv4, NET.inside.ipv6, friend]) {
      expect(met).not.toContain(`${address}: connected`)
    }
    expect(await lab.gateway.entries()).not.toMatch(/^(TRAPPED|GREY)\|/m)
  })

  test('mail of the gateway itself leaves at once, too', async () => {
    for (const [friend, set] of [
      ['198.51.100.81', 'spamd-white'],
      ['2001:db8:100::81', 'spamd-white6'],
    ] as const) {
      const words = ['-c', 'exec 3<>"/dev/tcp/$0/25" && head -n 1 <&3', friend]
      expect(await lab.gateway.machine.run('bash', ...words)).toContain('220 mx.sender.example')
      await lab.gateway.awaitInSet(set, friend)
    }
  })
})
