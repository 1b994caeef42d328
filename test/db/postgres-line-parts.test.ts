/** Listings of many addresses, whose lines a server makes in several parts at once: the same bytes as one after the other. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CLASSIC_FORM } from '../../src/db/listing/listing-text.js'
import { LineParts, type PartBounds } from '../../src/db/postgres/pg-line-parts.js'
import { PgLink } from '../../src/db/postgres/pg-link.js'
import { listTextOnServer } from '../../src/db/postgres/pg-listing.js'
import type { EntryQuery } from '../../src/domain/query.js'
import { AppError } from '../../src/platform/app-error.js'
import { HAS_PGBOUNCER, PgBouncer } from '../support/pgbouncer.js'
import { PostgresServer } from '../support/postgres-server.js'
import { skipUnless } from '../support/skip-unless.js'

const server = await PostgresServer.start()
const location = await server.createDatabase()
const database = /\/([^/?]*)\?/.exec(location)![1]!
const OPTIONS = { mode: 'read', queryTimeoutMs: 60_000, slowCallMs: Infinity } as const
/** Of them, every tenth one is trapped. */
const COUNT = 45_000
const link = new PgLink(location, OPTIONS)
/** Parts from the second page on, of 2,000 lines, cut where every row is looked at. */
const SMALL: PartBounds = { fromLines: 20_000, samplePercent: 100, sampledRows: 2000 }
const IN_ONE_PIECE: PartBounds = { ...SMALL, fromLines: Infinity }

type Options = Parameters<PgLink['readInOrder']>[3]
/** A statement that makes several parts, with its values. */
interface Asked {
  sql: string
  values: readonly unknown[]
}

beforeAll(async () => {
  await server.sql(
    `INSERT INTO spamd.hosts (net, ip, kind, first, pass, expire, bcount, pcount)
      SELECT regexp_replace(ip, '[0-9]+$', ''), ip, CASE n % 10 WHEN 0 THEN 'TRAPPED' ELSE 'WHITE' END,
        n, n + 1, n * 7919 % 1000, n % 5, CASE n % 10 WHEN 0 THEN -1 ELSE n END
      FROM (SELECT n, CASE n % 3 WHEN 0 THEN '2001:db8::' || to_hex(n)
        ELSE '10.' || n % 200 || '.' || n / 256 % 256 || '.' || n % 256 END AS ip FROM generate_series(1, ${COUNT}) n) AS made
      ON CONFLICT DO NOTHING`,
    database,
  )
})
afterAll(async () => {
  await link.close()
  await server.remove()
})

/** A link that tells of statements of several parts before they are sent, and of what came back. */
function watched(
  inner: PgLink,
  {
    before = () => {},
    behind = (rows) => rows,
  }: { before?: (asked: Asked) => void; behind?: (rows: Rows) => Rows },
): PgLink {
  const readInOrder = async (call: string, sql: string, values: readonly unknown[], options: Options) => {
    if (options.isParallel !== true) return inner.readInOrder(call, sql, values, options)
    before({ sql, values })
    return behind(await inner.readInOrder(call, sql, values, options))
  }
  return { read: inner.read.bind(inner), readInOrder } as unknown as PgLink
}
type Rows = Awaited<ReturnType<PgLink['readInOrder']>>

async function listed(on: PgLink, bounds: PartBounds, query: EntryQuery = {}): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of listTextOnServer(on, query, CLASSIC_FORM, bounds)) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

/** The listing of both ways, and how many statements made several parts. */
async function both(query?: EntryQuery): Promise<{ inParts: string; inOnePiece: string; count: number }> {
  const asked: Asked[] = []
  const inParts = await listed(watched(link, { before: (one) => asked.push(one) }), SMALL, query)
  return { inParts, inOnePiece: await listed(link, IN_ONE_PIECE, query), count: asked.length }
}

describe('a listing in parts', () => {
  test('has every line once, in the order of the addresses', async () => {
    const { inParts, inOnePiece, count } = await both()
    expect(count).toBeGreaterThanOrEqual(3)
    expect(inParts === inOnePiece).toBe(true)
    const white = inParts.split('\n').filter((line) => line.startsWith('WHITE|'))
    const addresses = white.map((line) => line.split('|')[1]!)
    expect(addresses).toEqual([...new Set(addresses)].sort())
    const rows = await server.sql(
      'SELECT kind, count(*) FROM spamd.hosts GROUP BY kind ORDER BY kind',
      database,
    )
    expect(rows).toEqual([
      ['TRAPPED', inParts.split('\n').length - 1 - white.length],
      ['WHITE', white.length],
    ])
  })

  test.each<[string, EntryQuery]>([
    ['that is over', { expiresBy: 800 }],
    ['that is old', { createdBefore: 40_000 }],
    ['of one kind', { kinds: ['WHITE'] }],
  ])('is the same for what is wanted: %s', async (_what, query) => {
    const { inParts, inOnePiece, count } = await both(query)
    expect(count).toBeGreaterThanOrEqual(1)
    expect(inParts === inOnePiece).toBe(true)
  })

  test('is not made of what is short, or when only so many lines are wanted', async () => {
    for (const query of [{ kinds: ['TRAPPED'] }, { limit: 40_000 }, { network: '10.0.0.0/8' }] as const) {
      const { inParts, inOnePiece, count } = await both(query)
      expect(count).toBe(0)
      expect(inParts === inOnePiece).toBe(true)
    }
  })

  test('has its parts in order, whichever the server has ready first', async () => {
    const reversed = watched(link, { behind: (rows) => rows.toReversed() })
    expect((await listed(reversed, SMALL)) === (await listed(link, IN_ONE_PIECE))).toBe(true)
  })

  test.each([1, 2, 3, 7])('may be cut at any address: a cut for every %i rows', async (sampledRows) => {
    const parts = new LineParts(link, { fromLines: 0, samplePercent: 100, sampledRows })
    const where = { scope: { low: '10.1.', high: '10.12.' } }
    // The page behind it, which is made ahead, is not given to one that asks again.
    const first = await parts.read('TRAPPED', '10.1.', 1, where)
    expect(await parts.read('TRAPPED', '10.1.', 1, where)).toEqual(first)
    const texts: string[] = []
    let [after, total] = ['10.1.', 0]
    for (;;) {
      const page = await parts.read('TRAPPED', after, 1, where)
      if (page === undefined) break
      expect(page.end > after).toBe(true)
      texts.push(page.lines!.toString())
      total += page.count
      after = page.end
    }
    const wanted = await server.sql(
      `SELECT 'TRAPPED|' || ip || '|' || expire || chr(10) FROM spamd.hosts
        WHERE kind = 'TRAPPED' AND ip > '10.1.' AND ip <= '${after}' ORDER BY ip`,
      database,
    )
    expect(wanted.length).toBeGreaterThan(10)
    expect(total).toBe(wanted.length)
    expect(texts.join('')).toBe(wanted.flat().join(''))
  })
})

test('the parts of a page are made at the same time, each in the order of an index', async () => {
  const asked: Asked[] = []
  await listed(watched(link, { before: (one) => asked.push(one) }), SMALL)
  const { sql, values } = asked[0]!
  const options = { isPage: false, isParallel: true }
  const plan = (await link.readInOrder('test', `EXPLAIN (ANALYZE, TIMING OFF) ${sql}`, values, options))
    .flat()
    .join('\n')
  expect(plan).toContain('Parallel Append')
  expect(plan).toMatch(/Workers Planned: [1-9]/)
  expect(plan).not.toMatch(/Sort {2}\(|Gather Merge|Partial Aggregate/)
})

describe('a server', () => {
  test('that may start no process for it makes one part after the other', async () => {
    await server.sql(`ALTER DATABASE ${database} SET max_parallel_workers = 0`)
    const other = new PgLink(location, OPTIONS)
    const asked: Asked[] = []
    const text = await listed(watched(other, { before: (one) => asked.push(one) }), SMALL)
    await server.sql(`ALTER DATABASE ${database} RESET max_parallel_workers`)
    await other.close()
    expect(asked.length).toBeGreaterThanOrEqual(3)
    expect(text === (await listed(link, IN_ONE_PIECE))).toBe(true)
  })

  test.each(['ERR_DB_FULL', 'ERR_DB_AWAY'] as const)(
    'that refuses with %s is asked for no more parts in this listing, which goes on in one piece',
    async (code) => {
      let count = 0
      const refusing = watched(link, {
        before: () => {
          count += 1
          throw new AppError(code, 'could not resize shared memory segment')
        },
      })
      expect((await listed(refusing, SMALL)) === (await listed(link, IN_ONE_PIECE))).toBe(true)
      expect(count).toBe(1)
    },
  )

  test('lists in parts for a role that may only read', async () => {
    await server.sql('CREATE ROLE watcher LOGIN')
    await server.sql('GRANT spamd_monitor TO watcher', database)
    const reader = new PgLink(server.location(database, 'watcher'), OPTIONS)
    const asked: Asked[] = []
    const text = await listed(watched(reader, { before: (one) => asked.push(one) }), SMALL)
    await reader.close()
    expect(asked.length).toBeGreaterThanOrEqual(3)
    expect(text === (await listed(link, IN_ONE_PIECE))).toBe(true)
  })

  test('makes no more than two pages ahead of a reader that waits', async () => {
    const asked: Asked[] = []
    const chunks = listTextOnServer(
      watched(link, { before: (one) => asked.push(one) }),
      {},
      CLASSIC_FORM,
      SMALL,
    )
    // The first in one piece, the second in parts.
    for (let n = 0; n < 2; n += 1) expect((await chunks.next()).done).toBe(false)
    // Calls have their turns: behind these, what was asked for has come.
    for (let n = 0; n < 5; n += 1) await link.read('test', (statements) => statements.rows('SELECT 1'))
    expect(asked).toHaveLength(3)
    await chunks.return()
  })

  test('has nothing left of a listing whose reader went away', async () => {
    const reader = new PgLink(location, { ...OPTIONS })
    let pid: unknown
    await reader.read('test', async (statements) => {
      pid = (await statements.rows('SELECT pg_backend_pid()'))[0]![0]
    })
    let count = 0
    for await (const chunk of listTextOnServer(reader, {}, CLASSIC_FORM, SMALL)) {
      expect(chunk.length).toBeGreaterThan(0)
      count += 1
      // The first one behind those in one piece: the next is being made.
      if (count === 3) break
    }
    await reader.close()
    const left = `SELECT count(*) FROM pg_stat_activity WHERE pid = ${String(pid)} OR leader_pid = ${String(pid)}`
    await expect.poll(() => server.sql(left), { timeout: 60_000 }).toEqual([[0]])
  })

  test.skipIf(skipUnless(HAS_PGBOUNCER, 'pgbouncer is not there: scripts/setup-lab.sh fetches it'))(
    'lists in parts through pgbouncer in transaction mode',
    async () => {
      const bouncer = new PgBouncer(server)
      try {
        await bouncer.start()
        const through = new PgLink(bouncer.location(database), OPTIONS)
        const asked: Asked[] = []
        const text = await listed(watched(through, { before: (one) => asked.push(one) }), SMALL)
        await through.close()
        expect(asked.length).toBeGreaterThanOrEqual(3)
        expect(text === (await listed(link, IN_ONE_PIECE))).toBe(true)
      } finally {
        await bouncer.remove()
      }
    },
  )
})
