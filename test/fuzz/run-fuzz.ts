import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { corpusFolder, corpusInputs } from '../support/corpus.js'
import { type Mutator, makeMutator } from './mutate.js'

const inputCount = Number(process.argv[2] ?? 1_000_000)
if (!Number.isSafeInteger(inputCount) || inputCount < 1) throw new RangeError('the words are INPUTS [SEED]')
const { random, mutate } = makeMutator(Number(process.argv[3] ?? 1))

/**
 * Feeds mutations of the corpus of a kind to `check` and stops at the first that it throws for, keeping the input
 * in the corpus. A program's words are INPUTS (a million) and SEED (1): the same inputs for the same seed.
 */
export function runFuzz(
  kind: string,
  tokens: readonly string[],
  check: (bytes: Buffer, random: Mutator['random']) => void,
): void {
  const seeds = corpusInputs(kind).map(({ bytes }) => bytes)
  const startMs = performance.now()
  for (let input = 0; input < inputCount; input += 1) {
    const bytes = mutate(seeds, tokens)
    try {
      check(bytes, random)
    } catch (error) {
      const digest = createHash('sha1').update(bytes).digest('hex')
      const path = join(corpusFolder(kind), `found-${digest.slice(0, 10)}`)
      writeFileSync(path, bytes)
      throw new Error(`input ${input}, kept as ${path}`, { cause: error })
    }
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
  process.stdout.write(`${kind}: ${inputCount} inputs in ${seconds} s, none breaks a rule\n`)
}
