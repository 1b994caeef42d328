/**
 * Story 22: a sender retries from another address each time and loses its mail. `losing` names it; its printed command,
 * run as it stands, lets the next tries pass. `release` lets exactly the described mail through, `allow` a domain by its
 * SPF record, also after the sets were flushed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, NET } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { NAME_SERVER, startNameServer } from '../support/name-server.js'
import { probe } from '../support/smtp-probe.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
// Nothing passes by waiting while the story lasts.
const WORDS = ['-G', '1h:4h:36d', '-S', '0', '-s', '0', '--scan-interval', '2s']
const SERVER = NET.inside.ipv4
const ZONE = {
  'pool.example': { records: [{ type: 'TXT', strings: ['v=spf1 include:spf.pool.example -all'] } as const] },
  'spf.pool.example': {
    records: [{ type: 'TXT', strings: ['v=spf1 ip4:100.64.40.0/22 -all'] } as const],
  },
  '1.40.64.100.in-addr.arpa': { records: [{ type: 'PTR', value: 'out-100-64-40-1.bulk.example' } as const] },
  'out-100-64-40-1.bulk.example': { records: [{ type: 'A', value: '100.64.40.1' } as const] },
  'allowed.example': {
    records: [{ type: 'TXT', strings: ['v=spf1 ip4:100.64.30.0/24 ip6:2001:db8:100:30::/64 -all'] } as const],
  },
}

describe.skipIf(skipReason !== undefined)('story 22: who is losing mail', () => {
  const lab = new Lab({ senders: [], spamd: WORDS })
  let stopNameServer: () => Promise<void>
  beforeAll(async () => {
    await lab.start()
    stopNameServer = await startNameServer(lab.gateway.machine, ZONE)
  })
  afterAll(() => lab.stop())

  const attempt = async (
    source: string,
    from: string,
    to = 'user@example.org',
    server: string = SERVER,
  ): Promise<number> => {
    const helo = `out-${source.replace(/[.:]+/g, '-')}.bulk.example`
    return (await probe(lab.outside, server, source, { from, to, helo })).code
  }
  const spamdctl = (...words: string[]) => lab.gateway.machine.run('spamdctl', ...words)

  test('losing names the sender, and its command lets the next tries pass', async () => {
    const { machine } = lab.gateway
    expect((await machine.try('spamdctl', 'losing', '--check')).code).toBe(0)
    for (const host of [1, 2, 3, 4])
      expect(await attempt(`100.64.22.${host}`, "o'news@big.example")).toBe(451)
    for (const host of [5, 6]) expect(await attempt(`100.64.22.${host}`, 'few@small.example')).toBe(451)
    await lab.gateway.awaitEntry('GREY|100.64.22.6|')
    const check = await machine.try('spamdctl', 'losing', '--check')
    expect(check.code).toBe(1)
    expect(check.stdout).toMatch(
      /^SPAMD WARNING - 1 sender is losing mail: big\.example \(4 tries from 4 addresses\)/,
    )
    const [, command] = /^big\.example\n(?:.+\n)*command +(.+)$/m.exec(await spamdctl('losing'))!
    expect(command).toBe('spamdctl release --from big.example --to user@example.org --for 1d --pool')
    await machine.run('sh', '-c', command!)
    // The next try lets its network in, and the one after that passes, from whatever address.
    expect(await attempt('100.64.22.7', "o'news@big.example")).toBe(451)
    await lab.gateway.awaitInSet('spamd-white', '100.64.22.7')
    await lab.gateway.awaitInSet('spamd-white-net', '100.64.22.8')
    expect(await attempt('100.64.22.8', "o'news@big.example")).toBe(250)
    expect((await machine.try('spamdctl', 'losing', '--check')).code).toBe(0)
  })

  test('where SPF names the addresses, the command is an exception, and the next try from anywhere passes', async () => {
    const { machine } = lab.gateway
    for (const network of [40, 41, 42])
      expect(await attempt(`100.64.${network}.1`, 'bill@pool.example')).toBe(451)
    await lab.gateway.awaitEntry('GREY|100.64.42.1|')
    const text = await spamdctl('losing', '--dns', NAME_SERVER)
    expect(text).toContain('all 3 addresses pass SPF of pool.example\n')
    expect(text).toContain(
      '1 of 3 addresses has a name that resolves back, such as out-100-64-40-1.bulk.example; 1 greets with it\n',
    )
    const [, command] = /^pool\.example\n(?:.+\n)*command +(.+)$/m.exec(text)!
    expect(command).toBe(`spamdctl allow add --dns ${NAME_SERVER} pool.example`)
    // Nobody is asked, and no exception is proposed.
    expect(await spamdctl('losing', '--no-dns')).toContain('spamdctl release --from pool.example ')
    await machine.run('sh', '-c', command!)
    expect(await attempt('100.64.43.250', 'bill@pool.example')).toBe(250)
    // It is not told of any more, though its mail is never seen to pass.
    expect((await machine.try('spamdctl', 'losing', '--check')).code).toBe(0)
    expect(await spamdctl('losing', '--no-dns')).toContain(
      'none is needed: the exception pool.example covers its addresses\n',
    )
    // Its other mail waits no more either; a stranger who uses its name does.
    expect(await attempt('100.64.43.1', 'news@pool.example')).toBe(250)
    expect(await attempt('100.64.50.1', 'news@pool.example')).toBe(451)
    await spamdctl('allow', 'remove', 'pool.example')
  })

  test('with DNS dead losing answers all the same, with a release', async () => {
    for (const host of [1, 2, 3]) expect(await attempt(`100.64.60.${host}`, 'x@dark.example')).toBe(451)
    await lab.gateway.awaitEntry('GREY|100.64.60.3|')
    const startedMs = performance.now()
    const text = await spamdctl('losing', '--dns', '100.64.0.99')
    expect(performance.now() - startedMs).toBeLessThan(15_000)
    expect(text).toContain(
      'DNS gave no answer in time; try again with spamdctl allow add --dry-run dark.example',
    )
    expect(text).toContain('spamdctl release --from dark.example --to user@example.org --for 1d --pool\n')
    await spamdctl('release', '--from', 'dark.example', '--for', '1h')
  })

  test('release lets exactly the described mail through', async () => {
    const code = 'code@shop.example'
    expect(await attempt('100.64.23.1', code, 'anna@example.org')).toBe(451)
    const made = await spamdctl(
      'release',
      '--to',
      'anna@example.org',
      '--from',
      'shop.example',
      '--for',
      '10m',
    )
    expect(made).toContain('1 matching mail is waiting now')
    // Other recipients, other senders and subdomains wait.
    expect(await attempt('100.64.23.2', code, 'ben@example.org')).toBe(451)
    expect(await attempt('100.64.23.3', 'code@other.example', 'anna@example.org')).toBe(451)
    expect(await attempt('100.64.23.4', 'code@sub.shop.example', 'anna@example.org')).toBe(451)
    expect(await attempt('100.64.23.5', code, 'anna@example.org')).toBe(451)
    await lab.gateway.awaitInSet('spamd-white', '100.64.23.5')
    expect(await attempt('100.64.23.5', code, 'anna@example.org')).toBe(250)
    for (const host of [2, 3, 4]) {
      await lab.gateway.awaitEntry(`GREY|100.64.23.${host}|`)
      expect(await lab.gateway.isInSet('spamd-white', `100.64.23.${host}`)).toBe(false)
    }
    const [id] = made.split(':')
    expect(await spamdctl('why', '100.64.23.1')).toContain(`spamdctl release cancel ${id}`)
    await spamdctl('release', 'cancel', id!)
    expect(await attempt('100.64.23.6', code, 'anna@example.org')).toBe(451)
    await lab.gateway.awaitEntry('GREY|100.64.23.6|')
    expect(await spamdctl('log', '--cause', 'release')).toContain('100.64.23.5: none -> WHITE')
  })

  test('release --pool lets the neighbours of a matching try in', async () => {
    await spamdctl('release', '--from', 'pool.example', '--pool')
    expect(await attempt('100.64.24.1', 'news@pool.example')).toBe(451)
    await lab.gateway.awaitInSet('spamd-white-net', '100.64.24.99')
    expect(await attempt('100.64.24.99', 'news@pool.example')).toBe(250)
    expect(await lab.gateway.entries('--kind', 'POOL')).toContain('POOL|100.64.24.0/24|')
  })

  test('the shipped timer fills the table from DNS, as systemd runs it', async () => {
    const { machine } = lab.gateway
    await machine.write('/etc/resolv.conf', `nameserver ${NAME_SERVER}\n`)
    await spamdctl('allow', 'add', '--dns', NAME_SERVER, 'allowed.example')
    await machine.run('nft', 'flush', 'set', 'inet', 'spamd', 'spamd-allow')
    expect(await lab.gateway.isInSet('spamd-allow', '100.64.30.7')).toBe(false)
    // The domain has one more network since.
    await stopNameServer()
    const record = 'v=spf1 ip4:100.64.30.0/24 ip6:2001:db8:100:30::/64 ip4:100.64.32.0/24 -all'
    const longer = { 'allowed.example': { records: [{ type: 'TXT', strings: [record] } as const] } }
    stopNameServer = await startNameServer(machine, { ...ZONE, ...longer })
    // As shipped, but at once: by default systemd starts a timer at any moment of a minute.
    await machine.write(
      '/etc/systemd/system/spamd-allow.timer.d/zz-lab.conf',
      '[Timer]\nOnBootSec=\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=1s\n',
    )
    await machine.run('systemctl', 'daemon-reload')
    await machine.run('systemctl', 'enable', '-q', '--now', 'spamd-allow.timer')
    await lab.gateway.awaitInSet('spamd-allow', '100.64.32.7', 60_000)
    expect(await lab.gateway.isInSet('spamd-allow', '100.64.30.7')).toBe(true)
    expect(await lab.gateway.isInSet('spamd-allow6', '2001:db8:100:30::7')).toBe(true)
    const show = () =>
      machine.run('systemctl', 'show', '-p', 'ActiveState,Result,ExecMainStatus', 'spamd-allow.service')
    let state = ''
    await until(
      async () => {
        state = await show()
        return state.includes('ActiveState=inactive')
      },
      () => state,
    )
    expect(state.trim().split('\n').sort()).toEqual([
      'ActiveState=inactive',
      'ExecMainStatus=0',
      'Result=success',
    ])
    expect(await lab.gateway.journal('spamd-allow.service')).toContain('+ 100.64.32.0/24')
    expect(await spamdctl('log', '--cause', 'allow')).toContain('+100.64.32.0/24')
    await machine.run('systemctl', 'disable', '-q', '--now', 'spamd-allow.timer')
    await spamdctl('allow', 'remove', 'allowed.example')
    await stopNameServer()
    stopNameServer = await startNameServer(machine, ZONE)
  })

  test('allow lets the servers of a domain past spamd, also after a flush', async () => {
    const source = ['100.64.30.7', '2001:db8:100:30::7'] as const
    expect(await attempt(source[0], 'news@allowed.example')).toBe(451)
    const added = await spamdctl('allow', 'add', '--dns', NAME_SERVER, 'allowed.example')
    expect(added).toContain('+ 100.64.30.0/24\n+ 2001:db8:100:30::/64\ntable spamd-allow: 2 networks\n')
    expect(await attempt(source[0], 'news@allowed.example')).toBe(250)
    expect(await attempt(source[1], 'news@allowed.example', 'user@example.org', NET.inside.ipv6)).toBe(250)
    expect(await attempt('100.64.31.7', 'news@allowed.example')).toBe(451)
    const { machine } = lab.gateway
    await machine.run('nft', 'flush', 'set', 'inet', 'spamd', 'spamd-allow')
    await stopNameServer()
    const failed = await machine.try('spamdctl', 'allow', 'sync', '--dns', NAME_SERVER)
    expect(failed.code).toBe(1)
    expect(failed.stderr).toContain('spamdctl: allowed.example: ')
    expect(await lab.gateway.isInSet('spamd-allow', source[0])).toBe(true)
    // Rules that are loaded anew find the exceptions as they are stored.
    await machine.run('systemctl', 'restart', 'nftables.service')
    await lab.gateway.awaitInSet('spamd-allow', source[0])
    expect(await attempt(source[0], 'more@allowed.example')).toBe(250)
    await spamdctl('allow', 'remove', 'allowed.example')
    expect(await lab.gateway.isInSet('spamd-allow', source[0])).toBe(false)
  })
})
