/**
 * CPU time (user and system) of the usual listings, each compared with the command that an administrator would
 * otherwise type: `npm run bench:listing [ENTRIES [ROUNDS [WORD]]]`, after a build. Ours and the peer run
 * alternately; a line has the median of each, the minimum and maximum of ours, and the ratio with the limit in
 * docs/benchmarks.md.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compare } from './cpu-time.js'
import { generateDatabase } from './generate-database.js'

const root = join(import.meta.dirname, '..')
const spamdb = `"${process.execPath}" "${join(root, 'bin/spamdb.js')}"`
const spamdctl = `"${process.execPath}" "${join(root, 'bin/spamdctl.js')}"`
const bareNode = `"${process.execPath}" -e 0`
const entries = Number(process.argv[2] ?? 1_000_000)
const rounds = Number(process.argv[3] ?? 3)
const only = process.argv[4] ?? ''
const folder = mkdtempSync(join(tmpdir(), 'listing-bench-'))
const big = join(folder, 'big.sqlite')
const environment: NodeJS.ProcessEnv = { ...process.env, SPAMD_DB: big }
delete environment.NODE_EXTRA_CA_CERTS

const sqlite = (sql: string, format = ''): string => `sqlite3 ${format} "${big}" "${sql}"`

const HOST = 'ip, first, pass, expire, bcount, pcount FROM hosts'
const ALL_SQL = `SELECT 'WHITE' AS kind, ${HOST} WHERE pcount <> -1 ORDER BY ip;
SELECT 'TRAPPED' AS kind, ${HOST} WHERE pcount = -1 ORDER BY ip;
SELECT 'GREY' AS kind, ip, helo, \\"from\\", \\"to\\", first, pass, expire, bcount, pcount FROM tuples ORDER BY ip, helo, \\"from\\", \\"to\\";`
const FIRST_SQL = `SELECT ${HOST} ORDER BY expire LIMIT 20; SELECT ip, helo, \\"from\\", \\"to\\", first, pass, expire, bcount, pcount FROM tuples ORDER BY expire LIMIT 20;`
const COUNT_SQL =
  'SELECT count(*) FROM hosts; SELECT count(*) FROM hosts WHERE pcount = -1; SELECT count(*) FROM tuples;'

const SORT_SQL = `SELECT ${HOST} ORDER BY expire; SELECT ip, helo, \\"from\\", \\"to\\", first, pass, expire, bcount, pcount FROM tuples ORDER BY expire;`

/** The measurements: name, ours, its peer, and the required ratio. */
const ROWS: readonly (readonly [name: string, ours: string, peer: string, limit: string])[] = [
  ['spamdb KEY / node -e 0', `${spamdb} 192.0.2.1 || true`, bareNode, '1.30'],
  ['spamdb -a KEY / node -e 0', `${spamdb} -a 192.0.2.1`, bareNode, '1.35'],
  ['--ip ADDRESS / node -e 0', `${spamdb} --ip 10.1.2.3`, bareNode, '1.4'],
  ['--ip 10.0.0.0/8 / full listing', `${spamdb} --ip 10.0.0.0/8`, spamdb, '0.2'],
  ['--ip 2001:db8:1000::/36 / full listing', `${spamdb} --ip 2001:db8:1000::/36`, spamdb, '0.2'],
  ['--from SUFFIX / spamdb | grep', `${spamdb} --from ka.com`, `${spamdb} | grep ka.com || true`, '1.0'],
  ['--from GLOB / spamdb | grep', `${spamdb} --from "*ka*com"`, `${spamdb} | grep "ka.*com" || true`, '1.0'],
  ['--sort expire --limit 20 / sqlite3', `${spamdb} --sort expire --limit 20`, sqlite(FIRST_SQL), '1.2'],
  ['--sort expire / sqlite3', `${spamdb} --sort expire`, sqlite(SORT_SQL), '1.2'],
  ['--json / sqlite3 -json', `${spamdb} --json`, sqlite(ALL_SQL, '-json'), '1.2'],
  ['--csv / sqlite3 -csv', `${spamdb} --csv`, sqlite(ALL_SQL, '-csv'), '1.2'],
  ['--human / full listing', `${spamdb} --human`, spamdb, '2.5'],
  ['--count / sqlite3', `${spamdb} --count`, sqlite(COUNT_SQL), '1.1'],
  [
    '--count --from SUFFIX / sqlite3',
    `${spamdb} --count --from ka.com`,
    sqlite(`SELECT count(*) FROM tuples WHERE \\"from\\" LIKE '%ka.com' OR \\"from\\" LIKE '%ka.com>'`),
    '1.1',
  ],
  ['spamdctl export / full listing', `${spamdctl} export`, spamdb, '1.3'],
  ['spamdctl export --help / node -e 0', `${spamdctl} export --help`, bareNode, '2'],
  ['spamdb --help / node -e 0', `${spamdb} --help`, bareNode, '2'],
]

try {
  // With WORD, only measurements whose name contains it.
  await generateDatabase(big, { entries, seed: 1 })
  for (const [name, ours, peer, limit] of ROWS) {
    if (name.includes(only)) compare({ name, ours, peer, limit }, rounds, environment)
  }
} finally {
  rmSync(folder, { recursive: true })
}
