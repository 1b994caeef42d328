/**
 * How much of what the code does its tests notice. Of each layer a sample of single changes is built into a copy of the
 * work tree, each behind a switch, the programs as well. One run without any change tells which tests come by which
 * change, in all their processes, and how long each takes. Then every change is switched on for the tests that came by
 * it, and if these pass for their whole files: of the layer first, the quickest first, up to the first that fails.
 *
 * Every change is decided. A test that fails counts only if it passed before and passes again afterwards, without the
 * change. A test that takes ten times what it took (and 15 s) is taken for one that never ends only if, without the
 * change, it keeps within the same limits right behind, and with it is late once more; else the machine is slow, and it gets
 * twice as long.
 *
 * Prints what no test noticed, and the share that was noticed. Not in the gate: twenty changes take three to ten minutes.
 *
 *   npm run test:mutants -- [--layer ip,codec,domain] [--only WORD] [--without WORD,...] [--count 20] [--seed 1]
 *     [--own | --further PATH,...]
 *
 * `--own` asks the tests of the layer itself alone: quicker, and what it finds noticed is. `--further test/db/,...` asks
 * of the others only those whose paths begin so.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { makeScaledRandom } from '../support/random.js'
import { findMutants } from './find-mutants.js'
import { type Candidate, type Hits, MutantCopy } from './mutant-copy.js'
import { type Failure, type Outcome, TestRunner } from './test-runner.js'
import { testsOf, thoseThatComeBy } from './tests-of-layer.js'

const ROOT = join(import.meta.dirname, '..', '..')
const { values: flags } = parseArgs({
  options: {
    layer: { type: 'string', default: 'ip,codec,domain' },
    only: { type: 'string', default: '' },
    without: { type: 'string', default: '' },
    count: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    own: { type: 'boolean', default: false },
    further: { type: 'string', default: 'test/' },
  },
})

/** Words of paths that are left out, as a folder that is a layer of its own. */
const without = wordsOf(flags.without)

/** How often a slow machine is given twice the time. */
const MAX_DOUBLINGS = 4

function wordsOf(list: string): string[] {
  return list.split(',').filter((word) => word !== '')
}

function candidatesOf(layer: string): Candidate[] {
  const folder = join(ROOT, 'src', layer)
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )
  return names.sort().flatMap((name) => {
    const path = relative(ROOT, join(folder, name))
    if (!path.includes(flags.only) || without.some((word) => path.includes(word))) return []
    const text = readFileSync(join(ROOT, path), 'utf8')
    return findMutants(path, text).map((mutant) => ({ ...mutant, layer, path, text }))
  })
}

/** `count` of them, each at most once, in the order of the files. */
function sample(items: Candidate[], count: number, random: (limit: number) => number): Candidate[] {
  const left = [...items]
  const taken: Candidate[] = []
  while (taken.length < count && left.length > 0) {
    const at = random(left.length)
    taken.push(left[at]!)
    left[at] = left.at(-1)!
    left.pop()
  }
  return taken.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.start - b.start))
}

const say = (line: string) => process.stdout.write(`${line}\n`)

/** `src/ip/cidr.ts:12: boundary: a < b: < -> <=`. */
function describe({ path, text, start, end, replacement, kind }: Candidate): string {
  const line = text.slice(0, start).split('\n').length
  const lineText = text
    .slice(text.lastIndexOf('\n', start) + 1, Math.max(end, text.indexOf('\n', start)))
    .trim()
  return `${path}:${line}: ${kind}: ${lineText.slice(0, 90)}: ${text.slice(start, end).slice(0, 40)} -> ${replacement.slice(0, 45)}`
}

/**
 * What the tests make of the change that `number` switches on; `undecided`: the machine never was quick enough. The tests
 * that were seen to come by it are asked first, then the whole files: a process that one test starts may serve the next.
 */
async function decide(number: number, question: Question, hits: Hits): Promise<Outcome | Undecided> {
  const { files } = question
  const testIds: Record<string, string[]> = {}
  for (const file of files) {
    const ids = hits.get(file)?.get(number) ?? new Set()
    if (ids.size > 0) testIds[file] = [...ids]
  }
  const seen = files.filter((file) => testIds[file] !== undefined)
  const first = await decideBy(number, { ...question, files: seen }, testIds)
  return first.kind === 'passed' ? await decideBy(number, question) : first
}

interface Question {
  files: readonly string[]
  /** Whether what fails passes without the change is found out afterwards, for all changes in one run. */
  isCheckedLater: boolean
}

type Undecided = { kind: 'undecided' }

async function decideBy(
  number: number,
  { files, isCheckedLater }: Question,
  testIds?: Record<string, string[]>,
): Promise<Outcome | Undecided> {
  let left = [...files]
  let patience = 1
  /** The test that was late with the change alone, once. */
  let lateTest: string | undefined
  while (left.length > 0) {
    copy.set(number)
    const outcome = await runner.run(left, patience, testIds)
    copy.set('off')
    if (outcome.kind === 'passed' || (outcome.kind === 'failed' && isCheckedLater)) return outcome
    const { file, testId } = outcome
    let unchanged = await runner.run(
      [file],
      patience,
      testId === undefined ? undefined : { [file]: [testId] },
    )
    // It may need what tests before it do.
    if (unchanged.kind === 'failed' && testId !== undefined) unchanged = await runner.run([file], patience)
    if (unchanged.kind === 'passed') {
      // A machine that was slow for a moment is quick again.
      const test = `${file} ${outcome.what}`
      if (outcome.kind === 'failed' || test === lateTest) return outcome
      if (lateTest !== undefined) patience = Math.min(patience * 2, 2 ** MAX_DOUBLINGS)
      lateTest = test
      left = [file, ...left.filter((other) => other !== file)]
    } else if (unchanged.kind === 'failed') {
      say(`  fails without a change as well: ${unchanged.file}: ${unchanged.what}`)
      left = left.filter((other) => other !== file)
    } else if (patience < 2 ** MAX_DOUBLINGS) patience *= 2
    else return { kind: 'undecided' }
  }
  return { kind: 'passed' }
}

/**
 * Runs test files without any change, then each change for those that come by it, the quickest first. Returns what became
 * of the changes, by number, and tells of those that were noticed.
 */
async function ask(
  files: readonly string[],
  numbers: readonly number[],
  chosen: readonly Candidate[],
): Promise<Map<number, Decision>> {
  const startMs = performance.now()
  copy.set('record')
  const failing = await runner.measure(files)
  copy.set('off')
  const hits = copy.takeHits()
  for (const [file, { what }] of failing) say(`  left out, fails without a change: ${file}: ${what}`)
  say(
    `  ${files.length} test files without any change in ${((performance.now() - startMs) / 1000).toFixed(0)} s`,
  )
  const ordered = files
    .filter((file) => !failing.has(file))
    .sort((a, b) => runner.fileMs(a) - runner.fileMs(b))
  const decisions = new Map<number, Decision>()
  const answer = async (number: number, isCheckedLater: boolean) => {
    const coming = ordered.filter((file) => hits.get(file)?.has(number))
    const outcome = await decide(number, { files: coming, isCheckedLater }, hits)
    decisions.set(number, { outcome, askedCount: coming.length })
    if (outcome.kind === 'failed' || outcome.kind === 'late')
      say(`${outcome.kind}: ${describe(chosen[number - 1]!)}: ${outcome.file}: ${outcome.what}`)
  }
  for (const number of numbers) await answer(number, true)
  for (const [number, { outcome }] of decisions)
    if (outcome.kind === 'passed') say(`  not by these: ${describe(chosen[number - 1]!)}`)
  for (const number of await doubtful(decisions)) {
    say(`  in doubt, asked again: ${describe(chosen[number - 1]!)}`)
    await answer(number, false)
  }
  return decisions
}

/** Changes that were noticed by a test that now fails without any. */
async function doubtful(decisions: ReadonlyMap<number, Decision>): Promise<number[]> {
  const failures = [...decisions].flatMap(([number, { outcome }]) =>
    outcome.kind === 'failed' ? [{ number, ...outcome }] : [],
  )
  const tests = new Map<string, string[] | undefined>()
  for (const { file, testId } of failures) {
    const known = tests.has(file) ? tests.get(file) : []
    tests.set(file, testId === undefined || known === undefined ? undefined : [...known, testId])
  }
  if (tests.size === 0) return []
  const failed = await runner.check(tests)
  const isDoubtful = (one: Failure) =>
    failed.some(
      ({ file, testId }) =>
        file === one.file && (testId === one.testId || testId === undefined || one.testId === undefined),
    )
  return failures.filter(isDoubtful).map(({ number }) => number)
}

interface Decision {
  outcome: Outcome | Undecided
  /** Test files that come by the change. */
  askedCount: number
}

async function measure(layer: string, all: Candidate[]): Promise<void> {
  // Small seeds are spread over all bits.
  const random = makeScaledRandom(Math.imul(Number(flags.seed), 0x9e3779b1))
  const chosen = sample(all, Number(flags.count), random)
  const startMs = performance.now()
  runner.stop()
  copy.install(chosen)
  say(`${layer}, seed ${flags.seed}`)
  const counts = { failed: 0, late: 0, passed: 0, undecided: 0 }
  const askedCounts = new Map<number, number>()
  let left = chosen.map((_, at) => at + 1)
  const [own, others] = testsOf(layer)
  const asked = wordsOf(flags.further)
  const further = others.filter((path) => asked.some((beginning) => path.startsWith(beginning)))
  for (const files of flags.own ? [own] : [own, further]) {
    if (left.length === 0) break
    const sources = new Set(left.map((number) => chosen[number - 1]!.path))
    const decisions = await ask(thoseThatComeBy(files, sources), left, chosen)
    for (const [number, { outcome, askedCount }] of decisions) {
      const { kind } = outcome
      if (kind !== 'passed') counts[kind] += 1
      if (kind === 'undecided') say(`undecided: ${describe(chosen[number - 1]!)}`)
      askedCounts.set(number, (askedCounts.get(number) ?? 0) + askedCount)
    }
    left = left.filter((number) => decisions.get(number)!.outcome.kind === 'passed')
  }
  for (const number of left)
    say(`NOT NOTICED by ${askedCounts.get(number)} test files that come by: ${describe(chosen[number - 1]!)}`)
  const noticed = counts.failed + counts.late
  const share = chosen.length === 0 ? 100 : (noticed / chosen.length) * 100
  const minutes = (performance.now() - startMs) / 60_000
  say(
    `${layer}: seed ${flags.seed}: ${noticed} of ${chosen.length} changes noticed (${share.toFixed(1)} %; ${counts.late} of them by tests that no longer end; ${counts.undecided} undecided), ${all.length} are possible, ${minutes.toFixed(1)} minutes`,
  )
}

// Found at once: the work tree may be edited while tests of the copy run.
const candidates = flags.layer.split(',').map((layer) => ({ layer, all: candidatesOf(layer) }))
const copy = new MutantCopy()
const runner = new TestRunner(copy)
for (const { layer, all } of candidates) await measure(layer, all)
process.exit(0)
