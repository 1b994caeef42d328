import { setImmediate as nextTurn } from 'node:timers/promises'

/** Work that runs longer than this without a pause would be felt by clients. */
const SLICE_MS = 8

/** Drives a generator to its end, letting other events in between whenever a slice of time is used up. */
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
