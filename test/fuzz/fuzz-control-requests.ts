/**
 * Feeds mutated requests to the Unix socket's answering side and stops at the first broken rule. Not part of
 * `npm test`: `npx tsx test/fuzz/fuzz-control-requests.ts [INPUTS [SEED]]`.
 */
import { corpusInputs } from '../support/corpus.js'
import { checkControlRequest } from './check-control-requests.js'
import { CONTROL_TOKENS } from './control-tokens.js'
import { makeMutator } from './mutate.js'

const inputCount = Number(process.argv[2] ?? 1_000_000)
const { mutate } = makeMutator(Number(process.argv[3] ?? 1))
const seeds = corpusInputs('control').map(({ bytes }) => bytes)
const counts = new Map<string, number>()
for (let input = 0; input < inputCount; input += 1) {
  const bytes = mutate(seeds, CONTROL_TOKENS)
  try {
    const result = await checkControlRequest(bytes)
    counts.set(result, (counts.get(result) ?? 0) + 1)
  } catch (error) {
    throw new Error(`input ${input}: ${JSON.stringify(bytes.toString('latin1'))}`, { cause: error })
  }
}
process.stdout.write(`control: ${inputCount} inputs, ${JSON.stringify(Object.fromEntries(counts))}\n`)
