/**
 * Story 24: Exim and OpenSMTPD send as Postfix does: each is deferred, comes back by its own queue, and its mail arrives
 * once and unchanged. A Postfix that takes TLS where it is offered gets it from spamd, is deferred in it, and delivers.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, MX4, MX6, NET } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { labMessage } from '../support/message.js'
import { exim, openSmtpd } from '../support/other-clients.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix', 'exim4-daemon-light', 'opensmtpd')
const CLIENTS = [exim('198.51.100.21', NET.inside.ipv4), openSmtpd('198.51.100.22', NET.inside.ipv4)]
const TLS_SENDERS = [
  { domain: 'tls.example', address: '198.51.100.24', server: MX4, helo: 'mx.tls.example' },
  { domain: 'tls6.example', address: '2001:db8:100::24', server: MX6, helo: 'mx.tls6.example' },
]

describe.skipIf(skipReason !== undefined)('story 24: other clients', () => {
  const lab = new Lab({
    senders: TLS_SENDERS,
    senderSettings: ['smtp_tls_security_level = may', 'smtp_tls_loglevel = 1'],
    outsidePackages: ['exim4-daemon-light', 'opensmtpd'],
    spamd: ['-S', '0', '-s', '0', '-G', '8s:4h:36d', '-C', '/etc/spamd/tls.pem', '-K', '/etc/spamd/tls.key'],
    beforeStart: (machine) =>
      machine.run(
        'sh',
        '-ec',
        `openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=mx.example.org -days 2 -keyout /etc/spamd/tls.key -out /etc/spamd/tls.pem 2>/dev/null
         chmod 644 /etc/spamd/tls.key`,
      ),
  })

  beforeAll(async () => {
    await lab.start()
    for (const client of CLIENTS) await client.start(lab.outside)
  })
  afterAll(() => lab.stop())

  test.each(CLIENTS)('$name is deferred, comes back, and its mail arrives once', async (client) => {
    const message = labMessage(client.name.toLowerCase(), 20_000)
    await client.send(
      lab.outside,
      `writer@${client.name.toLowerCase()}.example`,
      'reader@example.org',
      message.bytes,
    )
    await lab.gateway.awaitEntry(`GREY|${client.address}|`)
    await until(
      async () => /451[- ]Temporary failure/.test(await client.log(lab.outside)),
      () => `the deferral in the log of ${client.name}`,
    )
    await lab.gateway.awaitEntry(`WHITE|${client.address}|`, 120_000)
    let arrived: string[] | undefined
    await until(
      async () => {
        arrived = (await lab.server.mailbox()).get(message.id)
        return arrived !== undefined
      },
      () => `the mail of ${client.name}`,
      120_000,
    )
    expect(arrived).toEqual([message.digest])
  })

  test.each(TLS_SENDERS)(
    'Postfix at $address is deferred within TLS, comes back, and its mail arrives once',
    async ({ domain, address, server }) => {
      const mx = server.replaceAll(/^\[(ipv6:)?|\]$/g, '')
      const message = labMessage(domain, 20_000)
      await lab.sender.send(`writer@${domain}`, 'reader@example.org', message.bytes)
      let arrived: string[] | undefined
      await until(
        async () => {
          arrived = (await lab.server.mailbox()).get(message.id)
          return arrived !== undefined
        },
        () => `the mail of ${domain}`,
        120_000,
      )
      expect(arrived).toEqual([message.digest])
      const lines = (await lab.sender.log()).split('\n')
      const own = lines.filter((line) => line.includes(`[${mx}]:25`))
      const tls = own.findIndex((line) => /TLS connection established to .*:25: TLSv1\.[23]/.test(line))
      const deferred = own.findIndex((line) => line.includes('451 Temporary failure'))
      expect(tls, own.join('\n')).toBeGreaterThanOrEqual(0)
      expect(deferred).toBeGreaterThan(tls)
      expect(await lab.gateway.entries()).toContain(`WHITE|${address}|`)
    },
  )

  test('whoever begins TLS gets it from spamd, with the certificate of -C', async () => {
    const script =
      'printf "QUIT\\r\\n" | openssl s_client -starttls smtp -brief -bind 198.51.100.23 -connect "$0":25 2>&1'
    const said = await lab.outside.run('sh', '-c', script, NET.inside.ipv4)
    expect(said).toMatch(/Protocol version: TLSv1\.[23]/)
    expect(said).toContain('CN = mx.example.org')
  })
})
