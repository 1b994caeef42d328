import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import {
  DATABASE_OPTIONS,
  EXPORT_OPTIONS,
  IMPORT_OPTIONS,
  runBackup,
  runCheckDb,
  runExport,
  runImport,
  runInitDb,
} from '../../../../src/cli/database/database-commands.js'
import { getopt, type OptionSpec } from '../../../../src/cli/getopt.js'
import { OptionValues } from '../../../../src/cli/option-reader.js'
import { captureIo, openScene, type ProgramResult, temporaryFolder } from '../../../support/program-run.js'

const folder = temporaryFolder('database-commands')
const scene = await openScene(folder, [
  { kind: 'WHITE', ip: '192.0.2.1', first: 1, pass: 2, expire: 0, bcount: 1, pcount: 0, comment: 'a|b' },
  { kind: 'SPAMTRAP', address: 'trap@b', first: 1 },
])

type Run = (options: OptionValues, io: Parameters<typeof runExport>[1]) => Promise<number>

async function run(
  specs: readonly OptionSpec[],
  words: string[],
  program: Run,
  path = scene.path,
  input: string | Buffer = '',
): Promise<ProgramResult> {
  const parsed = getopt(words, specs)
  if (!parsed.ok) throw new Error(parsed.message)
  const { io, result } = captureIo({ SPAMD_DB: path }, input)
  return result(await program(new OptionValues(parsed), io))
}

describe('export', () => {
  test('prints entries and comments, --kind chooses', async () => {
    expect(await run(EXPORT_OPTIONS, [], runExport)).toEqual({
      rc: 0,
      stdout: 'WHITE|192.0.2.1|||1|2|0|1|0\n#comment|a|b\nSPAMTRAP|trap@b\n',
      stderr: '',
    })
    expect((await run(EXPORT_OPTIONS, ['--kind', 'spamtrap'], runExport)).stdout).toBe('SPAMTRAP|trap@b\n')
    await expect(run(EXPORT_OPTIONS, ['--kind', 'BLACK'], runExport)).rejects.toMatchObject({
      code: 'ERR_USAGE',
    })
  })
})

describe('import', () => {
  const importing = (words: string[], input: string | Buffer, path: string): Promise<ProgramResult> =>
    run(IMPORT_OPTIONS, words, (options, io) => runImport('-', options, io), path, input)

  test('counts, names bad lines up to a number, and exits with 1', async () => {
    const { path } = await openScene(folder)
    const input = `TRAPPED|192.0.2.1|5\n${'bad\n'.repeat(30)}`
    const { rc, stdout, stderr } = await importing([], input, path)
    expect([rc, stdout]).toEqual([1, '1 added, 0 updated, 0 skipped, 30 bad\n'])
    expect(stderr.split('\n')).toHaveLength(22)
    expect(stderr).toContain('spamdctl: -: line 2: not a line of spamdb')
    expect(stderr).toContain('spamdctl: 10 more problems are not shown\n')
  })

  test('as many bad lines as are shown leave nothing unsaid', async () => {
    const { path } = await openScene(folder)
    const { stderr } = await importing([], `TRAPPED|192.0.2.1|5\n${'bad\n'.repeat(20)}`, path)
    expect(stderr.trimEnd().split('\n')).toHaveLength(20)
    expect(stderr).not.toContain('not shown')
    const more = await importing([], `TRAPPED|192.0.2.1|5\n${'bad\n'.repeat(21)}`, path)
    expect(more.stderr).toContain('spamdctl: 1 more problem is not shown\n')
  })

  test('a plain list without --kind is told so', async () => {
    const { path } = await openScene(folder)
    expect((await importing([], '192.0.2.1\n', path)).stderr).toContain(
      'spamdctl: hint: import a plain list of addresses with --kind',
    )
  })

  test('a damaged Berkeley DB is not taken for a plain list', async () => {
    const { path } = await openScene(folder)
    const start = readFileSync(
      join(import.meta.dirname, '../../../golden/dbfiles/order-150-4096.db'),
    ).subarray(0, 4096)
    const { rc, stderr } = await importing([], start, path)
    expect([rc, stderr]).toEqual([
      1,
      'spamdctl: -: offset 0: the header counts 150 records, 0 were readable\n',
    ])
  })

  test('--kind, --expire, --comment and --json', async () => {
    const { path, spamdb } = await openScene(folder)
    const words = ['--kind', 'white', '--expire', 'never', '--comment', 'ok', '--json']
    const { rc, stdout } = await importing(words, '192.0.2.1\n192.0.2.1\n', path)
    expect([rc, JSON.parse(stdout)]).toEqual([0, { added: 1, updated: 1, skipped: 0, bad: 0 }])
    expect((await spamdb([])).stdout).toMatch(/\|0\|1\|1\n$/)
  })

  test.each([
    [['--expire', '4h'], '--expire requires --kind'],
    [['--kind', 'GREY'], '--kind: a plain list can only be WHITE, TRAPPED or SPAMTRAP'],
    [['--kind', 'x'], '--kind: "x" is not one of'],
    [['--kind', 'WHITE', '--expire', '36'], '--expire: "36" has no unit'],
    [['--kind', 'WHITE', '--expire', '0'], '--expire: "0" is not a duration'],
    [['--kind', 'SPAMTRAP', '--expire', '4h'], '--expire: a spamtrap never expires'],
    [['--kind', 'WHITE', '--comment', 'ä'.repeat(512)], '--comment: longer than 1023 bytes'],
  ])('%j is a wrong call', async (words, message) => {
    await expect(importing(words, '', scene.path)).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: expect.stringContaining(message) as string,
    })
  })
})

describe('backup and check-db', () => {
  test('a backup is a database of its own that checks as sound', async () => {
    const target = join(folder, 'backup.sqlite')
    const backup: Run = (options, io) => runBackup(target, options, io)
    expect((await run(DATABASE_OPTIONS, [], backup)).stdout).toMatch(/backup\.sqlite: [0-9]+ bytes\n$/)
    const asJson = await run(DATABASE_OPTIONS, ['--json'], backup)
    expect([asJson.rc, JSON.parse(asJson.stdout)]).toEqual([
      0,
      { file: target, sizeBytes: statSync(target).size },
    ])
    const { rc, stdout } = await run(DATABASE_OPTIONS, [], runCheckDb, target)
    expect(rc).toBe(0)
    expect(stdout.split('\n').slice(2)).toEqual([
      'schema: 4',
      'WHITE: 1',
      'TRAPPED: 0',
      'SPAMTRAP: 1',
      'GREY: 0',
      'POOL: 0',
      'integrity: ok',
      '',
    ])
    expect(JSON.parse((await run(DATABASE_OPTIONS, ['--json'], runCheckDb, target)).stdout)).toMatchObject({
      isSound: true,
      counts: { WHITE: 1 },
    })
  })

  test('damage: named file and reason, findings line by line, no good backup replaced, each key told', async () => {
    const keys = Array.from({ length: 3000 }, (_, index) => `u${index}@example.org`)
    const { path, spamdb } = await openScene(
      folder,
      keys.map((address) => ({ kind: 'SPAMTRAP', address, first: 1 })),
    )
    const target = join(folder, 'good.sqlite')
    const backup: Run = (options, io) => runBackup(target, options, io)
    await run(DATABASE_OPTIONS, [], backup, path)
    const good = readFileSync(target)
    const bytes = readFileSync(path)
    // Leaf pages of a table without rowid (those of the journal, which names the same addresses, have another
    // type), in the order of their keys.
    const pages = Array.from({ length: bytes.length / 4096 }, (_, page) => page * 4096)
      .filter((start) => bytes[start] === 0x0a)
      .map((start) => ({ start, text: bytes.toString('latin1', start, start + 4096) }))
      .filter(({ text }) => text.includes('@example.org'))
      .map(({ start, text }) => ({ start, first: text.match(/u\d+@example\.org/g)!.toSorted()[0]! }))
      .toSorted((one, other) => (one.first < other.first ? -1 : 1))
    expect(pages.length).toBeGreaterThan(20)
    for (const { start } of pages.slice(6, 14)) bytes.fill(0xa5, start, start + 4096)
    writeFileSync(path, bytes)

    await expect(run(DATABASE_OPTIONS, [], backup, path)).rejects.toMatchObject({
      message: `cannot back up to ${target}: the database is damaged`,
    })
    expect(readFileSync(target).equals(good)).toBe(true)
    const exported = await run(EXPORT_OPTIONS, [], runExport, path)
    expect(exported.rc).toBe(1)
    const [after, before] =
      /^spamdctl: cannot read \S+: damaged: SPAMTRAP entries after (\S+) and before (\S+)\n/
        .exec(exported.stderr)!
        .slice(1)
    const sorted = keys.toSorted()
    const readable = [
      ...sorted.slice(0, sorted.indexOf(after!) + 1),
      ...sorted.slice(sorted.indexOf(before!)),
    ]
    expect(exported.stdout.trimEnd().split('\n').toSorted()).toEqual(readable.map((key) => `SPAMTRAP|${key}`))
    expect(readable.length).toBeGreaterThan(1000)
    expect(exported.stderr.split('\n')).toHaveLength(3)
    const lines = keys.map((key) => `SPAMTRAP|${key}\n`).join('')
    await expect(
      run(IMPORT_OPTIONS, [], (options, io) => runImport('-', options, io), path, lines),
    ).rejects.toMatchObject({ message: `cannot write ${path}: the database is damaged` })
    const check = await run(DATABASE_OPTIONS, [], runCheckDb, path)
    expect(check).toMatchObject({
      rc: 1,
      stdout: expect.stringContaining('SPAMTRAP: cannot be counted\n') as string,
    })
    expect(check.stderr).not.toContain('\\x0a')
    expect(check.stderr.split('\n').length).toBeGreaterThan(5)
    expect(JSON.parse((await run(DATABASE_OPTIONS, ['--json'], runCheckDb, path)).stdout)).toMatchObject({
      isSound: false,
      counts: null,
    })
    const shown = await spamdb(keys)
    expect(shown.rc).toBe(255)
    expect(shown.stdout.split('\n').length).toBeGreaterThan(500)
    expect(shown.stderr.match(/^spamdb: db->get failed: the database is damaged$/gm)!.length).toBeGreaterThan(
      500,
    )
    expect(shown.stderr.match(/hint/g)).toHaveLength(1)
  })

  test('a file of another kind is never overwritten', async () => {
    const target = join(folder, 'precious.txt')
    writeFileSync(target, 'mine')
    const backup: Run = (options, io) => runBackup(target, options, io)
    await expect(run(DATABASE_OPTIONS, [], backup)).rejects.toThrow(`cannot back up to ${target}: `)
    expect(readFileSync(target, 'utf8')).toBe('mine')
  })
})

describe('a file that is no database of ours', () => {
  const REASON = 'Inappropriate file type or format'
  const NO_DATABASE =
    'this is not a database: name it with --db or SPAMD_DB; "spamdctl import" reads lists and listings'
  const BERKELEY_START = Buffer.from('00061561000000020000000100001000', 'hex')
  const other = (): Buffer => {
    const database = new Database(':memory:')
    database.exec('CREATE TABLE bookmarks (url TEXT)')
    return database.serialize()
  }

  test.each<[string, string, string, (path: string) => void]>([
    ['garbage', REASON, NO_DATABASE, (path) => writeFileSync(path, randomBytes(5000))],
    ['one byte', REASON, NO_DATABASE, (path) => writeFileSync(path, 'S')],
    [
      'an empty file',
      REASON,
      'the file is empty: adding the first entry makes it a database',
      (path) => writeFileSync(path, ''),
    ],
    [
      'a folder',
      'Is a directory',
      'name a file in that folder with --db or SPAMD_DB',
      (path) => mkdirSync(path),
    ],
    [
      'a Berkeley DB',
      REASON,
      `this is a file of OpenBSD's spamd: move it away, run "spamdctl init-db", then "spamdctl import" it`,
      (path) => writeFileSync(path, BERKELEY_START),
    ],
    [
      "another program's SQLite file",
      REASON,
      "this is a database of another program: name spamd's with --db or SPAMD_DB",
      (path) => writeFileSync(path, other()),
    ],
    [
      'a pipe',
      REASON,
      'name the database with --db or SPAMD_DB',
      (path) => void execFileSync('mkfifo', [path]),
    ],
    [
      'nothing',
      'No such file or directory',
      'no database yet: create it with "spamdctl init-db", or start spamd',
      () => undefined,
    ],
  ])('%s: check-db says why, with a hint', async (name, reason, hint, make) => {
    const path = join(folder, name)
    make(path)
    await expect(run(DATABASE_OPTIONS, ['--db', path], runCheckDb)).rejects.toMatchObject({
      code: 'ERR_DB_OPEN',
      message: `cannot open ${path} for reading: ${reason}`,
      hint,
    })
  })

  test('a database that was cut', async () => {
    const path = join(folder, 'cut.sqlite')
    writeFileSync(path, readFileSync(scene.path).subarray(0, 8192))
    await expect(run(DATABASE_OPTIONS, ['--db', path], runCheckDb)).rejects.toMatchObject({
      code: 'ERR_DB_CORRUPT',
      message: `cannot open ${path} for reading: the database is damaged`,
      hint: 'restore a file made by "spamdctl backup"',
    })
  })

  test('a file in place of a folder', async () => {
    await expect(run(DATABASE_OPTIONS, ['--db', join(scene.path, 'x')], runCheckDb)).rejects.toMatchObject({
      message: `cannot open ${join(scene.path, 'x')} for reading: Not a directory`,
      hint: 'part of the path is a file, not a folder: name the database with --db or SPAMD_DB',
    })
  })
})

describe('init-db', () => {
  test('makes the database and its folder once', async () => {
    const path = join(folder, 'new', 'spamd.sqlite')
    expect((await run(DATABASE_OPTIONS, [], runInitDb, path)).stdout).toBe(`${path}: created\n`)
    expect(statSync(path).mode & 0o777).toBe(0o640)
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o750)
    expect((await run(DATABASE_OPTIONS, [], runInitDb, path)).stdout).toBe(`${path}: exists already\n`)
  })

  test('the group can read both under a closed umask, which stays as it is', async () => {
    const mask = process.umask(0o077)
    try {
      const path = join(folder, 'closed', 'spamd.sqlite')
      await run(DATABASE_OPTIONS, [], runInitDb, path)
      expect(statSync(join(path, '..')).mode & 0o777).toBe(0o750)
      expect(statSync(path).mode & 0o777).toBe(0o640)
      expect(process.umask()).toBe(0o077)
    } finally {
      process.umask(mask)
    }
  })

  test('does not make folders above, and touches no other file', async () => {
    const deep = join(folder, 'no', 'such', 'spamd.sqlite')
    await expect(run(DATABASE_OPTIONS, [], runInitDb, deep)).rejects.toMatchObject({
      message: `cannot create ${deep}: No such file or directory`,
      hint: `create its folder first: mkdir -p ${join(folder, 'no', 'such')}`,
    })
    expect(existsSync(join(folder, 'no'))).toBe(false)
    const other = join(folder, 'other.txt')
    writeFileSync(other, 'mine')
    await expect(run(DATABASE_OPTIONS, [], runInitDb, other)).rejects.toThrow(
      'Inappropriate file type or format',
    )
    expect(readFileSync(other, 'utf8')).toBe('mine')
  })
})
