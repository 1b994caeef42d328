/** Sessions with the built spamdb: pipes, closed descriptors, faults, and many processes at once. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { createDatabase, openStore } from '../../src/db/open-store.js'
import { temporaryFolder } from '../support/program-run.js'
import { skipUnless } from '../support/skip-unless.js'

const root = join(import.meta.dirname, '../..')
const SPAMDB = join(root, 'bin/spamdb.js')
const SPAMDCTL = join(root, 'bin/spamdctl.js')
/** Two hundred starts of Node take long where many tests share two cores. */
const SLOW_MACHINE_MS = 300_000
const folder = temporaryFolder('spamdb-transcripts')

beforeAll(() => {
  expect(existsSync(join(root, 'dist/src/programs/spamdb.js')), 'run "npm run build" first').toBe(true)
})

function newDatabase(): string {
  const path = join(mkdtempSync(join(folder, 'db-')), 'spamd.sqlite')
  createDatabase(path)
  return path
}

const environmentOf = (path: string): NodeJS.ProcessEnv => ({ ...process.env, SPAMD_DB: path, LC_ALL: 'C' })

/** A line of shell with `spamdb` and `spamdctl` as commands. */
function shell(
  line: string,
  path: string,
  input?: string | Buffer,
  environment: NodeJS.ProcessEnv = {},
): { rc: number | null; stdout: string; stderr: string } {
  const script = `spamdb() { "${process.execPath}" "${SPAMDB}" "$@"; }; spamdctl() { "${process.execPath}" "${SPAMDCTL}" "$@"; }; ${line}`
  const result = spawnSync('bash', ['-c', script], {
    env: { ...environmentOf(path), ...environment },
    input,
    maxBuffer: 1 << 28,
    encoding: 'latin1',
  })
  return { rc: result.status, stdout: result.stdout, stderr: result.stderr }
}

const keysOf = (count: number): string[] =>
  Array.from(
    { length: count },
    (_, index) => `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`,
  )

describe('a plain session', () => {
  test('add, list, show, delete; the toolkit does the same', () => {
    const path = newDatabase()
    expect(shell('spamdb; echo $?', path)).toEqual({ rc: 0, stdout: '0\n', stderr: '' })
    expect(
      shell(
        'spamdb -a 192.0.2.1 2001:DB8::1; spamdctl spamdb -at 192.0.2.2; spamdb -T -a "<Trap@x.test>"',
        path,
      ),
    ).toEqual({ rc: 0, stdout: '', stderr: '' })
    const listing = shell('spamdb', path).stdout
    expect(listing.replace(/[0-9]{10}/g, 'T')).toBe(
      'WHITE|192.0.2.1|||T|T|T|1|0\nWHITE|2001:db8::1|||T|T|T|1|0\nTRAPPED|192.0.2.2|T\nSPAMTRAP|trap@x.test\n',
    )
    expect(shell('spamdctl spamdb', path).stdout).toBe(listing)
    expect(shell('spamdb TRAP@x.test 9.9.9.9', path)).toEqual({
      rc: 1,
      stdout: 'SPAMTRAP|trap@x.test\n',
      stderr: '',
    })
    expect(shell('spamdctl spamdb -d 192.0.2.2 9.9.9.9', path)).toEqual({
      rc: 1,
      stdout: '',
      stderr: 'spamdb: no entry for 9.9.9.9\n',
    })
    expect(JSON.parse(shell('spamdb --json --kind SPAMTRAP', path).stdout)).toHaveLength(1)
    expect(shell('spamdb -x', path)).toEqual({
      rc: 1,
      stdout: '',
      stderr: 'spamdb: unknown option -- x\nusage: spamdb [-adGTt] [keys ...]\n',
    })
    expect(shell('spamdb --version', path).stdout).toMatch(/^spamdb \(spamdctl\) [0-9.]+\n$/)
    expect(shell('spamdb --help', path).stdout).toContain('--if-missing')
  })

  test('bytes of arguments that are not UTF-8 are kept', () => {
    const path = newDatabase()
    expect(shell(`spamdb -aT $'\\xff\\xfe@b.test' 'ä@b.test'`, path)).toMatchObject({ rc: 0, stderr: '' })
    expect(shell('spamdb', path).stdout).toBe('SPAMTRAP|\u00c3\u00a4@b.test\nSPAMTRAP|\u00ff\u00fe@b.test\n')
    expect(shell(`spamdctl spamdb -d $'\\xff\\xfe@b.test'`, path).rc).toBe(0)
    // A comment is text: a byte that is none becomes one replacement character.
    expect(shell(`spamdb -a --comment $'\\xe9' 192.0.2.1`, path).rc).toBe(0)
    expect(shell('spamdb --ndjson 192.0.2.1', path).stdout).toContain('"comment":"\u00ef\u00bf\u00bd"')
  })
})

describe('where the output goes', () => {
  let path: string
  beforeAll(async () => {
    path = newDatabase()
    const store = await openStore(path, { mode: 'write', durability: 'normal' })
    await store.edit(
      keysOf(20_000).map((ip) => ({ operation: 'add', kind: 'WHITE', ip })),
      1,
    )
    await store.close()
  })

  test.each(['', '--json', '--csv', '--human'])(
    'spamdb %s | head -1 is silent and ends as by SIGPIPE',
    (option) => {
      const result = shell(`spamdb ${option} | head -1 > /dev/null; echo "\${PIPESTATUS[0]}"`, path)
      expect(result).toEqual({ rc: 0, stdout: '141\n', stderr: '' })
    },
  )

  test('a terminal is shown what it would obey, a file gets the bytes', () => {
    const path = newDatabase()
    const trap = 'a\u202e\u009b2J@x.test'
    expect(shell(`spamdb -T -a '${trap}' $'b\\x9b2J@x.test'`, path)).toMatchObject({ rc: 0, stderr: '' })
    const command = `"${process.execPath}" "${SPAMDB}"; "${process.execPath}" "${SPAMDB}" --json; "${process.execPath}" "${SPAMDB}" -a '${trap}'`
    const onTerminal = shell('script -qec "$COMMAND" /dev/null', path, '', { COMMAND: command }).stdout
    expect(onTerminal).toContain('SPAMTRAP|a\\u202e\\u009b2j@x.test\r\n')
    expect(onTerminal).toContain('SPAMTRAP|b\\x9b2j@x.test\r\n')
    expect(onTerminal).toContain('"address":"a\\u202e\\u009b2j@x.test"')
    expect(onTerminal).toContain('invalid ip address a\\u202e\\x9b2J@x.test')
    expect(onTerminal).not.toMatch(/[\x80-\x9f]/)
    const inFile = shell('spamdb', path).stdout
    expect(inFile).toBe(
      `${Buffer.from(`SPAMTRAP|${trap.toLowerCase()}`).toString('latin1')}\nSPAMTRAP|b\x9b2j@x.test\n`,
    )
  })

  test('a closed stdout is no crash', () => {
    expect(shell('spamdb >&-', path).stderr).toBe('')
  })

  test.skipIf(skipUnless(existsSync('/dev/full'), 'this system has no /dev/full'))(
    'a full disk behind stdout is an error',
    () => {
      expect(shell('spamdb > /dev/full', path)).toEqual({
        rc: 1,
        stdout: '',
        stderr: 'spamdb: cannot write to standard output: No space left on device\n',
      })
    },
  )

  test('a listing into a stopped pager does not hold up a writer', async () => {
    const lister = spawn(process.execPath, [SPAMDB], {
      env: environmentOf(path),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    await once(lister.stdout, 'readable')
    // Nothing reads on: the lister now waits in the middle of its list.
    expect(shell('spamdb -a 203.0.113.1', path)).toEqual({ rc: 0, stdout: '', stderr: '' })
    expect(lister.exitCode).toBeNull()
    let lines = 0
    lister.stdout.on('data', (chunk: Buffer) => {
      lines += chunk.toString('latin1').split('\n').length - 1
    })
    const [code] = (await once(lister, 'close')) as [number]
    expect(code).toBe(0)
    expect(lines).toBeGreaterThanOrEqual(20_000)
  })
})

describe('files that are no database', () => {
  test('missing, directory, garbage, Berkeley DB: named, and left as they are', () => {
    const missing = join(folder, 'missing.sqlite')
    expect(shell('spamdb -a 192.0.2.1', missing)).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamdb: cannot open ${missing} for writing: No such file or directory\nspamdb: hint: no database yet: create it with "spamdctl init-db", or start spamd\n`,
    })
    expect(existsSync(missing)).toBe(false)

    const directory = join(folder, 'directory.sqlite')
    mkdirSync(directory)
    expect(shell('spamdb', directory)).toMatchObject({
      rc: 1,
      stdout: '',
      stderr: `spamdb: cannot open ${directory} for reading: Is a directory\nspamdb: hint: name a file in that folder with --db or SPAMD_DB\n`,
    })

    const genuine = join(root, 'test/golden/dbfiles/mixed-all-types-4096.db')
    const berkeley = join(folder, 'spamd')
    copyFileSync(genuine, berkeley)
    const { rc, stderr } = shell('spamdb -a 192.0.2.1', berkeley)
    expect(rc).toBe(1)
    expect(stderr).toContain('Inappropriate file type or format\nspamdb: hint: this is a file of OpenBSD')
    expect(readFileSync(berkeley).equals(readFileSync(genuine))).toBe(true)
  })
})

describe('exit codes of the commands around the database', () => {
  test.each([
    [
      'spamdctl export --db nowhere',
      1,
      'spamdctl: cannot open nowhere for reading: No such file or directory',
    ],
    ['spamdctl import nowhere', 1, 'spamdctl: cannot read nowhere: No such file or directory'],
    ['spamdctl import --db nowhere - </dev/null', 1, 'spamdctl: cannot open nowhere for writing'],
    [
      'spamdctl import --kind GREY x',
      64,
      'spamdctl: --kind: a plain list can only be WHITE, TRAPPED or SPAMTRAP',
    ],
    ['echo nonsense | spamdctl import -', 1, 'spamdctl: -: line 1: not a line of spamdb'],
    ['spamdctl export --kind BLACK', 64, 'spamdctl: --kind: "BLACK" is not one of'],
    ['spamdctl backup', 64, 'spamdctl: missing argument'],
    ['spamdctl backup a b', 64, 'spamdctl: too many arguments: b'],
    ['spamdctl backup nowhere/x', 1, 'spamdctl: cannot back up to nowhere/x: '],
    ['spamdctl check-db --db nowhere', 1, 'spamdctl: cannot open nowhere for reading'],
    ['spamdctl init-db --db no/such/x', 1, 'spamdctl: cannot create no/such/x: '],
    ['spamdctl export >/dev/full', 1, 'spamdctl: cannot write to standard output: No space left on device'],
    ['spamdctl export; spamdctl import /dev/null', 0, ''],
  ])('%s', (line, rc, message) => {
    const path = newDatabase()
    expect(shell('spamdb -a 192.0.2.1', path).rc).toBe(0)
    const ran = shell(`cd ${folder}; ${line}`, path)
    expect([ran.rc, ran.stderr.slice(0, message.length)]).toEqual([rc, message])
    expect(shell('spamdb --count', path).stdout).toBe('1\n')
  })
})

describe('much input', () => {
  test('a million keys on standard input', () => {
    const path = newDatabase()
    const input = `${keysOf(1_000_000).join('\n')}\n`
    expect(shell('spamdb -a -', path, input)).toEqual({ rc: 0, stdout: '', stderr: '' })
    expect(shell('spamdb --count', path).stdout).toBe('1000000\n')
  })

  test('a key of 1 MB, NUL bytes and bytes that are not UTF-8', () => {
    const path = newDatabase()
    const input = Buffer.concat([
      Buffer.alloc(1_048_576, 0x61),
      Buffer.from('\n1.2.3.4\0\n\xff\xfe\n192.0.2.1\n', 'latin1'),
    ])
    const { rc, stderr } = shell('spamdb -a -', path, input)
    expect(rc).toBe(3)
    expect(stderr.length).toBeLessThan(500)
    expect(shell('spamdb --count', path).stdout).toBe('1\n')
  })

  test('a device that gives no line end is an error, and does not go on for ever', () => {
    const path = newDatabase()
    expect(shell('spamdb -a - </dev/zero', path)).toEqual({
      rc: 1,
      stdout: '',
      stderr: 'spamdb: a line of more than 1073741824 bytes\n',
    })
  })
})

describe('input that stays open', () => {
  test.each([
    ['spamdb -aT -', [SPAMDB, '-aT', '-'], 'no address\n', 255],
    ['spamdctl import of a missing database', [SPAMDCTL, 'import', '-', '--db', '/nonexistent/db'], 'x\n', 1],
  ])('%s ends at its error', async (_name, argv, input, wanted) => {
    const child = spawn(process.execPath, argv, {
      env: environmentOf(newDatabase()),
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    child.stdin.on('error', () => undefined)
    child.stdin.write(input)
    const [code] = (await once(child, 'close')) as [number]
    expect(code).toBe(wanted)
  })
})

describe('standard input that nobody closes', () => {
  test.each([
    ['is left alone where keys or a file are given', [SPAMDB, '-a', '192.0.2.1'], ''],
    ['is left alone by an import from a file', [SPAMDCTL, 'import', '/dev/null'], ''],
    ['does not keep a program that stops at a bad key', [SPAMDB, '-a', '-T', '-'], 'no address\n'],
  ])('%s', async (_name, argv, input) => {
    const child = spawn(process.execPath, argv, {
      env: environmentOf(newDatabase()),
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const ended = once(child, 'exit')
    child.stdin.write(input)
    const [code] = (await ended) as [number]
    expect(code).toBe(input === '' ? 0 : 255)
    child.stdin.destroy()
  })
})

describe('many processes', () => {
  test(
    'kill -9 of a 10,000-key spamdb -a - leaves a prefix of the keys and a sound database, three times in each piece',
    async () => {
      const keys = keysOf(10_000)
      const pieceKeys = 500
      const pieces = Array.from({ length: keys.length / pieceKeys }, (_, piece) =>
        keys
          .slice(piece * pieceKeys, (piece + 1) * pieceKeys)
          .map((key) => `${key}\n`)
          .join(''),
      )
      const empty = newDatabase()
      /** Feeds piece after piece, each when the one before is committed, and kills at random in the given one. */
      const feedAndKill = async (path: string, diesInPiece: number): Promise<void> => {
        const child = spawn(process.execPath, [SPAMDB, '-a', '-'], {
          env: environmentOf(path),
          stdio: ['pipe', 'ignore', 'inherit'],
        })
        const ended = once(child, 'close')
        child.stdin.on('error', () => undefined)
        const reader = await openStore(path, { mode: 'read' })
        for (let piece = 0; piece <= diesInPiece; piece += 1) {
          // The child must be the last to hold the database when it dies: the next to open it recovers.
          if (piece === diesInPiece) await reader.close()
          if (piece === pieces.length) child.stdin.end()
          else child.stdin.write(pieces[piece]!)
          if (piece === diesInPiece) break
          await vi.waitUntil(async () => (await reader.count()).WHITE === (piece + 1) * pieceKeys, {
            timeout: 60_000,
            interval: 1,
          })
        }
        // Node alone takes a tenth of a second to start, a piece some milliseconds.
        setTimeout(() => child.kill('SIGKILL'), Math.random() * (diesInPiece === 0 ? 300 : 12))
        await ended
      }
      const runOnce = async (index: number): Promise<void> => {
        const path = join(folder, `killed-${index}.sqlite`)
        copyFileSync(empty, path)
        const diesInPiece = index % (pieces.length + 1)
        await feedAndKill(path, diesInPiece)
        const store = await openStore(path, { mode: 'write' })
        const report = await store.check()
        const found = new Set<string>()
        for await (const chunk of store.list())
          for (const entry of chunk) found.add('ip' in entry ? entry.ip : '')
        await store.close()
        expect(report.problems).toEqual([])
        expect(keys.slice(0, found.size).filter((key) => !found.has(key))).toEqual([])
        expect(found.size).toBeGreaterThanOrEqual(diesInPiece * pieceKeys)
        expect(found.size).toBeLessThanOrEqual((diesInPiece + 1) * pieceKeys)
      }
      // The store alone is killed 120 times by test/unit/db/faults.test.ts.
      for (let index = 0; index < 3 * (pieces.length + 1); index += 3) {
        await Promise.all([0, 1, 2].map((offset) => runOnce(index + offset)))
      }
    },
    SLOW_MACHINE_MS,
  )

  test('eight at once: no update is lost and nobody hears of locks', async () => {
    const path = newDatabase()
    shell('spamdb -a -', path, keysOf(2000).join('\n'))
    const own = (who: number): string[] => keysOf(300).map((key) => key.replace(/^10\.0/, `172.${who}`))
    const start = (argv: string[]): ChildProcess =>
      spawn(process.execPath, [SPAMDB, ...argv], {
        env: environmentOf(path),
        stdio: ['pipe', 'ignore', 'pipe'],
      })
    const adders = [16, 17, 18, 19, 20].map((who) => {
      const child = start(['-a', '-'])
      child.stdin!.end(
        own(who)
          .flatMap((key) => [key, '192.0.2.1'])
          .join('\n'),
      )
      return child
    })
    const deleter = start(['-d', '-'])
    deleter.stdin!.end(keysOf(2000).join('\n'))
    const all = [...adders, deleter, start([]), start(['--json'])]
    const results = await Promise.all(
      all.map(async (child) => {
        let stderr = ''
        child.stderr!.on('data', (chunk: Buffer) => {
          stderr += chunk.toString()
        })
        const [code] = (await once(child, 'close')) as [number]
        return { code, stderr }
      }),
    )
    expect(results).toEqual(all.map(() => ({ code: 0, stderr: '' })))
    expect(shell('spamdb 192.0.2.1', path).stdout).toMatch(new RegExp(`\\|1\\|${5 * 300 - 1}\\n$`))
    expect(shell('spamdb --count', path).stdout).toBe(`${5 * 300 + 1}\n`)
  })
})

const canMount =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['-m', 'sh', '-c', `mount -t tmpfs -o size=64k none ${folder}`]).status === 0
if (!canMount) process.stdout.write('spamdb on a full disk: skipped, needs root and mount namespaces\n')

test.skipIf(!canMount)(
  'a full disk: the keys that fit stay, the error is named, the database stays sound',
  () => {
    const mountPoint = join(folder, 'small')
    mkdirSync(mountPoint)
    writeFileSync(join(folder, 'keys'), keysOf(60_000).join('\n'))
    const script = `mount -t tmpfs -o size=1m none ${mountPoint} && spamdctl init-db 2> /dev/null && spamdb -a 192.0.2.1 && { spamdb -a - < ${join(folder, 'keys')}; echo $?; spamdb 192.0.2.1 | cut -d'|' -f1,2; spamdctl check-db | tail -1; }`
    writeFileSync(
      join(folder, 'full.sh'),
      `spamdb() { "${process.execPath}" "${SPAMDB}" "$@"; }; spamdctl() { "${process.execPath}" "${SPAMDCTL}" "$@"; }\n${script}\n`,
    )
    const path = join(mountPoint, 'spamd.sqlite')
    const { status, stdout, stderr } = spawnSync('unshare', ['-m', 'bash', join(folder, 'full.sh')], {
      env: environmentOf(path),
      encoding: 'utf8',
    })
    expect(stderr).toMatch(/^spamdb: db->put failed: No space left on device\nspamdb: hint: [^\n]+\n$/)
    expect(stdout.split('\n').slice(-5)).toEqual(
      [`${path}: created`, '255', 'WHITE|192.0.2.1', 'integrity: ok', ''].slice(-5),
    )
    expect(status).toBe(0)
    expect(statSync(mountPoint).isDirectory()).toBe(true)
  },
)

test.skipIf(!canMount)('a read-only file system: reading works, writing names the reason', () => {
  const mountPoint = join(folder, 'read-only')
  mkdirSync(mountPoint)
  writeFileSync(
    join(folder, 'read-only.sh'),
    `spamdb() { "${process.execPath}" "${SPAMDB}" "$@"; }; spamdctl() { "${process.execPath}" "${SPAMDCTL}" "$@"; }
mount -t tmpfs none ${mountPoint} && spamdctl init-db > /dev/null 2>&1 && spamdb -a 192.0.2.1 && mount -o remount,ro ${mountPoint} && {
spamdb | cut -d'|' -f1,2; spamdb -a 192.0.2.2; echo $?; spamdb --count; }
`,
  )
  const path = join(mountPoint, 'spamd.sqlite')
  const { stdout, stderr } = spawnSync('unshare', ['-m', 'bash', join(folder, 'read-only.sh')], {
    env: environmentOf(path),
    encoding: 'utf8',
  })
  expect(stdout).toBe('WHITE|192.0.2.1\n1\n1\n')
  expect(stderr).toBe(`spamdb: cannot open ${path} for writing: Read-only file system\n`)
})
