/**
 * Story 14: fail-over with the real CARP protocol (ucarp) and conntrackd, by the files of "spamdctl failover plan". The
 * master loses power in the middle of 300 waiting senders and of a 5 MB transfer: nobody begins to wait again, each
 * message arrives once, the take-over is quick. An hour later by its own clock and the other one's, the master is switched
 * on: its units alone bring it into step, then it takes over again.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { awaitMaster, FAILOVER_UNITS, installPlan, isMaster } from '../support/fail-over.js'
import { recordFigure } from '../support/figures.js'
import { MX4, MX6 } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { installClock, setClock } from '../support/machine-clock.js'
import { labMessage } from '../support/message.js'
import { TwoGateways } from '../support/two-gateways.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix', 'openssh-server', 'ucarp', 'conntrackd')
const WAITING = 300
/** Two senders of each family in 300 domains: an address for each would be 300 transports. */
const SENDERS = Array.from({ length: 30 }, (_, index) =>
  index % 3 === 2
    ? {
        domain: `s${index}.example`,
        address: `2001:db8:100::${100 + index}`,
        server: MX6,
        helo: `mx${index}.example`,
      }
    : {
        domain: `s${index}.example`,
        address: `198.51.100.${100 + index}`,
        server: MX4,
        helo: `mx${index}.example`,
      },
)
const KNOWN = { domain: 'known.example', address: '198.51.100.20', server: MX4, helo: 'mx.known.example' }
const LATE = { domain: 'late.example', address: '198.51.100.21', server: MX4, helo: 'mx.late.example' }
const UNITS = FAILOVER_UNITS.ucarp
const HOUR = 3600
/** Of no list, and of nobody who sends. */
const LEARNED = '198.51.100.201'
const CAUGHT = '2001:db8:7::77'
const FORGOTTEN = '198.51.100.202'

describe.skipIf(skipReason !== undefined)('story 14: fail-over', () => {
  const lab = new TwoGateways({
    senders: [...SENDERS, KNOWN, LATE],
    spamd: ['-G', '60s:4h:36d', '-S', '0', '-s', '0', '--scan-interval', '2s'],
    packages: ['ucarp', 'conntrackd'],
  })
  const [one, other] = lab.gateways

  beforeAll(async () => {
    await lab.start()
    lab.routeByShared()
    for (const index of [0, 1] as const) {
      await installClock(lab.gateways[index].machine)
      await lab.gateways[index].machine.run('systemctl', 'restart', 'spamd', 'spamlogd')
      await installPlan(lab, index, 'ucarp')
      const { machine } = lab.gateways[index]
      // As at every boot from now on; the order is that of the units.
      await machine.run('systemctl', 'enable', '-q', 'spamd-pull.service', 'conntrackd.service', ...UNITS)
      await machine.run('systemctl', 'start', 'conntrackd.service')
      await machine.run('systemctl', 'start', ...UNITS)
      if (index === 0) await awaitMaster(lab, 0)
    }
  })
  afterAll(() => lab.stop())

  test('the power of the master is cut in the middle', async () => {
    expect(await isMaster(lab, 1)).toBe(false)
    // A known sender, whose large mail is on its way, slowly, when the power goes.
    await one.machine.run('spamdb', '-a', KNOWN.address)
    await other.awaitInSet('spamd-white', KNOWN.address)
    // A line of five megabits, for the sender of the large mail alone.
    const slow = `ip saddr ${KNOWN.address} tcp dport 25 limit rate over 600 kbytes/second burst 60 kbytes drop`
    lab.outside.network('nft', 'add table inet slow')
    lab.outside.network('nft', 'add chain inet slow out { type filter hook output priority 0; }')
    lab.outside.network('nft', `add rule inet slow out ${slow}`)
    const messages = Array.from({ length: WAITING }, (_, index) => ({
      domain: SENDERS[index % SENDERS.length]!.domain,
      ...labMessage(`story14-${index}`, 500),
    }))
    for (let at = 0; at < messages.length; at += 20) {
      const some = messages.slice(at, at + 20)
      await Promise.all(
        some.map(({ domain, id, bytes }) => lab.sender.send(`${id}@${domain}`, 'reader@example.org', bytes)),
      )
    }
    await until(
      async () =>
        (await other.entries()).split('\n').filter((line) => line.startsWith('GREY|')).length === WAITING,
      () => 'all tuples on the other gateway',
    )
    const before = (await other.entries()).split('\n').filter((line) => line.startsWith('GREY|'))
    const large = labMessage('story14-large', 5_000_000)
    await lab.sender.send(`writer@${KNOWN.domain}`, 'reader@example.org', large.bytes)
    await until(
      async () => {
        const shown = await lab.outside.run('ss', '-Htin', 'src', KNOWN.address)
        return Number(/bytes_acked:(\d+)/.exec(shown)?.[1] ?? 0) > 1_000_000
      },
      () => 'a fifth of the large message',
    )
    const cutMs = performance.now()
    const cutting = lab.cutPower(0)
    await awaitMaster(lab, 1)
    const takeOverSec = (performance.now() - cutMs) / 1000
    await cutting
    // Three advertisements of the backup's interval, which is a second and its skew, and two seconds.
    expect(takeOverSec).toBeLessThan(3 * (1 + 100 / 256) + 2)
    const box = async () => lab.server.mailbox()
    await until(
      async () => (await box()).has(large.id),
      () => 'the large message',
      120_000,
    )
    const largeSec = (performance.now() - cutMs) / 1000
    // Nobody begins anew: the tuples are those of before.
    const after = (await other.entries()).split('\n').filter((line) => line.startsWith('GREY|'))
    const firstOf = (line: string): string => line.split('|').slice(0, 6).join('|')
    const starts = new Set(before.map(firstOf))
    for (const line of after) expect(starts.has(firstOf(line)), line).toBe(true)
    await until(
      async () => (await lab.sender.queued()) === 0,
      () => 'an empty queue',
      280_000,
    )
    const all = await box()
    for (const { id, digest } of [...messages, large]) expect(all.get(id), id).toEqual([digest])
    recordFigure(
      '14',
      `taken over after ${takeOverSec.toFixed(1)} s; 5 MB through ${largeSec.toFixed(1)} s after the cut; ${WAITING} senders once each, none began anew, all through after ${((performance.now() - cutMs) / 1000).toFixed(0)} s`,
    )
  }, 420_000)

  test('the master comes back after an hour, is in step first, and takes over again', async () => {
    await other.machine.run('spamdb', '-t', '-a', FORGOTTEN)
    for (const { machine } of lab.gateways) await setClock(machine, HOUR)
    await other.machine.run('spamdctl', 'scan')
    // What happens in that hour: one is learned, one is trapped, one is deleted, a stranger is greylisted.
    await other.machine.run('spamdb', '-a', LEARNED)
    await other.machine.run('spamdb', '-t', '-a', CAUGHT)
    await other.machine.run('spamdb', '-t', '-d', FORGOTTEN)
    await lab.sender.send(`late@${LATE.domain}`, 'late@example.org', labMessage('story14-late', 500).bytes)
    await other.awaitEntry(`GREY|${LATE.address}|`)
    const startedMs = performance.now()
    await lab.powerOn(0)
    await awaitMaster(lab, 0)
    const again = (performance.now() - startedMs) / 1000
    await until(
      async () => !(await isMaster(lab, 1)),
      () => 'the other one giving way',
    )
    // By the order of the units: the pull had ended when the first unit of ucarp began.
    const moment = async (unit: string, property: string): Promise<number> =>
      Number(await one.machine.run('systemctl', 'show', '-P', property, unit))
    const pulled = await moment('spamd-pull.service', 'ExecMainExitTimestampMonotonic')
    expect(pulled).toBeGreaterThan(0)
    for (const unit of UNITS) {
      expect(await moment(unit, 'ExecMainStartTimestampMonotonic'), unit).toBeGreaterThan(pulled)
    }
    expect(await one.journal('spamd-pull.service')).toMatch(/changes? read/)
    const entries = await one.entries()
    for (const known of [`WHITE|${LEARNED}|`, `TRAPPED|${CAUGHT}|`, `|${LATE.address}|`]) {
      expect(entries).toContain(known)
    }
    expect(entries).not.toContain(FORGOTTEN)
    // Its own clock: what it learned before the hour has not expired, and its sets are filled.
    await one.awaitInSet('spamd-white', LEARNED)
    await one.awaitInSet('spamd-white', SENDERS[0]!.address)
    await one.awaitInSet('spamd-white6', SENDERS[2]!.address)
    recordFigure('14', `master again ${again.toFixed(1)} s after power on, an hour later`)
    const deferred = async () => (await lab.sender.deliveries('deferred', 'reader@example.org')).length
    const deferredBefore = await deferred()
    const message = labMessage('story14-after', 500)
    await lab.sender.send(`after@${SENDERS[0]!.domain}`, 'reader@example.org', message.bytes)
    await until(
      async () => (await lab.server.mailbox()).has(message.id),
      () => 'mail by the old master',
    )
    expect(await deferred()).toBe(deferredBefore)
  })
})
