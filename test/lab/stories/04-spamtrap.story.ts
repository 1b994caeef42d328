/** Story 4: who writes to a spamtrap is trapped, kept waiting byte by byte, and released when its time is over. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, NET } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { probe } from '../support/smtp-probe.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
const FAMILIES = [
  { name: 'IPv4', server: NET.inside.ipv4, client: '198.51.100.40', other: '198.51.100.41' },
  { name: 'IPv6', server: NET.inside.ipv6, client: '2001:db8:100::40', other: '2001:db8:100::41' },
]

describe.skipIf(skipReason !== undefined)('story 4: a spamtrap', () => {
  const lab = new Lab({ senders: [], spamd: ['--trapexp', '12s', '--scan-interval', '2s', '-S', '0'] })
  beforeAll(async () => {
    await lab.start()
    await lab.gateway.entries('-T', '-a', 'trap@example.org')
  })
  afterAll(() => lab.stop())

  test.each(FAMILIES)('$name: trapped, tarpitted, released', async ({ server, client, other }) => {
    // Upper case and a source route are the same trap.
    const hit = await probe(lab.outside, server, client, { to: 'TRAP@example.org' })
    expect(hit.code).toBe(451)
    await lab.gateway.awaitEntry(`TRAPPED|${client}|`)
    // From the next scan on, a byte a second; a neighbour is served at once.
    let waited = 0
    await until(
      async () => {
        const { stdout } = await lab.outside.try('timeout', '10', 'python3', '-c', BANNER, server, client)
        waited = Number(stdout)
        return waited > 1.5
      },
      () => `the tarpit; the banner began after ${waited} s`,
    )
    expect(await lab.gateway.journal('spamd.service')).toContain('lists: spamd-greytrap')
    expect(Number(await lab.outside.run('python3', '-c', BANNER, server, other))).toBeLessThan(1)
    // Its time is over.
    await until(
      async () => !(await lab.gateway.entries()).includes(`TRAPPED|${client}|`),
      () => 'the release',
    )
    await until(
      async () =>
        Number((await lab.outside.try('timeout', '10', 'python3', '-c', BANNER, server, client)).stdout) < 1,
      () => 'a banner at once',
    )
    expect((await probe(lab.outside, server, client)).code).toBe(451)
    await lab.gateway.awaitEntry(`GREY|${client}|`)
  })
})

/** Prints how long three bytes of the banner took. */
const BANNER = `
import socket, sys, time
start = time.time()
s = socket.create_connection((sys.argv[1], 25), timeout=60, source_address=(sys.argv[2], 0))
got = 0
while got < 3: got += len(s.recv(1))
print(time.time() - start)
`
