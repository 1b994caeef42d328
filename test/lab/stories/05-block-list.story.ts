/**
 * Story 5: who is on a block list is refused with the list's message, also when it is WHITE; taken off upstream, it is
 * free after the next run; a list that cannot be fetched frees nobody.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, NET } from '../support/lab.js'
import { ListServer } from '../support/list-server.js'
import { whyNoLab } from '../support/machine.js'
import { probe } from '../support/smtp-probe.js'

const skipReason = whyNoLab('postfix')
const FAMILIES = [
  {
    name: 'IPv4',
    server: NET.inside.ipv4,
    listed: '44.128.0.5',
    known: '44.128.0.6',
    network: '44.128.0.0/24',
  },
  {
    name: 'IPv6',
    server: NET.inside.ipv6,
    listed: '2a00:db8::5',
    known: '2a00:db8::6',
    network: '2a00:db8::/48',
  },
]

describe.skipIf(skipReason !== undefined)('story 5: a block list', () => {
  // The stutter of listed clients is story 4's.
  const lab = new Lab({ senders: [], spamd: ['-S', '0', '-s', '0', '--scan-interval', '2s'] })
  const lists = new ListServer(lab.outside)
  const setUp = () => lab.gateway.machine.run('spamd-setup', '-b', '--force')

  beforeAll(async () => {
    await lab.start()
    await lists.start()
    await lists.publish(
      'world',
      FAMILIES.map(({ network }) => network),
    )
    await lab.gateway.machine.write(
      '/etc/spamd/spamd.conf',
      lists.conf({ world: 'Your address %A is on the list' }),
    )
    await setUp()
  })
  afterAll(() => lab.stop())

  test.each(FAMILIES)('$name: refused with the message, white or not', async ({ server, listed, known }) => {
    await lab.gateway.entries('-a', known)
    for (const client of [listed, known]) {
      const { code, text } = await probe(lab.outside, server, client)
      expect(code).toBe(450)
      expect(text).toContain(`Your address ${client} is on the list`)
      expect(await lab.gateway.journal('spamd.service')).toContain(`${client}: connected`)
    }
  })

  test('the shipped unit does the same as the command', async () => {
    await lab.gateway.machine.run('nft', 'flush', 'set', 'inet', 'spamd', 'spamd')
    await lab.gateway.machine.run('systemctl', 'start', 'spamd-setup.service')
    expect(await lab.gateway.isInSet('spamd', '44.128.0.5')).toBe(true)
  })

  test('a list that cannot be fetched frees nobody', async () => {
    await lab.outside.run('chmod', '000', '/srv/lists')
    await lab.outside.run('mv', '/srv/lists/world', '/srv/lists/away')
    expect((await lab.gateway.machine.try('spamd-setup', '-b', '--force')).code).toBe(1)
    expect((await probe(lab.outside, NET.inside.ipv4, '44.128.0.5')).code).toBe(450)
    expect(await lab.gateway.isInSet('spamd', '44.128.0.5')).toBe(true)
  })

  test('taken off upstream, it is free after the next run', async () => {
    await lists.publish('world', ['44.128.9.0/24'])
    // The scan that sees a white host on a list comes within its two seconds.
    for (const { known } of FAMILIES) await lab.gateway.awaitNoEntry(`WHITE|${known}|`)
    await setUp()
    for (const { server, listed, known } of FAMILIES) {
      expect((await probe(lab.outside, server, listed)).code).toBe(451)
      await lab.gateway.awaitEntry(`GREY|${listed}|`)
      // The other one is free as well; as with the original, being listed had cost it its WHITE entry.
      expect((await probe(lab.outside, server, known)).code).toBe(451)
      expect(await lab.gateway.entries()).not.toContain(`WHITE|${known}|`)
    }
  })
})
