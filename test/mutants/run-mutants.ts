/**
 * How much of what the code does its tests notice: changes a copy of the work tree in one place at a time and runs the
 * unit tests that import the changed file: those of its layer, then those of the layers that use it. Prints what no test
 * noticed, and the share that was noticed for each layer. A change without which these tests end and with which they do
 * not counts as noticed when it is its own layer's tests that hang; hanging tests of other layers leave it undecided, and
 * that counts as not noticed. Not in the gate: a hundred changes take about ten minutes.
 *
 *   npm run test:mutants -- [--layer ip,codec,domain] [--only WORD] [--count 60] [--seed 1] [--timeout 60]
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { findMutants, type Mutant } from './find-mutants.js'

const ROOT = join(import.meta.dirname, '..', '..')
const { values: flags } = parseArgs({
  options: {
    layer: { type: 'string', default: 'ip,codec,domain' },
    only: { type: 'string', default: '' },
    count: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    timeout: { type: 'string', default: '60' },
  },
})

/** Whose tests are asked after a layer's own: those of the layers that use it directly. */
const USED_BY: Readonly<Record<string, readonly string[]>> = {
  ip: ['codec', 'domain'],
  codec: ['feeds', 'firewall', 'daemon/smtp', 'app/database'],
  domain: ['db', 'app/database'],
  db: ['app', 'cli/spamdb'],
  firewall: ['daemon/grey'],
  feeds: ['app/lists'],
  platform: ['feeds', 'firewall', 'app'],
  cli: ['app', 'daemon/process'],
}

/** Tests that start the changed files in processes of their own, so that they import none of them. */
const STARTED_BY: Readonly<Record<string, string>> = {
  'daemon/process': 'test/unit/daemon/process/two-processes.test.ts',
}

interface Candidate extends Mutant {
  layer: string
  /** Relative to the work tree. */
  path: string
  text: string
}

/** Numbers from 0 to below `limit`, the same for the same seed (xorshift32). */
function makeRandom(seed: number): (limit: number) => number {
  let state = seed | 0 || 1
  return (limit) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return Math.floor(((state >>> 0) / 2 ** 32) * limit)
  }
}

function candidatesOf(layer: string): Candidate[] {
  const folder = join(ROOT, 'src', layer)
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )
  return names.sort().flatMap((name) => {
    const path = relative(ROOT, join(folder, name))
    if (!path.includes(flags.only)) return []
    const text = readFileSync(join(ROOT, path), 'utf8')
    return findMutants(path, text).map((mutant) => ({ ...mutant, layer, path, text }))
  })
}

/** `count` of them, each at most once, in random order. */
function sample<Item>(items: Item[], count: number, random: (limit: number) => number): Item[] {
  const left = [...items]
  const taken: Item[] = []
  while (taken.length < count && left.length > 0) {
    const at = random(left.length)
    taken.push(left[at]!)
    left[at] = left.at(-1)!
    left.pop()
  }
  return taken
}

/** A copy of what unit tests read; ends with the process. */
function makeCopy(): string {
  const copy = mkdtempSync(join(tmpdir(), 'spamdctl-mutants-'))
  process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))
  const listed = spawnSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 26 })
  for (const path of listed.stdout.split('\0')) {
    if (path !== '') cpSync(join(ROOT, path), join(copy, path), { verbatimSymlinks: true })
  }
  for (const built of ['node_modules', 'dist']) symlinkSync(join(ROOT, built), join(copy, built))
  return copy
}

type Result = 'passed' | 'failed' | 'slow'

const testsOf = (layers: readonly string[]) => layers.map((layer) => `test/unit/${layer}/**/*.test.ts`)

/**
 * What the tests that import the file make of it; `slow`: they did not end in time, which a change can cause (a loop
 * without end) and a loaded machine as well. `include`: which tests may run.
 */
async function runTests(
  copy: string,
  path: string,
  include: string[],
  stdio: 'ignore' | 'inherit' = 'ignore',
  selection = ['related', path],
): Promise<Result> {
  const config = join(copy, 'vitest.mutants.config.mjs')
  writeFileSync(config, `export default { test: ${JSON.stringify({ include, testTimeout: 30_000 })} }\n`)
  const vitest = join(copy, 'node_modules/vitest/vitest.mjs')
  const words = [
    ...selection,
    '--run',
    '--bail=1',
    '--passWithNoTests',
    '--reporter=dot',
    `--config=${config}`,
  ]
  // A group of its own, so that the workers end with it.
  const child = spawn(process.execPath, [vitest, ...words], { cwd: copy, stdio, detached: true })
  const stop = () => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // It has ended already.
    }
  }
  process.on('exit', stop)
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    stop()
  }, Number(flags.timeout) * 1000)
  const [exitCode] = (await once(child, 'exit')) as [number | null]
  clearTimeout(timer)
  process.off('exit', stop)
  if (isLate) return 'slow'
  return exitCode === 0 ? 'passed' : 'failed'
}

async function measure(copy: string, layer: string): Promise<void> {
  const all = candidatesOf(layer)
  const chosen = sample(all, Number(flags.count), makeRandom(Number(flags.seed)))
  const ownTests = testsOf([layer])
  // A part of a layer is used by the rest of that layer.
  const wider = layer.includes('/') ? [layer.replace(/\/.*/, '')] : []
  const furtherTests = testsOf([layer, ...wider, ...(USED_BY[layer] ?? [])])
  let noticed = 0
  let slow = 0
  let undecided = 0
  for (const mutant of chosen) {
    const { path, text, start, end, replacement } = mutant
    writeFileSync(join(copy, path), text.slice(0, start) + replacement + text.slice(end))
    let result: Result | 'undecided' = await runTests(copy, path, ownTests)
    if (result === 'slow') slow += 1
    if (result === 'passed') {
      result = await runTests(copy, path, furtherTests)
      const starter = STARTED_BY[layer]
      if (result === 'passed' && starter !== undefined)
        result = await runTests(copy, path, [starter], 'ignore', ['run'])
      if (result === 'slow') result = 'undecided'
    }
    writeFileSync(join(copy, path), text)
    if (result === 'undecided') undecided += 1
    else if (result !== 'passed') noticed += 1
    if (result !== 'failed') process.stdout.write(`${result}: ${describe(mutant)}\n`)
  }
  const share = chosen.length === 0 ? 100 : (noticed / chosen.length) * 100
  process.stdout.write(
    `${layer}: ${noticed} of ${chosen.length} changes noticed (${share.toFixed(1)} %; ${slow} of them by the time limit; ${undecided} undecided), ${all.length} are possible\n`,
  )
}

/** `src/ip/cidr.ts:12: boundary: a < b -> <=`. */
function describe({ path, text, start, end, replacement, kind }: Candidate): string {
  const line = text.slice(0, start).split('\n').length
  const lineText = text
    .slice(text.lastIndexOf('\n', start) + 1, Math.max(end, text.indexOf('\n', start)))
    .trim()
  return `${path}:${line}: ${kind}: ${lineText.slice(0, 90)}: ${text.slice(start, end).slice(0, 40)} -> ${replacement.slice(0, 45)}`
}

const copy = makeCopy()
for (const layer of flags.layer.split(',')) {
  // Otherwise every change would count as noticed.
  const path = candidatesOf(layer)[0]?.path
  if (path !== undefined && (await runTests(copy, path, testsOf([layer]), 'inherit')) !== 'passed') {
    process.stderr.write(`run-mutants: the unit tests of ${layer} fail without any change\n`)
    process.exit(1)
  }
  await measure(copy, layer)
}
process.exit(0)
