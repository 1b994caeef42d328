import { chunkHistory } from './chunk-history.js'
import type { SqliteDatabase } from './sqlite-driver.js'

/** Marks a SQLite file as ours (`PRAGMA application_id`): the letters `spmD`. */
export const APPLICATION_ID = 0x73706d44

/** Counts the bytes of the texts of all tuples, for the limit of bytes. */
export const COUNT_TUPLE_BYTES = `INSERT INTO tuple_ages
  SELECT -2, coalesce(sum(octet_length(helo) + octet_length("from") + octet_length("to")), 0) FROM tuples`

/** SQL: a row of `tuples` counts the attempts of a pool; see poolKeyOf. */
export const IS_POOL_TUPLE = `(helo = '' AND (instr(ip, '/') > 0 OR substr(ip, 1, 4) = 'spf:' OR ip = 'learn'))`

const HISTORY_TABLE = `CREATE TABLE history (
     last INTEGER PRIMARY KEY,
     first INTEGER NOT NULL,
     event INTEGER NOT NULL,
     at INTEGER NOT NULL,
     by_hand INTEGER NOT NULL,
     rows TEXT NOT NULL
   ) STRICT`

/**
 * Steps from one `user_version` to the next; the version of a file is how many of them it has seen. Never
 * change a published step, append another.
 *
 * Addresses and tuples are in tables of their own because their keys differ, WITHOUT ROWID so that the key
 * is stored once. Texts are the bytes from the wire, which need not be valid UTF-8. WHITE and TRAPPED
 * differ by `pcount` alone (-1 is TRAPPED), as in the original.
 *
 * `tuple_ages` counts the tuples by age in steps of AGE_STEP_SEC, and all of them under TOTAL_AGE: it finds
 * the age from which to evict without an index, which would double the size of the file. Two rows below it count the
 * bytes of all texts, and the tuples of pools, which are counted apart.
 *
 * Step 2: `stamp`, `granted`, `node`, `last` and `marks` beside the entries (marks-codec.ts) say when and where they
 * changed; NULL, which is every entry from before, stands for its creation. `removed` keeps them for what was deleted (host-marks.ts).
 * `sync_peers` says how far other gateways were followed (sync-state.ts). `journal` has a row for every change (journal.ts), `history` the same for people. `pool_networks`, `releases`,
 * `allow_sources`, `allow_ranges` and `hourly_counts` are there so that what uses them needs no step of its own.
 *
 * Step 3: `history` in chunks. Files that saw step 2 have it so already, or with a row of the table for each row of the
 * history, which `chunkHistory` puts into chunks.
 *
 * Step 4: only the number changes: rows of the journal and the history may stand for many additions (journal-rows.ts,
 * history.ts), which older programs would misread.
 * @internal Tests make databases of earlier versions.
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
  `ALTER TABLE hosts ADD COLUMN stamp INTEGER;
   ALTER TABLE hosts ADD COLUMN granted INTEGER;
   ALTER TABLE hosts ADD COLUMN node INTEGER;
   ALTER TABLE hosts ADD COLUMN marks BLOB;
   ALTER TABLE tuples ADD COLUMN last INTEGER;
   ALTER TABLE tuples ADD COLUMN marks BLOB;
   ALTER TABLE spamtraps ADD COLUMN stamp BLOB;
   ${COUNT_TUPLE_BYTES};
   CREATE TABLE removed (
     key TEXT NOT NULL PRIMARY KEY,
     marks BLOB NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE nodes (
     number INTEGER PRIMARY KEY,
     id INTEGER NOT NULL UNIQUE
   ) STRICT;
   INSERT INTO nodes VALUES (0, 0);
   CREATE TABLE journal_state (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     node INTEGER NOT NULL,
     home TEXT NOT NULL,
     time INTEGER NOT NULL,
     counter INTEGER NOT NULL,
     seq INTEGER NOT NULL,
     trimmed INTEGER NOT NULL
   ) STRICT;
   INSERT INTO journal_state VALUES (1, 0, '', 0, 0, 0, 0);
   CREATE TABLE journal (
     last INTEGER PRIMARY KEY,
     first INTEGER NOT NULL,
     time INTEGER NOT NULL,
     rows BLOB NOT NULL
   ) STRICT;
   CREATE TABLE journal_consumers (
     name TEXT NOT NULL PRIMARY KEY,
     position INTEGER NOT NULL,
     seen INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE sync_peers (
     node INTEGER NOT NULL PRIMARY KEY,
     name TEXT NOT NULL,
     position INTEGER NOT NULL,
     newest INTEGER NOT NULL,
     number INTEGER NOT NULL,
     heard INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   ${HISTORY_TABLE};
   CREATE TABLE pool_networks (
     network TEXT NOT NULL PRIMARY KEY,
     pool TEXT NOT NULL,
     first INTEGER NOT NULL,
     pass INTEGER NOT NULL,
     expire INTEGER NOT NULL,
     bcount INTEGER NOT NULL,
     pcount INTEGER NOT NULL,
     marks BLOB
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX pool_keys ON pool_networks (pool, expire);
   CREATE TABLE releases (
     id TEXT NOT NULL PRIMARY KEY,
     "from" TEXT,
     "to" TEXT,
     network TEXT,
     scope INTEGER NOT NULL,
     first INTEGER NOT NULL,
     expire INTEGER NOT NULL,
     used INTEGER NOT NULL,
     author TEXT,
     stamp BLOB NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE allow_sources (
     name TEXT NOT NULL PRIMARY KEY,
     first INTEGER NOT NULL,
     expire INTEGER NOT NULL,
     checked INTEGER NOT NULL,
     comment TEXT,
     stamp BLOB NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE allow_ranges (
     source TEXT NOT NULL,
     network TEXT NOT NULL,
     PRIMARY KEY (source, network)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE hourly_counts (
     hour INTEGER NOT NULL,
     name TEXT NOT NULL,
     label TEXT NOT NULL,
     count INTEGER NOT NULL,
     PRIMARY KEY (hour, name, label)
   ) STRICT, WITHOUT ROWID;`,
  '',
  '',
]

/** `user_version` of a file that has seen every step. */
export const SCHEMA_VERSION = MIGRATIONS.length

/**
 * Upgrades an open, writable database to the current schema; a file of zero bytes becomes a database. Safe
 * when several processes do it at once. The file must not be newer than we are.
 */
export function migrate(database: SqliteDatabase): void {
  database.exec('BEGIN EXCLUSIVE')
  try {
    const version = database.pragma('user_version', { simple: true }) as number
    if (version === 0) database.pragma(`application_id = ${APPLICATION_ID}`)
    for (const step of MIGRATIONS.slice(version)) database.exec(step)
    if (version === 2) chunkHistory(database, HISTORY_TABLE)
    if (version < SCHEMA_VERSION) database.pragma(`user_version = ${SCHEMA_VERSION}`)
    database.exec('COMMIT')
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK')
    throw error
  }
  database.pragma('journal_mode = WAL')
}
