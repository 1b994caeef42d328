/**
 * The SMTP part of spamd compared with bare Node peers, on loopback, with our own load generator (bounded, see
 * smtp-load.ts).
 *
 *     npx tsx bench/spamd-smtp.ts [hold] [burst] [many] [leak] [dialogues] [latency]
 *
 * Without names, all are run. Each prints the requirement, our figure, and its ratio to that of the bare peer in the
 * same run.
 */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { generateDatabase } from './generate-database.js'
import { ServerProcess } from './server-process.js'
import {
  type HeldConnections,
  holdConnections,
  percentile,
  runDialogues,
  timeDialogues,
} from './smtp-load.js'

const SETTLE_MS = 4_000
const MEASURE_MS = 15_000
const ENTRIES = 1_000_000
const WARM_ROUNDS = 4
const DIALOGUE_ROUNDS = 30
const TURN_MS = 500
/** More than one turn can serve. */
const SERIALS_OF_A_TURN = 10_000

interface HoldResult {
  cpuPercent: number
  kibEach: number
  p99Ms: number
  lost: number
  served: number
}

async function hold(server: ServerProcess, count: number, perSec: number): Promise<HoldResult> {
  const before = await server.report()
  const held = await holdConnections(server.port, count, perSec)
  await allServed(held, count)
  await pause(SETTLE_MS)
  held.gapsMs.length = 0
  const [first, startedMs] = [await server.report(), performance.now()]
  await pause(MEASURE_MS)
  const [last, endedMs] = [await server.report(), performance.now()]
  const result = {
    cpuPercent: ((last.cpuSec - first.cpuSec) / ((endedMs - startedMs) / 1000)) * 100,
    kibEach: (last.rssKib - before.rssKib) / count,
    p99Ms: percentile(held.gapsMs, 0.99),
    lost: held.lostCount,
    served: held.servedCount,
  }
  await held.release()
  return result
}

async function allServed(held: HeldConnections, count: number): Promise<void> {
  const endMs = performance.now() + 20_000
  while (held.servedCount + held.lostCount < count && performance.now() < endMs) await pause(50)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function describe(name: string, result: HoldResult): string {
  const { cpuPercent, kibEach, p99Ms, served, lost } = result
  return `  ${name.padEnd(10)} ${cpuPercent.toFixed(1)} % of a core, ${kibEach.toFixed(2)} KiB each, p99 gap ${p99Ms.toFixed(0)} ms, served ${served}, lost ${lost}`
}

async function compareHolding(title: string, count: number, perSec: number): Promise<void> {
  say(title)
  const results: HoldResult[] = []
  for (const [name, mode] of [
    ['spamd', 'stutter'],
    ['bare wheel', 'bare-wheel'],
  ] as const) {
    const server = await ServerProcess.start(mode)
    const result = await hold(server, count, perSec)
    await server.stop()
    results.push(result)
    say(describe(name, result))
  }
  const [ours, bare] = results as [HoldResult, HoldResult]
  say(`  ratio      ${(ours.cpuPercent / bare.cpuPercent).toFixed(2)} x the CPU of the bare wheel`)
}

async function burst(): Promise<void> {
  say('10,000 arriving at 5,000/s (required: none lost)')
  const server = await ServerProcess.start('stutter')
  const startedMs = performance.now()
  const held = await holdConnections(server.port, 10_000, 5_000)
  await allServed(held, 10_000)
  say(
    `  spamd      all in ${((performance.now() - startedMs) / 1000).toFixed(1)} s, served ${held.servedCount}, lost ${held.lostCount}`,
  )
  await held.release()
  await server.stop()
}

async function leak(): Promise<void> {
  say('10 runs of 10,000 connections (required: no memory left behind)')
  const server = await ServerProcess.start('stutter')
  const residues: number[] = []
  for (let round = 0; round < 10; round += 1) {
    const held = await holdConnections(server.port, 10_000, 5_000)
    await allServed(held, 10_000)
    await held.release()
    while ((await server.report()).open > 0) await pause(50)
    residues.push((await server.report()).rssKib / 1024)
  }
  say(`  spamd      MiB after each run: ${residues.map((mib) => mib.toFixed(0)).join(' ')}`)
  await server.stop()
}

const DIALOGUE_SERVERS = [
  ['spamd', 'grey'],
  ['pool keys', 'grey-pools'],
  ['dead DNS', 'grey-dead-dns'],
  ['all', 'grey-all'],
  ['bare', 'bare-replies'],
] as const

/** What one of them did in its turns. */
interface DialogueTurns {
  server: ServerProcess
  count: number
  seconds: number
  cpuSec: number
}

/**
 * All servers run at once and are loaded in turns of half a second, so that whatever else the machine does meets all of
 * them alike. Every tuple is new.
 */
async function dialogues(): Promise<void> {
  say('complete greylist dialogues into a database of 1,000,000 entries (required: 3,000/s on one core)')
  const folder = mkdtempSync(join(tmpdir(), 'spamd-bench-'))
  const master = join(folder, 'master')
  await generateDatabase(master, { entries: ENTRIES, seed: 1 })
  const turns = new Map<string, DialogueTurns>()
  for (const [name, mode] of DIALOGUE_SERVERS) {
    const database = join(folder, mode)
    copyFileSync(master, database)
    const server = await ServerProcess.start(mode, database)
    turns.set(name, { server, count: 0, seconds: 0, cpuSec: 0 })
  }
  for (let round = 0; round < WARM_ROUNDS + DIALOGUE_ROUNDS; round += 1) {
    for (const sum of turns.values()) {
      const { server } = sum
      const [before, startedMs] = [await server.report(), performance.now()]
      const count = await runDialogues(server.port, 64, TURN_MS, round * SERIALS_OF_A_TURN + 1)
      const seconds = (performance.now() - startedMs) / 1000
      const after = await server.report()
      if (round < WARM_ROUNDS) continue
      sum.count += count
      sum.seconds += seconds
      sum.cpuSec += after.cpuSec - before.cpuSec
    }
  }
  for (const { server } of turns.values()) await server.stop()
  const ours = ratesOf(turns.get('spamd')!)
  for (const [name, sum] of turns) {
    const { perSec, perCpuSec } = ratesOf(sum)
    const ratios = `${(perSec / ours.perSec).toFixed(2)} x spamd, ${(perCpuSec / ours.perCpuSec).toFixed(2)} per CPU second`
    say(
      `  ${name.padEnd(10)} ${perSec.toFixed(0)}/s, ${perCpuSec.toFixed(0)} per CPU second: ${ratios} (required: 0.9)`,
    )
  }
  say('  all: pool keys, SPF by a dead DNS, lists and 20 releases')
  rmSync(folder, { recursive: true, force: true })
}

function ratesOf({ count, seconds, cpuSec }: DialogueTurns): { perSec: number; perCpuSec: number } {
  return { perSec: count / seconds, perCpuSec: count / cpuSec }
}

async function latency(): Promise<void> {
  say('time of a greylist dialogue into 1,000,000 entries (required at 100/s: half within 3 ms)')
  const folder = mkdtempSync(join(tmpdir(), 'spamd-bench-'))
  const database = join(folder, 'db')
  await generateDatabase(database, { entries: ENTRIES, seed: 1 })
  for (const perSec of [10, 100, 1000]) {
    for (const [name, mode] of [
      ['spamd', 'grey'],
      ['dead DNS', 'grey-dead-dns'],
      ['bare', 'bare-replies'],
    ] as const) {
      const server = await ServerProcess.start(mode, database)
      await timeDialogues(server.port, perSec, 2_000)
      const before = await server.report()
      const tookMs = await timeDialogues(server.port, perSec, 10_000)
      const { cpuSec } = await server.report()
      const [half, most] = [percentile(tookMs, 0.5), percentile(tookMs, 0.99)]
      say(
        `  ${name.padEnd(10)} at ${perSec}/s: half within ${half.toFixed(2)} ms, 99 % within ${most.toFixed(2)} ms, ${tookMs.length} of ${perSec * 10} refused, ${((cpuSec - before.cpuSec) * 10).toFixed(1)} % of a core`,
      )
      await server.stop()
    }
  }
  rmSync(folder, { recursive: true, force: true })
}

const runs: Record<string, () => Promise<void>> = {
  hold: () =>
    compareHolding('10,000 stuttered (required: 20 % of a core, 6 KiB each, p99 gap 1050 ms)', 10_000, 2_000),
  burst,
  many: () => compareHolding('19,000 stuttered (required: 50 % of a core)', 19_000, 3_000),
  leak,
  dialogues,
  latency,
}
const wanted = process.argv.slice(2)
for (const name of wanted.length > 0 ? wanted : Object.keys(runs)) await runs[name]!()
