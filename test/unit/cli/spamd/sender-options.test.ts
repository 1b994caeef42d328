import { describe, expect, test } from 'vitest'
import { parseSpamdOptions } from '../../../../src/cli/spamd/parse-spamd-options.js'

const parse = (...argv: string[]) =>
  parseSpamdOptions(argv, { hostname: 'host.example', maxFiles: 7030, environment: {} })
const senders = (...argv: string[]) => {
  const result = parse(...argv)
  if (!result.ok) throw new Error(result.stderr)
  return result.config.senders
}

describe('what DNS is asked about senders', () => {
  test('nothing unless told', () => {
    expect(senders()).toEqual({
      spf: undefined,
      trapsSpfFail: false,
      dnswl: [],
      dnsbl: [],
      dnsServers: [],
    })
  })

  test('each option', () => {
    expect(senders('--grey-spf', 'all').spf).toEqual({ domainsFile: undefined })
    expect(senders('--grey-spf', '/etc/spamd/spf', '--spf-fail', 'trap')).toMatchObject({
      spf: { domainsFile: '/etc/spamd/spf' },
      trapsSpfFail: true,
    })
    expect(senders('--grey-spf', 'spf').spf!.domainsFile).toBe(`${process.cwd()}/spf`)
    const { dnswl, dnsbl } = senders(
      '--dnswl',
      'a.example=127.0.*.2-3',
      '--dnswl',
      'd.example',
      '--dnsbl',
      'b.example',
      '--dnsbl',
      'c.example',
    )
    expect([dnswl.map(({ zone }) => zone), dnsbl.map(({ zone }) => zone)]).toEqual([
      ['a.example', 'd.example'],
      ['b.example', 'c.example'],
    ])
    const servers = ['192.0.2.53', '192.0.2.53:5353', '2001:db8::53', '[2001:db8::53]', '[2001:db8::53]:5353']
    expect(senders(...servers.flatMap((server) => ['--dns-server', server])).dnsServers).toEqual(servers)
  })

  test.each([
    [['--grey-spf', ''], 'spamd: --grey-spf: neither "all" nor a file\n'],
    [['--grey-spf', 'all', '--spf-fail', 'reject'], 'spamd: --spf-fail reject: must be "trap"\n'],
    [['--spf-fail', 'trap'], 'spamd: --spf-fail requires --grey-spf\nspamd: hint: add --grey-spf all\n'],
    [
      ['--dnsbl', 'zone'],
      'spamd: --dnsbl zone: not a zone, or answers that are not addresses\nspamd: hint: write the zone alone, or with the answers that count: --dnsbl list.example.org=127.0.*.2-3\n',
    ],
    [
      ['--dns-server', 'ns.example'],
      'spamd: --dns-server ns.example: neither ADDRESS nor ADDRESS:PORT, such as 192.0.2.53:5353 or [2001:db8::53]\n',
    ],
    [
      ['--dns-server', '192.0.2.53:0'],
      'spamd: --dns-server 192.0.2.53:0: neither ADDRESS nor ADDRESS:PORT, such as 192.0.2.53:5353 or [2001:db8::53]\n',
    ],
  ])('%j', (argv, stderr) => {
    expect(parse(...argv)).toEqual({ ok: false, stderr })
  })
})
