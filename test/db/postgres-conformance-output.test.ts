/** What is printed of the entries, and what checks of senders found, on a PostgreSQL server: as from a file, byte by byte. */
import { afterAll } from 'vitest'
import { PostgresServer } from '../support/postgres-server.js'
import { useServer } from '../support/scratch-database.js'

const server = await PostgresServer.start()
useServer(server)
afterAll(() => server.remove())

await import('../unit/app/database/export-entries.test.js')
await import('../unit/cli/spamdb/wide-table.test.js')
await import('../unit/db/findings.test.js')
