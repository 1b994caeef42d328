import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Connection, WAL_LIMIT_BYTES } from '../../../src/db/connection.js'
import { inspectFile } from '../../../src/db/file/database-file.js'
import { createDatabase, openStore } from '../../../src/db/open-store.js'
import { SqliteStore } from '../../../src/db/sqlite-store.js'
import type { ManualEdit } from '../../../src/db/store.js'
import { makeRandom } from '../../support/random.js'
import { attemptOf, entriesOf, listingOf, NOW, POLICY, Scratch } from '../../support/scratch-database.js'
import { skipUnlessRoot } from '../../support/skip-unless.js'

const scratch = new Scratch()
const WORKER = join(import.meta.dirname, '../../support/db/store-worker.mjs')

function startWorker(path: string, ...args: string[]): ChildProcess & { stdout: NodeJS.ReadableStream } {
  const child = spawn(process.execPath, [WORKER, path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return child as ChildProcess & { stdout: NodeJS.ReadableStream }
}

/** Lines of JSON that a worker printed until it ended, and how it ended. */
async function linesOf(child: ReturnType<typeof startWorker>, onLine: (line: unknown) => void = () => {}) {
  const lines: unknown[] = []
  const ended = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout })) {
    // A killed worker may leave half a line.
    if (!/^(?:[0-9]+|".*"|\{.*\})$/.test(line)) continue
    lines.push(JSON.parse(line))
    onLine(lines.at(-1))
  }
  const [exitCode, signal] = (await ended) as [number | null, string | null]
  return { lines, exitCode, signal }
}

/** A small file system of its own, gone with the test. */
function mountScratch(options: string): string {
  const folder = scratch.folder(() => execFileSync('umount', [folder]))
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder])
  return folder
}

const white = (ip: string): ManualEdit => ({ operation: 'add', kind: 'WHITE', ip })
const ipOf = (n: number): string => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`

describe('kill -9', () => {
  /** In tests of their own: a loaded machine needs more than a second for a round. */
  const ROUNDS = 30
  const LANES = 2
  const BATCH = 500
  const FRESH_FROM = 20_000

  test.each([1, 2, 3, 4])(
    `at ${ROUNDS} random moments: a prefix of the keys, sound, whatever was reported is there (seed %d)`,
    async (seed) => {
      let interrupted = 0
      const lane = async (number: number): Promise<void> => {
        const random = makeRandom(seed * LANES + number)
        let path = scratch.create()
        let stored = 0
        for (let round = number; round < ROUNDS; round += LANES) {
          if (stored > FRESH_FROM) {
            path = scratch.create()
            stored = 0
          }
          const child = startWorker(path, 'fill', `${stored}`, `${BATCH}`)
          // Right after opening, or after some calls; then a random moment within the call that follows.
          const callsBefore = random(4)
          const killAfter = callsBefore === 0 ? 'open' : stored + callsBefore * BATCH
          const spinMs = random(1000) / 200
          const { lines } = await linesOf(child, (line) => {
            if (line !== killAfter) return
            const start = performance.now()
            while (performance.now() - start < spinMs);
            child.kill('SIGKILL')
          })
          const reported = lines.filter((line) => typeof line === 'number').at(-1) ?? stored
          const store = await openStore(path, { mode: 'write' })
          expect((await store.check()).problems).toEqual([])
          const found = await entriesOf(store)
          await store.close()
          const ips = new Set(found.map((entry) => (entry.kind === 'WHITE' ? entry.ip : '')))
          const isPrefix = found.every((_, n) => ips.has(ipOf(n)))
          expect({ isPrefix, rest: found.length % BATCH }).toEqual({ isPrefix: true, rest: 0 })
          expect(found.length).toBeGreaterThanOrEqual(reported)
          if (found.length === reported) interrupted += 1
          stored = found.length
        }
      }
      await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)))
      // In most rounds the kill came before the call under way was reported, so it did hit a call.
      expect(interrupted).toBeGreaterThan(0)
    },
  )
})

describe('several processes', () => {
  test('eight that open, add, delete and list at once lose no update and see no lock', async () => {
    const path = join(scratch.folder(), 'spamd.sqlite')
    const rounds = 30
    const workers = Array.from({ length: 8 }, (_, worker) =>
      startWorker(path, 'share', `${worker}`, `${rounds}`),
    )
    for (const { lines, exitCode } of await Promise.all(workers.map((child) => linesOf(child)))) {
      expect({ lines, exitCode }).toEqual({ lines: ['done'], exitCode: 0 })
    }
    const store = await scratch.open(path)
    expect(await store.get({ kind: 'host', ip: '192.0.2.1' })).toMatchObject({ pcount: 8 * rounds - 1 })
    expect(await store.count()).toMatchObject({ WHITE: 1 + (8 * rounds) / 2 })
    expect((await store.check()).problems).toEqual([])
  })

  test('of four that create the database at once, one wins and nothing is left over', async () => {
    const path = join(scratch.folder(), 'spamd.sqlite')
    const workers = Array.from({ length: 4 }, () =>
      spawn(process.execPath, [WORKER, path, 'create'], { stdio: ['ignore', 'pipe', 'ignore'] }),
    )
    const exits = await Promise.all(workers.map(async (child) => (await once(child, 'exit'))[0] as number))
    expect(exits.filter((exitCode) => exitCode === 0)).toHaveLength(1)
    expect(readdirSync(join(path, '..'))).toEqual(['spamd.sqlite'])
  })

  test('writers without pause do not grow the log without bound', async () => {
    const path = scratch.create()
    const batchCount = 2000
    const workers = [1, 2, 3].map((seed) => startWorker(path, 'hammer', `${seed}`, `${batchCount}`))
    let largestLogBytes = 0
    let writtenCount = 0
    const target = 60_000
    const results = await Promise.all(
      workers.map((child) => {
        let isAsked = false
        return linesOf(child, (line) => {
          largestLogBytes = Math.max(
            largestLogBytes,
            statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0,
          )
          writtenCount += batchCount
          if (isAsked || Number(line) < target) return
          isAsked = true
          child.stdin?.end()
        })
      }),
    )
    expect(results.map((result) => result.exitCode)).toEqual([0, 0, 0])
    expect(writtenCount).toBeGreaterThanOrEqual(3 * target)
    // The limit, what a few batches add before one of them finds the moment to empty it, and no more.
    expect(largestLogBytes).toBeGreaterThan(0)
    expect(largestLogBytes).toBeLessThan(5 * WAL_LIMIT_BYTES)
    expect(existsSync(`${path}-wal`)).toBe(false)
  })

  test('a lock held past the time-out is an error that says so; nothing is stored', async () => {
    const path = scratch.create()
    const store = await scratch.open(path, { busyTimeoutMs: 50 })
    const holder = new Database(path)
    holder.exec('BEGIN IMMEDIATE')
    await expect(store.edit([white('192.0.2.1')], NOW)).rejects.toMatchObject({
      code: 'ERR_DB_BUSY',
      message: 'the database is locked by another program',
    })
    const reader = await scratch.open(path, { mode: 'read', busyTimeoutMs: 50 })
    expect(await entriesOf(reader)).toEqual([])
    holder.exec('COMMIT')
    holder.close()
    expect((await store.edit([white('192.0.2.1')], NOW)).outcomes).toEqual(['added'])
  })
})

describe('backup', () => {
  test('is a whole database while another process writes; an earlier one is replaced', async () => {
    const path = scratch.create()
    const store = await scratch.open(path)
    const target = join(scratch.folder(), 'backup.sqlite')
    const child = startWorker(path, 'hammer', '7', '500')
    let reported = 0
    const sizes: number[] = []
    const ended = linesOf(child, (line) => {
      reported = Number(line)
    })
    while (sizes.length < 5) {
      const before = reported
      await store.backup(target)
      const copy = await openStore(target, { mode: 'read' })
      const report = await copy.check()
      expect(report.problems).toEqual([])
      sizes.push(report.counts!.WHITE)
      await copy.close()
      // Only a backup that ran beside a writing process counts for the next one.
      while (reported === before) await new Promise((resolve) => setImmediate(resolve))
    }
    child.stdin?.end()
    await ended
    expect(sizes.at(-1)).toBeGreaterThan(sizes[0]!)
    expect(statSync(target).mode & 0o777).toBe(0o640)
    expect(readdirSync(join(target, '..'))).toEqual(['backup.sqlite'])
  })

  test('replaces neither the database itself nor a file that is no database', async () => {
    const store = await scratch.store()
    await expect(store.backup(store.location)).rejects.toMatchObject({
      code: 'ERR_DB_OPEN',
      message: 'File exists',
    })
    const other = join(scratch.folder(), 'precious')
    writeFileSync(other, 'precious')
    await expect(store.backup(other)).rejects.toMatchObject({ message: 'Inappropriate file type or format' })
    expect(readFileSync(other, 'utf8')).toBe('precious')
    const used = await scratch.store()
    await used.edit([white('192.0.2.1')], NOW)
    await expect(store.backup(used.location)).rejects.toMatchObject({ message: 'File exists' })
    await expect(store.backup(join(scratch.folder(), 'missing', 'b'))).rejects.toMatchObject({
      message: 'No such file or directory',
    })
  })
})

describe('damage and full disks', () => {
  test('a damaged page is told by check and as ERR_DB_CORRUPT', async () => {
    const path = scratch.create()
    const store = await openStore(path, { mode: 'write' })
    await store.edit(
      Array.from({ length: 5000 }, (_, n) => white(ipOf(n))),
      NOW,
    )
    await store.close()
    const file = openSync(path, 'r+')
    for (let page = 24; page < 56; page += 1) writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, page * 4096)
    closeSync(file)
    const damaged = await scratch.open(path)
    await expect(entriesOf(damaged)).rejects.toMatchObject({ code: 'ERR_DB_CORRUPT' })
    const report = await damaged.check()
    expect(report.isSound).toBe(false)
    expect(report.problems.length).toBeGreaterThan(0)
    expect(report.problems.length).toBeLessThanOrEqual(101)
  })

  test('a count of tuples that went wrong is found', async () => {
    const path = scratch.create()
    const store = await scratch.open(path)
    await store.recordAttempts([attemptOf('192.0.2.1')], POLICY, NOW)
    const database = new Database(path)
    database.exec('DELETE FROM tuples')
    database.close()
    expect((await store.check()).problems).toEqual(['0 tuples are stored, but 1 were counted'])
  })

  test.skipIf(skipUnlessRoot('a file system of its own is mounted'))(
    'a full file system (needs root): an error, the call undone, and all goes on with room again',
    async () => {
      const folder = mountScratch('size=1m')
      const path = join(folder, 'spamd.sqlite')
      createDatabase(path)
      const store = await scratch.open(path)
      let stored = 0
      const add = () =>
        store.edit(
          Array.from({ length: 500 }, (_, n) => white(ipOf(stored + n))),
          NOW,
        )
      const fill = async (): Promise<unknown> => {
        for (let calls = 0; calls < 1000; calls += 1) {
          try {
            await add()
          } catch (error) {
            return error
          }
          stored += 500
        }
        return undefined
      }
      expect(await fill()).toMatchObject({ code: 'ERR_DB_FULL', message: 'No space left on device' })
      expect(stored).toBeGreaterThan(0)
      expect(await store.count()).toMatchObject({ WHITE: stored })
      execFileSync('mount', ['-o', 'remount,size=8m', folder])
      expect((await add()).outcomes).toHaveLength(500)
      expect(await store.count()).toMatchObject({ WHITE: stored + 500 })
      expect((await store.check()).problems).toEqual([])
    },
  )
})

describe('no room for temporary files', () => {
  const many = Array.from({ length: 20_001 }, (_, n) => {
    const times = { first: 1, pass: 2, expire: 3, bcount: 4, pcount: 5 }
    return { kind: 'GREY' as const, ip: ipOf(n), helo: 'h', from: 'f', to: 't', ...times }
  })

  test('when entries cannot be put aside, nothing of it stays behind', async () => {
    const path = scratch.create()
    const database = new Database(path)
    let isFull = true
    const exec = database.exec.bind(database)
    database.exec = (sql) => {
      if (isFull && sql.includes('CREATE TABLE staging.')) {
        throw new Database.SqliteError('database or disk is full', 'SQLITE_FULL')
      }
      return exec(sql)
    }
    const file = inspectFile(path, 'write')
    const options = {
      file,
      mode: 'write',
      busyTimeoutMs: 0,
      schemaVersion: 2,
      onSlowCall: undefined,
      slowCallMs: 1e6,
    } as const
    const store = new SqliteStore(new Connection(path, database, options))
    await expect(store.upsertAll([many], { ifMissing: false })).rejects.toMatchObject({
      code: 'ERR_DB_FULL',
      hint: 'free space where temporary files go: SQLITE_TMPDIR, else TMPDIR, else /var/tmp',
    })
    expect(database.pragma('database_list')).toMatchObject([{ name: 'main' }])
    isFull = false
    expect(await store.upsertAll([many], { ifMissing: false })).toMatchObject({ added: many.length })
    await store.close()
  })

  test.skipIf(skipUnlessRoot('a file system of its own is mounted'))(
    'a full folder of temporary files (needs root) is told as such',
    async () => {
      const { lines } = await linesOf(startWorker(scratch.create(), 'load', mountScratch('size=1m')))
      expect(lines).toEqual([
        {
          code: 'ERR_DB_FULL',
          message: 'No space left on device',
          hint: 'free space where temporary files go: SQLITE_TMPDIR, else TMPDIR, else /var/tmp',
        },
      ])
    },
  )
})

describe.skipIf(skipUnlessRoot('a file system of its own is mounted'))(
  'without the right to write (needs root)',
  () => {
    const OTHER_UID = '54321'

    async function readable(): Promise<string> {
      const folder = scratch.folder()
      chmodSync(folder, 0o755)
      const path = join(folder, 'spamd.sqlite')
      createDatabase(path)
      const store = await openStore(path, { mode: 'write' })
      await store.edit([white('192.0.2.1')], NOW)
      await store.close()
      chmodSync(path, 0o644)
      return path
    }

    test('a reader lists a database that nobody uses, and leaves nothing behind', async () => {
      const path = await readable()
      const { lines } = await linesOf(startWorker(path, 'visit', OTHER_UID))
      expect(lines).toEqual([
        { mode: 'read', bytes: expect.any(Number) },
        expect.objectContaining({ mode: 'write', code: 'ERR_DB_OPEN', message: 'Permission denied' }),
      ])
      expect(lines[0]).not.toMatchObject({ bytes: 0 })
      expect(readdirSync(join(path, '..'))).toEqual(['spamd.sqlite'])
    })

    test('a reader lists a database that a daemon has open, its last changes too', async () => {
      const path = await readable()
      const store = await scratch.open(path)
      await store.edit([white('192.0.2.2')], NOW)
      const { lines } = await linesOf(startWorker(path, 'visit', OTHER_UID))
      const { length } = await listingOf(store)
      expect(lines[0]).toEqual({ mode: 'read', bytes: length })
    })

    test('no right to read, or to enter the folder, is an error and not an empty list', async () => {
      const path = await readable()
      chmodSync(path, 0o000)
      const refused = { code: 'ERR_DB_OPEN', message: 'Permission denied' }
      expect((await linesOf(startWorker(path, 'visit', OTHER_UID))).lines).toMatchObject([refused, refused])
      chmodSync(path, 0o644)
      chmodSync(join(path, '..'), 0o700)
      expect((await linesOf(startWorker(path, 'visit', OTHER_UID))).lines).toMatchObject([refused, refused])
    })

    test('the right to write the file but not its folder is refused with a hint', async () => {
      const path = await readable()
      chmodSync(path, 0o666)
      const { lines } = await linesOf(startWorker(path, 'visit', OTHER_UID))
      expect(lines[1]).toMatchObject({
        code: 'ERR_DB_OPEN',
        message: 'Permission denied',
        hint: expect.stringContaining('two files beside the database'),
      })
    })

    test('a read-only file system can be read, not written', async () => {
      const folder = mountScratch('size=8m')
      const path = join(folder, 'spamd.sqlite')
      createDatabase(path)
      const store = await openStore(path, { mode: 'write' })
      await store.edit([white('192.0.2.1')], NOW)
      await store.close()
      execFileSync('mount', ['-o', 'remount,ro', folder])
      const reader = await scratch.open(path, { mode: 'read' })
      expect(await entriesOf(reader)).toHaveLength(1)
      await expect(openStore(path, { mode: 'write' })).rejects.toMatchObject({
        message: 'Read-only file system',
      })
    })
  },
)
