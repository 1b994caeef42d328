import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { runSpamdb } from '../../../../src/cli/spamdb/spamdb-main.js'
import { SPAMDB_OPTIONS, SPAMDB_USAGE } from '../../../../src/cli/spamdb/spamdb-options.js'
import type { Entry } from '../../../../src/domain/entry.js'
import { captureIo, openScene, TEST_NOW, temporaryFolder } from '../../../support/program-run.js'

const folder = temporaryFolder('spamdb-main')
const times = { first: TEST_NOW - 1000, pass: TEST_NOW, expire: TEST_NOW + 3600, bcount: 1, pcount: 0 }
const tuple = { ...times, pass: TEST_NOW + 3600, kind: 'GREY' as const }
const entries: Entry[] = [
  { kind: 'WHITE', ip: '192.0.2.1', ...times, comment: 'the "café", old' },
  { kind: 'WHITE', ip: '2001:db8::1', ...times, expire: 0 },
  { kind: 'TRAPPED', ip: '198.51.100.7', ...times, expire: TEST_NOW - 60, pcount: -1 },
  { kind: 'SPAMTRAP', address: 'trap@example.org', first: TEST_NOW - 5000 },
  { ...tuple, ip: '192.0.2.9', helo: 'mx.a.test', from: '<Joe@A.Test>', to: '<x@b.test>' },
  {
    ...tuple,
    ip: '192.0.2.9',
    helo: 'h\n\u001b',
    from: '<\u00e4\u00ff\u00c3\u00a4>',
    to: '<,"y"@b.test>',
    first: 5,
  },
]
const scene = await openScene(folder, entries)
const ips = async (...argv: string[]): Promise<string[]> =>
  (await scene.spamdb(argv)).stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split('|').slice(0, 2).join(' '))

describe('listings', () => {
  test('--human is a table: time left, dates with their zone, comments', async () => {
    const { stdout } = await scene.spamdb(['--human'])
    const lines = stdout.split('\n')
    const time = '20[0-9-]{8}T[0-9]{2}:[0-9]{2}[+-][0-9]{2}:[0-9]{2}'
    expect(lines[0]).toMatch(/^KIND +ADDRESS +LEFT +BLOCKED +PASSED +EXPIRES +PASSES +FIRST SEEN +SENDER/)
    expect(lines[1]).toMatch(
      new RegExp(
        `^WHITE     192\\.0\\.2\\.1 +1h +1 +0  ${time}  ${time}  ${time}  the "caf\u00c3\u00a9", old$`,
      ),
    )
    expect(lines[2]).toMatch(/ never +1 +0 {2}never /)
    expect(lines[3]).toMatch(new RegExp(`^TRAPPED   198\\.51\\.100\\.7 +-1m  +1 +${time} +${time}$`))
    expect(lines[4]).toMatch(/^SPAMTRAP {2}trap@example.org +never +20/)
  })

  test('--json is one array with exact bytes, invalid ones as lone surrogates', async () => {
    const { stdout } = await scene.spamdb(['--json'])
    const list = JSON.parse(Buffer.from(stdout, 'latin1').toString('utf8')) as Record<string, unknown>[]
    expect(list).toHaveLength(6)
    expect(list[0]).toEqual({ kind: 'WHITE', ip: '192.0.2.1', ...times, comment: 'the "café", old' })
    expect(list[3]).toEqual({ kind: 'SPAMTRAP', address: 'trap@example.org', first: TEST_NOW - 5000 })
    expect(list[4]).toMatchObject({ helo: 'h\n\u001b', from: '<\udce4\udcffä>', to: '<,"y"@b.test>' })
  })

  test('--json of nothing is an empty array', async () => {
    expect((await scene.spamdb(['--json', '--ip', '10.0.0.0/8'])).stdout).toBe('[]\n')
  })

  test('--ndjson is one object a line', async () => {
    const { stdout } = await scene.spamdb(['--ndjson', '--kind', 'white,spamtrap'])
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { kind: string }).kind),
    ).toEqual(['WHITE', 'WHITE', 'SPAMTRAP'])
  })

  test('--csv quotes by RFC 4180 and keeps bytes', async () => {
    const { stdout } = await scene.spamdb(['--csv', '--kind', 'GREY', '--helo', 'h*'])
    expect(stdout).toBe(
      'kind,ip,address,helo,from,to,first,pass,expire,bcount,pcount,comment\n' +
        `GREY,192.0.2.9,,"h\n\u001b",<\u00e4\u00ff\u00c3\u00a4>,"<,""y""@b.test>",5,${TEST_NOW + 3600},${TEST_NOW + 3600},1,0,\n`,
    )
  })

  test('the classic listing shows control characters as \\xNN and keeps other bytes', async () => {
    const { stdout } = await scene.spamdb(['--kind', 'GREY', '--older-than', '1d'])
    expect(stdout).toContain('GREY|192.0.2.9|h\\x0a\\x1b|<\u00e4\u00ff\u00c3\u00a4>|')
  })

  test.each([
    [
      ['--kind', 'WHITE', '--kind', 'TRAPPED'],
      ['WHITE 192.0.2.1', 'WHITE 2001:db8::1', 'TRAPPED 198.51.100.7'],
    ],
    [['--ip', '192.0.2.0/24', '--kind', 'WHITE'], ['WHITE 192.0.2.1']],
    [['--ip', '2001:db8::/32'], ['WHITE 2001:db8::1']],
    [['--from', 'a.test'], ['GREY 192.0.2.9']],
    [['--from', 'joe@*'], ['GREY 192.0.2.9']],
    [['--to', 'b.test', '--limit', '1'], ['GREY 192.0.2.9']],
    [['--expires-within', '2h', '--kind', 'TRAPPED'], ['TRAPPED 198.51.100.7']],
    [['--expires-within', '2h', '--kind', 'WHITE'], ['WHITE 192.0.2.1']],
    [
      ['--older-than', '1h'],
      ['SPAMTRAP trap@example.org', 'GREY 192.0.2.9'],
    ],
    [
      ['--kind', 'WHITE', '--sort', 'expire'],
      ['WHITE 192.0.2.1', 'WHITE 2001:db8::1'],
    ],
  ])('%j', async (argv, wanted) => {
    expect((await ips(...argv)).sort()).toEqual([...wanted].sort())
  })

  test('--sort and --limit order and cut', async () => {
    expect(await ips('--sort', 'kind', '--limit', '2')).toHaveLength(2)
    expect((await ips('--kind', 'TRAPPED,WHITE', '--sort', 'expire', '--limit', '3'))[0]).toMatch(
      /^(TRAPPED|WHITE)/,
    )
  })

  test('--count counts what is listed', async () => {
    expect((await scene.spamdb(['--count'])).stdout).toBe('6\n')
    expect((await scene.spamdb(['--count', '--kind', 'GREY', '--from', 'a.test'])).stdout).toBe('1\n')
    expect(JSON.parse((await scene.spamdb(['--count', '--json'])).stdout)).toEqual({
      WHITE: 2,
      TRAPPED: 1,
      SPAMTRAP: 1,
      GREY: 2,
      POOL: 0,
      total: 6,
    })
    expect((await scene.spamdb(['--count', '--csv'])).stdout).toBe(
      'kind,count\nWHITE,2\nTRAPPED,1\nSPAMTRAP,1\nGREY,2\n',
    )
  })

  test('keys are shown in every format, misses counted', async () => {
    const { rc, stdout } = await scene.spamdb(['--ndjson', '192.0.2.1', '9.9.9.9', '<TRAP@example.org>'])
    expect(rc).toBe(1)
    expect(stdout.split('\n')).toHaveLength(3)
  })
})

describe('wrong calls: usage line, exit 1, nothing on stdout', () => {
  test.each([
    [['--nosuch'], 'unknown option -- nosuch'],
    [['--no\u001bsuch'], 'unknown option -- no\\x1bsuch'],
    [['-\u001b'], 'unknown option -- \\x1b'],
    [['--kind', '\u001b[31m'], '--kind: "\\x1b[31m" is not one of'],
    [['-a', '--limit'], 'option requires an argument -- limit'],
    [['--json', '--csv'], '--json and --csv cannot be used together'],
    [['-a', '--kind', 'GREY', 'x'], '--kind lists entries; leave out -a and -d'],
    [['-d', '--json', 'x'], '--json lists entries; leave out -a and -d'],
    [['--kind', 'BLACK'], '--kind: "BLACK" is not one of WHITE, TRAPPED, SPAMTRAP, GREY'],
    [['--kind', 'GREY', '1.2.3.4'], '--kind lists entries; it takes no keys'],
    [['--ip', '1.2.3'], '--ip: "1.2.3" is not an address or network such as 192.0.2.0/24'],
    [['--sort', 'age'], '--sort: "age" is not one of ip, kind, first,'],
    [['--limit', '0'], '--limit: "0" is not a whole number from 1'],
    [['--older-than', '1y'], '--older-than: "1y" is not a duration such as'],
    [['--from', ''], '--from: empty pattern'],
    [['-d', '--expire', '4h', 'x'], '--expire requires -a'],
    [['--if-missing'], '--if-missing requires -a'],
    [['-a', '--expire', '0', 'x'], '--expire: "0" would expire at once; use "never" to pin an entry'],
    [['-a', '--expire', '36', 'x'], '--expire: "36" has no unit'],
    [['-a', '--expire=000007', 'x'], '--expire: "000007" has no unit'],
    [['-a', '--expire', 'soon', 'x'], '--expire: "soon" is not a duration'],
    [['-aT', '--expire', '4h', 'a@b'], '--expire: a spamtrap never expires'],
    [['-d', '--all-tuples', '1.2.3.4'], '--all-tuples requires -d -G'],
    [['--dry-run'], '--dry-run requires -a or -d'],
    [['-a', '--comment', 'x'.repeat(1024), '1.2.3.4'], '--comment: longer than 1023 bytes'],
  ])('%j', async (argv, problem) => {
    const { rc, stdout, stderr } = await scene.spamdb(argv)
    expect([rc, stdout]).toEqual([1, ''])
    expect(stderr).toContain(`spamdb: ${problem}`)
    expect(stderr.endsWith(`\n${SPAMDB_USAGE}\n`)).toBe(true)
  })
})

describe('hints', () => {
  test.each([
    [['-ta', 'a@b.c'], 'add an e-mail address as a spamtrap with -a -T'],
    [['-a', 'a@b.c'], 'add an e-mail address as a spamtrap with -a -T'],
    [['-Ta', '1.2.3.4'], 'trap an ip address with -a -t'],
    [['-a', '10.0.0.0/8'], 'spamdb stores single addresses; put a network into a list of spamd.conf(5)'],
    [['-a', 'fe80::1%em0'], 'leave out the scope after the %'],
    ...['10.1', '1.2.3', '0x7f000001', '0x7f.0.0.1', '2130706433', '0177.1', '255.16777215'].flatMap((key) =>
      [['-a'], ['-ta'], ['-d'], ['-dG']].map((words): [string[], string] => [
        [...words, key],
        'write all four numbers of the address, in decimal',
      ]),
    ),
    [['-d', '203.0.113.1', '-T'], 'nothing was changed; put options before the keys'],
    [['-a', '203.0.113.1', '--dry-run'], 'nothing was changed; put options before the keys'],
    [['203.0.113.1', '-d'], 'put options before the keys'],
    [['-aT', 'Foo Bar <Foo@X.test>'], 'write the address alone: foo@x.test'],
    [['-aT', 'trap@x.test.'], 'write the address alone: trap@x.test'],
    [['-aT', 'mailto:Trap@x.test'], 'write the address alone: trap@x.test'],
    [['-aT', 'a@x.test, b@x.test'], 'a spamtrap is one whole address, such as trap@example.org'],
    [['-aT', '*@x.test'], 'a spamtrap is one whole address, such as trap@example.org'],
    [['-a', '203.0.113.1', '\u2014dry-run'], 'nothing was changed; put options before the keys'],
    [['-d', '203.0.113.1', '-\u2013dry-run'], 'nothing was changed; put options before the keys'],
    [['-aT', '@x.test'], 'a spamtrap is one whole address, such as trap@example.org'],
    [['-aT', 'trap@'], 'a spamtrap is one whole address, such as trap@example.org'],
    [['-a', '--expire', '36', '203.0.113.1'], 'write 36d for days, 36h for hours or 36s for seconds'],
  ])('%j', async (argv, hint) => {
    const { rc, stderr } = await scene.spamdb(argv)
    expect(rc).toBeGreaterThan(0)
    expect(stderr).toContain(`spamdb: hint: ${hint}\n`)
  })

  test('each hint once, behind its first error', async () => {
    const { stderr } = await scene.spamdb(['-a', 'a@b.c', 'd@e.f', '10.0.0.0/8'])
    expect(stderr.split('\n').map((line) => line.slice(0, 22))).toEqual([
      'spamdb: invalid ip add',
      'spamdb: hint: add an e',
      'spamdb: invalid ip add',
      'spamdb: invalid ip add',
      'spamdb: hint: spamdb s',
      '',
    ])
  })

  test.each([
    ...[
      '5',
      '16777215',
      '1.2.3.256',
      '256.1',
      '1.16777216',
      '1.2.3.4.5',
      '.1',
      '1.',
      '1..2',
      '0x',
      '10.1x',
      '٣.1',
    ],
    ...['203.0.113.1', '010.1.1.1'],
  ])('no hint where it would be a guess: %s', async (key) => {
    expect((await scene.spamdb(['-a', '-t', key])).stderr).not.toContain('hint')
    expect((await scene.spamdb(['-d', 'x.invalid', key, key])).stderr).not.toContain('hint')
  })

  test('no hint for keys behind --', async () => {
    expect((await scene.spamdb(['-d', '--', '-T'])).stderr).toBe('spamdb: no entry for -T\n')
  })
})

describe('edits', () => {
  test('--expire, never and --comment', async () => {
    const { spamdb } = await openScene(folder)
    expect((await spamdb(['-a', '--expire', '2h', '--comment', 'für alle', '192.0.2.1'])).rc).toBe(0)
    expect((await spamdb(['-a', '-t', '--expire=never', '192.0.2.2'])).rc).toBe(0)
    expect((await spamdb([])).stdout).toBe(
      `WHITE|192.0.2.1|||${TEST_NOW}|${TEST_NOW}|${TEST_NOW + 7200}|1|0\nTRAPPED|192.0.2.2|0\n`,
    )
    expect(Buffer.from((await spamdb(['--ndjson', '192.0.2.1'])).stdout, 'latin1').toString()).toContain(
      '"comment":"für alle"',
    )
  })

  test('--if-missing leaves what is there', async () => {
    const { spamdb } = await openScene(folder)
    await spamdb(['-a', '192.0.2.1'])
    expect((await spamdb(['-a', '-t', '--if-missing', '192.0.2.1', '192.0.2.2'])).rc).toBe(0)
    expect((await spamdb([])).stdout.split('\n').map((line) => line.slice(0, 17))).toEqual([
      'WHITE|192.0.2.1||',
      'TRAPPED|192.0.2.2',
      '',
    ])
  })

  test('- reads keys from standard input: comments, blanks, CRLF, no last line feed', async () => {
    const { spamdb } = await openScene(folder)
    const input = '# list\n192.0.2.1\r\n\n  192.0.2.2\t# why\n192.0.2.3'
    expect((await spamdb(['-a', '192.0.2.9', '-'], input)).rc).toBe(0)
    expect((await spamdb(['--count'])).stdout).toBe('4\n')
    expect((await spamdb(['-'], '192.0.2.1\n192.0.2.2\n10.0.0.1\n')).rc).toBe(1)
    expect((await spamdb(['-d', '-'], input)).rc).toBe(0)
    expect((await spamdb(['--count'])).stdout).toBe('1\n')
  })

  test('standard input without keys is no success', async () => {
    // Of a device without end nothing is read for ever; a list with one key in it is read to its end.
    for (const operation of ['-a', '-d']) {
      const endless = await scene.spamdb([operation, '-'], 'x y\n'.repeat(40_000))
      const lines = endless.stderr.trimEnd().split('\n')
      expect(lines.length).toBeLessThan(40_000)
      expect([endless.rc, lines.at(-1)]).toEqual([
        255,
        expect.stringMatching(/^spamdb: stopped: none of [0-9]+ lines was a key$/),
      ])
      const mixed = await scene.spamdb([operation, '-'], `192.0.2.99\n${'x y\n'.repeat(40_000)}`)
      expect([mixed.rc, mixed.stderr.match(/x y$/gm)?.length]).toEqual([255, 40_000])
    }
    const absent = Array.from({ length: 20_000 }, (_, n) => `gone${n}@example.org\n`).join('')
    expect((await scene.spamdb(['-T', '-d', '-'], absent)).stderr).not.toContain('stopped')
    expect(await scene.spamdb(['-a', '-'], '# nothing\n')).toEqual({
      rc: 2,
      stdout: '',
      stderr: 'spamdb: no addresses specified\n',
    })
    expect((await scene.spamdb(['-'], '')).rc).toBe(1)
  })

  test('a key of 1 MB and NUL bytes are refused, and do not flood the terminal', async () => {
    const { rc, stderr } = await scene.spamdb(['-a', '-'], `${'1'.repeat(1_048_576)}\n1.2.3.4\0\n`)
    expect(rc).toBe(2)
    expect(stderr).toBe(
      `spamdb: invalid ip address ${'1'.repeat(64)}... (too long)\nspamdb: invalid ip address 1.2.3.4\\x00\n`,
    )
    expect((await scene.spamdb(['-aT', '-'], `${'a'.repeat(1_048_576)}@b\n`)).rc).toBe(255)
    expect((await scene.spamdb(['-aT', '-'], 'a\0@b\n')).rc).toBe(255)
    expect((await scene.spamdb(['-d', '-'], `${'a'.repeat(1_048_576)}@b\na\0@b\n`)).rc).toBe(2)
    expect((await scene.spamdb(['-'], `${'a'.repeat(1_048_576)}@b\na\0@b\n`)).rc).toBe(2)
  })

  test('bytes that are not UTF-8 are kept', async () => {
    const { spamdb } = await openScene(folder)
    expect((await spamdb(['-aT', '-'], Buffer.from('\u00ff\u00fe@b\n', 'latin1'))).rc).toBe(0)
    expect((await spamdb([])).stdout).toBe('SPAMTRAP|\u00ff\u00fe@b\n')
    expect((await spamdb(['-d', '-'], Buffer.from('\u00ff\u00fe@b\n', 'latin1'))).rc).toBe(0)
  })

  test('--all-tuples deletes every tuple of an address and nothing else', async () => {
    const { spamdb } = await openScene(folder, entries)
    expect((await spamdb(['-d', '-G', '--all-tuples', '192.0.2.9', '192.0.2.1'])).rc).toBe(1)
    expect((await spamdb(['--count'])).stdout).toBe('4\n')
  })

  test('more than 255 failures end at 255', async () => {
    const keys = Array.from({ length: 600 }, (_, index) => `x${index}`)
    expect((await scene.spamdb(['-d', ...keys])).rc).toBe(255)
    expect((await scene.spamdb(keys)).rc).toBe(255)
  })
})

describe('--dry-run prints the changes and makes none', () => {
  test.each([
    [['-a', '192.0.2.1', '192.0.2.50'], 0, 'update WHITE 192.0.2.1\nadd WHITE 192.0.2.50\n'],
    [['-at', '192.0.2.1', '192.0.2.1'], 0, 'change WHITE 192.0.2.1 to TRAPPED\nupdate TRAPPED 192.0.2.1\n'],
    [['-at', '--if-missing', '192.0.2.1'], 0, 'skip WHITE 192.0.2.1\n'],
    [['-aT', 'New@trap.test', 'noat', 'x@y'], 255, 'add SPAMTRAP new@trap.test\n'],
    [
      ['-d', '192.0.2.1', '192.0.2.1', 'trap@example.org'],
      1,
      'delete WHITE 192.0.2.1\ndelete SPAMTRAP trap@example.org\n',
    ],
    [['-dG', '192.0.2.9'], 0, 'delete GREY 192.0.2.9|h\\x0a\\x1b|<\u00e4\u00ff\u00c3\u00a4>|<,"y"@b.test>\n'],
  ])('%j', async (argv, rc, stdout) => {
    const before = readFileSync(scene.path)
    const result = await scene.spamdb([argv[0]!, '--dry-run', ...argv.slice(1)])
    expect(result).toMatchObject({ rc, stdout })
    expect(readFileSync(scene.path).equals(before)).toBe(true)
  })

  test('-d -G --all-tuples names every tuple', async () => {
    const { stdout } = await scene.spamdb(['-d', '-G', '--all-tuples', '--dry-run', '192.0.2.9', '192.0.2.9'])
    expect(stdout.split('\n')).toHaveLength(3)
  })
})

test('every option has a summary, and the letters are those of the usage line', () => {
  for (const { summary } of SPAMDB_OPTIONS) expect(summary.length).toBeGreaterThan(5)
  const letters = SPAMDB_OPTIONS.flatMap(({ short }) => (short === undefined ? [] : [short]))
  expect(letters.filter((letter) => letter !== 'Y').sort()).toEqual(['G', 'T', 'a', 'd', 't'])
})

describe('-Y: what is stored is announced', () => {
  test('every change in order, nothing that failed, and finish at the end', async () => {
    const { path } = await openScene(folder, entries)
    const { io } = captureIo({ SPAMD_DB: path })
    const told: string[] = []
    io.openAnnouncer = (targets) => {
      told.push(`open ${targets.join(' ')}`)
      return Promise.resolve({
        announce: (changes) => {
          for (const { before, after } of changes) {
            told.push(`${before.entry?.kind ?? 'nothing'} to ${after.entry?.kind ?? 'nothing'}`)
          }
        },
        finish: () => {
          told.push('finish')
          return Promise.resolve()
        },
      })
    }
    expect(await runSpamdb(['-a', '-Y', 'one', '-Ytwo', '192.0.2.1', 'bogus', '192.0.2.99'], io)).toBe(1)
    expect(await runSpamdb(['-d', '-Y', 'one', '192.0.2.99', '192.0.2.98'], io)).toBe(1)
    expect(await runSpamdb(['-a', '--dry-run', '-Y', 'one', '192.0.2.50'], io)).toBe(0)
    expect(told).toEqual([
      'open one two',
      'WHITE to WHITE',
      'nothing to WHITE',
      'finish',
      'open one',
      'WHITE to nothing',
      'finish',
    ])
  })

  test('without the means it is a warning, and the change is made', async () => {
    const { spamdb } = await openScene(folder)
    const { rc, stderr } = await spamdb(['-a', '-Y', 'one', '192.0.2.1'])
    expect(rc).toBe(0)
    expect(stderr).toContain('changes are not sent to other gateways')
    expect((await spamdb(['--count'])).stdout).toBe('1\n')
  })
})

describe('networks of pools', () => {
  const pools: Entry[] = [
    { kind: 'POOL', ip: '192.0.2.0/24', pool: '192.0.0.0/16', ...times },
    { kind: 'POOL', ip: '2001:db8::9/128', pool: 'spf:example.org', ...times },
    { ...tuple, ip: '192.0.0.0/16', helo: '', from: '<a@b>', to: '<c@d>' },
    { ...tuple, ip: 'spf:example.org', helo: '', from: '<a@b>', to: '<c@d>' },
  ]
  const line = `POOL|192.0.2.0/24|192.0.0.0/16|${times.first}|${times.pass}|${times.expire}|1|0\n`

  test('are listed where they are asked for, and in JSON', async () => {
    const { spamdb } = await openScene(folder, pools)
    expect((await spamdb([])).stdout).not.toContain('POOL')
    expect((await spamdb(['--csv'])).stdout).not.toContain('POOL')
    expect((await spamdb(['--kind', 'pool', '--ip', '192.0.2.0/24'])).stdout).toBe(line)
    const list = JSON.parse((await spamdb(['--json'])).stdout) as { kind: string; key?: string }[]
    expect(list.map(({ kind, key }) => [kind, key])).toEqual([
      ['GREY', 'network'],
      ['GREY', 'spf'],
      ['POOL', 'network'],
      ['POOL', 'spf'],
    ])
    expect((await spamdb(['--kind', 'POOL', '--human'])).stdout).toMatch(/^POOL +192\.0\.2\.0\/24 +1h/m)
    expect((await spamdb(['--kind', 'POOL', '--csv'])).stdout.split('\n')[1]).toMatch(
      /^POOL,192\.0\.2\.0\/24,,,,,/,
    )
    expect((await spamdb(['--count'])).stdout).toBe('2\n')
    expect(JSON.parse((await spamdb(['--count', '--json'])).stdout)).toMatchObject({
      GREY: 2,
      POOL: 2,
      total: 4,
    })
  })

  test('are shown and deleted by their network, and added by nobody', async () => {
    const { spamdb } = await openScene(folder, pools)
    expect((await spamdb(['192.0.2.0/24'])).stdout).toBe(line)
    expect(await spamdb(['192.0.3.0/24'])).toMatchObject({ rc: 1, stdout: '' })
    expect((await spamdb(['-d', '--dry-run', '192.0.2.0/24'])).stdout).toBe('delete POOL 192.0.2.0/24\n')
    expect((await spamdb(['-d', '192.0.2.0/24'])).rc).toBe(0)
    expect(await spamdb(['-d', '192.0.2.0/24'])).toMatchObject({ rc: 1 })
    expect((await spamdb(['-a', '192.0.2.0/24'])).rc).not.toBe(0)
    expect((await spamdb(['--kind', 'POOL', '--count'])).stdout).toBe('1\n')
    // Host bits name no network of ours.
    expect((await spamdb(['-d', '2001:db8::9/64'])).rc).toBe(1)
    expect((await spamdb(['-d', '2001:DB8::9/128'])).rc).toBe(0)
  })
})

test('spamdb help shows the help, as a key behind -- it is one', async () => {
  const helped: string[] = []
  const call = async (...argv: string[]): Promise<number> => {
    const { io } = captureIo({ SPAMD_DB: scene.path })
    return await runSpamdb(argv, { ...io, showHelp: async () => void helped.push('help') })
  }
  expect([await call('help'), helped.length]).toEqual([0, 1])
  expect([await call('--', 'help'), helped.length]).toEqual([1, 1])
  expect([await call('help', 'me'), helped.length]).toEqual([2, 1])
})
