/** Databases as programs of before made them, for tests and benchmarks of their migration. */
import Database from 'better-sqlite3'
import { APPLICATION_ID, MIGRATIONS } from '../../src/db/schema.js'
import { NOW } from './scratch-database.js'

/** The table of the history in schema 2, as databases from before chunks have it. */
const HISTORY_BEFORE = `CREATE TABLE history (seq INTEGER PRIMARY KEY, event INTEGER NOT NULL, at INTEGER NOT NULL, program TEXT,
  rule INTEGER NOT NULL, actor TEXT, kind INTEGER NOT NULL, key TEXT NOT NULL, before TEXT, after TEXT) STRICT`

/** Numbers from 1 to the parameter. */
const NUMBERS =
  'WITH RECURSIVE n(i) AS (SELECT 1 WHERE @count > 0 UNION ALL SELECT i + 1 FROM n WHERE i < @count)'
const IP = (net: number): string => `printf('${net}.%d.%d.%d', i / 65536, i / 256 % 256, i % 256)`
/** About as long as those of real mail. */
const TUPLES = `${NUMBERS} INSERT INTO tuples (ip, helo, "from", "to", first, pass, expire, bcount, pcount)
  SELECT ${IP(10)}, printf('mail%d.example.org', i % 1000), printf('<sender%d@example.org>', i % 77777),
    printf('<user%d@example.net>', i % 500), ${NOW}, ${NOW + 14_400}, ${NOW + 14_400}, 1, 0 FROM n`
const HOSTS = `${NUMBERS} INSERT INTO hosts (ip, first, pass, expire, bcount, pcount)
  SELECT ${IP(11)}, ${NOW}, ${NOW}, ${NOW + 9999}, 3, i % 40 FROM n`
/** First attempts of the tuples: rule 2, kind 1. */
const HISTORY = `${NUMBERS} INSERT INTO history (seq, event, at, rule, kind, key, after)
  SELECT i, i, ${NOW}, 2, 1,
    printf('%s ["mail%d.example.org","<sender%d@example.org>","<user%d@example.net>"]', ${IP(10)}, i % 1000, i % 77777, i % 500),
    '["GREY",${NOW},${NOW + 14_400},${NOW + 14_400},1,0]' FROM n`

export interface OldContent {
  tuples?: number
  hosts?: number
  /** Rows of the history, which only schema 2 has. */
  history?: number
}

/** Makes a database of schema 1, or of schema 2 as it was before chunks; it stays open for what the caller adds. */
export function makeOldDatabase(path: string, version: 1 | 2, content: OldContent = {}): Database.Database {
  const { tuples = 0, hosts = 0, history = 0 } = content
  const database = new Database(path)
  database.pragma(`application_id = ${APPLICATION_ID}`)
  database.exec(MIGRATIONS.slice(0, version).join(''))
  if (version === 2) database.exec(`DROP TABLE history; ${HISTORY_BEFORE}`)
  database.pragma('journal_mode = WAL')
  database.exec('BEGIN')
  database.prepare(TUPLES).run({ count: tuples })
  database.prepare('UPDATE tuple_ages SET tuple_count = ? WHERE age = -1').run(tuples)
  database
    .prepare('INSERT INTO tuple_ages SELECT @age, @count WHERE @count > 0')
    .run({ age: Math.floor(NOW / 64), count: tuples })
  if (version === 2) {
    database.exec(`UPDATE tuple_ages SET tuple_count = (SELECT sum(octet_length(helo) + octet_length("from") + octet_length("to"))
      FROM tuples) WHERE age = -2 AND EXISTS (SELECT 1 FROM tuples)`)
    database.prepare(HISTORY).run({ count: history })
  }
  database.prepare(HOSTS).run({ count: hosts })
  database.pragma(`user_version = ${version}`)
  database.exec('COMMIT')
  return database
}
