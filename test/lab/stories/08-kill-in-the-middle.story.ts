/**
 * Story 8: each process is killed with SIGKILL in the middle of 200 deliveries. Every message arrives exactly once and
 * unchanged; the database is sound; the tables are what it says.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, MX4, MX6 } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { labMessage } from '../support/message.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
const SENDERS = Array.from({ length: 10 }, (_, index) =>
  index % 2 === 0
    ? { domain: `s${index}.example`, address: `198.51.100.${50 + index}`, server: MX4, set: 'spamd-white' }
    : {
        domain: `s${index}.example`,
        address: `2001:db8:100::${50 + index}`,
        server: MX6,
        set: 'spamd-white6',
      },
)

describe.skipIf(skipReason !== undefined)('story 8: killed in the middle', () => {
  const lab = new Lab({
    senders: SENDERS.map((sender) => ({ ...sender, helo: `mx.${sender.domain}` })),
    spamd: ['-G', '5s:4h:36d', '-S', '1', '--scan-interval', '2s'],
  })
  beforeAll(() => lab.start())
  afterAll(() => lab.stop())

  test('200 messages, each once', async () => {
    const messages = Array.from({ length: 200 }, (_, index) => ({
      domain: SENDERS[index % SENDERS.length]!.domain,
      ...labMessage(`story8-${index}`, 2_000),
    }))
    const { machine } = lab.gateway
    const arrived = async () => {
      const box = await lab.server.mailbox()
      return messages.filter(({ id }) => box.has(id)).length
    }
    const kill = async (unit: string, which: 'main' | 'child'): Promise<void> => {
      const main = (await machine.run('systemctl', 'show', '-P', 'MainPID', unit)).trim()
      const pid =
        which === 'main' ? main : (await machine.try('pgrep', '-P', main)).stdout.trim().split('\n')[0]!
      if (pid !== '' && pid !== '0') await machine.try('kill', '-KILL', pid)
    }
    const kills = [
      ['spamd.service', 'child'],
      ['spamlogd.service', 'main'],
      ['spamd.service', 'main'],
    ] as const
    for (const [index, { domain, bytes }] of messages.entries()) {
      await lab.sender.send(`writer@${domain}`, 'reader@example.org', bytes)
      // One behind the other, while earlier messages are deferred, pass or arrive.
      const due = kills[Math.floor(index / 60)]
      if (index % 60 === 40 && due !== undefined) await kill(due[0], due[1])
    }
    await until(
      async () => (await arrived()) === messages.length,
      () => 'all 200',
      150_000,
    )
    const box = await lab.server.mailbox()
    for (const { id, digest } of messages) expect(box.get(id), id).toEqual([digest])
    expect(await lab.sender.queued()).toBe(0)

    for (const unit of ['spamd.service', 'spamlogd.service']) {
      await until(
        async () => (await machine.try('systemctl', 'is-active', unit)).stdout.trim() === 'active',
        () => `${unit} running again`,
      )
    }
    expect(await machine.run('spamdctl', 'check-db')).toContain('integrity: ok')
    for (const { address, set } of SENDERS) {
      await lab.gateway.awaitEntry(new RegExp(`^WHITE\\|${address}\\|`, 'm'))
      await lab.gateway.awaitInSet(set, address)
    }
  })
})
