/**
 * Story 15: the rules are loaded twice, changed for the other variant and flushed while mail flows. Nothing is doubled,
 * the sets stay, no known sender is refused; after a flush the white list is back by itself.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, MX4, MX6 } from '../support/lab.js'
import { CHECKOUT, whyNoLab } from '../support/machine.js'
import { labMessage } from '../support/message.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
const SENDERS = [
  { domain: 'known4.example', address: '198.51.100.10', server: MX4, set: 'spamd-white' },
  { domain: 'known6.example', address: '2001:db8:100::10', server: MX6, set: 'spamd-white6' },
]

describe.skipIf(skipReason !== undefined)('story 15: rules loaded again', () => {
  const lab = new Lab({
    senders: SENDERS.map((sender) => ({ ...sender, helo: `mx.${sender.domain}` })),
    spamd: ['--scan-interval', '2s', '-S', '0'],
  })
  const nft = (...args: string[]) => lab.gateway.machine.run('nft', ...args)
  const rules = async () =>
    (await nft('-s', 'list', 'table', 'inet', 'spamd')).replace(/elements = \{[^}]*\}/g, '')
  const load = () => nft('-f', '/etc/spamd/nftables.conf')

  beforeAll(async () => {
    await lab.start()
    for (const { address, set } of SENDERS) {
      await lab.gateway.entries('-a', address)
      await lab.gateway.awaitInSet(set, address)
    }
    await nft('add', 'element', 'inet', 'spamd', 'nospamd', '{ 100.64.0.0/24 }')
    await nft('add', 'element', 'inet', 'spamd', 'spamd', '{ 100.64.1.0/24 }')
  })
  afterAll(() => lab.stop())

  /** Sends `count` messages of every sender, one after the other, while `act` goes on; all must arrive, once. */
  async function whileMailFlows(title: string, count: number, act: () => Promise<void>): Promise<void> {
    const messages = SENDERS.flatMap(({ domain }) =>
      Array.from({ length: count }, (_, index) => ({
        domain,
        ...labMessage(`${title}-${domain}-${index}`, 2000),
      })),
    )
    const acting = act()
    acting.catch(() => {})
    for (const { domain, bytes } of messages)
      await lab.sender.send(`writer@${domain}`, 'reader@example.org', bytes)
    await acting
    let box = new Map<string, string[]>()
    await until(
      async () => {
        box = await lab.server.mailbox()
        return messages.every(({ id }) => box.has(id))
      },
      () => `${messages.length} messages, of which ${box.size} are there`,
    )
    for (const { id, digest } of messages) expect(box.get(id), id).toEqual([digest])
  }
  const deferred = async () =>
    (await lab.sender.log()).split('\n').filter((line) => line.includes('status=deferred'))

  test('loading the file again, ten times: the same rules, the same sets, no known sender refused', async () => {
    const once = await rules()
    const sets = await nft('list', 'sets')
    await whileMailFlows('again', 10, async () => {
      for (let times = 0; times < 10; times += 1) await load()
    })
    expect(await rules()).toBe(once)
    expect(await nft('list', 'sets')).toBe(sets)
    expect(await deferred()).toEqual([])
  })

  test('the variant with TPROXY and back: nothing of the other one is left', async () => {
    const once = await rules()
    const variant = readFileSync(join(CHECKOUT, 'docs/examples/nftables-tproxy.conf'))
    await lab.gateway.machine.write('/etc/spamd/nftables-tproxy.conf', variant)
    await nft('-f', '/etc/spamd/nftables-tproxy.conf')
    const other = await rules()
    expect(other).toContain('tproxy')
    expect(other).not.toContain('redirect')
    for (const { address, set } of SENDERS) expect(await lab.gateway.isInSet(set, address)).toBe(true)
    await load()
    expect(await rules()).toBe(once)
  })

  test('after "flush ruleset" and a restart of nftables the white list is back by itself', async () => {
    await whileMailFlows('flushed', 5, async () => {
      await lab.gateway.machine.run('systemctl', 'restart', 'nftables.service')
      await until(
        async () =>
          (await lab.gateway.machine.try('nft', 'list', 'table', 'inet', 'spamd')).stdout.includes(
            'redirect',
          ),
        () => 'the rules of spamd-rules.service',
      )
      for (const { address, set } of SENDERS) await lab.gateway.awaitInSet(set, address)
    })
  })
})
