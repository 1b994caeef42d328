/**
 * spamlogd without a kernel: replay of a large capture, rate of updates, four writers at once. Run after a build:
 * `npx tsx bench/spamlogd.ts [ENTRIES [RECORDS]]`. The live part is bench/spamlogd-live.ts.
 *
 * The updates are compared with the original's method, measured elsewhere on this kind of machine: 65,000 updates/s
 * by one process that opens, locks, writes and closes a Berkeley DB 1.85 hash for each packet.
 */
import { spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '../src/db/open-store.js'
import type { Sighting } from '../src/db/store.js'
import { makeRandom } from '../test/support/random.js'
import { generateCapture } from './generate-capture.js'
import { GENERATED_NOW, generateDatabase, makeIp } from './generate-database.js'

const REFERENCE_UPDATES_PER_SEC = 65_000
const WRITERS = 4
const SPAMLOGD_OPTIONS = { whiteExpireSec: 3_110_400, untrap: false, forgetsChanges: true }
const [entries = 1_000_000, records = 1_000_000] = process.argv.slice(2).map(Number)

const scratch = mkdtempSync(join(tmpdir(), 'spamlogd-bench-'))
const basePath = join(scratch, 'base.sqlite')
let runCount = 0
try {
  await generateDatabase(basePath, { entries, seed: 1 })
  await benchReplay()
  for (const batchAddresses of [1_000, 10_000]) await benchUpdates(batchAddresses)
  await benchWriters()
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

async function benchReplay(): Promise<void> {
  const capturePath = join(scratch, 'capture.pcap')
  await generateCapture(capturePath, { records, addresses: records / 5, seed: 1 })
  const { seconds, watch, output } = await runSpamlogd(capturePath, freshCopy('replay'))
  console.log(
    `replay: ${Math.round(records / seconds)} records/s whole process (aim 300000), peak ${watch.peakMiB} MiB (aim 150), longest pause of the event loop ${watch.longestPauseMs} ms (aim 50), processor ${watch.cpuSec.toFixed(2)} s; ${output.trim()}`,
  )
}

async function benchUpdates(batchAddresses: number): Promise<void> {
  const random = makeRandom(7)
  const total = 200_000
  const batches: Sighting[][] = []
  for (let made = 0; made < total; made += batchAddresses) {
    batches.push(Array.from({ length: batchAddresses }, () => ({ ip: makeIp(random), count: 1 })))
  }
  const store = await openStore(freshCopy(`updates-${batchAddresses}`), {
    mode: 'write',
    durability: 'normal',
  })
  const startMs = performance.now()
  for (const batch of batches) {
    await store.recordSightings(batch, SPAMLOGD_OPTIONS, GENERATED_NOW)
  }
  const rate = total / ((performance.now() - startMs) / 1_000)
  await store.close()
  console.log(
    `updates in batches of ${batchAddresses}: ${Math.round(rate)}/s, ${(rate / REFERENCE_UPDATES_PER_SEC).toFixed(2)} x the original's 65000/s (aim ${batchAddresses === 1_000 ? 0.9 : 1.5})`,
  )
}

/** Four replays into one database: no lock error may be reported, and the write-ahead log must stay small. */
async function benchWriters(): Promise<void> {
  const path = freshCopy('writers')
  const captures = Array.from({ length: WRITERS }, (_, index) => join(scratch, `part-${index}.pcap`))
  for (const [index, capture] of captures.entries()) {
    await generateCapture(capture, { records: records / 5, addresses: records / 20, seed: index + 1 })
  }
  let largestLogBytes = 0
  const sampler = setInterval(() => {
    const bytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
    largestLogBytes = Math.max(largestLogBytes, bytes)
  }, 5)
  const results = await Promise.all(captures.map((capture) => runSpamlogd(capture, path)))
  clearInterval(sampler)
  const lines = results.flatMap(({ errors }) => errors.split('\n')).filter((line) => line !== '')
  console.log(
    `${WRITERS} writers at once: ${lines.length} lines of trouble (aim 0), largest write-ahead log ${(largestLogBytes / 2 ** 20).toFixed(1)} MiB, slowest ${Math.max(...results.map(({ seconds }) => seconds)).toFixed(1)} s`,
  )
  for (const line of lines.slice(0, 5)) console.log(`  ${line}`)
}

interface Watch {
  longestPauseMs: number
  cpuSec: number
  peakMiB: number
}

async function runSpamlogd(
  capturePath: string,
  dbPath: string,
): Promise<{ seconds: number; watch: Watch; output: string; errors: string }> {
  runCount += 1
  const watchPath = join(scratch, `watch-${runCount}.json`)
  const args = ['--import', './bench/watch-process.js', 'bin/spamlogd.js', '-r', capturePath, '--db', dbPath]
  const startMs = performance.now()
  const child = spawn(process.execPath, args, {
    env: { ...process.env, WATCH_OUTPUT: watchPath },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const texts = { output: '', errors: '' }
  child.stdout.on('data', (chunk) => {
    texts.output += chunk
  })
  child.stderr.on('data', (chunk) => {
    texts.errors += chunk
  })
  const exitCode = await new Promise((resolve) => child.once('close', resolve))
  const seconds = (performance.now() - startMs) / 1_000
  if (exitCode !== 0) texts.errors += `exit code ${exitCode}\n`
  return { seconds, watch: JSON.parse(readFileSync(watchPath, 'latin1')) as Watch, ...texts }
}

function freshCopy(name: string): string {
  const path = join(scratch, `${name}.sqlite`)
  copyFileSync(basePath, path)
  return path
}
