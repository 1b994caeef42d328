/**
 * Whole-process speed of spamdb and import compared with Node itself and the sqlite3 command-line tool. `npx tsx
 * bench/spamdb.ts [ENTRIES]`, after a build. Prints one line for each measurement: ours, the peer, the ratio, and the
 * limit in docs/benchmarks.md.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatSpamdbLine } from '../src/codec/database/spamdb-text.js'
import { createDatabase } from '../src/db/open-store.js'
import { formatIpv4 } from '../src/ip/address.js'
import { generateBatches, generateDatabase } from './generate-database.js'

const root = join(import.meta.dirname, '..')
const SPAMDB = join(root, 'bin/spamdb.js')
const SPAMDCTL = join(root, 'bin/spamdctl.js')
const entries = Number(process.argv[2] ?? 1_000_000)
const folder = mkdtempSync(join(tmpdir(), 'spamdb-bench-'))
const big = join(folder, 'big.sqlite')
const small = join(folder, 'small.sqlite')
// Every Node process would read the certificates named by this variable, which would hide the difference.
const environment: NodeJS.ProcessEnv = { ...process.env, SPAMD_DB: small }
delete environment.NODE_EXTRA_CA_CERTS

/** Quantile of the runs that we use: half of them are slower because of other work on the machine. */
const MEDIAN = 0.5

function timeMs(command: string, args: string[], env: NodeJS.ProcessEnv, input?: string): number {
  const start = performance.now()
  const { status, stderr } = spawnSync(command, args, {
    env,
    stdio: [input === undefined ? 'ignore' : openSync(input, 'r'), 'ignore', 'pipe'],
  })
  if (status !== 0) throw new Error(`${args.join(' ').slice(0, 80)}: ${String(stderr)}`)
  return performance.now() - start
}

function median(values: number[]): number {
  return values.sort((one, other) => one - other)[Math.floor(values.length * MEDIAN)]!
}

/** Runs all alternately, so that other work of the machine affects all alike. */
function inTurn(runs: Record<string, () => number>, rounds: number): Record<string, number> {
  const times = Object.entries(runs).map(([name, run]) => ({ name, run, values: [] as number[] }))
  for (let round = 0; round < rounds; round += 1) {
    for (const { run, values } of times) values.push(run())
  }
  return Object.fromEntries(times.map(({ name, values }) => [name, median(values)]))
}

function report(name: string, value: string, limit: string): void {
  process.stdout.write(`${name.padEnd(46)} ${value.padEnd(34)} limit ${limit}\n`)
}

function ratio(ours: number, peer: number): string {
  return `${ours.toFixed(0)} ms / ${peer.toFixed(0)} ms = ${(ours / peer).toFixed(2)} x`
}

const keys = (count: number): string[] =>
  Array.from(
    { length: count },
    (_, index) => `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`,
  )

/** Addresses spread over the whole range, each once. */
const scatteredKeys = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => formatIpv4(Math.imul(index + 1, 2_654_435_761) >>> 0))

/** Run time of a command whose output is read through a pipe. */
async function throughPipeMs(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const start = performance.now()
  const child = spawn('/bin/sh', ['-c', `exec "$0" "$@" | cat > /dev/null`, command, ...args], {
    env,
    stdio: 'inherit',
  })
  await once(child, 'close')
  return performance.now() - start
}

/** Peak memory of a run of Node. */
function peakKib(args: string[], env: NodeJS.ProcessEnv): number {
  const script =
    'import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)'
  const { stdout } = spawnSync('python3', ['-c', script, process.execPath, ...args], {
    env,
    encoding: 'utf8',
  })
  return Number(stdout)
}

const LISTING_SQL = `SELECT 'WHITE|'||ip||'|||'||first||'|'||pass||'|'||expire||'|'||bcount||'|'||pcount FROM hosts WHERE pcount <> -1 ORDER BY ip;
SELECT 'TRAPPED|'||ip||'|'||expire FROM hosts WHERE pcount = -1 ORDER BY ip;
SELECT 'SPAMTRAP|'||address FROM spamtraps ORDER BY address;
SELECT 'GREY|'||ip||'|'||helo||'|'||"from"||'|'||"to"||'|'||first||'|'||pass||'|'||expire||'|'||bcount||'|'||pcount FROM tuples ORDER BY ip, helo, "from", "to";`

try {
  // A bundle that is older than the build is not used.
  spawnSync(process.execPath, [join(root, 'scripts/bundle-programs.js')], { stdio: 'inherit' })
  createDatabase(small)
  const node = (): number => timeMs(process.execPath, ['-e', '0'], environment)
  const starts = inTurn(
    {
      node,
      add: () => timeMs(process.execPath, [SPAMDB, '-a', '192.0.2.1'], environment),
      show: () => timeMs(process.execPath, [SPAMDB, '192.0.2.1'], environment),
      add1000: () => timeMs(process.execPath, [SPAMDB, '-a', ...keys(1000)], environment),
    },
    31,
  )
  report('spamdb KEY beside node -e 0', ratio(starts.show!, starts.node!), '1.5 x, aim 1.3 x')
  report('spamdb -a KEY beside node -e 0', ratio(starts.add!, starts.node!), '1.5 x, aim 1.3 x')
  report('spamdb -a with 1,000 keys beside node -e 0', ratio(starts.add1000!, starts.node!), '2.2 x')

  const keyFile = join(folder, 'keys')
  writeFileSync(keyFile, `${keys(100_000).join('\n')}\n`)
  const bulkMs: number[] = []
  for (let round = 0; round < 5; round += 1) {
    const path = join(folder, `bulk-${round}.sqlite`)
    createDatabase(path)
    bulkMs.push(timeMs(process.execPath, [SPAMDB, '-a', '-'], { ...environment, SPAMD_DB: path }, keyFile))
  }
  report(
    'spamdb -a - with 100,000 keys',
    `${Math.round(100_000 / (median(bulkMs) / 1000))} keys/s`,
    '200,000 keys/s',
  )

  const textFile = join(folder, 'entries.txt')
  const lines: string[] = []
  for (const batch of generateBatches({ entries, seed: 2 })) {
    for (const entry of batch) lines.push(formatSpamdbLine(entry))
  }
  writeFileSync(textFile, `${lines.join('\n')}\n`, 'latin1')
  const imported = { ...environment, SPAMD_DB: join(folder, 'imported.sqlite') }
  const importMs: number[] = []
  for (let round = 0; round < 3; round += 1) {
    rmSync(imported.SPAMD_DB, { force: true })
    createDatabase(imported.SPAMD_DB)
    importMs.push(timeMs(process.execPath, [SPAMDCTL, 'import', textFile], imported))
  }
  report(
    `import of ${lines.length} lines`,
    `${Math.round(lines.length / (median(importMs) / 1000))} lines/s`,
    '250,000 lines/s',
  )
  const scatteredFile = join(folder, 'scattered-keys')
  writeFileSync(scatteredFile, `${scatteredKeys(100_000).join('\n')}\n`)
  const scatteredMs = [1, 2, 3].map((round) => {
    const path = join(folder, `scattered-${round}.sqlite`)
    copyFileSync(imported.SPAMD_DB, path)
    return timeMs(process.execPath, [SPAMDB, '-a', '-'], { ...environment, SPAMD_DB: path }, scatteredFile)
  })
  report(
    `the same, scattered keys into ${entries} entries`,
    `${Math.round(100_000 / (median(scatteredMs) / 1000))} keys/s`,
    'none set',
  )
  const again = { ...environment, SPAMD_DB: join(folder, 'imported-2.sqlite') }
  createDatabase(again.SPAMD_DB)
  report(
    'memory of that import',
    `${Math.round(peakKib([SPAMDCTL, 'import', textFile], again) / 1024)} MB`,
    'bounded',
  )

  await generateDatabase(big, { entries, seed: 1 })
  const bigEnvironment = { ...environment, SPAMD_DB: big }
  const listings: Record<'ours' | 'peer', number[]> = { ours: [], peer: [] }
  for (let round = 0; round < 5; round += 1) {
    listings.ours.push(await throughPipeMs(process.execPath, [SPAMDB], bigEnvironment))
    listings.peer.push(await throughPipeMs('sqlite3', [big, LISTING_SQL], bigEnvironment))
  }
  report(
    `listing ${entries} through a pipe beside sqlite3`,
    ratio(median(listings.ours), median(listings.peer)),
    '0.7 x',
  )
  report('memory of that listing', `${Math.round(peakKib([SPAMDB], bigEnvironment) / 1024)} MB`, '110 MB')

  const first = spawnSync(process.execPath, [SPAMDB, '--kind', 'WHITE', '--limit', '1'], {
    env: bigEnvironment,
    encoding: 'utf8',
  })
  const key = first.stdout.split('|')[1]!
  const looked = inTurn(
    {
      small: () => timeMs(process.execPath, [SPAMDB, '192.0.2.1'], environment),
      big: () => timeMs(process.execPath, [SPAMDB, key], bigEnvironment),
    },
    21,
  )
  report(`spamdb KEY among ${entries} beside among 1,000`, ratio(looked.big!, looked.small!), 'about 1 x')
} finally {
  rmSync(folder, { recursive: true })
}
