import type { SqliteDatabase } from './sqlite-driver.js'

/** Marks a SQLite file as ours (`PRAGMA application_id`): the letters `spmD`. */
export const APPLICATION_ID = 0x73706d44

/**
 * Steps from one `user_version` to the next; the version of a file is how many of them it has seen. Never
 * change a published step, append another.
 *
 * Addresses and tuples are in tables of their own because their keys differ, WITHOUT ROWID so that the key
 * is stored once. Texts are the bytes from the wire, which need not be valid UTF-8. WHITE and TRAPPED
 * differ by `pcount` alone (-1 is TRAPPED), as in the original.
 *
 * `tuple_ages` counts the tuples by age in steps of AGE_STEP_SEC, and all of them under TOTAL_AGE: it finds
 * the age from which to evict without an index, which would double the size of the file.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE hosts (
     ip TEXT NOT NULL PRIMARY KEY,
     first INTEGER NOT NULL,
     pass INTEGER NOT NULL,
     expire INTEGER NOT NULL,
     bcount INTEGER NOT NULL,
     pcount INTEGER NOT NULL,
     comment TEXT
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX trapped_hosts ON hosts (ip) WHERE pcount = -1;
   CREATE TABLE tuples (
     ip TEXT NOT NULL,
     helo TEXT NOT NULL,
     "from" TEXT NOT NULL,
     "to" TEXT NOT NULL,
     first INTEGER NOT NULL,
     pass INTEGER NOT NULL,
     expire INTEGER NOT NULL,
     bcount INTEGER NOT NULL,
     pcount INTEGER NOT NULL,
     PRIMARY KEY (ip, helo, "from", "to")
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE spamtraps (
     address TEXT NOT NULL PRIMARY KEY,
     first INTEGER NOT NULL,
     comment TEXT
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE tuple_ages (
     age INTEGER NOT NULL PRIMARY KEY,
     tuple_count INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   INSERT INTO tuple_ages VALUES (-1, 0);`,
]

/** `user_version` of a file that has seen every step. */
export const SCHEMA_VERSION = MIGRATIONS.length

/**
 * Brings an open, writable database to the current schema; a file of zero bytes becomes a database. Safe
 * when several processes do it at once. The file must not be newer than we are.
 */
export function migrate(database: SqliteDatabase): void {
  database.exec('BEGIN EXCLUSIVE')
  try {
    const version = database.pragma('user_version', { simple: true }) as number
    if (version === 0) database.pragma(`application_id = ${APPLICATION_ID}`)
    for (const step of MIGRATIONS.slice(version)) database.exec(step)
    if (version < SCHEMA_VERSION) database.pragma(`user_version = ${SCHEMA_VERSION}`)
    database.exec('COMMIT')
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK')
    throw error
  }
  database.pragma('journal_mode = WAL')
}
