/** docs/examples/*bsd/pf.conf* and pfsense/rules.conf: each kind of packet ends where their heads promise. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { evaluatePf, type PfHost, type PfPacket } from '../../support/pf/evaluate.js'
import { type Dialect, parsePfConf } from '../../support/pf/ruleset.js'

const EXAMPLES = fileURLToPath(new URL('../../../docs/examples/', import.meta.url))
const FILES: { file: string; dialects: Dialect[]; isBlockOnly?: boolean; behind?: string }[] = [
  { file: 'openbsd/pf.conf.divert-to', dialects: ['openbsd'] },
  { file: 'openbsd/pf.conf.rdr-to', dialects: ['openbsd'] },
  { file: 'openbsd/pf.conf.block-lists', dialects: ['openbsd'], isBlockOnly: true },
  { file: 'freebsd/pf.conf', dialects: ['freebsd14', 'freebsd15'] },
  { file: 'freebsd/pf.conf.rdr-to', dialects: ['freebsd15'] },
  // The rules of the GUI that pfSense puts behind those of a package.
  {
    file: 'pfsense/rules.conf',
    dialects: ['freebsd14', 'freebsd15'],
    behind: 'pass in quick on em1\npass out quick\nblock in quick\n',
  },
]

const FAMILIES = [
  {
    family: 'IPv4',
    server: '203.0.113.3',
    stranger: '198.51.100.1',
    white: '198.51.100.2',
    exempt: '198.51.100.3',
    allowed: '198.51.100.200',
    blocked: '198.51.100.64',
    both: '198.51.100.65',
    pool: '192.0.2.7',
    whiteOfPool: '192.0.2.8',
    blockedOfPool: '192.0.2.129',
    behind: '10.0.0.25',
    gateway: '203.0.113.2',
    outside: '192.0.2.80',
  },
  {
    family: 'IPv6',
    server: '2001:db8:0:1::3',
    stranger: '2001:db8:9::1',
    white: '2001:db8:9::2',
    exempt: '2001:db8:9::3',
    allowed: '2001:db8:6::1',
    blocked: '2001:db8:9::64',
    both: '2001:db8:9::65',
    pool: '2001:db8:7::7',
    whiteOfPool: '2001:db8:7::8',
    blockedOfPool: '2001:db8:7::81',
    behind: '2001:db8:0:2::25',
    gateway: '2001:db8:0:1::2',
    outside: '2001:db8:8::80',
  },
]
const host: PfHost = {
  groups: { egress: ['em0'] },
  addresses: {
    em0: ['203.0.113.2', '203.0.113.3', '2001:db8:0:1::2', '2001:db8:0:1::3'],
    em1: ['10.0.0.1', '2001:db8:0:2::1'],
  },
  networks: { em1: ['10.0.0.0/24', '2001:db8:0:2::/64'] },
  tables: {
    'spamd-white': FAMILIES.flatMap(({ white, both, whiteOfPool }) => [white, both, whiteOfPool]),
    'spamd-white-net': ['192.0.2.0/24', '2001:db8:7::/64'],
    'spamd-allow': ['198.51.100.192/26', '2001:db8:6::/48'],
    nospamd: FAMILIES.map(({ exempt }) => exempt),
    spamd: ['198.51.100.64/27', '2001:db8:9::60/123', '192.0.2.128/25', '2001:db8:7::80/121'],
  },
}
const fromOutside = (from: string, to: string): PfPacket => ({
  direction: 'in',
  interface: 'em0',
  from,
  to,
  port: 25,
})
/** The words behind a program's name in the head of a file, as `-l` gives them. */
const wordsOf = (text: string, program: string): string[] =>
  new RegExp(`^#\\s+${program} (.*)$`, 'm')
    .exec(text)?.[1]
    ?.split(/\s{2,}/)[0]
    ?.split(' ') ?? []

describe.each(FILES.flatMap((row) => row.dialects.map((dialect) => ({ ...row, dialect }))))(
  '$file on $dialect',
  ({ file, dialect, isBlockOnly = false, behind = '' }) => {
    const text = readFileSync(EXAMPLES + file, 'utf8')
    const ruleset = parsePfConf(text + behind, dialect)
    const listeners = wordsOf(text, 'spamd').filter((word) => /^[0-9a-f.:]+$/.test(word))
    const log = isBlockOnly ? undefined : 'pflog1'
    const ending = (packet: PfPacket): string => {
      const { verdict, to, port, log: device } = evaluatePf(ruleset, host, packet)
      if (verdict !== 'passed') return verdict
      const where = port === 8025 ? (listeners.includes(to) ? 'spamd' : `nobody on ${to}`) : `${to}:${port}`
      return device === undefined ? where : `${where}, logged to ${device}`
    }
    const logged = (text: string): string => (log === undefined ? text : `${text}, logged to ${log}`)

    test.each(FAMILIES)('$family: each kind of packet ends where it should', (row) => {
      const server = `${row.server}:25`
      const own = `${row.outside}:25`
      const outgoing = (from: string): PfPacket => ({
        direction: 'out',
        interface: 'em0',
        from,
        to: row.outside,
        port: 25,
      })
      const endings = {
        stranger: ending(fromOutside(row.stranger, row.server)),
        white: ending(fromOutside(row.white, row.server)),
        nospamd: ending(fromOutside(row.exempt, row.server)),
        'spamd-allow': ending(fromOutside(row.allowed, row.server)),
        'of a pool': ending(fromOutside(row.pool, row.server)),
        'white and of a pool': ending(fromOutside(row.whiteOfPool, row.server)),
        'black-listed and of a pool': ending(fromOutside(row.blockedOfPool, row.server)),
        'black-listed': ending(fromOutside(row.blocked, row.server)),
        'white and black-listed': ending(fromOutside(row.both, row.server)),
        'own mail from behind, coming in': ending({
          ...outgoing(row.behind),
          direction: 'in',
          interface: 'em1',
        }),
        'own mail from behind, going out': ending(outgoing(row.behind)),
        'own mail from the gateway': ending(outgoing(row.gateway)),
      }
      expect(endings).toEqual({
        stranger: isBlockOnly ? server : 'spamd',
        white: isBlockOnly ? server : logged(server),
        nospamd: server,
        'spamd-allow': server,
        'of a pool': server,
        'white and of a pool': isBlockOnly ? server : logged(server),
        'black-listed and of a pool': 'spamd',
        'black-listed': 'spamd',
        'white and black-listed': 'spamd',
        'own mail from behind, coming in': own,
        'own mail from behind, going out': logged(own),
        'own mail from the gateway': logged(own),
      })
    })

    test.each(FAMILIES)('$family: spamd is not reached directly from outside', (row) => {
      const direct = { ...fromOutside(row.stranger, row.server), port: 8025 }
      expect(evaluatePf(ruleset, host, direct).verdict).toBe('blocked')
    })

    test('its head tells everything that it needs', () => {
      const devices = new Set(
        ruleset.rules.map((rule) => rule.log).filter((device) => device?.startsWith('pflog1')),
      )
      if (devices.size > 0) expect(wordsOf(text, 'spamlogd')).toEqual(['-l', 'pflog1'])
      for (const path of ruleset.tables.values())
        if (path !== undefined) expect(text).toContain(`touch ${path}`)
      const filled = [...ruleset.tables].filter(([, path]) => path === undefined).map(([name]) => name)
      expect(filled.sort()).toEqual(
        isBlockOnly ? ['spamd', 'spamd-allow'] : ['spamd', 'spamd-allow', 'spamd-white', 'spamd-white-net'],
      )
      expect(text).toMatch(/^#\s+spamd-setup -b/m)
    })
  },
)

describe('the faults of earlier examples are seen', () => {
  const divert = readFileSync(`${EXAMPLES}openbsd/pf.conf.divert-to`, 'utf8')
  const stranger = fromOutside('198.51.100.1', '203.0.113.3')
  const ending = (text: string, dialect: Dialect, packet = stranger) =>
    evaluatePf(parsePfConf(text, dialect), host, packet)

  test('in front of a "pass" the mail rules are void', () => {
    expect(ending(`${divert}\npass\n`, 'openbsd')).toMatchObject({ to: '203.0.113.3', log: undefined })
  })
  test('FreeBSD drops what divert-to names', () => {
    const text = 'pass in on em0 inet proto tcp to port smtp divert-to 127.0.0.1 port 8025\n'
    expect(ending(text, 'freebsd14').verdict).toBe('dropped')
  })
  test('FreeBSD drops what is redirected to ::1', () => {
    const text = 'rdr on em0 inet6 proto tcp from any to any port smtp -> ::1 port 8025\n'
    expect(ending(text, 'freebsd15', fromOutside('2001:db8:9::1', '2001:db8:0:1::3')).verdict).toBe('dropped')
  })
  test('"rdr pass" without "no rdr" sends nospamd hosts to spamd', () => {
    const text =
      'table <nospamd> persist\nrdr pass on em0 inet proto tcp from any to any port smtp -> 127.0.0.1 port 8025\npass in on em0 proto tcp from <nospamd> to port smtp\n'
    expect(ending(text, 'freebsd14', fromOutside('198.51.100.3', '203.0.113.3'))).toMatchObject({
      port: 8025,
    })
  })
  test('what a pf would refuse is refused', () => {
    expect(() => parsePfConf('rdr on em0 proto tcp to port smtp -> ::1\n', 'openbsd')).toThrow('line 1')
    expect(() => parsePfConf('pass in proto tcp to port smtp rdr-to ::1\n', 'freebsd14')).toThrow('line 1')
    expect(() => parsePfConf('pass in proto tcp from <gone> to port smtp\n', 'openbsd')).toThrow(
      'no table <gone>',
    )
  })
})

test('every pf.conf of the examples is in the table', () => {
  const found = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' })
    .filter((name) => /(^|\/)(pf\.conf|rules\.conf)[^/]*$/.test(name))
    .sort()
  expect(found).toEqual(FILES.map(({ file }) => file).sort())
})
