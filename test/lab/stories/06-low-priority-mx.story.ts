/**
 * Story 6, with TPROXY: who tries the low priority MX first is trapped, who tries the primary first is not; spamd sees
 * which address the client meant. A diverted host is no sighting: its first SYN makes nobody white.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix')
// No machine has the backup's address: TPROXY takes what is on its way there.
const FAMILIES = [
  {
    name: 'IPv4',
    primary: '192.0.2.25',
    backup: '192.0.2.26',
    good: '198.51.100.20',
    bad: '198.51.100.21',
    white: '198.51.100.22',
    set: 'spamd-white',
  },
  {
    name: 'IPv6',
    primary: '2001:db8:0:2::25',
    backup: '2001:db8:0:2::26',
    good: '2001:db8:100::20',
    bad: '2001:db8:100::21',
    white: '2001:db8:100::22',
    set: 'spamd-white6',
  },
]
/** Says a whole dialogue and prints the last answer. */
const CLIENT = `
import smtplib, sys
server, source, helo = sys.argv[1:4]
client = smtplib.SMTP(server, 25, local_hostname=helo, timeout=60, source_address=(source, 0))
try:
    client.sendmail('a@sender.example', ['reader@example.org'], 'X-Lab-Id: ' + helo + '\\n\\nhi\\n')
    print(250)
except smtplib.SMTPResponseException as refusal:
    print(refusal.smtp_code)
`

describe.skipIf(skipReason !== undefined)('story 6: low priority MX', () => {
  const lab = new Lab({
    senders: [],
    rules: 'nftables-tproxy.conf',
    units: ['spamd.socket', 'spamd.service', 'spamlogd.service', 'spamd-rules.service'],
    spamd: ['-S', '0', '--scan-interval', '2s', ...FAMILIES.flatMap(({ backup }) => ['-M', backup])],
  })
  beforeAll(async () => {
    await lab.start()
    // As the original, spamd trusts its memory of who tried the primary only a minute after its start.
    const startedMs = performance.now()
    await until(
      async () => performance.now() - startedMs > 61_000,
      () => 'the first minute',
      70_000,
    )
  })
  afterAll(() => lab.stop())
  const send = async (server: string, source: string, helo: string): Promise<string> =>
    (await lab.outside.run('python3', '-c', CLIENT, server, source, helo)).trim()

  test.each(FAMILIES)('$name', async ({ primary, backup, good, bad, white, set }) => {
    expect(await send(backup, bad, 'backup.first.example')).toBe('451')
    await lab.gateway.awaitEntry(`TRAPPED|${bad}|`)

    expect(await send(primary, good, 'primary.first.example')).toBe('451')
    await lab.gateway.awaitEntry(`GREY|${good}|`)
    expect(await send(backup, good, 'primary.first.example')).toBe('451')
    const listing = await lab.gateway.entries()
    expect(listing).not.toContain(`TRAPPED|${good}|`)

    // Once known, it reaches the real server, and that is a sighting.
    await lab.gateway.entries('-a', white)
    await lab.gateway.awaitInSet(set, white)
    expect(await send(primary, white, `known-${set}`)).toBe('250')
    await until(
      async () => (await lab.server.mailbox()).has(`known-${set}`),
      () => 'the mail of the known sender',
    )
    await lab.gateway.awaitEntry(new RegExp(`^WHITE\\|${white}\\|.*\\|[1-9]\\d*$`, 'm'))
    // The SYNs of the others came by on the input hook before, marked: nobody learned from them.
    const learned = await lab.gateway.entries()
    for (const address of [good, bad]) expect(learned).not.toContain(`WHITE|${address}|`)
  })
})
