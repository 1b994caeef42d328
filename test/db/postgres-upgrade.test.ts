/** A server whose tables and functions an earlier version made: refused by name, and upgraded by init-db. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { initServer } from '../../src/db/postgres/init-server.js'
import { FUNCTIONS } from '../../src/db/postgres/pg-functions.js'
import { PgLink } from '../../src/db/postgres/pg-link.js'
import { PG_SCHEMA_VERSION } from '../../src/db/postgres/pg-schema.js'
import { PostgresServer } from '../support/postgres-server.js'
import { attemptOf, listingOf, NOW, POLICY, Scratch } from '../support/scratch-database.js'

const server = await PostgresServer.start()
afterAll(() => server.remove())
const scratch = new Scratch()

async function run(location: string, sql: string): Promise<void> {
  const link = new PgLink(location, { mode: 'write', queryTimeoutMs: 60_000, slowCallMs: Infinity })
  try {
    await link.read('test', (statements) => statements.run(sql))
  } finally {
    await link.close()
  }
}

/** A database as an earlier version left it, with entries and a history. */
async function ofVersion(version: number, name: string): Promise<string> {
  // The roles belong to the whole server.
  await server.createDatabase()
  await server.sql(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`)
  const location = server.location(name)
  const path = join(import.meta.dirname, `../corpus/postgres/schema-${version}.sql`)
  await run(location, readFileSync(path, 'utf8'))
  await run(
    location,
    `INSERT INTO spamd.hosts (net, ip, kind, first, pass, expire, bcount, pcount)
       VALUES ('192.0.2.', '192.0.2.1', 'WHITE', 1, 2, 0, 3, 4);
     INSERT INTO spamd.history (event, at, rule, kind, key, after) VALUES (1, 1, 0, 0, '192.0.2.1', '["WHITE",1,2,0,3,4]')`,
  )
  return location
}

describe.each([1, 2])('tables of version %i', (version) => {
  test('are refused by a message that says what to do, not by an error of SQL', async () => {
    const location = await ofVersion(version, `former_${version}_1`)
    await expect(scratch.open(location)).rejects.toMatchObject({
      code: 'ERR_DB_OPEN',
      message: `the tables and functions on the server are of version ${version}, and this program needs ${PG_SCHEMA_VERSION}`,
      hint: expect.stringContaining('run "spamdctl init-db"'),
    })
  })

  test('are upgraded by init-db, once, with all that they hold; every call works on them', async () => {
    const location = await ofVersion(version, `former_${version}_2`)
    expect(await initServer(location)).toMatchObject({ isChanged: true, fromVersion: version })
    expect(await initServer(location)).toMatchObject({ isChanged: false, fromVersion: PG_SCHEMA_VERSION })
    const store = await scratch.open(location)
    expect(await listingOf(store)).toBe('WHITE|192.0.2.1|||1|2|0|3|4\n')
    const attempts = [attemptOf('192.0.2.7'), attemptOf('192.0.2.8')]
    await store.recordAttempts(attempts, POLICY, NOW)
    await store.recordAttempts(attempts.slice(1), POLICY, NOW + 2000)
    expect(await store.readHistory({ after: 0, limit: 10, ip: '192.0.2.1' })).toHaveLength(1)
    expect(await store.readHistory({ after: 0, limit: 10, ip: '192.0.2.8' })).toHaveLength(3)
    expect((await store.check()).problems).toEqual([])
  })

  test('have the same indexes and functions afterwards as a new database', async () => {
    const [former, fresh] = [await ofVersion(version, `former_${version}_3`), await server.createDatabase()]
    await initServer(former)
    const partsOf = (location: string) =>
      server.sql(
        `SELECT indexdef FROM pg_indexes WHERE schemaname = 'spamd' UNION ALL
         SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'spamd'::regnamespace ORDER BY 1`,
        /\/(\w+)\?/.exec(location)![1]!,
      )
    expect(await partsOf(former)).toEqual(await partsOf(fresh))
  })
})

test('a function that is gone while a program runs is told as one of another version', async () => {
  const location = await server.createDatabase()
  const store = await scratch.open(location)
  await run(location, 'ALTER FUNCTION spamd.load_hosts RENAME TO load_hosts_of_later')
  await expect(store.recordAttempts([attemptOf('192.0.2.7')], POLICY, NOW)).rejects.toMatchObject({
    code: 'ERR_DB_OPEN',
    hint: expect.stringContaining('belong to another version of spamdctl: run "spamdctl init-db"'),
  })
})

test('functions that changed have a new number of the schema', () => {
  // Changed functions reach no server whose number stays: append a step to MIGRATIONS, then put the new digest here.
  const digest = createHash('sha256').update(FUNCTIONS.join('\n')).digest('hex').slice(0, 16)
  expect({ version: PG_SCHEMA_VERSION, digest }).toEqual({ version: 3, digest: '9591c98290acb051' })
})
