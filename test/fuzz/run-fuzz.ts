/**
 * Feeds mutated inputs to each decoder and stops at the first broken rule, keeping the input in test/corpus; then lets
 * random clients and administrators loose on a whole daemon (fuzz-daemon.ts). Not part of `npm test`:
 *
 *   npm run test:fuzz -- [--minutes N | --inputs N] [--seed N] [TARGET ...]
 *
 * The time is shared out equally; without it each target gets a million inputs and the daemon 2,000 steps. The same
 * seed (default 1) makes the same inputs.
 */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { corpusFolder } from '../support/corpus.js'
import { fuzzDaemon } from './fuzz-daemon.js'
import { makeMutator } from './mutate.js'
import { type FuzzTarget, TARGETS } from './targets.js'

/** How long one target goes on: until a moment of performance.now(), or for so many inputs. */
interface Extent {
  endMs: number
  inputs: number
}

/** Inputs between two looks at the clock. */
const PIECE = 500

async function fuzz(target: FuzzTarget, seed: number, { endMs, inputs }: Extent): Promise<void> {
  const { random, mutate } = makeMutator(seed)
  const seeds = target.seeds()
  const startMs = performance.now()
  let input = 0
  while (input < inputs && performance.now() < endMs) {
    for (let left = Math.min(PIECE, inputs - input); left > 0; left -= 1, input += 1) {
      const bytes = mutate(seeds, target.tokens)
      try {
        await target.check(bytes, random)
      } catch (error) {
        throw new Error(`${target.name}: input ${input}: ${keep(target, bytes)}`, { cause: error })
      }
    }
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
  process.stdout.write(`${target.name}: ${input} inputs in ${seconds} s, none breaks a rule\n`)
}

function keep(target: FuzzTarget, bytes: Buffer): string {
  if (!target.keepsInputs) return bytes.toString('hex')
  const digest = createHash('sha1').update(bytes).digest('hex')
  const path = join(corpusFolder(target.name), `found-${digest.slice(0, 10)}`)
  writeFileSync(path, bytes)
  return `kept as ${path}`
}

function positive(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value > 0)) throw new RangeError(`--${name} is a number above 0, not ${text}`)
  return value
}

const { values, positionals } = parseArgs({
  options: { minutes: { type: 'string' }, inputs: { type: 'string' }, seed: { type: 'string' } },
  allowPositionals: true,
})
const minutes = positive(values.minutes, 'minutes')
const seed = positive(values.seed, 'seed') ?? 1
const names = [...TARGETS.map(({ name }) => name), 'daemon']
for (const name of positionals) {
  if (!names.includes(name)) throw new RangeError(`no such target: ${name}; there are ${names.join(', ')}`)
}
const wanted = positionals.length === 0 ? names : positionals
const shareMs = minutes === undefined ? Infinity : (minutes * 60_000) / wanted.length
for (const name of wanted) {
  const endMs = performance.now() + shareMs
  const target = TARGETS.find((one) => one.name === name)
  const count = (byDefault: number): number =>
    minutes === undefined ? (positive(values.inputs, 'inputs') ?? byDefault) : Infinity
  if (target === undefined) await fuzzDaemon({ seed, endMs, steps: count(2_000) })
  else await fuzz(target, seed, { endMs, inputs: count(1_000_000) })
}
