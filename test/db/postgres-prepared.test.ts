/** Statements that a connection keeps prepared: where it is ours alone, and never where they could get lost. */
import { afterAll, describe, expect, test } from 'vitest'
import { PgJournal } from '../../src/db/postgres/pg-journal.js'
import { PgLink } from '../../src/db/postgres/pg-link.js'
import { HAS_PGBOUNCER, PgBouncer } from '../support/pgbouncer.js'
import { PostgresServer } from '../support/postgres-server.js'
import { skipUnless } from '../support/skip-unless.js'

const server = await PostgresServer.start()
afterAll(() => server.remove())
const OPTIONS = { mode: 'write', queryTimeoutMs: 60_000, slowCallMs: Infinity } as const
const FOUND = 'SELECT n, kind FROM spamd.load_hosts($1, $2, false)'
const KEPT = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%load_hosts%'"

async function keptBy(link: PgLink): Promise<unknown> {
  return link.read('test', async (statements) => {
    await statements.rows(FOUND, [['192.0.2.'], ['192.0.2.1']])
    return (await statements.rows(KEPT))[0]![0]
  })
}

test('a connection of our own keeps statements that come with each batch, and no other ones', async () => {
  const link = new PgLink(await server.createDatabase(), OPTIONS)
  expect(await keptBy(link)).toBe(1)
  const all = await link.read('test', (statements) =>
    statements.rows('SELECT count(*) FROM pg_prepared_statements'),
  )
  expect(all).toEqual([[1]])
  await link.close()
})

test('a page that comes again and again is kept, one whose text has values of its own is not', async () => {
  const link = new PgLink(await server.createDatabase(), OPTIONS)
  const page = 'SELECT ip FROM spamd.hosts WHERE ip > $1 ORDER BY ip LIMIT $2'
  const kept =
    "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%FROM spamd.hosts WHERE ip%'"
  for (const isPage of [false, true, true]) {
    expect(await link.readInOrder('test', page, ['', 5], { isPage })).toEqual([])
    expect(await link.read('test', (statements) => statements.rows(kept))).toEqual([[isPage ? 1 : 0]])
  }
  await link.close()
})

test('a look at the journal is planned no more after a few, and its plan reads by the index of transactions', async () => {
  const link = new PgLink(await server.createDatabase(), OPTIONS)
  const journal = new PgJournal(link)
  let position = (await journal.read(0, 0)).newest
  for (let n = 0; n < 7; n += 1) position = (await journal.read(position, 10)).newest
  const rows = await link.read('test', (statements) =>
    statements.rows(
      "SELECT generic_plans, name FROM pg_prepared_statements WHERE statement LIKE '%FROM spamd.journal%'",
    ),
  )
  expect(rows).toEqual([[2, expect.any(String)]])
  const plan = await link.read('test', (statements) =>
    statements.rows(`EXPLAIN EXECUTE ${String(rows[0]![1])}('5:5:', 20000)`),
  )
  const scans = plan.flat().filter((line) => /Scan .*on journal/.test(line as string))
  expect(scans).toHaveLength(2)
  for (const scan of scans) expect(scan).toContain('Index Scan using journal_xid')
  await link.close()
})

test('a transaction that is left open is ended by the server where statements are kept, too', async () => {
  const link = new PgLink(await server.createDatabase(), OPTIONS)
  const limit = await link.write('test', (statements) =>
    statements.rows('SHOW idle_in_transaction_session_timeout'),
  )
  expect(limit).toEqual([['5s']])
  await link.close()
})

describe('statements that are lost', () => {
  test.each(['read', 'write'] as const)('are prepared no more, and the call (%s) goes on', async (how) => {
    const link = new PgLink(await server.createDatabase(), OPTIONS)
    expect(await keptBy(link)).toBe(1)
    await link.read('test', (statements) => statements.rows('DEALLOCATE ALL'))
    const rows = await link[how]('test', (statements) =>
      statements.rows(FOUND, [['192.0.2.'], ['192.0.2.1']]),
    )
    expect(rows.length).toBeLessThanOrEqual(1)
    expect(await keptBy(link)).toBe(0)
    await link.close()
  })
})

test.skipIf(skipUnless(HAS_PGBOUNCER, 'pgbouncer is not there: scripts/setup-lab.sh fetches it'))(
  'none is kept through pgbouncer in transaction mode',
  async () => {
    const location = await server.createDatabase()
    const bouncer = new PgBouncer(server)
    try {
      await bouncer.start()
      const link = new PgLink(bouncer.location(/\/([^/?]*)\?/.exec(location)![1]!), OPTIONS)
      expect(await keptBy(link)).toBe(0)
      await link.close()
    } finally {
      await bouncer.remove()
    }
  },
)
