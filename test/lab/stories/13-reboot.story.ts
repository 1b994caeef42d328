/**
 * Story 13: the gateway loses power and comes back in the order of its units. Nobody known is refused for a moment, the
 * block lists are back without a network, and the sets are full before port 25 is diverted.
 */
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, NET } from '../support/lab.js'
import { ListServer } from '../support/list-server.js'
import { whyNoLab } from '../support/machine.js'
import { probe } from '../support/smtp-probe.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
const KNOWN = [
  { server: NET.inside.ipv4, address: '198.51.100.70', set: 'spamd-white' },
  { server: NET.inside.ipv6, address: '2001:db8:100::70', set: 'spamd-white6' },
]
/** Connects again and again until its input ends; prints how often it was greeted by whom. */
const WATCH = `
import json, select, socket, sys, time
pairs = [sys.argv[1:3], sys.argv[3:5]]
seen = {}
while not select.select([sys.stdin], [], [], 0.02)[0]:
    for server, source in pairs:
        try:
            s = socket.create_connection((server, 25), timeout=5, source_address=(source, 0))
            told = s.recv(200).decode('latin-1').strip()[:40]
            s.close()
        except OSError as error:
            told = 'failed: ' + str(error)
        seen[told] = seen.get(told, 0) + 1
print(json.dumps(seen))
`

describe.skipIf(skipReason !== undefined)('story 13: a reboot', () => {
  const lab = new Lab({ senders: [], spamd: ['-S', '0', '-s', '0'] })
  const lists = new ListServer(lab.outside)

  beforeAll(async () => {
    await lab.start()
    await lists.start()
    await lists.publish('world', ['44.128.0.0/24', '2a00:db8::/48'])
    await lab.gateway.machine.write('/etc/spamd/spamd.conf', lists.conf({ world: 'listed' }))
    await lab.gateway.machine.run('spamd-setup', '-b')
    // A white list of some size: filling its set takes a while.
    const addresses = Array.from({ length: 5000 }, (_, index) => `11.1.${index >> 8}.${index & 255}`)
    const input = [...addresses, ...KNOWN.map(({ address }) => address)].join('\n')
    const { code, stderr } = await lab.gateway.machine.feed(
      input,
      'spamdctl',
      'import',
      '--kind',
      'WHITE',
      '-',
    )
    expect(stderr).toBe('')
    expect(code).toBe(0)
    await lab.gateway.machine.run('systemctl', 'restart', 'spamd.service')
    for (const { address, set } of KNOWN) await lab.gateway.awaitInSet(set, address)
  })
  afterAll(() => lab.stop())

  test('in unit order, while known senders connect all the time', async () => {
    const words = KNOWN.flatMap(({ server, address }) => [server, address])
    const watch = lab.outside.spawn('python3', '-c', WATCH, ...words)
    let seen = ''
    watch.stdout!.on('data', (piece: Buffer) => {
      seen += piece.toString('latin1')
    })
    const { machine } = lab.gateway
    await machine.cutPower()
    // The lists cannot be fetched again.
    await lab.outside.run('mv', '/srv/lists/world', '/srv/lists/away')
    await machine.boot()
    await until(
      async () =>
        (await machine.try('systemctl', 'is-active', 'spamd-rules.service')).stdout.trim() === 'active',
      () => 'the rules after the reboot',
    )
    // The sets were full by then, without waiting.
    for (const { address, set } of KNOWN) expect(await lab.gateway.isInSet(set, address)).toBe(true)
    expect(await lab.gateway.isInSet('spamd', '44.128.0.5')).toBe(true)
    expect(await lab.gateway.isInSet('spamd6', '2a00:db8::5')).toBe(true)
    const { stdout } = await machine
      .run('nft', 'list', 'set', 'inet', 'spamd', 'spamd-white')
      .then((text) => ({ stdout: text }))
    expect(stdout.match(/11\.1\./g)?.length).toBe(5000)

    const ended = once(watch, 'close')
    watch.stdin!.end()
    await ended
    const greetings = Object.entries(JSON.parse(seen) as Record<string, number>)
    expect(greetings.map(([text]) => text)).toEqual(['220 mx.example.org ESMTP Postfix'])
    expect(greetings[0]![1]).toBeGreaterThan(20)

    // Lists are back, strangers are greylisted.
    for (const { server, listed, stranger } of [
      { server: NET.inside.ipv4, listed: '44.128.0.5', stranger: '198.51.100.71' },
      { server: NET.inside.ipv6, listed: '2a00:db8::5', stranger: '2001:db8:100::71' },
    ]) {
      expect((await probe(lab.outside, server, listed)).code).toBe(450)
      expect((await probe(lab.outside, server, stranger)).code).toBe(451)
    }
  })
})
