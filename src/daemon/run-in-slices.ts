import { setImmediate as nextTurn } from 'node:timers/promises'

/** Work that runs longer than this without a pause would be noticed by clients. */
const SLICE_MS = 8

/** Runs a generator to its end, processing other events whenever a slice of time is used up. */
export async function runInSlices<Result>(work: Iterator<unknown, Result>): Promise<Result> {
  let sliceEndMs = performance.now() + SLICE_MS
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
    if (performance.now() < sliceEndMs) continue
    await nextTurn()
    sliceEndMs = performance.now() + SLICE_MS
  }
}
