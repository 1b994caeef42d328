/** Story 1: a new sender is deferred, its own queue retries, and the mail arrives once and unchanged. */
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
const SIZES = [1_000, 100_000, 10_000_000]

describe.skipIf(skipReason !== undefined)('story 1: a new sender', () => {
  const lab = new Lab({
    senders: FAMILIES.map((family) => ({ ...family, helo: `mx.${family.domain}` })),
    spamd: ['-G', '8s:4h:36d', '-S', '1', '-s', '1'],
  })
  beforeAll(() => lab.start())
  afterAll(() => lab.stop())

  test.concurrent.each(FAMILIES)('$name: deferred, retried, delivered once, unchanged', async (family) => {
    const { domain, address, set } = family
    const from = `writer@${domain}`
    const to = `reader@example.org`
    const messages = SIZES.map((size) => labMessage(`story1-${domain}-${size}`, size))
    // One message completes the wait; the others follow it, as in a queue.
    for (const { bytes } of messages) await lab.sender.send(from, to, bytes)

    // The client's own log: it was told to come back.
    const deferrals = async () =>
      (await lab.sender.log()).split('\n').filter((line) => line.includes('status=deferred'))
    await until(
      async () =>
        (await deferrals()).some((line) => /451 Temporary failure, please try again later/.test(line)),
      () => 'the deferral',
    )
    // The database, while it waits, and the filter, which does not know it.
    await lab.gateway.awaitEntry(`GREY|${address}|mx.${domain}|<${from}>|<${to}>|`)
    expect(await lab.gateway.isInSet(set, address)).toBe(false)
    const early = await lab.server.mailbox()
    expect(messages.filter(({ id }) => early.has(id))).toEqual([])

    // Nobody does anything: the queue comes again.
    await lab.gateway.awaitEntry(new RegExp(`^WHITE\\|${address}\\|`, 'm'))
    await lab.gateway.awaitInSet(set, address)
    let box = new Map<string, string[]>()
    await until(
      async () => {
        box = await lab.server.mailbox()
        return messages.every(({ id }) => box.has(id))
      },
      () => `the mail of ${domain}`,
    )
    for (const { id, digest } of messages) expect(box.get(id), id).toEqual([digest])
    expect(await lab.gateway.journal('spamd.service')).toContain(`${address}: connected`)
  })
})
