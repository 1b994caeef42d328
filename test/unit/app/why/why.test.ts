/** `spamdctl why`: what it finds in filter, lists and database, and the sentence that it makes of that. */
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { makeRelease, planRelease } from '../../../../src/app/release/release-mail.js'
import { explainWhy, parseWhySubject } from '../../../../src/app/why/explain.js'
import type { WhyReport } from '../../../../src/app/why/report.js'
import { renderWhy, whyJson } from '../../../../src/cli/operations/render-why.js'
import { openStore } from '../../../../src/db/open-store.js'
import type { Entry } from '../../../../src/domain/entry.js'
import type { ReleaseTerms } from '../../../../src/domain/release.js'
import { ListStore } from '../../../../src/feeds/list-store.js'
import { type DoctorScene, healthyScene } from '../../../support/doctor-scene.js'
import { TEST_NOW, temporaryFolder } from '../../../support/program-run.js'

const parent = temporaryFolder('why')
const PLAIN = { width: undefined, hasColour: false }

const host = (kind: 'WHITE' | 'TRAPPED', ip: string, expire = TEST_NOW + 7200): Entry => ({
  kind,
  ip,
  first: TEST_NOW - 3600,
  pass: TEST_NOW - 1800,
  expire,
  bcount: 2,
  pcount: kind === 'WHITE' ? 3 : -1,
})
const tuple = (ip: string, ageSec: number, changes: { from?: string; to?: string } = {}): Entry => ({
  kind: 'GREY',
  ip,
  helo: 'mx.example.net',
  from: '<sender@example.net>',
  to: '<user@example.org>',
  first: TEST_NOW - ageSec,
  pass: TEST_NOW - ageSec + 14_400,
  expire: TEST_NOW - ageSec + 14_400,
  bcount: 1,
  pcount: 0,
  ...changes,
})

interface GatewayState {
  entries?: Entry[]
  /** Tables of the packet filter that hold the address. */
  tables?: string[]
  /** Lists that the running spamd has it in; undefined: spamd does not answer. */
  loaded?: string[]
  prepare?: (scene: DoctorScene) => void | Promise<void>
}

async function why(
  text: string,
  state: GatewayState = {},
): Promise<{ report: WhyReport; scene: DoctorScene }> {
  const scene = await healthyScene('openbsd', parent)
  const store = await openStore(scene.settings.db, { mode: 'write' })
  await store.upsert(state.entries ?? [], { ifMissing: false })
  await store.close()
  const subject = parseWhySubject(text)
  if (subject.kind === 'address') {
    for (const table of ['nospamd', 'spamd', 'spamd-white']) {
      const isIn = state.tables?.includes(table) === true
      const output = isIn ? 'stderr 1/1 addresses match.' : 'status 2\nstderr 0/1 addresses match.'
      scene.probe.set(`pfctl -t ${table} -T test ${subject.ip}`, output)
    }
  }
  await state.prepare?.(scene)
  const server = createServer((socket) => {
    socket.once('data', (request) => {
      const isLookup = request.toString().includes('lookup')
      const result = isLookup ? { lists: state.loaded } : scene.status
      socket.end(`${JSON.stringify({ ok: true, result })}\n`)
    })
  })
  if (state.loaded !== undefined) {
    await new Promise<void>((resolve) => server.listen(scene.settings.controlSocket, resolve))
  }
  try {
    return { report: await explainWhy(scene.probe, scene.settings, subject), scene }
  } finally {
    server.close()
  }
}

describe('an address', () => {
  const cases: [
    string,
    string,
    GatewayState,
    { state: string; sentence: string; changesSec?: number; command: string },
  ][] = [
    [
      'nobody knows',
      '192.0.2.99',
      { loaded: [] },
      {
        state: 'unknown-host',
        sentence:
          '192.0.2.99 is unknown: its first mail is deferred, and passes when it is retried after 25m',
        command: 'spamdb -a 192.0.2.99',
      },
    ],
    [
      'that waits',
      '203.0.113.9',
      { loaded: [], entries: [tuple('203.0.113.9', 600)] },
      {
        state: 'waits',
        sentence: '203.0.113.9 is greylisted: the same mail passes when it is retried in 15m or later',
        changesSec: TEST_NOW + 900,
        command: 'spamdb -a 203.0.113.9',
      },
    ],
    [
      'that has waited',
      '203.0.113.9',
      { loaded: [], entries: [tuple('203.0.113.9', 1560)] },
      {
        state: 'waits',
        sentence:
          '203.0.113.9 is greylisted, and passes at its next try of the same mail: the waiting time ended 1m ago',
        changesSec: TEST_NOW - 1560 + 14_400,
        command: 'spamdb -a 203.0.113.9',
      },
    ],
    [
      'that is white',
      '203.0.113.9',
      { loaded: [], entries: [host('WHITE', '203.0.113.9')], tables: ['spamd-white'] },
      {
        state: 'passes',
        sentence: '203.0.113.9 reaches the mail server: it is WHITE for another 2h',
        changesSec: TEST_NOW + 7200,
        command: 'spamdb -d 203.0.113.9',
      },
    ],
    [
      'that is white permanently, IPv6',
      '2001:DB8::9',
      { loaded: [], entries: [host('WHITE', '2001:db8::9', 0)], tables: ['spamd-white'] },
      {
        state: 'passes',
        sentence: '2001:db8::9 reaches the mail server: it is WHITE permanently',
        command: 'spamdb -d 2001:db8::9',
      },
    ],
    [
      'that is white, but not yet in the filter',
      '203.0.113.9',
      { loaded: [], entries: [host('WHITE', '203.0.113.9')] },
      {
        state: 'waits',
        sentence:
          "203.0.113.9 is WHITE, but not yet in the packet filter's table: it passes after the next scan, within 60 seconds",
        changesSec: TEST_NOW + 60,
        command: 'spamdctl doctor, if this does not change',
      },
    ],
    [
      'that is white, but not yet in the filter, while spamd does not answer: it scans every minute',
      '203.0.113.9',
      { entries: [host('WHITE', '203.0.113.9')] },
      {
        state: 'waits',
        sentence: 'it passes after the next scan, within 60 seconds',
        changesSec: TEST_NOW + 60,
        command: 'spamdctl doctor, if this does not change',
      },
    ],
    [
      'that only the filter holds',
      '203.0.113.9',
      { loaded: [], tables: ['spamd-white'] },
      {
        state: 'passes',
        sentence:
          "203.0.113.9 reaches the mail server, because it is in the packet filter's table; it is not in the database",
        changesSec: TEST_NOW + 60,
        command: 'spamdb -a 203.0.113.9',
      },
    ],
    [
      'that is trapped',
      '203.0.113.9',
      { loaded: ['spamd-greytrap'], entries: [host('TRAPPED', '203.0.113.9')] },
      {
        state: 'refused',
        sentence: '203.0.113.9 is tarpitted and refused: it is TRAPPED for another 2h',
        changesSec: TEST_NOW + 7200,
        command: 'spamdb -t -d 203.0.113.9',
      },
    ],
    [
      'that is trapped while the filter still lets it pass',
      '203.0.113.9',
      { loaded: [], entries: [host('TRAPPED', '203.0.113.9')], tables: ['spamd-white'] },
      {
        state: 'refused',
        sentence: 'the packet filter still lets it pass until the next scan',
        changesSec: TEST_NOW + 7200,
        command: 'spamdb -t -d',
      },
    ],
    [
      'of the administrator',
      '203.0.113.9',
      { loaded: ['drop'], entries: [host('TRAPPED', '203.0.113.9')], tables: ['nospamd'] },
      {
        state: 'passes',
        sentence: '203.0.113.9 reaches the mail server: it is in nospamd, your own exceptions',
        command: 'pfctl -t nospamd -T delete 203.0.113.9',
      },
    ],
    [
      'on a list',
      '198.51.100.9',
      { loaded: ['drop'] },
      {
        state: 'refused',
        sentence: '198.51.100.9 is tarpitted and refused: it is on drop',
        command: 'put 198.51.100.9 into a white list after drop in "all" of spamd.conf, then spamd-setup',
      },
    ],
    [
      'on a list, spamd cannot be queried',
      '198.51.100.9',
      {},
      { state: 'refused', sentence: 'it is on drop', command: 'white list after drop' },
    ],
    [
      'on a list that spamd does not have',
      '198.51.100.9',
      { loaded: [] },
      { state: 'unknown-host', sentence: '198.51.100.9 is unknown', command: 'spamdb -a' },
    ],
    [
      'on a list, and white in the filter',
      '198.51.100.9',
      { loaded: ['drop'], entries: [host('WHITE', '198.51.100.9')], tables: ['spamd-white'] },
      { state: 'passes', sentence: 'reaches the mail server for now', command: 'white list after drop' },
    ],
    [
      'left in the table of blocked networks',
      '203.0.113.9',
      { loaded: [], tables: ['spamd'] },
      {
        state: 'refused',
        sentence: "it is in the packet filter's table spamd, although it is on no list now",
        command: 'spamd-setup -b',
      },
    ],
  ]

  test.for(cases)('%s', async ([, text, state, expected]) => {
    const { verdict } = (await why(text, state)).report
    expect(verdict.state).toBe(expected.state)
    expect(verdict.sentence).toContain(expected.sentence)
    expect(verdict.changesSec).toBe(expected.changesSec)
    expect(verdict.command).toContain(expected.command)
  })

  test('with block lists alone strangers pass', async () => {
    const state: GatewayState = {
      loaded: [],
      prepare: ({ status }) => {
        status.mode = 'block-lists'
      },
    }
    expect((await why('192.0.2.99', state)).report.verdict).toMatchObject({
      state: 'passes',
      command: undefined,
    })
  })

  const pool = (ip: string, key: string): Entry => ({
    kind: 'POOL',
    ip,
    pool: key,
    first: TEST_NOW - 3600,
    pass: TEST_NOW - 1800,
    expire: TEST_NOW + 7200,
    bcount: 4,
    pcount: 0,
  })
  test.each([
    {
      name: 'a pool',
      entry: pool('203.0.113.0/24', '203.0.112.0/20'),
      sentence: 'reaches the mail server: 203.0.113.0/24 is open',
    },
    {
      name: 'learn-only mode',
      entry: pool('203.0.113.9/32', 'learn'),
      sentence: 'reaches the mail server: it retried, and spamd only learns',
    },
  ])('that passes by $name', async ({ entry, sentence }) => {
    const isInTable = 'stderr 1/1 addresses match.'
    const state: GatewayState = {
      loaded: [],
      entries: [entry, tuple('203.0.113.9', 60)],
      prepare: ({ probe, status }) => {
        status.pools = { networkCount: 1, replacements: 1, failures: 0 }
        probe.set('pfctl -t spamd-white-net -T test 203.0.113.9', isInTable)
      },
    }
    const { report } = await why('203.0.113.9', state)
    expect(report.verdict).toMatchObject({
      state: 'passes',
      changesSec: TEST_NOW + 7200,
      command: `spamdb -d ${(entry as { ip: string }).ip}`,
    })
    expect(report.verdict.sentence).toContain(sentence)
    expect(renderWhy(report, PLAIN)).toContain(`POOL ${(entry as { ip: string }).ip} by `)
    expect(JSON.parse(whyJson(report)).database.pools).toMatchObject([{ ip: (entry as { ip: string }).ip }])
  })

  test('whose network is open, but not yet in the packet filter', async () => {
    const state: GatewayState = { loaded: [], entries: [pool('203.0.113.0/24', '203.0.113.0/24')] }
    expect((await why('203.0.113.9', state)).report.verdict).toMatchObject({ state: 'waits' })
  })

  test('that is TRAPPED is refused, whatever its network', async () => {
    const state: GatewayState = {
      loaded: [],
      entries: [pool('203.0.113.0/24', '203.0.113.0/24'), host('TRAPPED', '203.0.113.9')],
    }
    expect((await why('203.0.113.9', state)).report.verdict.state).toBe('refused')
  })

  test('tuples that are keyed by network are found', async () => {
    const state: GatewayState = {
      loaded: [],
      entries: [tuple('203.0.113.0/24', 60)],
      prepare: ({ status }) => {
        status.greyPrefix4 = 24
      },
    }
    expect((await why('203.0.113.9', state)).report.verdict.state).toBe('waits')
  })
})

describe('lists', () => {
  async function addWhiteList({ settings, folder }: DoctorScene, text: string): Promise<void> {
    const conf = `all:\\\n\t:drop:friends:\n\ndrop:\\\n\t:black:\\\n\t:msg="x":\\\n\t:method=https:\\\n\t:file=lists.example.org/drop.txt:\n\nfriends:\\\n\t:white:\\\n\t:method=file:\\\n\t:file=${folder}/friends.txt:\n`
    writeFileSync(settings.conf, conf)
    const writer = await new ListStore(settings.stateDir).writeCopy('friends')
    await writer.write(Buffer.from(text))
    await writer.commit({
      listName: 'friends',
      method: 'file',
      location: `${folder}/friends.txt`,
      fetchedSec: TEST_NOW,
      validator: {},
      entries: 1,
    })
  }

  test('source, line number and text, and the white list that excludes it', async () => {
    const state: GatewayState = {
      loaded: [],
      prepare: (scene) => addWhiteList(scene, '# friends\n198.51.100.9 our printer\n'),
    }
    const { report } = await why('198.51.100.9', state)
    expect(report.lists).toMatchObject([
      {
        source: { name: 'drop' },
        fetchedSec: TEST_NOW - 600,
        isBlocking: false,
        cutOutBy: ['friends'],
        lines: [{ line: 1, text: '198.51.100.0/24' }],
      },
      { source: { name: 'friends' }, lines: [{ line: 2, text: '198.51.100.9 our printer' }] },
    ])
    expect(
      renderWhy(report, PLAIN),
    ).toContain(`list      drop (does not block) from https://lists.example.org/drop.txt, received 10m ago
          line 1: 198.51.100.0/24
          excluded by the white list friends
`)
  })

  test('a white list that spamd does not have yet is the way out', async () => {
    const state: GatewayState = {
      loaded: ['drop'],
      prepare: (scene) => addWhiteList(scene, '198.51.100.0/25\n'),
    }
    expect((await why('198.51.100.9', state)).report.verdict.command).toBe(
      'spamd-setup, which loads the white list that excludes it',
    )
  })

  test('a line of an exclamation mark excludes it', async () => {
    const state: GatewayState = {
      prepare: async ({ settings }) => {
        const writer = await new ListStore(settings.stateDir).writeCopy('drop')
        await writer.write(Buffer.from('198.51.100.0/24\n!198.51.100.9\n'))
        await writer.commit({
          listName: 'drop',
          method: 'https',
          location: 'lists.example.org/drop.txt',
          fetchedSec: TEST_NOW,
          validator: {},
          entries: 1,
        })
      },
    }
    const { report } = await why('198.51.100.9', state)
    expect(report.lists[0]).toMatchObject({
      isBlocking: false,
      lines: [{ line: 1 }, { line: 2, isExclusion: true }],
    })
    expect(report.verdict.state).toBe('unknown-host')
  })
})

describe('a mail address or a domain', () => {
  const trap: Entry = { kind: 'SPAMTRAP', address: 'trap@example.org', first: TEST_NOW }

  test('a spamtrap, in any spelling', async () => {
    const { verdict } = (await why('<Trap@Example.org>', { loaded: [], entries: [trap] })).report
    expect(verdict).toMatchObject({ state: 'trap', command: 'spamdb -T -d trap@example.org' })
    expect(verdict.sentence).toBe(
      'trap@example.org is a spamtrap: a host that mails to it is trapped for 1d, unless it is WHITE',
    )
  })

  test('outside of the allowed domains', async () => {
    const state: GatewayState = {
      loaded: [],
      prepare: ({ settings, folder }) => {
        settings.allowedDomains = `${folder}/alloweddomains`
        writeFileSync(settings.allowedDomains, 'example.org\n')
      },
    }
    const { report } = await why('user@example.com', state)
    expect(report.verdict.sentence).toContain('user@example.com is outside the allowed domains')
    expect(report.verdict.command).toMatch(/^echo example\.com >> .*alloweddomains, then reload spamd$/)
    expect((await why('sub.example.org', state)).report.verdict.state).toBe('mail-waits')
  })

  test('an exception of spamdctl allow decides, where the packet filter holds it', async () => {
    const world = (isIn: boolean): GatewayState => ({
      loaded: ['drop'],
      prepare: async ({ settings, probe }) => {
        const store = await openStore(settings.db, { mode: 'write' })
        const source = { name: 'example.org', first: TEST_NOW, expire: 0, checked: TEST_NOW }
        const put = { operation: 'put' as const, source: { ...source, networks: ['203.0.113.0/24'] } }
        await store.editAllowed([put], TEST_NOW)
        await store.close()
        const output = isIn ? 'stderr 1/1 addresses match.' : 'status 2\nstderr 0/1 addresses match.'
        probe.set('pfctl -t spamd-allow -T test 203.0.113.9', output)
      },
    })
    const { report } = await why('203.0.113.9', world(true))
    expect(report.verdict).toMatchObject({
      state: 'passes',
      sentence: '203.0.113.9 reaches the mail server: it belongs to example.org, one of your exceptions',
      command: 'spamdctl allow remove example.org',
    })
    expect((await why('203.0.113.9', world(false))).report.verdict.state).toBe('refused')
    expect(JSON.parse(whyJson(report))).toMatchObject({ database: { exceptions: ['example.org'] } })
  })

  test('all lines stand in the order in which they decide, with one sentence at the end', async () => {
    const ip = '198.51.100.9'
    const key = (network: string, from = '<sender@example.net>') => ({
      ...tuple(network, 600, { from }),
      helo: '',
    })
    const { report } = await why(ip, {
      loaded: ['drop'],
      entries: [tuple(ip, 600), key('198.51.100.0/24'), key('spf:example.net')],
      prepare: async ({ settings, status, probe }) => {
        status.greyPrefix4 = 24
        status.pools = { networkCount: 1, replacements: 1, failures: 0 }
        const store = await openStore(settings.db, { mode: 'write' })
        const source = { name: 'example.net', first: TEST_NOW, expire: 0, checked: TEST_NOW }
        const put = { operation: 'put' as const, source: { ...source, networks: ['198.51.100.0/24'] } }
        await store.editAllowed([put], TEST_NOW)
        const plan = planRelease(
          { terms: { to: 'user@example.org' }, scope: 'address', forSec: 60, actor: 'anna' },
          TEST_NOW,
        )
        await makeRelease(store, { ...plan, id: 'abcdefgh' }, TEST_NOW)
        await store.close()
        for (const table of ['spamd-allow', 'spamd-white-net'])
          probe.set(`pfctl -t ${table} -T test ${ip}`, 'status 2\nstderr 0/1 addresses match.')
      },
    })
    const lines = renderWhy(report, PLAIN).split('\n')
    expect(lines[0]).toBe(
      'filter    nospamd: no, spamd-allow: no, spamd: no, spamd-white: no, spamd-white-net: no',
    )
    const labels = lines.map((line) => line.slice(0, 10).trim()).filter((label) => label !== '')
    expect(labels).toEqual([
      'filter',
      'exception',
      'list',
      'loaded',
      'database',
      'release',
      'history',
      'peers',
      'now',
      'change',
    ])
    const greyKeys = lines.flatMap((line) => / GREY (\S+), /.exec(line)?.[1] ?? [])
    expect(greyKeys).toEqual([ip, '198.51.100.0/24', 'spf:example.net'])
  })

  test('without a database that can be read nothing is claimed to be unknown', async () => {
    const unreadable: GatewayState = { loaded: [], prepare: ({ settings }) => rmSync(settings.db) }
    for (const subject of ['203.0.113.9', 'user@example.org']) {
      const { verdict } = (await why(subject, unreadable)).report
      expect(verdict).toMatchObject({ state: 'unseen', changesSec: undefined })
      expect(verdict.sentence).toBe(
        `cannot tell what happens to ${subject}, since the database cannot be read`,
      )
    }
    // What the packet filter and the lists say is known all the same.
    expect((await why('203.0.113.9', { ...unreadable, loaded: ['drop'] })).report.verdict.state).toBe(
      'refused',
    )
  })

  test('a tuple that is over says nothing, and neither does one of SPF alone', async () => {
    const over = tuple('203.0.113.9', 20_000)
    expect((await why('203.0.113.9', { loaded: [], entries: [over] })).report.verdict.state).toBe(
      'unknown-host',
    )
    const entries = [tuple('203.0.113.9', 60), { ...tuple('spf:example.net', 3000), helo: '' }]
    expect((await why('203.0.113.9', { loaded: [], entries })).report.verdict.sentence).toContain(
      'passes when it is retried in 24m or later',
    )
  })

  describe('releases', () => {
    const entries = [tuple('203.0.113.9', 60)]
    const released = (terms: ReleaseTerms): GatewayState => ({
      loaded: [],
      entries,
      prepare: async ({ settings }) => {
        const store = await openStore(settings.db, { mode: 'write' })
        const plan = planRelease({ terms, scope: 'address', forSec: 3600, actor: 'anna' }, TEST_NOW)
        await makeRelease(store, { ...plan, id: 'abcdefgh' }, TEST_NOW)
        await store.close()
      },
    })
    const idsOf = ({ database }: WhyReport) =>
      'releases' in database ? database.releases.map(({ id }) => id) : undefined

    test('the command for mail that waits is a release, by recipient or sender', async () => {
      const commandOf = async (subject: string) =>
        (await why(subject, { loaded: [], entries })).report.verdict.command
      expect(await commandOf('user@example.org')).toBe('spamdctl release --to user@example.org')
      expect(await commandOf('sender@example.net')).toBe('spamdctl release --from sender@example.net')
      expect(await commandOf('example.net')).toBe('spamdctl release --from example.net')
      expect(await commandOf('example.org')).toBe('spamdb -a ADDRESS, with the address of a host above')
    })

    test('one that names a waiting mail decides about its address', async () => {
      const { report } = await why('203.0.113.9', released({ from: 'example.net' }))
      expect(report.verdict.sentence).toBe(
        '203.0.113.9 is greylisted, but mail from example.net is released: its next try makes the address WHITE, and the one after that passes',
      )
      expect(report.verdict.command).toBe('spamdctl release cancel abcdefgh')
      expect(renderWhy(report, PLAIN)).toContain(
        'release   abcdefgh: mail from example.net, for another 1h, used 0 times, by anna\n',
      )
      expect(JSON.parse(whyJson(report))).toMatchObject({
        database: { releases: [{ id: 'abcdefgh', from: 'example.net', to: null, author: 'anna' }] },
      })
    })

    test.each<[string, ReleaseTerms, boolean]>([
      ['user@example.org', { to: 'user@example.org' }, true],
      ['someone@example.net', { from: 'example.net' }, true],
      ['example.net', { from: 'x@example.net' }, true],
      ['example.com', { from: 'example.net' }, false],
      ['other@example.org', { to: 'user@example.org' }, false],
      ['203.0.113.77', { from: 'example.com', network: '203.0.113.0/24' }, true],
      ['203.0.113.77', { from: 'example.com' }, false],
      ['203.0.113.9', { from: 'example.net', network: '198.51.100.0/24' }, false],
    ])('%s and %j', async (subject, terms, isNamed) => {
      expect(idsOf((await why(subject, released(terms))).report)).toEqual(isNamed ? ['abcdefgh'] : [])
    })
  })

  test('mail that waits for it, from it, and nobody else of a longer name', async () => {
    const entries = [
      tuple('203.0.113.9', 60),
      tuple('203.0.113.10', 50, { to: '<superuser@example.org>' }),
      tuple('203.0.113.11', 40, { from: '<user@example.org>', to: '<x@example.com>' }),
    ]
    const { report } = await why('user@example.org', { loaded: [], entries })
    const tuples = 'tuples' in report.database ? report.database.tuples : []
    expect(tuples.map(({ ip }) => ip)).toEqual(['203.0.113.9', '203.0.113.11'])
    expect(report.verdict.sentence).toBe(
      'user@example.org is not a spamtrap; 2 mails from or to it are waiting; mail from unknown hosts waits 25m',
    )
  })

  test('the spamtraps of a domain', async () => {
    const { report } = await why('example.org', {
      loaded: [],
      entries: [trap, { ...trap, address: 'x@notexample.org' }],
    })
    expect('spamtraps' in report.database && report.database.spamtraps.map(({ address }) => address)).toEqual(
      ['trap@example.org'],
    )
  })
})

describe('what cannot be read', () => {
  test('is told in its place', async () => {
    const prepare = ({ probe, settings }: DoctorScene) => {
      for (const table of ['nospamd', 'spamd', 'spamd-white']) {
        probe.set(
          `pfctl -t ${table} -T test 192.0.2.99`,
          'status 1\nstderr pfctl: /dev/pf: Permission denied',
        )
      }
      settings.db = '/nonexistent/spamd.sqlite'
    }
    const text = renderWhy((await why('192.0.2.99', { prepare })).report, PLAIN)
    expect(text).toContain('filter    cannot be read: pfctl needs root\n')
    expect(text).toContain(
      'database  cannot open /nonexistent/spamd.sqlite for reading: No such file or directory\n',
    )
    expect(text).toContain('spamd     cannot reach spamd at ')
  })
})

describe('output', () => {
  test('text of strangers is escaped', async () => {
    const entries = [tuple('203.0.113.9', 60, { from: '<\u001b]0;x\u0007@example.net>' })]
    const { report } = await why('203.0.113.9', { loaded: [], entries })
    expect(renderWhy(report, PLAIN)).toContain('<\\x1b]0;x\\x07@example.net>')
  })

  test('which lists spamd has loaded with it', async () => {
    const lines = async (loaded: string[]) =>
      renderWhy((await why('203.0.113.9', { loaded })).report, PLAIN).split('\n')
    expect(await lines([])).toContainEqual(expect.stringMatching(/^loaded +spamd has it on no list$/))
    expect(await lines(['drop', 'own'])).toContainEqual(
      expect.stringMatching(/^loaded +spamd has it on drop, own$/),
    )
  })

  test('fits into 80 columns', async () => {
    const { report } = await why('203.0.113.9', { loaded: [], entries: [tuple('203.0.113.9', 60)] })
    for (const line of renderWhy(report, { width: 80, hasColour: false }).split('\n'))
      expect(line.length).toBeLessThanOrEqual(80)
  })

  test('JSON has the sentence, the lines and times in ISO 8601', async () => {
    const { report } = await why('198.51.100.9', { loaded: ['drop'] })
    expect(JSON.parse(whyJson(report))).toMatchObject({
      kind: 'address',
      subject: '198.51.100.9',
      verdict: { state: 'refused' },
      tables: { nospamd: false, spamd: false, 'spamd-white': false },
      lists: [
        { name: 'drop', received: '2023-11-14T22:03:20Z', lines: [{ line: 1, text: '198.51.100.0/24' }] },
      ],
      loadedLists: ['drop'],
      database: { host: null, tuples: [] },
    })
  })

  test.each(['', 'x', '192.0.2', '192.0.2.0/24', 'a b@c', '@', '1.2.3.4.5', 'user@', '*.example.org'])(
    '%j names nothing',
    (text) => {
      expect(() => parseWhySubject(text)).toThrow('is not an address, e-mail address or domain')
    },
  )

  test.each([
    ['::FFFF:192.0.2.1', { kind: 'address', ip: '192.0.2.1' }],
    ['Example.ORG.', { kind: 'domain', domain: 'example.org' }],
    ['@example.org', { kind: 'domain', domain: 'example.org' }],
    ['"odd.name"@example.org', { kind: 'email', address: '"odd.name"@example.org' }],
  ])('%s', (text, subject) => {
    expect(parseWhySubject(text)).toEqual(subject)
  })
})
