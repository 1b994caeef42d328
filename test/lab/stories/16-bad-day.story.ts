/**
 * Story 16: the key cannot be read, the clock is set wrong, the disk fills up, the database is damaged, all while mail flows. Whoever is known
 * gets through the whole time, strangers are answered 451 and nothing else, and afterwards everything is on record.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, NET } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { installClock, setClock } from '../support/machine-clock.js'
import { probe } from '../support/smtp-probe.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
const KNOWN = '198.51.100.70'
const DATABASE = '/var/lib/spamd/spamd.sqlite'
const DAY = 86_400

const WORDS = ['-S', '0', '-s', '0', '--scan-interval', '5s']

describe.skipIf(skipReason !== undefined)('story 16: key, clock, disk, damage', () => {
  const lab = new Lab({ senders: [], spamd: WORDS })
  const { machine } = lab.gateway
  let strangers = 0

  beforeAll(async () => {
    await lab.start()
    await installClock(machine)
    // A small disk of its own for the database.
    await machine.run('systemctl', 'stop', 'spamd', 'spamlogd')
    await machine.run('mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', '/var/lib/spamd')
    await machine.run('chown', '_spamd:_spamd', '/var/lib/spamd')
    await machine.run('spamdctl', 'init-db')
    await machine.run('spamdb', '-a', KNOWN)
    await machine.run('systemctl', 'start', 'spamd', 'spamlogd')
    await lab.gateway.awaitInSet('spamd-white', KNOWN)
  })
  afterAll(() => lab.stop())

  /** A new address for each stranger. */
  async function stranger(): Promise<{ address: string; code: number }> {
    strangers += 1
    const address = `198.51.100.${100 + strangers}`
    const { code } = await probe(lab.outside, NET.inside.ipv4, address)
    return { address, code }
  }

  async function knownGetsThrough(): Promise<void> {
    expect(await probe(lab.outside, NET.inside.ipv4, KNOWN)).toMatchObject({ code: 250 })
  }

  const scan = (): Promise<string> => machine.run('spamdctl', 'scan')

  test('a synchronisation key that cannot be read stops no mail, whether it is needed or not', async () => {
    await machine.run('mkdir', '/etc/spamd/spamd.key')
    await machine.run('systemctl', 'restart', 'spamd')
    expect((await stranger()).code).toBe(451)
    await lab.gateway.addWords('spamd.service', [...WORDS, '-y', NET.gatewayInside.ipv4, '-Y', '192.0.2.250'])
    await machine.run('systemctl', 'daemon-reload')
    await machine.run('systemctl', 'restart', 'spamd')
    expect((await stranger()).code).toBe(451)
    await knownGetsThrough()
    expect(await lab.gateway.journal('spamd')).toContain('failed to open sync key')
    const { code, stdout } = await machine.try('spamdctl', 'doctor')
    expect(code).toBe(1)
    expect(stdout).toMatch(/^error\s.*key/m)
    await machine.run('rmdir', '/etc/spamd/spamd.key')
    await lab.gateway.addWords('spamd.service', WORDS)
    await machine.run('systemctl', 'daemon-reload')
    await machine.run('systemctl', 'restart', 'spamd')
  })

  test('a clock that is set ahead by two months ends no entry', async () => {
    await setClock(machine, 60 * DAY)
    await scan()
    await scan()
    expect(await lab.gateway.entries('--kind', 'WHITE')).toContain(`WHITE|${KNOWN}|`)
    expect(await lab.gateway.isInSet('spamd-white', KNOWN)).toBe(true)
    await knownGetsThrough()
    const { stdout } = await machine.try('spamdctl', 'status')
    expect(stdout).toMatch(/accept-clock/)
    expect((await stranger()).code).toBe(451)
  })

  test('and back again, as if nothing had been; also behind the last change on record', async () => {
    await setClock(machine, 0)
    await scan()
    await knownGetsThrough()
    await setClock(machine, -2 * 3600)
    await scan()
    const { address, code } = await stranger()
    expect(code).toBe(451)
    await lab.gateway.awaitEntry(`GREY|${address}|`)
    await knownGetsThrough()
    await setClock(machine, 0)
    await scan()
    expect(await lab.gateway.entries('--kind', 'WHITE')).toContain(`WHITE|${KNOWN}|`)
  })

  test('a full disk: strangers hear 451, the known get through, and what was answered is on record afterwards', async () => {
    await machine.run('sh', '-c', 'dd if=/dev/zero of=/var/lib/spamd/fill bs=4k 2>/dev/null; true')
    const answered: string[] = []
    for (let count = 0; count < 12; count += 1) {
      const { address, code } = await stranger()
      expect(code).toBe(451)
      answered.push(address)
    }
    await knownGetsThrough()
    const { stdout } = await machine.try('spamdctl', 'doctor')
    expect(stdout).toMatch(/^(error|warning)\s.*(full|free|space)/im)
    await machine.run('rm', '/var/lib/spamd/fill')
    for (const address of answered) await lab.gateway.awaitEntry(`GREY|${address}|`)
    expect(await machine.run('spamdctl', 'check-db')).toMatch(/ok|sound/)
  })

  test('a database damaged under load: nobody is refused or let in, doctor names it, the way out keeps what is known', async () => {
    const pid = await machine.run('systemctl', 'show', '-P', 'MainPID', 'spamd')
    // Over the log, too, which holds the newest pages.
    await machine.run(
      'sh',
      '-c',
      `for file in ${DATABASE} ${DATABASE}-wal; do dd if=/dev/urandom of=$file bs=4096 seek=6 count=12 conv=notrunc 2>/dev/null; done`,
    )
    for (let count = 0; count < 6; count += 1) expect((await stranger()).code).toBe(451)
    await knownGetsThrough()
    await machine.try('spamdctl', 'scan')
    expect(await lab.gateway.isInSet('spamd-white', KNOWN)).toBe(true)
    expect(await machine.run('systemctl', 'show', '-P', 'MainPID', 'spamd')).toBe(pid)
    const doctor = await machine.try('spamdctl', 'doctor')
    expect(doctor.code).toBe(1)
    expect(doctor.stdout).toMatch(/^error\s.*database/m)

    await machine.run('systemctl', 'stop', 'spamd', 'spamlogd')
    await machine.try('sh', '-c', 'spamdctl export >/root/rest.txt')
    await machine.run('sh', '-c', `cd /var/lib/spamd && mkdir /root/broken && mv spamd.sqlite* /root/broken/`)
    await machine.run('spamdctl', 'init-db')
    await machine.try('spamdctl', 'import', '/root/rest.txt')
    await machine.run('systemctl', 'start', 'spamd', 'spamlogd')
    await until(
      async () => (await machine.try('spamdctl', 'scan')).code === 0,
      () => 'a scan of the new database',
    )
    const { address, code } = await stranger()
    expect(code).toBe(451)
    await lab.gateway.awaitEntry(`GREY|${address}|`)
  })
})
