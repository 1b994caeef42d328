/**
 * Rates of the store on a generated database; the listing is compared with the sqlite3 command-line tool.
 *
 *   npx tsx bench/store.ts [--entries N] [--only WORD]
 *
 * Every figure is printed as `name: value`; a ratio says what it compares. Needs Debian's sqlite3.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openStore } from '../src/db/open-store.js'
import type { GreyPolicy, ManualEdit, Sighting, Store, TupleAttempt } from '../src/db/store.js'
import type { Entry } from '../src/domain/entry.js'
import { makeRandom } from '../test/support/random.js'
import { GENERATED_NOW, generateBatches, generateDatabase, makeIp } from './generate-database.js'
import { benchMigration } from './store-migration.js'
import { benchSize } from './store-size.js'

const { values: flags } = parseArgs({
  options: { entries: { type: 'string', default: '1000000' }, only: { type: 'string', default: '' } },
})
const entryCount = Number(flags.entries)
const now = GENERATED_NOW
const folder = mkdtempSync(join(tmpdir(), 'spamdctl-bench-'))
const masterPath = join(folder, 'master.sqlite')
const policy: GreyPolicy = {
  passSec: 1500,
  greyExpireSec: 14_400,
  whiteExpireSec: 3_110_400,
  trapExpireSec: 86_400,
  maxTuplesPerAddress: 1000,
  maxTuples: 2_000_000,
}

function print(name: string, value: number, unit: string): void {
  console.log(`${name}: ${value >= 100 ? Math.round(value) : value.toFixed(2)} ${unit}`)
}

/** Runs `body` on a fresh copy of the generated database. */
async function onCopy(
  mode: 'full' | 'normal',
  body: (store: Store, path: string) => Promise<void>,
): Promise<void> {
  const path = join(folder, 'copy.sqlite')
  copyFileSync(masterPath, path)
  const store = await openStore(path, { mode: 'write', durability: mode })
  try {
    await body(store, path)
  } finally {
    await store.close()
    rmSync(path)
  }
}

interface Duration {
  seconds: number
  /** Processor time, user and system: shows how reliable the rate is on a machine that does other work, too. */
  cpuSeconds: number
}

async function measure(body: () => Promise<unknown>): Promise<Duration> {
  const start = performance.now()
  const startCpu = process.cpuUsage()
  await body()
  const cpu = process.cpuUsage(startCpu)
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: (cpu.user + cpu.system) / 1e6 }
}

function printRate(name: string, count: number, { seconds, cpuSeconds }: Duration): void {
  console.log(
    `${name}: ${Math.round(count / seconds)} /s, ${Math.round(count / cpuSeconds)} a second of CPU time`,
  )
}

const LIST_SCRIPT = `
import { openStore } from ${JSON.stringify(join(import.meta.dirname, '../dist/src/db/open-store.js'))}
import { writeSync } from 'node:fs'
const store = await openStore(process.argv[1], { mode: 'read' })
for await (const chunk of store.listText()) {
  let at = 0
  while (at < chunk.length) at += writeSync(1, chunk, at)
}
await store.close()
process.stderr.write(String(process.resourceUsage().maxRSS))
`
const PEER_SQL = `
select 'WHITE|'||ip||'|||'||first||'|'||pass||'|'||expire||'|'||bcount||'|'||pcount from hosts where pcount<>-1;
select 'TRAPPED|'||ip||'|'||expire from hosts where pcount=-1;
select 'SPAMTRAP|'||address from spamtraps;
select 'GREY|'||ip||'|'||helo||'|'||"from"||'|'||"to"||'|'||first||'|'||pass||'|'||expire||'|'||bcount||'|'||pcount from tuples;`

const benches: Record<string, () => Promise<void>> = {
  async list() {
    const command = (program: string, args: string[]): { seconds: number; stderr: string } => {
      const start = performance.now()
      const quoted = [program, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
      const result = spawnSync('sh', ['-c', `${quoted} | cat > /dev/null`], { encoding: 'utf8' })
      return { seconds: (performance.now() - start) / 1000, stderr: result.stderr }
    }
    const ours = () => command(process.execPath, ['--input-type=module', '-e', LIST_SCRIPT, masterPath])
    const peer = () => command('sqlite3', ['-readonly', masterPath, PEER_SQL])
    peer()
    const rounds = [0, 1, 2, 3, 4].map(() => ({ ours: ours(), peer: peer() }))
    const best = (of: 'ours' | 'peer'): number => Math.min(...rounds.map((round) => round[of].seconds))
    print('list all, whole process', best('ours'), 's')
    print('sqlite3 tool, same lines', best('peer'), 's')
    print('ratio to sqlite3 (at most 0.7)', best('ours') / best('peer'), 'x')
    print('list memory (under 110)', Number(rounds[0]!.ours.stderr) / 1024, 'MiB')
  },

  async get() {
    const smallPath = join(folder, 'small.sqlite')
    await generateDatabase(smallPath, { entries: 10, seed: 2 })
    const rate = async (path: string): Promise<number> => {
      const store = await openStore(path, { mode: 'read' })
      const keys: string[] = []
      for await (const entries of store.list({ kinds: ['WHITE'], limit: 1000 })) {
        for (const entry of entries) if (entry.kind === 'WHITE') keys.push(entry.ip)
      }
      const duration = await measure(async () => {
        for (let n = 0; n < 20_000; n += 1) await store.get({ kind: 'host', ip: keys[n % keys.length]! })
      })
      await store.close()
      return 20_000 / duration.cpuSeconds
    }
    await rate(smallPath)
    const [small, large] = [await rate(smallPath), await rate(masterPath)]
    print('get among 10', small, '/s')
    print(`get among ${entryCount}`, large, '/s')
    print('cost ratio', small / large, 'x')
  },

  async edit() {
    await onCopy('full', async (store) => {
      const random = makeRandom(11)
      const edits: ManualEdit[] = Array.from({ length: 100_000 }, () => ({
        operation: 'add',
        kind: 'WHITE',
        ip: makeIp(random),
      }))
      printRate(
        'edit of 100,000 keys (at least 200,000)',
        100_000,
        await measure(() => store.edit(edits, now)),
      )
    })
  },

  async upsert() {
    const path = join(folder, 'loaded.sqlite')
    const batches = [...generateBatches({ entries: entryCount, seed: 3 })]
    await generateDatabase(path, { entries: 0, seed: 1 })
    let store = await openStore(path, { mode: 'write' })
    const duration = await measure(() => store.upsertAll(batches, { ifMissing: false }))
    await store.close()
    printRate('upsertAll into an empty database', entryCount, duration)
    rmSync(path)
    await generateDatabase(path, { entries: 0, seed: 1 })
    store = await openStore(path, { mode: 'write', durability: 'normal' })
    const single = await measure(async () => {
      for (const batch of batches) await store.upsert(batch, { ifMissing: false })
    })
    await store.close()
    printRate('upsert, batches of 10,000', entryCount, single)
  },

  size: () => benchSize(folder, entryCount, policy, print),

  migrate: () => benchMigration(folder, entryCount, print),

  async attempts() {
    await onCopy('normal', async (store) => {
      const random = makeRandom(12)
      const known: Entry[] = []
      for await (const entries of store.list({ kinds: ['GREY'], limit: 200_000 })) known.push(...entries)
      for (const batchSize of [100, 1000]) {
        const batches = 40_000 / batchSize
        const duration = await measure(async () => {
          for (let n = 0; n < batches; n += 1) {
            await store.recordAttempts(makeAttempts(random, known, batchSize), policy, now - 3600)
          }
        })
        printRate(`mixed attempts, batches of ${batchSize} (at least 30,000)`, 40_000, duration)
      }
    })
  },

  async flood() {
    await onCopy('normal', async (store) => {
      const random = makeRandom(13)
      const limit = (await store.count({ kinds: ['GREY'] })).GREY
      const floodPolicy = { ...policy, maxTuples: limit, maxTuplesPerAddress: 100 }
      let longestMs = 0
      for (const [name, fixedIp] of [
        ['many addresses', undefined],
        ['one address', '192.0.2.1'],
      ] as const) {
        const duration = await measure(async () => {
          for (let n = 0; n < 20; n += 1) {
            const attempts = Array.from({ length: 1000 }, () => newAttempt(random, fixedIp ?? makeIp(random)))
            const start = performance.now()
            await store.recordAttempts(attempts, floodPolicy, now + n)
            longestMs = Math.max(longestMs, performance.now() - start)
          }
        })
        printRate(`new tuples at the limit, ${name}`, 20_000, duration)
      }
      print('longest call of 1,000', longestMs, 'ms')
      const left = (await store.count({ kinds: ['GREY'] })).GREY
      print('tuples over the limit (0)', left - limit, '')
    })
  },

  async sightings() {
    for (const batchSize of [1000, 10_000]) {
      await onCopy('normal', async (store, path) => {
        const random = makeRandom(14)
        const known: string[] = []
        for await (const entries of store.list({ kinds: ['WHITE'] })) {
          for (const entry of entries) if (entry.kind === 'WHITE') known.push(entry.ip)
        }
        const batches = 300_000 / batchSize
        let logBytes = 0
        const duration = await measure(async () => {
          for (let n = 0; n < batches; n += 1) {
            const sightings: Sighting[] = Array.from({ length: batchSize }, () => ({
              ip: random(10) === 0 ? makeIp(random) : known[random(known.length)]!,
              count: 1,
            }))
            await store.recordSightings(sightings, { whiteExpireSec: 3_110_400, untrap: false }, now)
            logBytes = Math.max(logBytes, statSync(`${path}-wal`).size)
          }
        })
        printRate(`sightings, batches of ${batchSize}`, 300_000, duration)
        print('largest write-ahead log', logBytes / 1048576, 'MiB')
      })
    }
  },

  async scan() {
    await onCopy('normal', async (store) => {
      for (const dueAt of [undefined, now]) {
        let longestMs = 0
        let seen = 0
        const duration = await measure(async () => {
          let next: string | undefined
          do {
            const start = performance.now()
            const slice = await store.readScanSlice(next, 2000, dueAt === undefined ? {} : { dueAt })
            longestMs = Math.max(longestMs, performance.now() - start)
            seen += slice.entries.length
            next = slice.next
          } while (next !== undefined)
        })
        print(
          `scan of ${entryCount} ${dueAt === undefined ? '' : 'with dueAt '}(${seen} entries)`,
          duration.seconds,
          's',
        )
        print('longest slice (at most 20)', longestMs, 'ms')
      }
      let longestMs = 0
      for await (const entries of store.list({ kinds: ['GREY'], limit: 50_000 })) {
        const expired = entries.flatMap((entry) =>
          entry.kind === 'GREY' ? [{ ...entry, kind: 'tuple' as const }] : [],
        )
        const start = performance.now()
        await store.applyScan({ expired, promoted: [], blocked: [], blockedTuples: [] }, policy, now + 86_400)
        longestMs = Math.max(longestMs, performance.now() - start)
      }
      print('longest applyScan of 2,000 deletions', longestMs, 'ms')
    })
  },

  async sync() {
    await onCopy('normal', async (store) => {
      const random = makeRandom(15)
      const duration = await measure(async () => {
        for (let n = 0; n < 60; n += 1) {
          const changes = Array.from({ length: 1000 }, () => ({
            type: 'WHITE' as const,
            ip: makeIp(random),
            expire: now + 86_400,
          }))
          await store.applySync(changes, policy, now)
        }
      })
      printRate('sync messages, batches of 1,000 (at least 30,000)', 60_000, duration)
    })
  },
}

function newAttempt(random: (below: number) => number, ip: string): TupleAttempt {
  const to = `user${random(1000)}@example.net`
  return {
    tuple: { ip, helo: 'mx.example.com', from: `<s${random(1_000_000)}@example.org>`, to: `<${to}>` },
    clientIp: ip,
    trapKey: to,
    isDomainTrap: false,
    isLowPriorityMx: false,
    mayPromote: true,
  }
}

/** Half new tuples, 45 % repeated or promoted, 5 % traps. */
function makeAttempts(
  random: (below: number) => number,
  known: readonly Entry[],
  count: number,
): TupleAttempt[] {
  return Array.from({ length: count }, () => {
    const attempt = newAttempt(random, makeIp(random))
    const share = random(100)
    if (share < 5) return { ...attempt, trapKey: `trap${random(100)}@example.org` }
    const entry = known[random(known.length)]
    if (share < 50 && entry?.kind === 'GREY') {
      const { ip, helo, from, to } = entry
      return { ...attempt, tuple: { ip, helo, from, to }, clientIp: ip }
    }
    return attempt
  })
}

/** These make their own databases. */
const WITHOUT_MASTER = ['size', 'migrate']

try {
  const chosen = Object.entries(benches).filter(([name]) => name.includes(flags.only))
  if (chosen.some(([name]) => !WITHOUT_MASTER.includes(name))) {
    await generateDatabase(masterPath, { entries: entryCount, seed: 1 })
  }
  for (const [, run] of chosen) await run()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
