/**
 * Story 23: fail-over by keepalived, which moves IPv4 and IPv6 addresses alike, with the files of "spamdctl failover plan":
 * a known sender of each family writes on when the master loses power, and when it is back.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { awaitMaster, FAILOVER_UNITS, installPlan, isMaster } from '../support/fail-over.js'
import { recordFigure } from '../support/figures.js'
import { MX4, MX6 } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { labMessage } from '../support/message.js'
import { TwoGateways } from '../support/two-gateways.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix', 'openssh-server', 'keepalived', 'conntrackd')
const SENDERS = [
  {
    domain: 'four.example',
    address: '198.51.100.20',
    server: MX4,
    helo: 'mx.four.example',
    set: 'spamd-white',
  },
  {
    domain: 'six.example',
    address: '2001:db8:100::20',
    server: MX6,
    helo: 'mx.six.example',
    set: 'spamd-white6',
  },
]

describe.skipIf(skipReason !== undefined)('story 23: keepalived', () => {
  const lab = new TwoGateways({
    senders: SENDERS,
    spamd: ['-S', '0', '-s', '0', '--scan-interval', '2s'],
    packages: ['keepalived', 'conntrackd'],
  })
  const [one, other] = lab.gateways
  beforeAll(async () => {
    await lab.start()
    lab.routeByShared()
    for (const index of [0, 1] as const) {
      await installPlan(lab, index, 'keepalived')
      const { machine } = lab.gateways[index]
      await machine.run('systemctl', 'start', 'conntrackd.service', ...FAILOVER_UNITS.keepalived)
      if (index === 0) await awaitMaster(lab, 0)
    }
    for (const { address, set } of SENDERS) {
      await one.machine.run('spamdb', '-a', address)
      await other.awaitInSet(set, address)
    }
  })
  afterAll(() => lab.stop())

  const deliver = async (name: string): Promise<void> => {
    for (const { domain } of SENDERS) {
      const message = labMessage(`story23-${name}-${domain}`, 500)
      await lab.sender.send(`writer@${domain}`, 'reader@example.org', message.bytes)
      await until(
        async () => (await lab.server.mailbox()).has(message.id),
        () => `${name}: mail of ${domain}`,
      )
      expect((await lab.server.mailbox()).get(message.id)).toEqual([message.digest])
    }
  }

  test('both families move to the other gateway and back', async () => {
    await deliver('before')
    const cutMs = performance.now()
    const cutting = lab.cutPower(0)
    await awaitMaster(lab, 1)
    const takeOverSec = (performance.now() - cutMs) / 1000
    await cutting
    // Three advertisements and the skew of VRRP, below a second, and two seconds.
    expect(takeOverSec).toBeLessThan(6)
    await deliver('meanwhile')
    await lab.powerOn(0)
    await one.machine.run('systemctl', 'start', 'spamd-pull.service')
    await one.machine.run('systemctl', 'start', 'conntrackd.service', ...FAILOVER_UNITS.keepalived)
    await awaitMaster(lab, 0)
    await until(
      async () => !(await isMaster(lab, 1)),
      () => 'the other one giving way',
    )
    await deliver('after')
    expect(
      await lab.sender
        .deliveries('deferred', 'reader@example.org')
        .then((lines) => lines.filter((line) => line.includes('451'))),
    ).toEqual([])
    recordFigure('23', `both families taken over after ${takeOverSec.toFixed(1)} s`)
  })
})
