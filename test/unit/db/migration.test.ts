/** A database of schema 1, from before stamps and journal, is brought to the current schema by its first writer. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { SCHEMA_VERSION } from '../../../src/db/schema.js'
import { makeOldDatabase } from '../../support/old-database.js'
import { attemptOf, listingOf, NOW, POLICY, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const builtStore = new URL('../../../dist/src/db/open-store.js', import.meta.url).href

/** A database as the first release made it. */
function oldDatabase(tupleCount: number): string {
  const path = join(scratch.folder(), 'spamd.sqlite')
  const database = makeOldDatabase(path, 1, { tuples: tupleCount })
  database.exec(`
    INSERT INTO hosts VALUES ('192.0.2.1', ${NOW}, ${NOW}, ${NOW + 9999}, 3, 4, 'büro'), ('192.0.2.2', 1, 0, 0, 1, -1, NULL);
    INSERT INTO spamtraps VALUES ('trap@example.net', 7, NULL)`)
  database.close()
  return path
}

test('every entry stays as it was, readers need no writer first, and old entries take stamps when they change', async () => {
  const path = oldDatabase(20)
  const reader = await scratch.open(path, { mode: 'read' })
  const before = await listingOf(reader)
  expect(before).toContain('TRAPPED|192.0.2.2|0\n')
  const store = await scratch.open(path)
  expect(await listingOf(store)).toBe(before)
  expect(await store.check()).toMatchObject({ isSound: true, schemaVersion: SCHEMA_VERSION })
  expect(await store.readJournal(0, 10)).toEqual({ rows: [], newest: 0, isBehind: false })
  const seen = await store.recordSightings(
    [{ ip: '192.0.2.1', count: 1 }],
    { whiteExpireSec: 9, untrap: false },
    NOW,
  )
  expect(seen.changes[0]).toMatchObject({
    before: { marks: undefined },
    after: { entry: { comment: 'büro' } },
  })
  const known = attemptOf('10.0.0.1', {
    tuple: {
      ip: '10.0.0.1',
      helo: 'mail1.example.org',
      from: '<sender1@example.org>',
      to: '<user1@example.net>',
    },
  })
  const { outcomes } = await store.recordAttempts([known], POLICY, NOW + 2000)
  expect(outcomes).toMatchObject([{ result: 'promoted' }])
  expect((await store.check()).problems).toEqual([])
})

/** The columns of the history, by the schema. */
function historyOf(database: Database.Database): string {
  const columns = database.pragma('table_info(history)') as { name: string }[]
  return columns.map(({ name }) => name).join(' ')
}

test.each([
  [1, { tuples: 100_000 }],
  [2, { tuples: 50_000, history: 50_000 }],
] as const)(
  'a writer that is killed while it migrates from schema %i leaves the old schema or the new one, whole',
  async (old, content) => {
    const path = join(scratch.folder(), 'spamd.sqlite')
    const made = makeOldDatabase(path, old, content)
    const columns = { [old]: historyOf(made), [SCHEMA_VERSION]: 'last first event at by_hand rows' }
    made.close()
    const script = `const { openStore } = await import(${JSON.stringify(builtStore)})
    process.stdout.write('begin'); await openStore(${JSON.stringify(path)}, { mode: 'write' }); process.stdout.write('end')`
    for (const delayMs of [0, 5, 20, 60, 120]) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const ended = once(child, 'exit')
      await once(child.stdout, 'data')
      await pause(delayMs)
      child.kill('SIGKILL')
      await ended
      const database = new Database(path)
      const version = database.pragma('user_version', { simple: true }) as number
      expect([old, SCHEMA_VERSION]).toContain(version)
      expect(historyOf(database)).toBe(columns[version])
      const left = database.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'history_before'")
      expect(left.pluck().get()).toBe(0)
      database.close()
    }
    const store = await scratch.open(path)
    expect(await store.check()).toMatchObject({
      isSound: true,
      problems: [],
      schemaVersion: SCHEMA_VERSION,
      counts: { GREY: content.tuples },
    })
    const history = 'history' in content ? content.history : 0
    const rows = await store.readHistory({ after: 0, limit: 100_000 })
    expect([rows.length, rows.at(-1)?.seq ?? 0]).toEqual([history, history])
  },
)

test('a history with a row for each change is kept, can be taken back, and goes on', async () => {
  const path = join(scratch.folder(), 'spamd.sqlite')
  const database = makeOldDatabase(path, 2)
  const add = database.prepare(
    'INSERT INTO history (seq, event, at, rule, actor, kind, key, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  )
  const settings = { mode: 'full', keepSec: 86_400 * 400, keepRows: 5000 }
  add.run(0, 0, 0, 0, null, -1, '', null, JSON.stringify(settings))
  const host = JSON.stringify(['WHITE', NOW, NOW, NOW + 9999, 1, 0])
  const tuple = JSON.stringify(['GREY', NOW, NOW + 9, NOW + 9, 1, 0])
  const key = `192.0.2.2 ${JSON.stringify(['mx', '<a b@c>', '<d@e>'])}`
  add.run(7, 7, NOW, 2, null, 1, key, null, tuple)
  add.run(8, 8, NOW, 0, 'root', 0, '192.0.2.1', null, host)
  add.run(9, 9, NOW, 0, 'root', 2, '@trap@example.org', JSON.stringify(['SPAMTRAP', 5, null]), null)
  add.run(10, 10, NOW, 1, null, 3, '12000 entries', null, null)
  database.exec(
    `INSERT INTO hosts (ip, first, pass, expire, bcount, pcount) VALUES ('192.0.2.1', ${NOW}, ${NOW}, ${NOW + 9999}, 1, 0)`,
  )
  database.close()

  const store = await scratch.open(path)
  const rows = await store.readHistory({ after: 0, limit: 10 })
  expect(rows.map(({ seq, event, at, rule, actor }) => [seq, event, at, rule, actor])).toEqual([
    [7, 7, NOW, 'attempt', undefined],
    [8, 8, NOW, 'manual', 'root'],
    [9, 9, NOW, 'manual', 'root'],
    [10, 10, NOW, 'import', undefined],
  ])
  expect(rows.map((row) => row.key)).toEqual([
    { kind: 'tuple', ip: '192.0.2.2', helo: 'mx', from: '<a b@c>', to: '<d@e>' },
    { kind: 'host', ip: '192.0.2.1' },
    { kind: 'spamtrap', address: 'trap@example.org' },
    undefined,
  ])
  expect(rows[1]).toMatchObject({
    before: undefined,
    after: { kind: 'WHITE', ip: '192.0.2.1', expire: NOW + 9999 },
  })
  expect(rows[2]).toMatchObject({ before: { kind: 'SPAMTRAP', first: 5 }, after: undefined })
  expect(rows[3]!.summary).toBe('12000 entries')
  expect(await store.historySettings()).toEqual(settings)
  await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.9' }], NOW)
  const appended = await store.readHistory({ after: 10, limit: 10 })
  expect(appended.map(({ seq, event }) => [seq, event])).toEqual([[11, 11]])
  expect(await listingOf(store)).toContain('WHITE|192.0.2.1|')
  const options = { force: false, isDryRun: false, actor: 'root' }
  expect((await store.undo(8, options, NOW)).restored).toHaveLength(1)
  expect(await listingOf(store)).not.toContain('WHITE|192.0.2.1|')
  expect((await store.check()).problems).toEqual([])
})
