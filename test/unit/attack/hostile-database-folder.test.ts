/**
 * Root works on the database of a user who has been broken into, and who puts links to root's files wherever root
 * might open, make, give away, rename or remove something. Nothing outside the folder may change in any way.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { initDatabase } from '../../../src/app/database/open-database.js'

const root = resolve(import.meta.dirname, '../../..')
const isRoot = process.getuid?.() === 0
const whySkipped = isRoot ? '' : ' [skipped: only root can be tricked into writing what others may not]'
/** Stands for `_spamd`; `nobody` has no files that these tests could harm. */
const USER = { uid: 65_534, gid: 65_534 }

let base: string
let folder: string
let outside: string
let database: string
let target: string

beforeEach(async () => {
  if (!isRoot) return
  base = mkdtempSync(join(tmpdir(), 'hostile-database-'))
  chmodSync(base, 0o755)
  folder = join(base, 'state')
  outside = join(base, 'outside')
  for (const path of [folder, outside]) mkdirSync(path, 0o755)
  database = join(folder, 'spamd.sqlite')
  target = join(base, 'target')
  mkdirSync(target, 0o700)
  // Root's own: a database, an empty file, and one that is neither.
  await initDatabase(join(outside, 'spamd.sqlite'))
  writeFileSync(join(outside, 'empty'), '', { mode: 0o600 })
  writeFileSync(join(outside, 'shadow'), 'root:*:1::::::\n', { mode: 0o600 })
})
afterEach(() => isRoot && rmSync(base, { recursive: true, force: true }))

/** Everything about what is outside, and in the folder for backups. */
function snapshot(): string[] {
  return [outside, target].flatMap((place) =>
    ['.', ...readdirSync(place)].map((name) => {
      const path = join(place, name)
      const { uid, gid, mode, size } = lstatSync(path)
      const content = statSync(path).isFile() ? readFileSync(path).toString('base64') : ''
      return [path, uid, gid, mode.toString(8), size, content].join(' ')
    }),
  )
}

function run(words: readonly string[], input = ''): SpawnSyncReturns<string> {
  const [program, ...args] = words
  return spawnSync(process.execPath, [join(root, 'bin', `${program}.js`), ...args], {
    encoding: 'utf8',
    input,
    env: { PATH: process.env.PATH, SPAMD_DB: database, SPAMD_USER: 'nobody', SUDO_USER: 'admin' },
    timeout: 60_000,
  })
}

const calls: { name: string; words: () => string[]; input?: string }[] = [
  { name: 'spamdb', words: () => ['spamdb'] },
  { name: 'spamdb -a', words: () => ['spamdb', '-a', '192.0.2.1'] },
  { name: 'init-db', words: () => ['spamdctl', 'init-db', '--mode', '0644'] },
  { name: 'import', words: () => ['spamdctl', 'import', '-'], input: 'WHITE|192.0.2.1|||1|2|3|0|0\n' },
  { name: 'backup beside it', words: () => ['spamdctl', 'backup', join(folder, 'copy')] },
  { name: 'check-db', words: () => ['spamdctl', 'check-db'] },
  { name: 'log --history', words: () => ['spamdctl', 'log', '--history', 'all'] },
]

/** A link of the hostile user's, symbolic or hard, at one of the names that root will use. */
function plant(path: string, to: string, isHard = false): void {
  rmSync(path, { force: true })
  if (isHard) {
    linkSync(to, path)
    return
  }
  symlinkSync(to, path)
  lchownSync(path, USER.uid, USER.gid)
}

function giveAway(): void {
  for (const name of readdirSync(folder)) {
    if (lstatSync(join(folder, name)).nlink === 1) lchownSync(join(folder, name), USER.uid, USER.gid)
  }
  chownSync(folder, USER.uid, USER.gid)
}

const traps: { name: string; set: () => Promise<void> | void }[] = [
  { name: "the database is a link to root's", set: () => plant(database, join(outside, 'spamd.sqlite')) },
  {
    name: "the database is a hard link of root's",
    set: () => plant(database, join(outside, 'spamd.sqlite'), true),
  },
  { name: 'the database is a link to an empty file', set: () => plant(database, join(outside, 'empty')) },
  { name: 'the database is a link to nothing yet', set: () => plant(database, join(outside, 'new')) },
  ...['-wal', '-shm', '-journal'].flatMap((suffix) =>
    [false, true].map((isHard) => ({
      name: `${suffix} is a ${isHard ? 'hard' : 'symbolic'} link`,
      set: async () => {
        await initDatabase(database)
        plant(database + suffix, join(outside, 'shadow'), isHard)
      },
    })),
  ),
  {
    name: 'the folder itself is a link, in a folder of that user',
    set: () => {
      const own = join(base, 'own')
      mkdirSync(own)
      rmSync(folder, { recursive: true })
      plant(join(own, 'state'), outside)
      chownSync(own, USER.uid, USER.gid)
      renameSync(own, folder)
      database = join(folder, 'state', 'spamd.sqlite')
    },
  },
  {
    name: 'the backup to come is a link',
    set: async () => {
      await initDatabase(database)
      plant(join(folder, 'copy'), join(outside, 'empty'))
    },
  },
]

test.skipIf(!isRoot).each(traps)(
  `$name: no command changes anything outside${whySkipped}`,
  async ({ set }) => {
    await set()
    if (dirname(database) === folder) giveAway()
    const before = snapshot()
    for (const { name, words, input } of calls) {
      const result = run(words(), input)
      expect({ name, stderr: result.stderr, signal: result.signal }).toEqual({
        name,
        stderr: expect.not.stringContaining('    at '),
        signal: null,
      })
      expect({ name, outside: snapshot() }).toEqual({ name, outside: before })
    }
  },
)

test.skipIf(!isRoot)(
  'what root may do with a sound database there stays possible, elsewhere too',
  async () => {
    giveAway()
    expect(run(['spamdctl', 'init-db'])).toMatchObject({ status: 0, stderr: '' })
    expect(statSync(database)).toMatchObject(USER)
    expect(run(['spamdb', '-a', '192.0.2.1'])).toMatchObject({ status: 0, stderr: '' })
    expect(run(['spamdb']).stdout).toContain('WHITE|192.0.2.1|')
    expect(run(['spamdctl', 'spamdb', '192.0.2.1']).stdout).toContain('WHITE|192.0.2.1|')
    expect(run(['spamdctl', 'log']).stdout).toContain('admin')
    const input = join(target, 'list')
    writeFileSync(input, '192.0.2.2\n', { mode: 0o600 })
    expect(run(['spamdctl', 'import', '--kind', 'WHITE', input])).toMatchObject({ status: 0, stderr: '' })
    expect(run(['spamdctl', 'backup', join(target, 'copy')])).toMatchObject({ status: 0, stderr: '' })
    expect(statSync(join(target, 'copy')).uid).toBe(0)
    const count = run(['spamdb', '--db', join(target, 'copy'), '--count', '--kind', 'WHITE'])
    expect(count).toMatchObject({ status: 0, stdout: '2\n' })
    expect(run(['spamdctl', 'backup', join(folder, 'copy')])).toMatchObject({ status: 0, stderr: '' })
    expect(statSync(join(folder, 'copy'))).toMatchObject(USER)
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name))).toMatchObject(USER)
  },
)

test.skipIf(!isRoot)(
  'greyd: a database in a folder of another user is read and nothing is made there',
  () => {
    giveAway()
    const other = join(base, 'greyd')
    mkdirSync(other)
    const file = join(other, 'greyd.sqlite')
    const made = spawnSync(
      process.execPath,
      [
        '-e',
        `const db = new (require('better-sqlite3'))(process.argv[1]); db.pragma('journal_mode = WAL')
      db.exec('CREATE TABLE entries (ip, helo, "from", "to", first, pass, expire, bcount, pcount); CREATE TABLE spamtraps (address)')
      db.prepare('INSERT INTO entries VALUES (?,?,?,?,?,?,?,?,?)').run('192.0.2.9', '', '', '', 1, 2, 4e9, 0, 0)
      process.kill(process.pid, 'SIGKILL')`,
        file,
      ],
      { cwd: root },
    )
    expect(made.signal).toBe('SIGKILL')
    rmSync(`${file}-shm`, { force: true })
    chownSync(other, USER.uid, USER.gid)
    const before = readdirSync(other)
    run(['spamdctl', 'init-db'])
    expect(run(['spamdctl', 'import', file])).toMatchObject({ status: 0, stderr: '' })
    expect(run(['spamdb']).stdout).toContain('WHITE|192.0.2.9|')
    expect(readdirSync(other)).toEqual(before)
  },
)

test.skipIf(!isRoot)("a file of root's in that user's folder is refused with the way out", async () => {
  await initDatabase(database)
  chownSync(folder, USER.uid, USER.gid)
  const result = run(['spamdb'])
  expect(result).toMatchObject({
    status: 1,
    stderr: `spamdb: cannot open ${database} for reading: Permission denied\nspamdb: hint: ${folder} belongs to nobody, so root uses it as that user, who must be able to read and write ${database}\n`,
  })
})

test.skipIf(!isRoot)('a folder that a group or everybody writes is refused', async () => {
  await initDatabase(database)
  chmodSync(folder, 0o777)
  expect(run(['spamdb'])).toMatchObject({
    status: 1,
    stderr: `spamdb: cannot open ${database} for reading: the folder can be written by every user\nspamdb: hint: run chmod o-w ${folder}\n`,
  })
  chmodSync(folder, 0o770)
  chownSync(folder, 0, USER.gid)
  expect(run(['spamdb']).stderr).toContain('the folder can be written by the group with number 65534\n')
  rmSync(database)
  expect(run(['spamdctl', 'init-db'])).toMatchObject({ status: 0, stderr: '' })
  expect(statSync(database)).toMatchObject(USER)
})

test.skipIf(!isRoot)(
  "in a sticky folder root's file is used, but not with others' files beside it",
  async () => {
    await initDatabase(database)
    chmodSync(folder, 0o1777)
    expect(run(['spamdb', '-a', '192.0.2.1'])).toMatchObject({ status: 0, stderr: '' })
    expect(existsSync(`${database}-wal`)).toBe(false)
    plant(`${database}-wal`, join(outside, 'empty'))
    expect(run(['spamdb']).stderr).toContain(`${database}-wal belongs to another user`)
  },
)
