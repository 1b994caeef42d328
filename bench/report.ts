/**
 * The cost of the commands that read everything, with a large database and a month of history: `npm run bench:report
 * [ENTRIES [HISTORY]]`, after a build. Half of the history is delivery attempts of unknown clients; one in five of
 * them has a sender that uses another address each time. A line has wall-clock time, CPU time, peak memory and
 * output.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '../src/db/open-store.js'
import { makeRandom } from '../test/support/random.js'
import { generateDatabase, makeIp } from './generate-database.js'

const root = join(import.meta.dirname, '..')
const entries = Number(process.argv[2] ?? 1_000_000)
const history = Number(process.argv[3] ?? 1_000_000)
/** If set, the database is made there, and kept. */
const kept = process.env.BENCH_DB
const folder = mkdtempSync(join(tmpdir(), 'report-bench-'))
const db = kept ?? join(folder, 'big.sqlite')

const DAY_SEC = 86_400
const DAYS = 30
const BATCH = 500
const POLICY = {
  passSec: 1500,
  greyExpireSec: 14_400,
  whiteExpireSec: 36 * DAY_SEC,
  trapExpireSec: DAY_SEC,
  maxTuplesPerAddress: 1000,
  maxTuples: 10_000_000,
}

/** The delivery attempts of a month, the newest one now; each is a row of the history. */
async function addHistory(path: string, count: number, nowSec: number): Promise<void> {
  const random = makeRandom(7)
  const store = await openStore(path, { mode: 'write', durability: 'normal' })
  const stepSec = (DAYS * DAY_SEC) / (count / BATCH)
  try {
    for (let made = 0; made < count; made += BATCH) {
      const at = Math.floor(nowSec - DAYS * DAY_SEC + (made / BATCH) * stepSec)
      const attempts = Array.from({ length: Math.min(BATCH, count - made) }, () => {
        const isPool = random(5) === 0
        const mail = random(20_000)
        const ip = isPool ? `44.${mail % 200}.${random(16)}.${1 + random(250)}` : makeIp(random)
        const to = `<user${isPool ? mail % 300 : random(5000)}@example.net>`
        const from = isPool
          ? `<news${mail}@bulk${mail % 500}.example>`
          : `<a${random(1_000_000)}@site${random(50_000)}.org>`
        return {
          tuple: { ip, helo: `mx${random(1000)}.host${random(5000)}.example`, from, to },
          clientIp: ip,
          trapKey: to.slice(1, -1),
          isDomainTrap: false,
          isLowPriorityMx: false,
          mayPromote: true,
        }
      })
      await store.recordAttempts(attempts, POLICY, at)
    }
  } finally {
    await store.close()
  }
}

function measure(name: string, words: readonly string[], output?: string): void {
  const script = `import json, resource, subprocess, sys, time
began = time.monotonic()
ended = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
wall = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([ended.returncode, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, len(ended.stdout), ended.stderr.decode()[:300]]))`
  const { stdout, stderr } = spawnSync(
    'python3',
    ['-c', script, process.execPath, join(root, 'bin/spamdctl.js'), ...words],
    {
      encoding: 'utf8',
      env: {
        ...process.env,
        SPAMD_DB: db,
        SPAMD_FIREWALL: 'none',
        SPAMD_CONTROL_SOCKET: join(folder, 'none.sock'),
      },
    },
  )
  if (stdout === '') throw new Error(stderr)
  const [code, wall, cpu, memory, printed, errors] = JSON.parse(stdout) as [
    number,
    number,
    number,
    number,
    number,
    string,
  ]
  if (code > 1) throw new Error(`${name}: ${errors}`)
  const bytes = output !== undefined && existsSync(output) ? statSync(output).size : printed
  console.log(
    `${name.padEnd(28)} ${wall.toFixed(2).padStart(6)} s wall ${cpu.toFixed(2).padStart(6)} s CPU ${memory.toFixed(0).padStart(5)} MiB ${(bytes / 1024).toFixed(0).padStart(6)} KiB`,
  )
}

try {
  if (!existsSync(db)) {
    const nowSec = Math.floor(Date.now() / 1000)
    await generateDatabase(db, { entries: 0, seed: 1, now: nowSec })
    await addHistory(db, history, nowSec)
    const store = await openStore(db, { mode: 'write', durability: 'normal' })
    const { generateBatches } = await import('./generate-database.js')
    await store.upsertAll(generateBatches({ entries, seed: 1, now: nowSec }), { ifMissing: true })
    await store.close()
  }
  const page = join(folder, 'report.html')
  for (let round = 0; round < 3; round += 1) {
    measure('report (7d)', ['report', '--no-dns', '--output', page], page)
    measure('report --since 30d', ['report', '--no-dns', '--since', '30d', '--output', page], page)
    measure('losing --no-dns', ['losing', '--no-dns'])
    measure('losing --no-dns --since 30d', ['losing', '--no-dns', '--since', '30d'])
    measure('stats --by day', ['stats', '--by', 'day'])
    measure('advise', ['advise'])
    measure('why ADDRESS', ['why', '192.0.2.1'])
    measure('status', ['status'])
    measure('doctor', ['doctor'])
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
