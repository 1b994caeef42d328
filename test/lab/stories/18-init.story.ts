/**
 * Story 18: a system with the programs and nothing else. One command sets it up; the first mail of a stranger gets its
 * 451 from spamd within ten minutes, the site's own mail leaves at once, and doctor finds no error.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Gateway } from '../support/gateway.js'
import { Lab, MX4, NET } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { labMessage } from '../support/message.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
const STRANGER = { domain: 'four.example', address: '198.51.100.10', server: MX4, helo: 'mx.four.example' }
const INIT = ['init', '--yes', '--outside', 'outside0', '--mail-server', NET.inside.ipv4, '--list', 'none']

/** Set up by `spamdctl init` in place of the files put down by hand. */
class InitGateway extends Gateway {
  said = ''

  override async install(): Promise<void> {
    await this.installPrograms()
    await this.machine.write('/etc/nftables.conf', 'flush ruleset\ntable inet filter { }\n')
    const { stdout, stderr } = await this.machine.try('spamdctl', ...INIT)
    this.said = stdout + stderr
  }

  override async start(): Promise<void> {
    // init has started what it set up.
  }
}

describe.skipIf(skipReason !== undefined)('story 18: from nothing by spamdctl init', () => {
  const gateway = new InitGateway()
  const lab = new Lab({ senders: [STRANGER], gateway })
  const startedMs = Date.now()
  beforeAll(() => lab.start())
  afterAll(() => lab.stop())

  test('every command of it worked', () => {
    expect(gateway.said).toContain('done: systemctl restart spamd-rules.service')
    expect(gateway.said).not.toMatch(/^failed: /m)
  })

  test('a stranger is deferred by spamd within ten minutes', async () => {
    await lab.sender.send('writer@four.example', 'reader@example.org', labMessage('story18', 1000).bytes)
    await until(
      async () => /451 Temporary failure, please try again later/.test(await lab.sender.log()),
      () => `the deferral; init said ${gateway.said}`,
    )
    await gateway.awaitEntry(`GREY|${STRANGER.address}|`)
    expect(Date.now() - startedMs).toBeLessThan(10 * 60 * 1000)
  })

  test('doctor finds no error', async () => {
    const { stdout } = await gateway.machine.try('spamdctl', 'doctor', '--json')
    const { findings } = JSON.parse(stdout) as { findings: { level: string; message: string }[] }
    expect(findings.length).toBeGreaterThan(10)
    expect(findings.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('a second init finds all as wanted', async () => {
    const { stdout } = await gateway.machine.try('spamdctl', ...INIT, '--dry-run')
    expect(stdout).not.toMatch(/\((new|lines added|differs)/)
  })
})
