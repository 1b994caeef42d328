/** Story 2: the next mail of a sender that passed goes straight in, and its expiry is refreshed by spamlogd. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, MX4, MX6 } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { labMessage } from '../support/message.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
const FAMILIES = [
  { name: 'IPv4', domain: 'four.example', address: '198.51.100.10', server: MX4, set: 'spamd-white' },
  { name: 'IPv6', domain: 'six.example', address: '2001:db8:100::10', server: MX6, set: 'spamd-white6' },
]

describe.skipIf(skipReason !== undefined)('story 2: the next mail', () => {
  const lab = new Lab({
    senders: FAMILIES.map((family) => ({ ...family, helo: `mx.${family.domain}` })),
    spamd: ['-G', '6s:4h:36d', '-S', '0'],
  })
  beforeAll(() => lab.start())
  afterAll(() => lab.stop())

  test.each(FAMILIES)('$name: straight in, seen, refreshed', async ({ domain, address, set }) => {
    const send = async (id: string): Promise<void> => {
      const message = labMessage(id, 3000)
      await lab.sender.send(`writer@${domain}`, 'reader@example.org', message.bytes)
      await until(
        async () => (await lab.server.mailbox()).has(id),
        () => `${id} in the mailbox`,
        90_000,
      )
      expect((await lab.server.mailbox()).get(id)).toEqual([message.digest])
    }
    const entry = async () =>
      (await lab.gateway.entries())
        .split('\n')
        .find((line) => line.startsWith(`WHITE|${address}|`))!
        .split('|')
    await send(`story2-first-${domain}`)
    await lab.gateway.awaitInSet(set, address)
    // Its own arrival is a sighting, too.
    await until(
      async () => Number((await entry())[8]) >= 1,
      () => 'the first sighting',
    )
    const before = await entry()
    const deferredBefore = (await lab.sender.deliveries('deferred', 'reader@example.org')).length
    const connectedBefore = (await lab.gateway.journal('spamd.service')).split(`${address}: connected`).length
    // Expiry counts seconds.
    await until(
      async () => Date.now() / 1000 > Number(before[6]) - 36 * 86_400 + 2,
      () => 'the next second',
    )
    await send(`story2-second-${domain}`)
    expect((await lab.sender.deliveries('deferred', 'reader@example.org')).length).toBe(deferredBefore)
    await until(
      async () => Number((await entry())[6]) > Number(before[6]),
      () => 'the refreshed expiry',
    )
    const after = await entry()
    expect(Number(after[8])).toBeGreaterThan(Number(before[8]))
    expect(after.slice(4, 6)).toEqual(before.slice(4, 6))
    expect((await lab.gateway.journal('spamd.service')).split(`${address}: connected`).length).toBe(
      connectedBefore,
    )
  })
})
