/** Options of a listing, each with an order or a choice that nothing but the option itself can bring about. */
import { describe, expect, test } from 'vitest'
import type { Entry } from '../../../../src/domain/entry.js'
import { openScene, TEST_NOW, temporaryFolder } from '../../../support/program-run.js'

const folder = temporaryFolder('listing-options')

/** Three tuples whose fields are ordered in every way differently, and hosts and traps beside them. */
const entries: Entry[] = [
  {
    kind: 'GREY',
    ip: '192.0.2.10',
    helo: 'b.test',
    from: '<c@x.test>',
    to: '<a@y.test>',
    first: 20,
    pass: 300,
    expire: 2000,
    bcount: 3,
    pcount: 1,
  },
  {
    kind: 'GREY',
    ip: '192.0.2.9',
    helo: 'c.test',
    from: '<a@x.test>',
    to: '<b@y.test>',
    first: 30,
    pass: 100,
    expire: 3000,
    bcount: 1,
    pcount: 2,
  },
  {
    kind: 'GREY',
    ip: '2001:db8::1',
    helo: 'a.test',
    from: '<b@x.test',
    to: 'c@y.test>',
    first: 10,
    pass: 200,
    expire: 1000,
    bcount: 2,
    pcount: 0,
  },
]
const hosts: Entry[] = [
  { kind: 'TRAPPED', ip: '198.51.100.2', first: 5, pass: 0, expire: TEST_NOW + 60, bcount: 1, pcount: -1 },
  { kind: 'WHITE', ip: '198.51.100.1', first: 40, pass: 0, expire: 0, bcount: 1, pcount: 0 },
  { kind: 'SPAMTRAP', address: 'trap@x.test', first: 1 },
]
const tuples = await openScene(folder, entries)
const all = await openScene(folder, [...entries, ...hosts])

/** The second field of every line. */
async function keysOf(scene: typeof tuples, ...argv: string[]): Promise<string[]> {
  const { rc, stdout, stderr } = await scene.spamdb(argv)
  expect([rc, stderr]).toEqual([0, ''])
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split('|')[1]!)
}

const [TEN, NINE, SIX] = ['192.0.2.10', '192.0.2.9', '2001:db8::1']

describe('--sort', () => {
  test.each([
    ['ip', [NINE, TEN, SIX]],
    ['first', [SIX, TEN, NINE]],
    ['pass', [NINE, SIX, TEN]],
    ['expire', [SIX, TEN, NINE]],
    ['bcount', [NINE, SIX, TEN]],
    ['pcount', [SIX, TEN, NINE]],
    ['helo', [SIX, TEN, NINE]],
    ['from', [NINE, SIX, TEN]],
    ['to', [TEN, NINE, SIX]],
  ])('%s', async (field, wanted) => {
    expect(await keysOf(tuples, '--sort', field)).toEqual(wanted)
    expect(await keysOf(tuples, `--sort=${field}`, '--limit', '2')).toEqual(wanted.slice(0, 2))
  })

  test('a dash in front puts the largest first, what has no such field stays last', async () => {
    const rising = await keysOf(tuples, '--sort', 'expire')
    expect(await keysOf(tuples, '--sort', '-expire')).toEqual(rising.toReversed())
    expect(await keysOf(tuples, '--sort=-expire', '--limit', '1')).toEqual(rising.slice(-1))
    expect((await keysOf(all, '--sort', '-expire')).at(-1)).toBe(
      (await keysOf(all, '--sort', 'expire')).at(-1),
    )
  })

  test('kind orders by name; without --sort WHITE comes first', async () => {
    const kinds = async (...argv: string[]) => {
      const { stdout } = await all.spamdb(argv)
      return stdout.split('\n').map((line) => line.split('|')[0])
    }
    expect(await kinds('--sort', 'kind')).toEqual([
      'GREY',
      'GREY',
      'GREY',
      'SPAMTRAP',
      'TRAPPED',
      'WHITE',
      '',
    ])
    expect(await kinds()).toEqual(['WHITE', 'TRAPPED', 'SPAMTRAP', 'GREY', 'GREY', 'GREY', ''])
  })

  test('entries without the field come last', async () => {
    const listed = await keysOf(all, '--sort', 'helo')
    expect(listed.slice(0, 3)).toEqual([SIX, TEN, NINE])
    expect((await keysOf(all, '--sort', 'first'))[0]).toBe('trap@x.test')
    expect((await keysOf(all, '--sort', 'ip')).at(-1)).toBe('trap@x.test')
  })
})

describe('patterns', () => {
  test.each([
    ['--from', 'a@x.test', [NINE]],
    ['--from', '?@x.test', [TEN, NINE]],
    ['--from', '*@X.TEST', [TEN, NINE, SIX]],
    ['--from', '<?@x.test', [SIX]],
    ['--from', '*x.test*', [TEN, NINE, SIX]],
    ['--from', 'x.test', [TEN, NINE, SIX]],
    ['--to', 'c@y.test>', [SIX]],
    ['--to', '?@y.test', [TEN, NINE]],
    ['--helo', '[ab].test', []],
    ['--helo', '?.test', [TEN, NINE, SIX]],
    ['--helo', '?', []],
    ['--helo', 'b*', [TEN]],
  ])('%s %s', async (option, pattern, wanted) => {
    expect(await keysOf(tuples, option, pattern)).toEqual(wanted)
  })
})

describe('--human in other zones', () => {
  /** The zone of the process counts, and Node reads it anew when it is set. */
  async function inZone(zone: string): Promise<string> {
    const { TZ } = process.env
    process.env.TZ = zone
    try {
      return (await all.spamdb(['--human', '--kind', 'TRAPPED,WHITE'])).stdout
    } finally {
      if (TZ === undefined) delete process.env.TZ
      else process.env.TZ = TZ
    }
  }

  test.each([
    ['UTC', '2023-11-14T22:14+00:00', '1970-01-01T00:00+00:00'],
    ['Asia/Kolkata', '2023-11-15T03:44+05:30', '1970-01-01T05:30+05:30'],
    ['America/St_Johns', '2023-11-14T18:44-03:30', '1969-12-31T20:30-03:30'],
    ['Europe/Berlin', '2023-11-14T23:14+01:00', '1970-01-01T01:00+01:00'],
    ['Pacific/Marquesas', '2023-11-14T12:44-09:30', '1969-12-31T14:30-09:30'],
  ])('%s', async (zone, expire, first) => {
    const text = await inZone(zone)
    expect(text).toMatch(new RegExp(`^TRAPPED   198\\.51\\.100\\.2 +1m .*  ${escaped(expire)}  `, 'm'))
    expect(text).toMatch(
      new RegExp(`^WHITE     198\\.51\\.100\\.1 +never +1 +0  never .*  ${escaped(first)}$`, 'm'),
    )
  })
  const escaped = (time: string): string => time.replace('+', '\\+')
})

describe('a dry run fails as the run itself would, and changes nothing', () => {
  test.each([
    [['-d', '--dry-run', '203.0.113.1'], 1, 'spamdb: no entry for 203.0.113.1\n'],
    [['-d', '--dry-run', TEN, '203.0.113.1', '203.0.113.2'], 3, 'spamdb: no entry for 192.0.2.10\n'],
    [
      ['-a', '--dry-run', '198.51.100.9', 'x', 'y'],
      2,
      'spamdb: invalid ip address x\nspamdb: invalid ip address y\n',
    ],
    [['-Ta', '--dry-run', 'new@x.test', 'noat', 'other@x.test'], 255, 'spamdb: not an email address: noat\n'],
    [['-a', '--dry-run'], 2, 'spamdb: no addresses specified\n'],
    [['-Ga', '--dry-run', '192.0.2.1'], 2, 'spamdb: cannot add GREY entries\n'],
    [['-dG', '--dry-run', '203.0.113.1'], 1, 'spamdb: no entry for 203.0.113.1\n'],
    [['-d', '--dry-run', ...Array.from({ length: 300 }, () => '203.0.113.1')], 255, 'spamdb: no entry for'],
  ])('%j', async (argv, rc, stderr) => {
    const before = (await all.spamdb([])).stdout
    const ran = await all.spamdb(argv)
    expect(ran.rc).toBe(rc)
    expect(ran.stderr).toContain(stderr)
    expect((await all.spamdb([])).stdout).toBe(before)
  })

  test('a database that is not there', async () => {
    const { rc, stderr } = await all.spamdb(['-a', '--dry-run', '--db', `${folder}/nowhere`, '192.0.2.1'])
    expect([rc, stderr.split('\n')[0]]).toEqual([
      1,
      `spamdb: cannot open ${folder}/nowhere for reading: No such file or directory`,
    ])
  })
})
