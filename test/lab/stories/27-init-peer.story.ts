/**
 * Story 27: two gateways by `spamdctl init --peer` alone, and by the lines that it prints to be typed: each tells the other
 * what it learns, each can pull from the other, and nothing else, and one that was away is in step when it has booted.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installPlan } from '../support/fail-over.js'
import { whyNoLab } from '../support/machine.js'
import { OWN, TwoGateways } from '../support/two-gateways.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix', 'openssh-server')

describe.skipIf(skipReason !== undefined)('story 27: two gateways by init', () => {
  const lab = new TwoGateways({ senders: [], spamd: [], setUp: 'init' })
  const [one, other] = lab.gateways
  beforeAll(() => lab.start())
  afterAll(() => lab.stop())

  const learn = (gateway: typeof one, address: string) => gateway.machine.run('spamdb', '-a', address)

  test('tell one another by version 3, with one key', async () => {
    const keys = await Promise.all(
      lab.gateways.map(({ machine }) => machine.run('spamdctl', 'sync-key', '--show')),
    )
    expect(keys[0]).toBe(keys[1])
    for (const [index, { machine }] of lab.gateways.entries()) {
      let said = ''
      await until(
        async () => {
          said = await machine.run('spamdctl', 'sync-status')
          return said.includes(`version 3 with: ${OWN[1 - index]!.sync}`)
        },
        () => `version 3: ${said}`,
      )
    }
    await learn(one, '198.51.100.201')
    await other.awaitEntry('WHITE|198.51.100.201|')
    await learn(other, '2001:db8:7::1')
    await one.awaitEntry('WHITE|2001:db8:7::1|')
  })

  test.each([0, 1] as const)(
    'gateway %i pulls from the other one, by the command that init prints',
    async (index) => {
      const { machine } = lab.gateways[index]
      await machine.run('systemctl', 'restart', 'spamd-pull.service')
      expect(await machine.run('journalctl', '-n', '3', '-u', 'spamd-pull.service')).toMatch(/changes? read/)
      expect(await machine.run('systemctl', 'is-enabled', 'spamd-pull.service')).toBe('enabled\n')
      expect(await machine.run('systemctl', 'is-active', 'spamd-pull.path')).toBe('active\n')
      // The key of ssh opens nothing else, and the user for pulls cannot change what its key may do.
      const ssh = `setpriv --reuid _spamd --regid _spamd --clear-groups ssh -F /etc/spamd/ssh_config ${OWN[1 - index]!.sync}`
      const shell = await machine.feed('', 'timeout', '20', 'sh', '-c', `${ssh} id`)
      expect(shell.stdout).not.toContain('uid=')
      const asUser = 'setpriv --reuid _spamdpull --regid _spamd --clear-groups'
      const changed = await machine.try(
        'sh',
        '-c',
        `${asUser} sh -c 'echo x >>/var/lib/spamd-pull/.ssh/authorized_keys'`,
      )
      expect(changed.code).not.toBe(0)
    },
  )

  test('a gateway that was away knows what happened when it has booted', async () => {
    await lab.cutPower(0)
    await learn(other, '198.51.100.202')
    await other.machine.run('spamdb', '-d', '198.51.100.201')
    await lab.powerOn(0)
    await one.awaitEntry('WHITE|198.51.100.202|')
    expect(await one.entries()).not.toContain('198.51.100.201')
    expect(await one.journal('spamd-pull.service')).toMatch(/changes? read/)
  })

  test('doctor finds no error, a second init and a plan for fail-over find all of it as wanted', async () => {
    const { stdout } = await other.machine.try('spamdctl', 'doctor', '--json')
    const { findings } = JSON.parse(stdout) as { findings: { level: string; message: string }[] }
    expect(findings.filter(({ level }) => level === 'error')).toEqual([])
    const again = ['--outside', 'outside0', '--mail-server', '192.0.2.25', '--list', 'none', '--dry-run']
    const init = await other.machine.run('spamdctl', 'init', '--peer', OWN[0].sync, ...again)
    expect(init).not.toMatch(/\((new|lines added|differs)/)
    await installPlan(lab, 1, 'keepalived')
    const plan = ['failover', 'plan', '/tmp/plan.toml', '--node', 'gw2']
    const printed = await other.machine.run('spamdctl', ...plan)
    for (const path of [
      '/etc/spamd/ssh_config',
      '/etc/default/spamd-pull',
      '/etc/systemd/system/spamd-pull.path',
    ]) {
      expect(printed).toMatch(new RegExp(`^-- ${path}: .*\\nup to date$`, 'm'))
    }
  })
})
