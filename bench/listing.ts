/**
 * CPU time (user and system) of what administrators ask of a listing, each beside what they would type instead:
 * `npm run bench:listing [ENTRIES [ROUNDS]]`, after a build. Ours and the peer run in turn; a line has the median of each,
 * the least and most of ours, and the ratio beside the limit of issue 11.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateDatabase } from './generate-database.js'

const root = join(import.meta.dirname, '..')
const spamdb = `"${process.execPath}" "${join(root, 'bin/spamdb.js')}"`
const spamdctl = `"${process.execPath}" "${join(root, 'bin/spamdctl.js')}"`
const bareNode = `"${process.execPath}" -e 0`
const entries = Number(process.argv[2] ?? 1_000_000)
const rounds = Number(process.argv[3] ?? 3)
const folder = mkdtempSync(join(tmpdir(), 'listing-bench-'))
const big = join(folder, 'big.sqlite')
const environment: NodeJS.ProcessEnv = { ...process.env, SPAMD_DB: big }
delete environment.NODE_EXTRA_CA_CERTS

const HOST = 'ip, first, pass, expire, bcount, pcount FROM hosts'
const ALL_SQL = `SELECT 'WHITE' AS kind, ${HOST} WHERE pcount <> -1 ORDER BY ip;
SELECT 'TRAPPED' AS kind, ${HOST} WHERE pcount = -1 ORDER BY ip;
SELECT 'GREY' AS kind, ip, helo, \\"from\\", \\"to\\", first, pass, expire, bcount, pcount FROM tuples ORDER BY ip, helo, \\"from\\", \\"to\\";`
const FIRST_SQL = `SELECT ${HOST} ORDER BY expire LIMIT 20; SELECT ip, helo, \\"from\\", \\"to\\", first, pass, expire, bcount, pcount FROM tuples ORDER BY expire LIMIT 20;`
const COUNT_SQL =
  'SELECT count(*) FROM hosts; SELECT count(*) FROM hosts WHERE pcount = -1; SELECT count(*) FROM tuples;'

/** What is measured: name, ours, its peer, and the ratio wanted. */
const ROWS: readonly (readonly [name: string, ours: string, peer: string, limit: string])[] = [
  ['spamdb KEY / node -e 0', `${spamdb} 192.0.2.1 || true`, bareNode, '1.30'],
  ['--ip ADDRESS / node -e 0', `${spamdb} --ip 10.1.2.3`, bareNode, '1.4'],
  ['--ip 10.0.0.0/8 / full listing', `${spamdb} --ip 10.0.0.0/8`, spamdb, '0.2'],
  ['--ip 2001:db8:1000::/36 / full listing', `${spamdb} --ip 2001:db8:1000::/36`, spamdb, '0.2'],
  ['--from SUFFIX / spamdb | grep', `${spamdb} --from ka.com`, `${spamdb} | grep ka.com || true`, '1.0'],
  ['--from GLOB / spamdb | grep', `${spamdb} --from "*ka*com"`, `${spamdb} | grep "ka.*com" || true`, '1.0'],
  [
    '--sort expire --limit 20 / sqlite3',
    `${spamdb} --sort expire --limit 20`,
    `sqlite3 "${big}" "${FIRST_SQL}"`,
    '1.2',
  ],
  ['--json / sqlite3 -json', `${spamdb} --json`, `sqlite3 -json "${big}" "${ALL_SQL}"`, '1.2'],
  ['--csv / sqlite3 -csv', `${spamdb} --csv`, `sqlite3 -csv "${big}" "${ALL_SQL}"`, '1.2'],
  ['--count / sqlite3', `${spamdb} --count`, `sqlite3 "${big}" "${COUNT_SQL}"`, '1.1'],
  ['spamdctl export --help / node -e 0', `${spamdctl} export --help`, bareNode, '2'],
  ['spamdb --help / node -e 0', `${spamdb} --help`, bareNode, '2'],
]

/** CPU milliseconds of a command line and all it starts. */
function cpuMs(command: string): number {
  // The difference, since python3 may itself be started by a script.
  const script = `import resource, subprocess, sys
used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[0:2])
before = used()
subprocess.run(sys.argv[1], shell=True, stdout=subprocess.DEVNULL, check=True)
print((used() - before) * 1000)`
  const { status, stdout, stderr } = spawnSync('python3', ['-c', script, command], {
    env: environment,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${command}: ${stderr}`)
  return Number(stdout)
}

const median = (values: readonly number[]): number => values[Math.floor(values.length / 2)]!

try {
  await generateDatabase(big, { entries, seed: 1 })
  for (const [name, ours, peer, limit] of ROWS) {
    const times: { ours: number[]; peer: number[] } = { ours: [], peer: [] }
    for (let round = 0; round < rounds; round += 1) {
      times.ours.push(cpuMs(ours))
      times.peer.push(cpuMs(peer))
    }
    for (const values of Object.values(times)) values.sort((one, other) => one - other)
    const [own, other] = [median(times.ours), median(times.peer)]
    const spread = `${times.ours[0]!.toFixed(0)}-${times.ours.at(-1)!.toFixed(0)}`
    process.stdout.write(
      `${name.padEnd(40)} ${own.toFixed(0)} ms (${spread}) / ${other.toFixed(0)} ms = ${(own / other).toFixed(2)}   limit ${limit}\n`,
    )
  }
} finally {
  rmSync(folder, { recursive: true })
}
