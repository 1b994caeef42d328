/** The tests of the store, on a PostgreSQL server: both stores answer alike, byte by byte. */
import { afterAll } from 'vitest'
import { PostgresServer } from '../support/postgres-server.js'
import { useServer } from '../support/scratch-database.js'

const server = await PostgresServer.start()
useServer(server)
afterAll(() => server.remove())

await import('../unit/db/allowed.test.js')
await import('../unit/db/batches.test.js')
await import('../unit/db/bulk-import.test.js')
await import('../unit/db/deferred-mails.test.js')
await import('../unit/db/edits.test.js')
await import('../unit/db/entries.test.js')
await import('../unit/db/findings.test.js')
await import('../unit/db/greylist-updates.test.js')
await import('../unit/db/history.test.js')
await import('../unit/db/journal.test.js')
await import('../unit/db/listing.test.js')
await import('../unit/db/listing-plans.test.js')
await import('../unit/db/merge.test.js')
await import('../unit/db/pools.test.js')
await import('../unit/db/releases.test.js')
await import('../unit/db/scan.test.js')
await import('../unit/db/tuple-flood.test.js')
