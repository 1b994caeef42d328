/** Imports of what other greylisting software leaves behind, and the names of what cannot be read. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import BetterSqlite3 from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { runExport, runImport } from '../../../../src/cli/database/database-commands.js'
import { OptionValues } from '../../../../src/cli/option-reader.js'
import { createDatabase } from '../../../../src/db/open-store.js'
import { captureIo, openScene, TEST_NOW, temporaryFolder } from '../../../support/program-run.js'

const folder = temporaryFolder('import-foreign')
let fileCount = 0
function fileWith(content: string | Uint8Array): string {
  fileCount += 1
  const path = join(folder, `input-${fileCount}`)
  writeFileSync(path, typeof content === 'string' ? Buffer.from(content, 'latin1') : content)
  return path
}

const optionsOf = (given: Record<string, string | undefined>): OptionValues =>
  new OptionValues({
    options: Object.entries(given).map(([name, value]) => ({ name, value })),
  })

/** Imports a file into a new database and lists it. */
async function importing(
  content: string | Uint8Array,
  given: Record<string, string | undefined> = {},
  way: 'file' | 'stdin' = 'file',
) {
  const scene = await openScene(folder)
  const input = way === 'stdin' ? Buffer.from(content as Uint8Array) : ''
  const { io, result } = captureIo({ SPAMD_DB: scene.path }, input)
  const file = way === 'stdin' ? '-' : fileWith(content)
  let rc: number
  try {
    rc = await runImport(file, optionsOf(given), io)
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string }
    return {
      rc: 1,
      stdout: '',
      stderr: `${message}\n${hint}`.replaceAll(file, 'FILE'),
      lines: [] as string[],
      scene,
    }
  }
  const { stdout } = await scene.spamdb([])
  return { ...result(rc), lines: stdout.split('\n').slice(0, -1), scene }
}

const LATER = TEST_NOW + 100_000

function greydDatabase(hasDomains = true): Buffer {
  fileCount += 1
  const path = join(folder, `greyd-${fileCount}.sqlite`)
  const database = new BetterSqlite3(path)
  database.exec('CREATE TABLE spamtraps(address VARCHAR(1024) PRIMARY KEY)')
  database.exec(
    'CREATE TABLE entries(ip VARCHAR(46), helo VARCHAR(1024), "from" VARCHAR(1024), "to" VARCHAR(1024), first UNSIGNED BIGINT, pass UNSIGNED BIGINT, expire UNSIGNED BIGINT, bcount INTEGER, pcount INTEGER, PRIMARY KEY (ip, helo, "from", "to"))',
  )
  const add = database.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  add.run('192.0.2.1', '', '', '', 1, 2, LATER, 2, 9)
  add.run('2001:DB8::1', '', '', '', 1, 2, LATER, 2, 9)
  add.run('198.51.100.1', '', '', '', 1, 2, LATER, 1, -1)
  add.run('203.0.113.1', 'mx.example.net', 'a@example.net', 'b@example.org', 1, 7, 7, 1, 0)
  add.run('203.0.113.2', 'mx.example.net', '', 'b@example.org', 1, 7, 7, 1, 0)
  add.run('no-address', '', '', '', 1, 2, LATER, 2, 9)
  database.exec("INSERT INTO spamtraps VALUES ('Trap@example.org'), ('nothing')")
  if (hasDomains) {
    database.exec('CREATE TABLE domains(domain VARCHAR(1024) PRIMARY KEY)')
    database.exec("INSERT INTO domains VALUES ('@example.org'), ('example.com')")
  }
  database.close()
  return readFileSync(path)
}

const GREYD_LINES = [
  `WHITE|192.0.2.1|||1|2|${LATER}|2|9`,
  `WHITE|2001:db8::1|||1|2|${LATER}|2|9`,
  `TRAPPED|198.51.100.1|${LATER}`,
  'SPAMTRAP|trap@example.org',
  'GREY|203.0.113.1|mx.example.net|<a@example.net>|<b@example.org>|1|7|7|1|0',
  'GREY|203.0.113.2|mx.example.net|<>|<b@example.org>|1|7|7|1|0',
]

describe('the database of greyd', () => {
  test.each(['file', 'stdin'] as const)('from a %s: tuples as a live retry has them', async (way) => {
    const temporary = mkdtempSync(join(folder, 'tmp-'))
    const { TMPDIR } = process.env
    process.env.TMPDIR = temporary
    const domains = join(folder, `domains-${way}`)
    writeFileSync(domains, 'EXAMPLE.com')
    const { rc, stdout, stderr, lines } = await importing(
      greydDatabase(),
      { 'allowed-domains': domains },
      way,
    )
    expect(lines).toEqual(GREYD_LINES)
    expect(stdout).toBe('6 added, 0 updated, 0 skipped, 2 bad, 1 domain\n')
    expect(stderr).toContain('entry no-address: not an ip address')
    expect(stderr).toContain('entry nothing: a spamtrap is an e-mail address')
    expect(rc).toBe(1)
    expect(readFileSync(domains, 'latin1')).toBe('EXAMPLE.com\n@example.org\n')
    process.env.TMPDIR = TMPDIR
    if (TMPDIR === undefined) delete process.env.TMPDIR
    expect(readdirSync(temporary)).toEqual([])
  })

  test('domains without a file to take them are named', async () => {
    const { rc, stderr } = await importing(greydDatabase())
    expect(rc).toBe(1)
    expect(stderr).toContain('entry @example.org: an allowed domain: use --allowed-domains FILE')
  })

  test('an older one without domains, gzipped', async () => {
    expect((await importing(gzipSync(greydDatabase(false)))).lines).toEqual(GREYD_LINES)
  })

  test('a damaged one is an error that names the file', async () => {
    const bytes = greydDatabase()
    bytes.fill(0x5a, 4096)
    const { rc, stderr } = await importing(bytes)
    expect(rc).toBe(1)
    expect(stderr).toMatch(/^cannot read FILE: .*damaged/)
  })
})

describe('the text of greydb', () => {
  const TEXT = [
    `WHITE|192.0.2.1|||1|2|${LATER}|2|9`,
    'GREY|203.0.113.1|mx.example.net|a@example.net|postmaster|1|7|7|1|0',
    'GREY|203.0.113.2|mx.example.net||b@example.org|1|7|7|1|0',
    'DOMAIN|@example.org',
    'DOMAIN|example.com',
    'DOMAIN|a b',
    '',
  ].join('\n')

  test('gets the brackets that the tuple of a live retry has', async () => {
    const domains = join(folder, 'domains-text')
    const { lines, stderr } = await importing(TEXT, { 'allowed-domains': domains })
    expect(lines.slice(1)).toEqual([
      'GREY|203.0.113.1|mx.example.net|<a@example.net>|<postmaster>|1|7|7|1|0',
      'GREY|203.0.113.2|mx.example.net|<>|<b@example.org>|1|7|7|1|0',
    ])
    expect(readFileSync(domains, 'latin1')).toBe('@example.org\nexample.com\n')
    expect(stderr).toContain('line 6: not a domain')
    const again = await importing(TEXT, { 'allowed-domains': domains, json: undefined })
    expect(JSON.parse(again.stdout)).toMatchObject({ added: 3, bad: 1, domains: 0 })
  })

  test('a file of domains that cannot be written is told, and the entries are kept', async () => {
    const { rc, stderr } = await importing(TEXT, { 'allowed-domains': join(folder, 'nowhere/domains') })
    expect(rc).toBe(1)
    expect(stderr).toMatch(/^cannot add domains to .*: No such file or directory\nthe entries are imported/)
  })

  test('tuples of spamdb without brackets stay as they came over the wire', async () => {
    const listing = [
      'GREY|192.0.2.1|h|<a@b>|<c@d>|1|2|3|4|0',
      'GREY|192.0.2.2|h|a@b|c@d|1|2|3|4|0',
      'GREY|192.0.2.3|h|a@b|<c@d>|1|2|3|4|0',
    ]
    expect((await importing(`${listing.join('\n')}\n`)).lines).toEqual(listing)
  })

  test('export says so where they come first', async () => {
    const { scene } = await importing(
      '#exact\nGREY|192.0.2.1|h|a@b|c@d|1|2|3|4|0\nGREY|192.0.2.2|h|e@f|g@h|1|2|3|4|0\n',
    )
    const { io, result } = captureIo({ SPAMD_DB: scene!.path })
    const { stdout } = result(await runExport(optionsOf({}), io))
    expect(stdout).toBe('#exact\nGREY|192.0.2.1|h|a@b|c@d|1|2|3|4|0\nGREY|192.0.2.2|h|e@f|g@h|1|2|3|4|0\n')
    expect((await importing(stdout)).lines).toEqual(stdout.split('\n').slice(1, -1))
  })
})

describe('the dump of milter-greylist', () => {
  const T = TEST_NOW + 500
  const DUMP = [
    '# milter-greylist databases, dumped by milter-greylist-4.6.4 on Thu Nov 26 11:00:00 2026.',
    '# Sender IP\tSender e-mail\tRecipient e-mail\tTime accepted',
    `203.0.113.1\t<a@example.net>\t<b@example.org>\t${T} # 2026-11-26 12:00:00`,
    `2001:db8::1\t<>\t<b@example.org>\t${T} # 2026-11-26 12:00:00`,
    `203.0.113.9\t<a@example.net>\t<b@example.org>\t${T - 90_000} # long ago`,
    '# Summary:  2 records, 2 greylisted, 0 whitelisted',
    `192.0.2.1\t<c@example.net>\t<b@example.org>\t${LATER + 5} AUTO # 2026-11-29 11:00:00`,
    `192.0.2.1\t<d@example.net>\t<b@example.org>\t${LATER} AUTO # 2026-11-29 11:00:00`,
    `192.0.2.2\t<c@example.net>\t<b@example.org>\t${TEST_NOW} AUTO # over`,
    `192.0.2.3\t<c@example.net>\t<b@example.org>\t${LATER} TARPIT # unknown`,
    `beef\t<c@example.net>\t<b@example.org>\t${LATER} AUTO`,
    '',
  ].join('\n')

  test('an address is WHITE as long as its longest tuple; what waits is GREY; what is over is skipped', async () => {
    const { rc, stdout, stderr, lines } = await importing(DUMP)
    const first = T - 1500
    const expire = first + 14_400
    expect(lines).toEqual([
      `WHITE|192.0.2.1|||${TEST_NOW}|${TEST_NOW}|${LATER + 5}|0|1`,
      `GREY|2001:db8::1||<>|<b@example.org>|${first}|${expire}|${expire}|1|0`,
      `GREY|203.0.113.1||<a@example.net>|<b@example.org>|${first}|${expire}|${expire}|1|0`,
    ])
    expect(stdout).toMatch(/^3 added, 1 updated, 2 skipped, 2 bad\n$/)
    expect(stderr).toContain('line 10: a line of milter-greylist with the word TARPIT')
    expect(stderr).toContain('line 11: the first field is not an ip address')
    expect(rc).toBe(1)
  })
})

describe('the text of db_dump(1)', () => {
  const dump = (format: string, pairs: readonly string[], header = ''): string =>
    `VERSION=3\nformat=${format}\ntype=btree\n${header}HEADER=END\n${pairs.map((value) => ` ${value}\n`).join('')}DATA=END\n`
  const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex')

  test('of postgrey_clients.db: who was let through five times', async () => {
    const pairs = [
      '192.0.2.7',
      `5,${TEST_NOW - 10}`,
      '2001:db8::7',
      `7,${TEST_NOW - 20}`,
      '192.0.2.8',
      `4,${TEST_NOW}`,
      '192.0.2.9',
      '9,1000',
    ]
    const expected = [
      `WHITE|192.0.2.7|||${TEST_NOW - 10}|${TEST_NOW - 10}|${TEST_NOW - 10 + 3_110_400}|1|5`,
      `WHITE|2001:db8::7|||${TEST_NOW - 20}|${TEST_NOW - 20}|${TEST_NOW - 20 + 3_110_400}|1|7`,
    ]
    const printed = await importing(dump('print', pairs))
    expect(printed.lines).toEqual(expected)
    expect(printed).toMatchObject({ rc: 0, stdout: '2 added, 0 updated, 2 skipped, 0 bad\n', stderr: '' })
    expect((await importing(dump('bytevalue', pairs.map(hex)))).lines).toEqual(expected)
  })

  test.each([
    ['in the head', 'HEADER=END', 0],
    ['between key and data', ` 5,${TEST_NOW - 10}`, 1],
    ['before its end', 'DATA=END', 2],
  ])('that is cut off %s is told, and what was whole is stored', async (_, cut, stored) => {
    const text = dump('print', ['192.0.2.6', `6,${TEST_NOW - 10}`, '192.0.2.7', `5,${TEST_NOW - 10}`])
    const { rc, stderr, lines } = await importing(text.slice(0, text.indexOf(cut)))
    expect(stderr).toContain('end of the file: truncated: DATA=END is missing')
    expect({ rc, stored: lines.length }).toEqual({ rc: 1, stored })
  })

  test('of postgrey.db: tuples that still wait', async () => {
    const at = TEST_NOW - 60
    const pairs = [
      `192.0.2.0/a\\5cb@x.test/c/d@y.test`,
      `${at},${at}`,
      '192.0.2.1//e@y.test',
      '1000,1000',
      '192.0.2.1/onlysender',
      `${at},${at}`,
    ]
    const { lines, stderr, stdout } = await importing(dump('print', pairs))
    expect(lines).toEqual([
      `GREY|192.0.2.0||<a\\b@x.test>|<c/d@y.test>|${at}|${at + 14_400}|${at + 14_400}|1|0`,
    ])
    expect(stdout).toContain('1 skipped, 1 bad')
    expect(stderr).toContain('a tuple without recipient')
  })

  test('of spamd itself, in both byte orders', async () => {
    const record = (isLittle: boolean): string => {
      const view = new DataView(new ArrayBuffer(32))
      for (const [index, time] of [1n, 2n, BigInt(LATER)].entries())
        view.setBigInt64(index * 8, time, isLittle)
      view.setInt32(24, 3, isLittle)
      view.setInt32(28, 4, isLittle)
      return Buffer.from(view.buffer).toString('hex')
    }
    const expected = [`WHITE|192.0.2.1|||1|2|${LATER}|3|4`]
    expect(
      (await importing(dump('bytevalue', [hex('192.0.2.1'), record(true)], 'db_lorder=1234\n'))).lines,
    ).toEqual(expected)
    expect(
      (await importing(dump('bytevalue', [hex('192.0.2.1'), record(false)], 'db_lorder=4321\n'))).lines,
    ).toEqual(expected)
  })

  test('what is neither is named, line by line', async () => {
    const { rc, stderr } = await importing(
      `${dump('print', ['a', 'b', 'x\\zz', '192.0.2.1'])}rest\n VERSION\n`,
    )
    expect(rc).toBe(1)
    expect(stderr.split('\n').map((line) => line.replace(/^.*input-[0-9]+: /, ''))).toEqual([
      'line 6: a record of neither postgrey nor spamd',
      'line 7: not a value as db_dump(1) writes it',
      'line 9: a key without data',
      'spamdctl: hint: import a plain list of addresses with --kind WHITE, TRAPPED or SPAMTRAP',
      '',
    ])
  })
})

describe('files that are only named', () => {
  const withMagic = (offset: number, magic: number, isLittle: boolean): Buffer => {
    const bytes = Buffer.alloc(4096)
    if (isLittle) bytes.writeUInt32LE(magic, offset)
    else bytes.writeUInt32BE(magic, offset)
    return bytes
  }
  const ownFile = join(folder, 'own.sqlite')
  createDatabase(ownFile)
  const other = new BetterSqlite3(join(folder, 'other.sqlite'))
  other.exec('CREATE TABLE entries (x)')
  other.close()

  test.each<[string, Buffer, string, string]>([
    ['Berkeley DB 1.85 btree', withMagic(0, 0x053162, true), 'a Berkeley DB 1.85 btree file', 'spamdb | ...'],
    [
      'Berkeley DB 5 hash',
      withMagic(12, 0x061561, true),
      'a hash file of Berkeley DB 2 or later',
      'greydb | ...',
    ],
    [
      'Berkeley DB 5 btree, big-endian',
      withMagic(12, 0x053162, false),
      'a btree file of Berkeley DB 2 or later',
      'db_dump -p postgrey_clients.db',
    ],
    [
      'Berkeley DB queue',
      withMagic(12, 0x042253, true),
      'a queue file of Berkeley DB 2 or later',
      'spamdb | ...',
    ],
    [
      'our own database',
      readFileSync(ownFile),
      'a database of spamdctl',
      'spamdctl export --db FILE | spamdctl import -',
    ],
    [
      'SQLite of another program',
      readFileSync(join(folder, 'other.sqlite')),
      'an SQLite database of another program',
      'export its entries as text',
    ],
    ['xz', Buffer.from('\xfd7zXZ\0rest', 'latin1'), 'compressed by xz(1)', 'xz -dc FILE'],
    ['zstd', Buffer.from('(\xb5/\xfdrest', 'latin1'), 'compressed by zstd(1)', 'zstd -dc FILE'],
    ['bzip2', Buffer.from('BZh91AY&SY'), 'compressed by bzip2(1)', 'bzip2 -dc FILE'],
    ['zip', Buffer.from('PK\x03\x04rest'), 'a zip archive', 'unzip -p FILE'],
    ['tar', Buffer.from(`${'name'.padEnd(257, '\0')}ustar  \0`), 'a tar archive', 'tar -xOf FILE'],
    ['UTF-16 text', Buffer.from('\ufeffWHITE|192.0.2.1', 'utf16le'), 'UTF-16 text', 'iconv(1)'],
    ['UTF-16 without a mark', Buffer.from('WHITE|192.0.2.1', 'utf16le'), 'UTF-16 text', 'iconv(1)'],
    ['UTF-16, big-endian', Buffer.from('WHITE|192.0.2.1', 'utf16le').swap16(), 'UTF-16 text', 'iconv(1)'],
    ['UTF-32 text', Buffer.from('\xff\xfe\0\0W\0\0\0', 'latin1'), 'UTF-32 text', 'iconv(1)'],
    ['a program', readFileSync(process.execPath).subarray(0, 5000), 'binary data, not text', 'spamdb | ...'],
  ])('%s', async (_, content, name, hint) => {
    for (const bytes of [content, gzipSync(content)]) {
      const { rc, stderr } = await importing(bytes)
      expect(rc).toBe(1)
      expect(stderr).toContain(`cannot import FILE: it is ${name}`)
      expect(stderr).toContain(hint)
    }
  })
})

describe('a byte order mark', () => {
  test('is skipped in spamdb text and in a plain list', async () => {
    const text = `\u00ef\u00bb\u00bfWHITE|192.0.2.1|||1|2|${LATER}|2|9\n`
    expect(await importing(text)).toMatchObject({ rc: 0, lines: [`WHITE|192.0.2.1|||1|2|${LATER}|2|9`] })
    expect(
      (await importing('\u00ef\u00bb\u00bf192.0.2.1\n192.0.2.2\n', { kind: 'WHITE' })).lines,
    ).toHaveLength(2)
    expect((await importing('\u00ef\u00bb\u00bf')).rc).toBe(0)
    expect((await importing(`WHITE|192.0.2.1|||1|2|${LATER}|2|9\n${text}`)).stderr).toContain(
      'line 2: not a line of spamdb',
    )
  })
})

describe('an input without end', () => {
  test.each([{}, { kind: 'WHITE' }])('a device: %j', async (given) => {
    const scene = await openScene(folder)
    const { io } = captureIo({ SPAMD_DB: scene.path }, '')
    await expect(runImport('/dev/zero', optionsOf(given), io)).rejects.toThrow(
      'cannot import /dev/zero: it is binary data, not text',
    )
  })

  test.each([
    ['a line without end', 'x'.repeat(67_108_864), 'a line of more than 1073741824 bytes'],
    ['lines without an entry', 'x\n'.repeat(100_000), 'nothing to import: 1000000 lines without an entry'],
  ])('%s', async (_, part, message) => {
    const scene = await openScene(folder)
    const bytes = Buffer.from(part)
    for (const given of [{}, { kind: 'WHITE' }]) {
      const { io } = captureIo({ SPAMD_DB: scene.path }, '')
      async function* endless() {
        for (;;) yield bytes
      }
      const run = runImport('-', optionsOf(given), { ...io, stdin: endless() })
      await expect(run).rejects.toThrow(message)
    }
  })

  test('more bad lines than that behind an entry are passed over', async () => {
    const text = `WHITE|192.0.2.1|||1|2|${LATER}|2|9\n${'x\n'.repeat(1_000_001)}`
    expect((await importing(text)).stdout).toBe('1 added, 0 updated, 0 skipped, 1000001 bad\n')
  })
})
