import { makeRandom } from '../support/random.js'

/** Longest mutated input. */
const MAX_INPUT_BYTES = 4096

export interface Mutator {
  /** A whole number from 0 to below `limit`. */
  random(limit: number): number
  /** One of the seeds with up to six changes: bytes, tokens and pieces put in, taken out, doubled and crossed. */
  mutate(seeds: readonly Buffer[], tokens: readonly string[]): Buffer
}

/** The same inputs for the same seed, which is not 0. */
export function makeMutator(seed: number): Mutator {
  const random = makeRandom(seed)
  return { random, mutate: (seeds, tokens) => mutate(random, seeds, tokens) }
}

function mutate(random: Mutator['random'], seeds: readonly Buffer[], tokens: readonly string[]): Buffer {
  let bytes = Buffer.from(seeds[random(seeds.length)]!)
  for (let step = random(6); step >= 0; step -= 1) {
    const at = random(bytes.length + 1)
    const to = Math.min(bytes.length, at + random(24))
    const head = bytes.subarray(0, at)
    const token = (): Buffer => Buffer.from(tokens[random(tokens.length)]!, 'latin1')
    switch (random(7)) {
      case 0:
        if (at < bytes.length) bytes[at] = random(256)
        break
      case 1:
        bytes = Buffer.concat([head, token(), bytes.subarray(at)])
        break
      case 2:
        bytes = Buffer.concat([head, bytes.subarray(to)])
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at, to), bytes.subarray(to)])
        break
      case 4: {
        const other = seeds[random(seeds.length)]!
        bytes = Buffer.concat([head, other.subarray(random(other.length + 1))])
        break
      }
      case 5:
        if (at < bytes.length) bytes[at]! ^= 1 << random(8)
        break
      default:
        bytes = Buffer.concat([head, token(), bytes.subarray(to)])
    }
  }
  return bytes.subarray(0, MAX_INPUT_BYTES)
}
