/** Numbers that are the same for the same seed, for tests and benchmarks; not for secrets. */

/** Words of 32 bits (xorshift32). Seed 0, which would give only zeros, counts as 1. */
export function makeWords(seed: number): () => number {
  let state = seed | 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** Whole numbers from 0 up to, but not including, a limit: the lowest bits of the words. */
export function makeRandom(seed: number): (below: number) => number {
  const word = makeWords(seed)
  return (below) => word() % below
}

/** The same from the highest bits. */
export function makeScaledRandom(seed: number): (below: number) => number {
  const word = makeWords(seed)
  return (below) => Math.floor((word() / 2 ** 32) * below)
}
