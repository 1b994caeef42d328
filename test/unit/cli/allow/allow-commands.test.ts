/** `spamdctl allow` with a name server of the test's own and a table in memory. */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatAllowCatalogue } from '../../../../src/app/allow/allow-catalogue.js'
import { parseAllowName } from '../../../../src/app/allow/allow-name.js'
import { ALLOW_TABLE } from '../../../../src/app/allow/sync-sources.js'
import {
  type AllowCommandParts,
  runAllowAdd,
  runAllowList,
  runAllowRemove,
  runAllowSync,
} from '../../../../src/cli/allow/allow-commands.js'
import {
  ALLOW_ADD_OPTIONS,
  ALLOW_LIST_OPTIONS,
  ALLOW_SYNC_OPTIONS,
} from '../../../../src/cli/allow/allow-options.js'
import { getoptAnywhere, type OptionSpec } from '../../../../src/cli/getopt.js'
import { OptionValues } from '../../../../src/cli/option-reader.js'
import { createDatabase } from '../../../../src/db/open-store.js'
import { KEEP_NETWORKS_SEC, MAX_ALLOW_SOURCES } from '../../../../src/domain/allow.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { DnsClient } from '../../../../src/platform/dns-client.js'
import { TestDnsServer } from '../../../support/dns-server.js'
import { MemoryFirewall } from '../../../support/memory-firewall.js'
import { NOW, Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()
const DAY = 86_400
const spf = (text: string) => ({ records: [{ type: 'TXT' as const, strings: [text] }] })

let server: TestDnsServer
let dns: DnsClient
let parts: AllowCommandParts & { firewall: MemoryFirewall; out: string; errors: string }

beforeEach(async () => {
  server = new TestDnsServer({
    'example.org': spf('v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.128/25 include:_a.example.org mx -all'),
    '_a.example.org': spf('v=spf1 ip6:2001:db8::/32 a:out.example.org exists:%{i}.example.org ~all'),
    'out.example.org': { records: [{ type: 'A', value: '198.51.100.7' }] },
    'wide.example': spf('v=spf1 ip4:0.0.0.0/1 -all'),
    'all.example': spf('v=spf1 +all'),
    'nobody.example': spf('v=spf1 -all'),
    'slow.example': { behaviour: 'servfail' },
  })
  await server.start()
  dns = new DnsClient({
    clock: systemClock,
    servers: [server.place],
    limits: { tryMs: 500, tries: 1, maxCacheBytes: 0 },
  })
  const dbPath = join(scratch.folder(), 'spamd.sqlite')
  createDatabase(dbPath)
  parts = {
    dbPath,
    actor: 'anna',
    nowSec: NOW,
    dns,
    firewall: new MemoryFirewall(),
    out: '',
    errors: '',
    write: (text) => {
      parts.out += text
    },
    writeError: (text) => {
      parts.errors += text
    },
  }
})

afterEach(() => {
  dns.close()
  server.stop()
})

function optionsOf(words: string[], table: readonly OptionSpec[]): OptionValues {
  const parsed = getoptAnywhere(words, table)
  if (!parsed.ok) throw new Error(parsed.message)
  return new OptionValues(parsed)
}

interface Ran {
  code: number
  out: string
  errors: string
}

async function ran(run: () => Promise<number>, nowSec = NOW): Promise<Ran> {
  parts.out = ''
  parts.errors = ''
  parts.nowSec = nowSec
  const code = await run()
  return { code, out: parts.out, errors: parts.errors }
}
const add = async (word: string, words: string[] = []): Promise<Ran> =>
  await ran(async () => await runAllowAdd(word, optionsOf(words, ALLOW_ADD_OPTIONS), parts))
const sync = async (nowSec: number, ...words: string[]): Promise<Ran> =>
  await ran(async () => await runAllowSync(optionsOf(words, ALLOW_SYNC_OPTIONS), parts), nowSec)
const list = async (nowSec: number, ...words: string[]): Promise<string> =>
  await runAllowList(optionsOf(words, ALLOW_LIST_OPTIONS), { dbPath: parts.dbPath, nowSec })
const table = async (): Promise<string[] | undefined> => await parts.firewall.readTable(ALLOW_TABLE)

const NETWORKS = ['192.0.2.0/24', '198.51.100.7/32', '2001:db8::/32']

describe('allow add', () => {
  test('walks the record of a domain, stores its networks and fills the table', async () => {
    expect(await add('Example.ORG.')).toEqual({
      code: 0,
      out: `example.org: 3 networks; its SPF record also has terms that cannot be listed as networks
+ 192.0.2.0/24
+ 198.51.100.7/32
+ 2001:db8::/32
table spamd-allow: 3 networks
`,
      errors: '',
    })
    expect(await table()).toEqual(NETWORKS)
    expect(await list(NOW + 60)).toBe('example.org: 3 networks, found 1m ago\n')
  })

  test('takes a network, with an end and a note', async () => {
    await add('198.51.100.9/24', ['--expire', '90d', '--comment', 'asked for by Anna'])
    expect(await table()).toEqual(['198.51.100.0/24'])
    expect(await list(NOW)).toBe('198.51.100.0/24: for another 90d, asked for by Anna\n')
    // Adding it again keeps the note, and takes the new end.
    await add('198.51.100.0/24')
    expect(await list(NOW)).toBe('198.51.100.0/24: asked for by Anna\n')
  })

  test('--dry-run shows, and does nothing', async () => {
    expect((await add('example.org', ['--dry-run'])).out).toContain('+ 192.0.2.0/24\n')
    expect(await list(NOW)).toBe('no exceptions are stored\n')
    expect(await table()).toBeUndefined()
  })

  test.each([
    ['wide.example', /too wide: more than a \/12 of IPv4/],
    ['all.example', /too wide/],
    ['nobody.example', /names no address$/],
    ['nothing.example', /no SPF record$/],
  ])('refuses %s by name', async (domain, message) => {
    const refusal = add(domain)
    await expect(refusal).rejects.toMatchObject({
      code: 'ERR_ALLOW',
      message: expect.stringMatching(message),
    })
    await expect(refusal).rejects.toThrow(`cannot allow ${domain}: `)
    expect(await list(NOW)).toBe('no exceptions are stored\n')
    expect(await table()).toBeUndefined()
  })

  test('stores a domain that cannot be queried for now, and says so', async () => {
    expect(await add('slow.example')).toEqual({
      code: 1,
      out: 'slow.example: 0 networks\ntable spamd-allow: 0 networks\n',
      errors:
        'spamdctl: slow.example: no answer for slow.example; it has no effect until the next "spamdctl allow sync"\n',
    })
    expect(await list(NOW)).toBe('slow.example: 0 networks, empty, never found\n')
    server.zone.set('slow.example', spf('v=spf1 ip4:203.0.113.0/24'))
    // The resolver keeps the failure for some seconds: another client asks anew.
    parts.dns = new DnsClient({ clock: systemClock, servers: [server.place] })
    expect((await sync(NOW + 60)).out).toContain('slow.example: 1 network\n+ 203.0.113.0/24\n')
  })

  test('there is a limit', async () => {
    const store = await scratch.open(parts.dbPath)
    const source = { first: NOW, expire: 0, checked: NOW, networks: [] }
    const names = Array.from({ length: MAX_ALLOW_SOURCES }, (_, n) => `d${n}.example`)
    await store.editAllowed(
      names.map((name) => ({ operation: 'put', source: { name, ...source } })),
      NOW,
    )
    await expect(add('example.org')).rejects.toMatchObject({ code: 'ERR_ALLOW' })
  })
})

describe('names', () => {
  test.each([
    ['b\u00fccher.example', 'xn--bcher-kva.example'],
    ['_spf.Example.org', '_spf.example.org'],
    ['::ffff:192.0.2.1', '192.0.2.1/32'],
    ['2001:DB8::/28', '2001:db0::/28'],
    ['10.16.0.0/12', '10.16.0.0/12'],
  ])('%s', (text, name) => {
    expect(parseAllowName(text)).toBe(name)
  })

  test.each([
    '',
    'org',
    '-x.example',
    'a b.example',
    '$(id).example',
    '0.0.0.0/0',
    '10.0.0.0/11',
    '2001::/27',
    'a@b.example',
    '1.2.3',
    'x\n.example',
    '%65xample.org',
  ])('%j is refused', (text) => {
    expect(() => parseAllowName(text)).toThrow(AppError)
  })

  test('every line of the catalogue is a command that is taken', () => {
    const words = [...formatAllowCatalogue().matchAll(/^spamdctl allow add (\S+) +# .+$/gm)].map(
      ([, word]) => word!,
    )
    expect(words.length).toBeGreaterThan(5)
    for (const word of words) expect(parseAllowName(word)).toBe(word)
  })
})

describe('allow sync', () => {
  test('shows what changed, and replaces the table in one step', async () => {
    await add('example.org')
    await add('203.0.113.0/24')
    server.zone.set('example.org', spf('v=spf1 ip4:192.0.2.0/25 include:_a.example.org -all'))
    parts.dns = new DnsClient({ clock: systemClock, servers: [server.place] })
    const diff = `203.0.113.0/24: 1 network
example.org: 3 networks; its SPF record also has terms that cannot be listed as networks
- 192.0.2.0/24
+ 192.0.2.0/25
`
    expect((await sync(NOW + DAY, '--dry-run')).out).toBe(diff)
    expect(await table()).toEqual(['192.0.2.0/24', '198.51.100.7/32', '203.0.113.0/24', '2001:db8::/32'])
    expect((await sync(NOW + DAY)).out).toBe(`${diff}table spamd-allow: 4 networks\n`)
    expect(await table()).toEqual(['192.0.2.0/25', '198.51.100.7/32', '203.0.113.0/24', '2001:db8::/32'])
  })

  test.each<[string, () => void]>([
    ['dead DNS', () => server.zone.set('example.org', { behaviour: 'servfail' })],
    ['a record that is gone', () => server.zone.delete('example.org')],
    ['a record that names nobody', () => server.zone.set('example.org', spf('v=spf1 -all'))],
    [
      'a record that became too wide',
      () => server.zone.set('example.org', spf('v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1')),
    ],
    ['an include that fails', () => server.zone.set('_a.example.org', { behaviour: 'servfail' })],
  ])('%s: the last good networks stay for 30 days', async (_name, breakIt) => {
    await add('example.org')
    breakIt()
    parts.dns = new DnsClient({
      clock: systemClock,
      servers: [server.place],
      limits: { tryMs: 500, tries: 1 },
    })
    const { code, errors } = await sync(NOW + DAY)
    expect(code).toBe(1)
    expect(errors).toMatch(
      /^spamdctl: example\.org: .+; its networks, found 1d ago, are kept for another 29d\n$/,
    )
    expect(await table()).toEqual(NETWORKS)
    expect(await list(NOW + DAY)).toBe('example.org: 3 networks, found 1d ago\n')
    const late = await sync(NOW + KEEP_NETWORKS_SEC)
    expect(late.errors).toContain('its networks, found 30d ago, are dropped\n')
    expect(await table()).toEqual([])
    expect(await list(NOW + KEEP_NETWORKS_SEC)).toBe('example.org: 3 networks, dropped, found 30d ago\n')
  })

  test('an end and a note that were given while DNS was asked stay', async () => {
    await add('example.org')
    server.zone.set('example.org', spf('v=spf1 ip4:203.0.113.0/24 -all'))
    const asking = new DnsClient({ clock: systemClock, servers: [server.place] })
    parts.dns = {
      run: async (dialogue, timeoutMs) => {
        parts.dns = dns
        const quiet = { ...parts, write: () => undefined, writeError: () => undefined, firewall: undefined }
        await runAllowAdd(
          'example.org',
          optionsOf(['--expire', '9d', '--comment', 'new'], ALLOW_ADD_OPTIONS),
          quiet,
        )
        return await asking.run(dialogue, timeoutMs)
      },
    }
    await sync(NOW + DAY)
    asking.close()
    expect(await table()).toEqual(['203.0.113.0/24'])
    expect(await list(NOW + DAY)).toBe('example.org: 1 network, found 0s ago, for another 9d, new\n')
  })

  test('--offline fills the table after a reboot, and asks nobody', async () => {
    await add('example.org')
    parts.firewall = new MemoryFirewall()
    server.asked.length = 0
    const { code, out } = await sync(NOW + DAY, '--offline')
    expect([code, out]).toEqual([0, 'example.org: 3 networks\ntable spamd-allow: 3 networks\n'])
    expect(await table()).toEqual(NETWORKS)
    expect(server.asked).toEqual([])
  })

  test('removes what is over', async () => {
    await add('203.0.113.0/24', ['--expire', '1d'])
    expect((await sync(NOW + DAY)).out).toBe(
      '203.0.113.0/24: removed\n- 203.0.113.0/24\ntable spamd-allow: 0 networks\n',
    )
    expect(await table()).toEqual([])
    expect(await list(NOW + DAY)).toBe('no exceptions are stored\n')
  })

  test('a table that cannot be written keeps what it held, and the exception is stored', async () => {
    await add('example.org')
    const replace = parts.firewall.replaceTable.bind(parts.firewall)
    parts.firewall.replaceTable = () => Promise.reject(new AppError('ERR_FIREWALL_DENIED', 'denied'))
    await expect(add('203.0.113.0/24')).rejects.toMatchObject({ code: 'ERR_FIREWALL_DENIED' })
    expect(await table()).toEqual(NETWORKS)
    parts.firewall.replaceTable = replace
    await sync(NOW, '--offline')
    expect(await table()).toContain('203.0.113.0/24')
  })
})

describe('allow remove', () => {
  test('takes all away, or nothing', async () => {
    await add('example.org')
    await add('203.0.113.0/24')
    const remove = (...words: string[]) => runAllowRemove(words, optionsOf([], ALLOW_LIST_OPTIONS), parts)
    await expect(remove('example.org', 'example.com')).rejects.toMatchObject({
      message: 'example.com: no such exception; nothing was removed',
    })
    expect(await table()).toHaveLength(4)
    expect((await ran(async () => await remove('EXAMPLE.org', '203.0.113.5/24'))).code).toBe(0)
    expect(await table()).toEqual([])
  })
})

test('JSON has everything', async () => {
  await add('example.org')
  expect(JSON.parse(await list(NOW, '--json'))).toMatchObject([
    { name: 'example.org', state: 'in force', expire: null, networkCount: 3, networks: NETWORKS },
  ])
  server.zone.set('example.org', { behaviour: 'servfail' })
  parts.dns = new DnsClient({ clock: systemClock, servers: [server.place], limits: { tryMs: 500, tries: 1 } })
  expect(JSON.parse((await sync(NOW + 5, '--json')).out)).toMatchObject({
    sources: [{ name: 'example.org', failure: 'no answer for example.org', added: [], removed: [] }],
    table: 3,
  })
})
