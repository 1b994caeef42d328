/** History, `spamdctl log` and `spamdctl undo` on a real database. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { exportEntries } from '../../../../src/app/database/export-entries.js'
import { getoptAnywhere } from '../../../../src/cli/getopt.js'
import {
  LOG_OPTIONS,
  runLog,
  runUndo,
  UNDO_OPTIONS,
} from '../../../../src/cli/operations/history-commands.js'
import { OptionValues } from '../../../../src/cli/option-reader.js'
import { createDatabase, openStore } from '../../../../src/db/open-store.js'
import type { Store } from '../../../../src/db/store.js'
import type { Entry } from '../../../../src/domain/entry.js'
import { DEFAULT_HISTORY } from '../../../../src/domain/history.js'
import { openScene, TEST_NOW, temporaryFolder } from '../../../support/program-run.js'
import { POLICY } from '../../../support/scratch-database.js'

const parent = temporaryFolder('history')
const path = (): string => {
  const file = join(mkdtempSync(join(parent, 'db-')), 'spamd.sqlite')
  createDatabase(file)
  return file
}

const ENTRIES: Entry[] = [
  {
    kind: 'WHITE',
    ip: '192.0.2.1',
    first: 5,
    pass: 6,
    expire: TEST_NOW + 99,
    bcount: 3,
    pcount: 4,
    comment: 'our printer ü',
  },
  { kind: 'TRAPPED', ip: '2001:db8::1', first: 5, pass: 6, expire: 0, bcount: 3, pcount: -1 },
  { kind: 'SPAMTRAP', address: 'trap\xe9@example.org', first: 7, comment: 'old' },
  {
    kind: 'GREY',
    ip: '203.0.113.9',
    helo: 'h "q" \xff',
    from: '<a@b>',
    to: '<c@d>',
    first: 1,
    pass: 2,
    expire: TEST_NOW + 5,
    bcount: 1,
    pcount: 0,
  },
]

function optionsOf(argv: string[], specs: typeof LOG_OPTIONS): OptionValues {
  const parsed = getoptAnywhere(argv, specs)
  if (!parsed.ok) throw new Error(parsed.message)
  return new OptionValues(parsed)
}

function worldOf(dbPath: string, more: { signal?: AbortSignal; write?: (text: string) => void } = {}) {
  const seen = { out: '', err: '' }
  const world = {
    dbPath,
    nowSec: () => TEST_NOW,
    write: (text: string) => {
      seen.out += text
      more.write?.(seen.out)
    },
    writeError: (text: string) => {
      seen.err += text
    },
    actor: 'alice',
    followMs: 5,
    ...(more.signal === undefined ? {} : { signal: more.signal }),
  }
  return { seen, world }
}

async function log(dbPath: string, ...argv: string[]): Promise<string> {
  const { seen, world } = worldOf(dbPath)
  expect(await runLog(optionsOf(argv, LOG_OPTIONS), world)).toBe(0)
  return seen.out
}

async function undo(dbPath: string, ...argv: string[]) {
  const { seen, world } = worldOf(dbPath)
  const operands = argv.filter((word) => !word.startsWith('--'))
  const rc = await runUndo(
    operands,
    optionsOf(
      argv.filter((word) => word.startsWith('--')),
      UNDO_OPTIONS,
    ),
    world,
  )
  return { rc, ...seen }
}

async function withStore<Result>(file: string, use: (store: Store) => Promise<Result>): Promise<Result> {
  const store = await openStore(file, { mode: 'write' })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

async function exported(file: string): Promise<string> {
  return await withStore(file, async (store) => {
    const chunks: Buffer[] = []
    for await (const chunk of exportEntries(store, () => undefined)) chunks.push(Buffer.from(chunk))
    for await (const chunk of store.listText()) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks).toString('latin1')
  })
}

describe('undo', () => {
  test('puts deleted entries of every kind back, byte for byte', async () => {
    const file = path()
    await withStore(file, (store) => store.upsert(ENTRIES, { ifMissing: false, now: TEST_NOW }))
    const before = await exported(file)
    await withStore(file, (store) =>
      store.edit(
        [
          { operation: 'delete', key: { kind: 'host', ip: '192.0.2.1' } },
          { operation: 'delete', key: { kind: 'host', ip: '2001:db8::1' } },
          { operation: 'delete', key: { kind: 'spamtrap', address: 'trap\xe9@example.org' } },
          { operation: 'delete-tuples', ip: '203.0.113.9', all: true },
        ],
        TEST_NOW + 1,
      ),
    )
    expect(await exported(file)).toBe('')
    const dry = await undo(file, 'last', '--dry-run')
    expect(dry.out).toContain('192.0.2.1: would be WHITE again\n')
    expect(await exported(file)).toBe('')
    expect(await undo(file)).toMatchObject({ rc: 0, out: 'event 5: 4 entries were restored\n' })
    expect(await exported(file)).toBe(before)
    // Undo is an event itself: taking it back deletes them again.
    expect((await undo(file)).rc).toBe(0)
    expect(await exported(file)).toBe('')
  })

  test('takes 10,000 keys of spamdb -d - back as one event', async () => {
    const entries = Array.from(
      { length: 10_000 },
      (_, index): Entry => ({
        kind: 'WHITE',
        ip: `10.0.${index >> 8}.${index & 255}`,
        first: index,
        pass: index,
        expire: TEST_NOW + index,
        bcount: 1,
        pcount: index,
      }),
    )
    const { path: file, spamdb } = await openScene(parent, entries)
    const before = await exported(file)
    await spamdb(['-d', '-'], entries.map((entry) => `${'ip' in entry ? entry.ip : ''}\n`).join(''))
    expect(await exported(file)).toBe('')
    expect((await undo(file)).out).toMatch(/^event [0-9]+: 10000 entries were restored\n$/)
    expect(await exported(file)).toBe(before)
  })

  test('takes an import back: what was replaced is as it was, what was new is gone', async () => {
    const file = path()
    await withStore(file, (store) =>
      store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], TEST_NOW - 50),
    )
    const before = await exported(file)
    await withStore(file, (store) => store.upsertAll([ENTRIES], { ifMissing: false, now: TEST_NOW }))
    expect(await exported(file)).not.toBe(before)
    expect((await undo(file)).rc).toBe(0)
    expect(await exported(file)).toBe(before)
  })

  test('refuses when an entry changed since, unless forced', async () => {
    const file = path()
    await withStore(file, (store) =>
      store.edit(
        [
          { operation: 'add', kind: 'WHITE', ip: '192.0.2.1' },
          { operation: 'add', kind: 'WHITE', ip: '192.0.2.2' },
        ],
        TEST_NOW,
      ),
    )
    await withStore(file, (store) =>
      store.recordSightings(
        [{ ip: '192.0.2.1', count: 1 }],
        { whiteExpireSec: 5, untrap: false },
        TEST_NOW + 60,
      ),
    )
    const before = await exported(file)
    expect(await undo(file)).toEqual({
      rc: 1,
      out: '',
      err: 'spamdctl: event 1 was not undone: these entries have changed since: 192.0.2.1\nspamdctl: hint: use --force to restore them anyway\n',
    })
    expect(await exported(file)).toBe(before)
    expect((await undo(file, '--force')).rc).toBe(0)
    expect(await exported(file)).toBe('')
  })

  test('refuses events of daemons, unknown ones, and those too large for the history', async () => {
    const file = path()
    await expect(undo(file)).rejects.toThrow('nothing to undo')
    await withStore(file, (store) =>
      store.recordSightings(
        [{ ip: '192.0.2.1', count: 1 }],
        { whiteExpireSec: 500, untrap: false },
        TEST_NOW,
      ),
    )
    await expect(undo(file, '1')).rejects.toThrow('event 1 was made by a daemon (sighting)')
    await expect(undo(file, '77')).rejects.toThrow('no such event: 77')
    await expect(undo(file, 'x')).rejects.toThrow('"x" is not an event')
    const many = Array.from(
      { length: 20_001 },
      (_, index): Entry => ({
        ...(ENTRIES[0] as Extract<Entry, { kind: 'WHITE' | 'TRAPPED' }>),
        ip: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
      }),
    )
    await withStore(file, (store) => store.upsertAll([many], { ifMissing: false, now: TEST_NOW }))
    expect(await log(file, '--cause', 'import')).toMatch(
      / #2 spamdctl \(import\) 20001 added, 0 updated, 0 skipped\n$/,
    )
    await expect(undo(file)).rejects.toThrow('event 2 was too large')
  })
})

describe('log', () => {
  async function story(): Promise<string> {
    const file = path()
    await withStore(file, (store) =>
      store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], TEST_NOW - 7200, { actor: 'alice' }),
    )
    await withStore(file, async (store) => {
      const attempt = (ip: string, from: string) => ({
        tuple: { ip, helo: 'h', from, to: '<user@example.org>' },
        clientIp: ip,
        trapKey: 'user@example.org',
        isDomainTrap: false,
        isLowPriorityMx: false,
        mayPromote: true,
      })
      await store.recordAttempts([attempt('203.0.113.9', '<a@example.net>')], POLICY, TEST_NOW - 3600)
      await store.recordAttempts([attempt('203.0.113.9', '<a@example.net>')], POLICY, TEST_NOW - 3000)
      await store.recordAttempts(
        [attempt('203.0.113.10', '<b\u001b[31m@example.com>')],
        POLICY,
        TEST_NOW - 60,
      )
    })
    return file
  }
  const keysIn = (text: string) => text.split('\n').flatMap((line) => /\) (\S+?):? /.exec(line)?.[1] ?? [])

  test('time, number, program, cause, key, before and after; repeats leave no line; controls are escaped', async () => {
    const text = await log(await story())
    expect(text.split('\n')[0]).toMatch(
      /^[0-9-]{10} [0-9:]{8} #1 spamdb \(manual, alice\) 192\.0\.2\.1: none -> WHITE until /,
    )
    expect(text.split('\n')[1]).toMatch(
      / #2 spamd \(attempt\) 203\.0\.113\.9 <a@example\.net> to <user@example\.org> \(HELO h\): none -> GREY until /,
    )
    expect(text.trimEnd().split('\n')).toHaveLength(3)
    expect(text).toContain('<b\\x1b[31m@example.com>')
  })

  test.each([
    [['--ip', '203.0.113.9'], ['203.0.113.9']],
    [
      ['--ip', '203.0.113.0/24'],
      ['203.0.113.9', '203.0.113.10'],
    ],
    [['--ip', '203.0.113.1'], []],
    [['--from', 'example.net'], ['203.0.113.9']],
    [
      ['--to', 'user@*'],
      ['203.0.113.9', '203.0.113.10'],
    ],
    [['--since', '30m'], ['203.0.113.10']],
    [['--since', '2023-11-14T22:00:00Z'], ['203.0.113.10']],
    [['--cause', 'manual,import'], ['192.0.2.1']],
    [['--cause', 'trap'], []],
  ])('%j', async (argv, keys) => {
    expect(keysIn(await log(await story(), ...argv))).toEqual(keys)
  })

  test('--json is one array, --ndjson an object a line', async () => {
    const file = await story()
    const rows = JSON.parse(await log(file, '--json')) as { cause: string }[]
    expect(rows[0]).toMatchObject({
      event: 1,
      time: '2023-11-14T20:13:20Z',
      program: 'spamdb',
      cause: 'manual',
      actor: 'alice',
      key: { kind: 'host', ip: '192.0.2.1' },
      before: null,
      after: { kind: 'WHITE' },
    })
    expect(
      (await log(file, '--ndjson'))
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(rows)
    expect(await log(path(), '--json')).toBe('[]\n')
  })

  test('--follow goes on with what happens', async () => {
    const file = await story()
    const controller = new AbortController()
    const { seen, world } = worldOf(file, {
      signal: controller.signal,
      write: (text) => {
        if (text.includes('198.51.100.7')) controller.abort()
      },
    })
    const following = runLog(optionsOf(['--follow', '--cause', 'manual'], LOG_OPTIONS), world)
    await withStore(file, (store) =>
      store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '198.51.100.7' }], TEST_NOW),
    )
    expect(await following).toBe(0)
    expect(keysIn(seen.out)).toEqual(['192.0.2.1', '198.51.100.7'])
  })

  test.each([
    ['--ip', 'x'],
    ['--cause', 'nosuch'],
    ['--since', 'yesterday'],
    ['--keep', '0'],
    ['--keep-rows', '0'],
  ])('refuses %s %s', async (...argv) => {
    await expect(log(path(), ...argv)).rejects.toMatchObject({ code: 'ERR_USAGE' })
  })
})

describe('what is kept', () => {
  test('hosts alone: senders and recipients leave, and come no more', async () => {
    const file = path()
    await withStore(file, (store) => store.upsert(ENTRIES, { ifMissing: false, now: TEST_NOW }))
    expect(await log(file, '--history', 'hosts', '--keep', '7d')).toBe(
      'history: hosts, kept for 7 days and 1000000 rows at most\n',
    )
    expect((await log(file)).trimEnd().split('\n')).toHaveLength(2)
    await withStore(file, (store) =>
      store.edit(
        [
          { operation: 'delete-tuples', ip: '203.0.113.9', all: true },
          { operation: 'add', kind: 'WHITE', ip: '192.0.2.9' },
        ],
        TEST_NOW,
      ),
    )
    expect(await log(file)).toContain('192.0.2.9')
    expect(await log(file)).not.toContain('a@b')
  })

  test('off: nothing', async () => {
    const file = path()
    await withStore(file, (store) => store.upsert(ENTRIES, { ifMissing: false, now: TEST_NOW }))
    await log(file, '--history', 'off')
    await withStore(file, (store) =>
      store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.9' }], TEST_NOW),
    )
    expect(await log(file)).toBe('')
  })

  test('the oldest rows go in slices, by number and by age', async () => {
    const file = path()
    await withStore(file, async (store) => {
      await store.saveHistorySettings({ ...DEFAULT_HISTORY, keepRows: 3000 })
      for (let batch = 0; batch < 10; batch += 1) {
        const edits = Array.from(
          { length: 1000 },
          (_, index) =>
            ({ operation: 'add', kind: 'WHITE', ip: `10.${batch}.${index >> 8}.${index & 255}` }) as const,
        )
        await store.edit(edits, TEST_NOW + batch)
      }
      const rows = await store.readHistory({ after: 0, limit: 20_000 })
      expect(rows.length).toBeLessThanOrEqual(4000)
      expect(rows.at(-1)!.seq).toBe(10_000)
      for (let batch = 0; batch < 3; batch += 1) {
        const edits = Array.from(
          { length: 1000 },
          (_, index) =>
            ({ operation: 'add', kind: 'TRAPPED', ip: `10.${batch}.${index >> 8}.${index & 255}` }) as const,
        )
        await store.edit(edits, TEST_NOW + 40 * 86_400)
      }
      expect((await store.readHistory({ after: 0, limit: 1 }))[0]!.seq).toBeGreaterThan(9000)
    })
  })
})
