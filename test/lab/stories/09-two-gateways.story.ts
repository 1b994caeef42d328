/**
 * Story 9: two gateways without a database server. What one learns the other knows: tuples, WHITE, TRAPPED, spamtraps,
 * deletions, pins, both families. The cable is cut and healed, one is down for a while: both are equal afterwards.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordFigure } from '../support/figures.js'
import { NET } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { probe } from '../support/smtp-probe.js'
import { OWN, TwoGateways } from '../support/two-gateways.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix', 'openssh-server')

describe.skipIf(skipReason !== undefined)('story 9: two gateways', () => {
  const lab = new TwoGateways({
    senders: [],
    spamd: ['-G', '20s:4h:36d', '-S', '0', '-s', '0', '--scan-interval', '2s'],
  })
  const [one, other] = lab.gateways

  beforeAll(async () => {
    await lab.start()
    const [own] = OWN
    lab.routeBy({ outside: own.outside, inside: own.inside }, { outside: own.outside6, inside: own.inside6 })
  })
  afterAll(() => lab.stop())

  /** Entries without times and counts, which may differ by what each gateway saw. */
  const known = async (gateway: typeof one): Promise<string[]> => {
    const lines = (await gateway.entries()).split('\n').filter((line) => line !== '')
    return lines
      .map((line) =>
        line
          .split('|')
          .slice(0, line.startsWith('GREY') ? 5 : 2)
          .join('|'),
      )
      .sort()
  }
  const equal = async (what: string): Promise<void> => {
    let both: string[][] = []
    await until(
      async () => {
        both = await Promise.all([known(one), known(other)])
        return JSON.stringify(both[0]) === JSON.stringify(both[1])
      },
      () => `${what}: ${JSON.stringify(both, undefined, 1)}`,
    )
  }
  const mail = (source: string, server: string) => probe(lab.outside, server, source)

  test('tell one another everything within seconds', async () => {
    await until(
      async () => (await one.machine.run('spamdctl', 'sync-status')).includes('version 3 with'),
      () => 'version 3 on both',
    )
    expect((await mail('198.51.100.9', NET.inside.ipv4)).code).toBe(451)
    expect((await mail('2001:db8:100::9', NET.inside.ipv6)).code).toBe(451)
    for (const words of [
      ['-a', '192.0.2.200'],
      ['--expire', 'never', '-a', '2001:db8:7::1'],
      ['-T', '-a', 'trap@example.org'],
      ['-t', '-a', '2001:db8:7::2'],
    ]) {
      const { code, stderr } = await one.machine.try('spamdb', ...words)
      expect([code, stderr], words.join(' ')).toEqual([0, ''])
    }
    await equal('what was added')
    await other.awaitInSet('spamd-white6', '2001:db8:7::1')
    await other.machine.run('spamdb', '-d', '192.0.2.200')
    await other.machine.run('spamdb', '-T', '-d', 'trap@example.org')
    await equal('what was deleted')
    expect(await one.entries()).not.toContain('192.0.2.200')
  })

  test('are equal after the cable was cut and healed: spamd notices, the path unit pulls', async () => {
    await one.machine.run('systemctl', 'start', 'spamd-pull.path')
    await other.machine.run('systemctl', 'start', 'spamd-pull.path')
    one.machine.network('ip', 'link', 'set', 'sync0', 'down')
    expect((await mail('198.51.100.20', NET.inside.ipv4)).code).toBe(451)
    await one.machine.run('spamdb', '-a', '192.0.2.201')
    await other.machine.run('spamdb', '-a', '192.0.2.202')
    await other.machine.run('spamdb', '-d', '2001:db8:7::2')
    await until(
      async () => (await one.entries()).includes('192.0.2.201'),
      () => 'the own entry',
    )
    // Until both have told the cable what they had to tell.
    await until(
      async () =>
        Number(/version 3 entries sent: (\d+)/.exec(await one.machine.run('spamdctl', 'sync-status'))![1]) >
        6,
      () => 'what is sent into the cut cable',
    )
    const startedMs = performance.now()
    one.machine.network('ip', 'link', 'set', 'sync0', 'up')
    await equal('after the cut')
    recordFigure('9', `equal ${((performance.now() - startedMs) / 1000).toFixed(1)} s after the cable healed`)
  })

  test('one that was down knows what happened meanwhile before it works again', async () => {
    await other.machine.run('systemctl', 'stop', 'spamd.service', 'spamlogd.service')
    const addresses = Array.from({ length: 300 }, (_, index) => `198.18.${index >> 8}.${index & 255}`)
    const { code } = await one.machine.feed(
      addresses.join('\n'),
      'spamdctl',
      'import',
      '--kind',
      'WHITE',
      '-',
    )
    expect(code).toBe(0)
    expect((await mail('198.51.100.30', NET.inside.ipv4)).code).toBe(451)
    await other.machine.run('spamdb', '-d', '192.0.2.201')
    await other.machine.run('systemctl', 'start', 'spamd.service', 'spamlogd.service')
    await other.machine.run('systemctl', 'start', 'spamd-pull.service')
    for (const address of ['198.18.0.0', '198.18.1.43']) await other.awaitEntry(`WHITE|${address}|`)
    await equal('after being down')
    expect(await one.entries()).not.toContain('192.0.2.201')
  })

  test('serve-pull is all that the user for pulls may do', async () => {
    const words = ['setpriv', '--reuid', '_spamd', '--regid', '_spamd', '--clear-groups']
    const ssh = [...words, 'ssh', '-F', '/etc/spamd/ssh_config', '-o', 'BatchMode=yes', OWN[1].sync]
    const { stdout, stderr, code } = await one.machine.try(
      'sh',
      '-c',
      '"$@" cat /etc/passwd </dev/null',
      'sh',
      ...ssh,
    )
    expect(stdout).toBe('')
    expect(stderr).toContain('no request of "spamdctl pull"')
    expect(code).toBe(1)
    const written = await other.machine.try(
      'setpriv',
      '--reuid',
      '_spamdpull',
      '--regid',
      '_spamd',
      '--clear-groups',
      'spamdb',
      '-a',
      '192.0.2.99',
    )
    expect(written.code).not.toBe(0)
  })
})
