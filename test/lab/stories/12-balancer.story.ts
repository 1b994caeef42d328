/**
 * Story 12: haproxy in front, with PROXY version 1 and 2 and health checks. spamd greylists the real clients of both
 * families; who passed is in the file that haproxy reads, and reaches the mail server through it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lab, NET } from '../support/lab.js'
import { whyNoLab } from '../support/machine.js'
import { probe } from '../support/smtp-probe.js'
import { until } from '../support/until.js'

const skipReason = whyNoLab('postfix', 'haproxy')
const WHITE_FILE = '/var/lib/spamd/white'

const configuration = (header: string): string => `
global
    stats socket /run/haproxy.sock mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 120s
    timeout server 120s
frontend smtp
    bind ${NET.gateway.ipv4}:25
    bind [${NET.gateway.ipv6}]:25
    acl white src -f ${WHITE_FILE}
    use_backend mail if white
    default_backend spamd
backend mail
    server mail ${NET.inside.ipv4}:25
backend spamd
    option smtpchk EHLO balancer.example
    server spamd 127.0.0.1:8025 ${header} check check-send-proxy inter 1s fastinter 1s
`
const PATH_UNIT = `[Path]\nPathChanged=${WHITE_FILE}\nUnit=white-changed.service\n[Install]\nWantedBy=multi-user.target\n`
const RELOAD_UNIT = '[Service]\nType=oneshot\nExecStart=/bin/systemctl reload haproxy.service\n'

describe.skipIf(skipReason !== undefined)('story 12: a balancer', () => {
  const lab = new Lab({
    senders: [],
    packages: ['haproxy'],
    // The packet filter diverts nothing: haproxy does.
    units: ['spamd.service'],
    spamd: [
      ...['-G', '4s:4h:36d', '-S', '0', '--scan-interval', '2s'],
      ...['--proxy-protocol', '127.0.0.0/8', '--white-file', WHITE_FILE],
    ],
  })
  const { machine } = lab.gateway
  const stats = async (): Promise<string> =>
    (await machine.feed('show stat\n', 'python3', '-c', STATS)).stdout

  beforeAll(async () => {
    await lab.start()
    await until(
      async () => (await machine.try('test', '-f', WHITE_FILE)).code === 0,
      () => 'the file of white addresses',
    )
    await machine.write('/etc/systemd/system/white-changed.path', PATH_UNIT)
    await machine.write('/etc/systemd/system/white-changed.service', RELOAD_UNIT)
    await machine.run('systemctl', 'daemon-reload')
    await machine.run('systemctl', 'start', 'white-changed.path')
  })
  afterAll(() => lab.stop())

  test.each([
    { version: 1, header: 'send-proxy', clients: ['198.51.100.90', '2001:db8:100::90'] },
    { version: 2, header: 'send-proxy-v2', clients: ['198.51.100.92', '2001:db8:100::92'] },
  ])('PROXY version $version', async ({ header, clients }) => {
    await machine.write('/etc/haproxy/haproxy.cfg', configuration(header))
    await machine.run('systemctl', 'restart', 'haproxy.service')
    await until(
      async () => /^spamd,spamd,.*,UP,/m.test(await stats()),
      () => 'a healthy spamd, as haproxy sees it',
    )
    for (const client of clients) {
      const server = client.includes(':') ? NET.gateway.ipv6 : NET.gateway.ipv4
      const id = `story12-${client}`
      expect((await probe(lab.outside, server, client, { helo: id })).code).toBe(451)
      await lab.gateway.awaitEntry(`GREY|${client}|`)
      expect(await lab.gateway.journal('spamd.service')).toContain(`${client}: connected`)
      // It comes again and again, as a queue does, until it is with the mail server.
      await until(
        async () => (await probe(lab.outside, server, client, { helo: id })).code === 250,
        () => `${client} to reach the mail server`,
      )
      expect(await machine.run('cat', WHITE_FILE)).toContain(client)
      expect((await lab.server.mailbox()).get(id)).toHaveLength(1)
    }
    // Health checks greylist nobody: they name no client.
    expect(await lab.gateway.entries()).not.toMatch(/\|127\.0\.0\.1\|/)
    // spamd stayed in service all the time.
    expect(await stats()).toMatch(/^spamd,spamd,.*,UP,/m)
  })
})

/** Asks haproxy on its socket. */
const STATS = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect('/run/haproxy.sock')
s.sendall(sys.stdin.read().encode())
while True:
    piece = s.recv(65536)
    if not piece: break
    sys.stdout.write(piece.decode())
`
