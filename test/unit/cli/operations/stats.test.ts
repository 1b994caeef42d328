/** Counters of the hours, `spamdctl stats`, and `spamdctl advise` on a made log whose best passtime is known. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import type { ListState } from '../../../../src/app/lists/list-states.js'
import { readTop } from '../../../../src/app/read-top.js'
import { computeAdvice } from '../../../../src/app/stats.js'
import { getoptAnywhere } from '../../../../src/cli/getopt.js'
import {
  ADVISE_OPTIONS,
  runAdvise,
  runStats,
  STATS_OPTIONS,
} from '../../../../src/cli/operations/stats-commands.js'
import { OptionValues } from '../../../../src/cli/option-reader.js'
import type { ChunkRow } from '../../../../src/db/history.js'
import { createDatabase, openStore } from '../../../../src/db/open-store.js'
import type { Store, TupleAttempt } from '../../../../src/db/store.js'
import { CHANGE_RULES } from '../../../../src/domain/change.js'
import type { HistoryRow } from '../../../../src/domain/history.js'
import { setOfPrefixes } from '../../../../src/ip/prefix-ranges.js'
import { temporaryFolder } from '../../../support/program-run.js'
import { POLICY } from '../../../support/scratch-database.js'

const parent = temporaryFolder('stats')
/** Start of an hour. */
const START = 1_700_002_800
const NOW = START + 20 * 3600
const PLAIN = { width: undefined, hasColour: false }

const attempt = (ip: string, from = '<sender@example.net>', to = '<user@example.org>'): TupleAttempt => ({
  tuple: { ip, helo: 'mx.example.net', from, to },
  clientIp: ip,
  trapKey: to.slice(1, -1),
  isDomainTrap: false,
  isLowPriorityMx: false,
  mayPromote: true,
})

async function build(play: (store: Store) => Promise<void>): Promise<string> {
  const path = join(mkdtempSync(join(parent, 'db-')), 'spamd.sqlite')
  createDatabase(path)
  const store = await openStore(path, { mode: 'write', durability: 'normal' })
  try {
    await play(store)
  } finally {
    await store.close()
  }
  return path
}

/** Each client tries at the given minutes; what waits at the end of four hours has expired and is scanned away. */
async function playClients(
  store: Store,
  clients: readonly { ip: string; minutes: readonly number[] }[],
  sender = (ip: string) => `<${ip}@example.net>`,
): Promise<void> {
  const tries = clients.flatMap(({ ip, minutes }) =>
    minutes.map((minute) => ({ ip, at: START + minute * 60 })),
  )
  const promoted = new Set<string>()
  for (const { ip, at } of tries.sort((a, b) => a.at - b.at)) {
    // A white host does not come to spamd again.
    if (promoted.has(ip)) continue
    const { outcomes } = await store.recordAttempts([attempt(ip, sender(ip))], POLICY, at)
    if (outcomes[0]!.result === 'promoted') promoted.add(ip)
  }
  const expired = clients.filter(({ ip }) => !promoted.has(ip))
  const keys = expired.map(({ ip }) => ({ kind: 'tuple', ...attempt(ip, sender(ip)).tuple }) as const)
  await store.applyScan(
    { expired: keys, promoted: [], blocked: [], blockedTuples: [] },
    POLICY,
    START + 5 * 3600,
  )
}

/** Tries in the order of their minutes. */
async function playTries(
  store: Store,
  tries: readonly { ip: string; from: string; to: string; minute: number }[],
): Promise<void> {
  for (const { ip, from, to, minute } of [...tries].sort((one, other) => one.minute - other.minute)) {
    await store.recordAttempts([attempt(ip, from, to)], POLICY, START + minute * 60)
  }
}

/** Sixty servers that come back after 10, 20 and 40 minutes, sixty robots that try for five minutes, forty that try once. */
const CLIENTS = [
  ...Array.from({ length: 60 }, (_, n) => ({ ip: `192.0.2.${n}`, minutes: [0, 10, 20, 40] })),
  ...Array.from({ length: 60 }, (_, n) => ({ ip: `198.51.100.${n}`, minutes: [0, 1, 3, 5] })),
  ...Array.from({ length: 40 }, (_, n) => ({ ip: `203.0.113.${n}`, minutes: [0] })),
]

function optionsOf(argv: string[], specs: typeof STATS_OPTIONS): OptionValues {
  const parsed = getoptAnywhere(argv, specs)
  if (!parsed.ok) throw new Error(parsed.message)
  return new OptionValues(parsed)
}
const partsOf = (dbPath: string, width?: number) => ({
  dbPath,
  nowSec: NOW,
  passSec: 1500,
  hasPoolKeys: false,
  terminal: { ...PLAIN, width },
  readLists: async () => ({ states: [], delivered: [] }),
})
const stats = (dbPath: string, ...argv: string[]) => runStats(optionsOf(argv, STATS_OPTIONS), partsOf(dbPath))

describe('stats', () => {
  test('counts by hour, delays, the way of tuples, the most frequent', async () => {
    const path = await build((store) => playClients(store, CLIENTS))
    const text = await stats(path)
    expect(
      text
        .split('\n')
        .slice(0, 4)
        .map((line) => line.replace(/ +#*$/, '')),
    ).toEqual([
      'hour              new  passed  lost',
      '2023-11-14 23:00  160      60     0',
      '2023-11-15 04:00    0       0   100',
      'all               160      60   100',
    ])
    expect(text).toContain(
      'delay of mail that passed: half within 40 minutes, 90 % within 40, 99 % within 40; passtime 25m\n',
    )
    expect(text).toContain('grey 160 -> white 60 (38 %), lost 100 (63 %), 40 of them never tried again\n')
    expect(text).toContain(
      'most frequent networks\n       60  192.0.2.0/24\n       60  198.51.100.0/24\n       40  203.0.113.0/24\n',
    )
    expect(text).toContain('most frequent sender domains\n      160  example.net\n')
  })

  test('--json, --by day and --since', async () => {
    const path = await build((store) => playClients(store, CLIENTS))
    const value = JSON.parse(await stats(path, '--json', '--by', 'day')) as {
      steps: unknown[]
      delays: unknown
    }
    expect(value.steps).toEqual([
      expect.objectContaining({ start: '2023-11-14T00:00:00Z', new: 160, passed: 60, lost: 0 }),
      expect.objectContaining({ start: '2023-11-15T00:00:00Z', lost: 100 }),
    ])
    expect(value.delays).toEqual({ p50: 40, p90: 40, p99: 40 })
    expect(await stats(path, '--since', '1h')).toContain('nothing was counted during this time\n')
    await expect(stats(path, '--since', 'x')).rejects.toMatchObject({ code: 'ERR_USAGE' })
  })

  test('on a terminal a histogram with the passtime, within the width', async () => {
    const path = await build((store) => playClients(store, CLIENTS))
    for (const width of [80, 200]) {
      const text = await runStats(optionsOf([], STATS_OPTIONS), partsOf(path, width))
      expect(text).toContain('the line marks the passtime')
      for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(width)
    }
    expect(await stats(path)).not.toContain('the line marks the passtime')
  })

  test('other events are counted under their names', async () => {
    const path = await build(async (store) => {
      await store.edit(
        [
          { operation: 'add', kind: 'SPAMTRAP', address: 'trap@example.org' },
          { operation: 'add', kind: 'WHITE', ip: '192.0.2.1' },
        ],
        START,
      )
      await store.recordAttempts([attempt('192.0.2.7', '<a@b>', '<trap@example.org>')], POLICY, START)
      await store.recordSightings(
        [{ ip: '192.0.2.8', count: 1 }],
        { whiteExpireSec: 60, untrap: false },
        START,
      )
      await store.recordSightings(
        [{ ip: '192.0.2.8', count: 1 }],
        { whiteExpireSec: 60, untrap: false },
        START + 1,
      )
      await store.applyScan(
        {
          expired: [{ kind: 'host', ip: '192.0.2.8' }],
          promoted: [],
          blocked: ['192.0.2.1'],
          blockedTuples: [],
        },
        POLICY,
        START + 900,
      )
    })
    const value = JSON.parse(await stats(path, '--json')) as { totals: unknown }
    expect(await stats(path)).toContain('most frequent trapped recipients\n        1  trap@example.org\n')
    expect(value.totals).toEqual({
      new: 0,
      passed: 0,
      lost: 0,
      trapped: 1,
      refused: 0,
      listed: 0,
      expired: 1,
      sighted: 1,
      blocked: 1,
      evicted: 0,
      'by-hand': 2,
    })
  })

  test('block lists with hits, time in the tarpit, size, age and what others hold too; one without hits is named', async () => {
    const path = await build(async (store) => {
      await store.addCounts(
        [
          { name: 'listed', label: 'big', count: 7 },
          { name: 'tarpit-seconds', label: 'big', count: 5400 },
          { name: 'tarpit-seconds', label: '', count: 10 },
          { name: 'refused', label: 'full', count: 3 },
          { name: 'refused', label: 'per-ip', count: 2 },
        ],
        START,
      )
    })
    const set = (prefixLength: number, word = 0xc6336400) =>
      setOfPrefixes(
        { count: 1, words: new Uint32Array([word]), prefixLengths: new Uint8Array([prefixLength]) },
        { count: 0, words: new Uint32Array(0), prefixLengths: new Uint8Array(0) },
      )
    const delivered = [
      { name: 'big', message: '', set: set(24), entryCount: 1 },
      { name: 'small', message: '', set: set(26), entryCount: 1 },
      { name: 'apart', message: '', set: set(32, 0x0a000001), entryCount: 1 },
    ]
    const state: ListState = {
      name: 'big',
      colour: 'black',
      source: { name: 'big', method: 'https' } as unknown as NonNullable<ListState['source']>,
      entries: 1,
      lastSuccessSec: NOW - 7200,
      lastTrySec: undefined,
      lastError: undefined,
      nextFetchSec: undefined,
    }
    for (const width of [80, 200, undefined]) {
      const parts = { ...partsOf(path, width), readLists: async () => ({ states: [state], delivered }) }
      const text = await runStats(optionsOf([], STATS_OPTIONS), parts)
      expect(text).toContain(
        [
          'block list  hits  tarpit  addresses  age  also in',
          'big            7  1h 30m        256   2h  small 25 %',
          'apart          0      0s          1    -',
          'small          0      0s         64    -  big 100 %',
          'no client was on apart, small during this time',
        ].join('\n'),
      )
      expect(text).toMatch(/hour +refused +listed\n/)
      // NO_COLOR or not, there are no colours in tables.
      expect(text).not.toContain('\x1b')
    }
  })

  test('an empty database says so', async () => {
    expect(await stats(await build(async () => undefined))).toContain(
      'nothing was counted during this time\n',
    )
  })
})

test('says from when on the most frequent are, when the history is longer than what is read', async () => {
  const row = (seq: number): HistoryRow => ({
    seq,
    event: seq,
    at: NOW - 150_000 + seq,
    rule: 'attempt',
    actor: undefined,
    key: { kind: 'tuple', ...attempt('192.0.2.1').tuple },
    before: undefined,
    after: undefined,
    summary: undefined,
  })
  const store = (newest: number) => ({
    newestHistory: () => Promise.resolve(newest),
    readHistory: ({ after, limit }: { after: number; limit: number }) =>
      Promise.resolve(Array.from({ length: Math.min(limit, newest - after) }, (_, n) => row(after + n + 1))),
  })
  expect(await readTop(store(100_001), 0)).toMatchObject({
    top: { networks: [['192.0.2.0/24', 100_000]] },
    topSinceSec: NOW - 150_000 + 2,
  })
  expect((await readTop(store(50_000), 0)).topSinceSec).toBeUndefined()
  // All that was asked for was read.
  expect((await readTop(store(100_001), NOW - 100_000)).topSinceSec).toBeUndefined()
})

describe('advise', () => {
  test('finds the known best passtime: the shortest that keeps the robots out', async () => {
    const path = await build((store) => playClients(store, CLIENTS))
    const text = await runAdvise(optionsOf([], ADVISE_OPTIONS), partsOf(path))
    expect(text).toBe(`passtime  mail would pass  after waiting  lost clients would pass
      1m              120         5m 30s                       60
      2m              120         6m 30s                       60
      3m              120         6m 30s                       60
      4m              120         7m 30s                       60
      5m              120         7m 30s                       60
      6m               60            10m                        0
      8m               60            10m                        0
     10m               60            10m                        0
     12m               60            20m                        0
     15m               60            20m                        0
     20m               60            20m                        0
     25m               60            40m                        0
     30m               60   at least 40m                        0
     40m          0 to 60   at least 40m                        0
     50m          0 to 60   at least 50m                        0
     60m          0 to 60    at least 1h                        0

60 mails passed and 100 were lost with the current passtime of 25m; with a longer one, mail that passed sooner has to be tried once more
advice: spamd -G 6m:4h:36d: mail waits 10m instead of 40m, and 0 of 100 lost clients would have passed (0 now)
`)
  })

  test('says when too little is known', async () => {
    const path = await build((store) => playClients(store, CLIENTS.slice(0, 10)))
    expect(await runAdvise(optionsOf([], ADVISE_OPTIONS), partsOf(path))).toContain(
      'advice: not enough data yet',
    )
  })

  test('keeps a passtime that cannot be shorter', async () => {
    const clients = [
      ...Array.from({ length: 50 }, (_, n) => ({ ip: `192.0.2.${n}`, minutes: [0, 30] })),
      ...Array.from({ length: 50 }, (_, n) => ({ ip: `198.51.100.${n}`, minutes: [0, 22] })),
    ]
    const path = await build((store) => playClients(store, clients))
    expect(await runAdvise(optionsOf([], ADVISE_OPTIONS), partsOf(path))).toContain(
      'advice: keep the passtime',
    )
  })

  describe('of mail from many addresses', () => {
    /** Five mails of one /24, of which two pass; a pool over three networks whose mail never does; ordinary mail. */
    const play = (store: Store) =>
      playTries(store, [
        ...[1, 2, 3, 4, 5].flatMap((mail) => [
          ...[1, 2, 3].map((n) => ({
            ip: `192.0.2.${n}`,
            from: '<news@near.example>',
            to: `<u${mail}@x>`,
            minute: n * 10,
          })),
          ...(mail < 3
            ? [{ ip: '192.0.2.1', from: '<news@near.example>', to: `<u${mail}@x>`, minute: 70 }]
            : []),
        ]),
        ...[1, 2, 3].map((n) => ({ ip: `44.0.${n}.1`, from: '<a@spread.example>', to: '<u@x>', minute: n })),
        ...[1, 2].map((n) => ({ ip: `44.1.${n}.1`, from: '<a@few.example>', to: '<u@x>', minute: n })),
      ])
    const NEAR =
      '5 mails of 1 sender came from three or more addresses of one /24 or /64: 2 passed after 1h on average, 3 did not'

    test('recommends pool keys and exceptions, with the numbers behind each', async () => {
      const text = await runAdvise(optionsOf([], ADVISE_OPTIONS), partsOf(await build(play)))
      expect(text).toContain(`advice: spamd --grey-prefix4 24 --grey-prefix6 64: ${NEAR}\n`)
      expect(text).toContain(
        'pools: 1 mail of 1 sender came from several networks, which no pool key covers: 0 passed, 1 did not\n',
      )
      expect(text).toContain(
        'advice: spread.example sent 1 mail from 3 addresses in 3 networks: 0 passed, 1 did not; check its SPF record: spamdctl allow add --dry-run spread.example\n',
      )
      expect(text).not.toContain('few.example')
    })

    test('says that pool keys are in use, and leaves out what an exception lets pass', async () => {
      const path = await build(async (store) => {
        await play(store)
        const networks = ['44.0.0.0/16']
        const source = { name: 'spread.example', first: NOW, expire: 0, checked: NOW, networks }
        await store.editAllowed([{ operation: 'put', source }], NOW)
      })
      const text = await runAdvise(optionsOf([], ADVISE_OPTIONS), { ...partsOf(path), hasPoolKeys: true })
      expect(text).toContain(`pools: ${NEAR}; spamd already treats such pools as one client\n`)
      expect(text).not.toContain('spread.example')
      expect(text).not.toContain('no pool key knows')
    })

    test('--json has the same', async () => {
      const text = await runAdvise(optionsOf(['--json'], ADVISE_OPTIONS), partsOf(await build(play)))
      expect(JSON.parse(text)).toMatchObject({
        pools: {
          oneNetwork: { mails: 5, senders: 1, lost: 3, meanWaitSec: 3600 },
          candidates: [{ domain: 'spread.example', mails: 1, lost: 1, addresses: 3, networks: 3 }],
          isCut: false,
        },
      })
    })

    test('says when there is too much to look at all of it', async () => {
      const path = await build(play)
      const database = new Database(path)
      const append = database.prepare(
        'INSERT INTO history (last, first, event, at, by_hand, rows) VALUES (?, ?, ?, ?, 0, ?)',
      )
      const rows = (chunk: number): ChunkRow[] =>
        Array.from({ length: 500 }, (_, index) => {
          const mail = Math.floor((chunk * 500 + index) / 3)
          const key = [`192.0.2.${(index % 3) + 1}`, 'mx', `<a${mail}@many.example>`, '<u@x>']
          return [1, CHANGE_RULES.indexOf('attempt'), null, null, ['GREY', NOW, NOW, NOW, 1, 0], ...key]
        })
      database.transaction(() => {
        // Three tries of each of 84,000 mails.
        for (let chunk = 0; chunk < 504; chunk += 1) {
          const first = 1000 + chunk * 500
          append.run(first + 499, first, first, NOW - 60, JSON.stringify(rows(chunk)))
        }
      })()
      database.close()
      const note = /note: more mail came from several addresses than was examined/
      expect(await runAdvise(optionsOf([], ADVISE_OPTIONS), partsOf(path))).toMatch(note)
      const json = await runAdvise(optionsOf(['--json'], ADVISE_OPTIONS), partsOf(path))
      expect(JSON.parse(json)).toMatchObject({ pools: { isCut: true } })
      expect(await runAdvise(optionsOf([], ADVISE_OPTIONS), partsOf(await build(play)))).not.toMatch(note)
    })
  })

  test('one in a hundred more may pass', () => {
    const counts = [
      { hour: 0, name: 'lost', label: 'once', count: 200 },
      { hour: 0, name: 'passed', label: '', count: 10 },
      { hour: 0, name: 'lost-reach', label: '1', count: 3 },
      { hour: 0, name: 'lost-reach', label: '2', count: 2 },
    ]
    expect(computeAdvice(counts, 1500).bestMinutes).toBe(2)
  })
})
