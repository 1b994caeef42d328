import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

let collect: (() => void) | undefined

/** How long what was just done may still hold what it used. */
const SOON_MS = 1000

/**
 * Frees what is no longer referenced, now: some 10 to 20 ms for a daemon. For the moment after a start, and after a list
 * or a table of megabytes was replaced. V8 sees little of arrays outside its heap and lets three or four generations of them gather in a
 * process that is otherwise idle, which may be the memory that another program of a small gateway needs.
 */
export function freeMemory(): void {
  collect ??= findCollector()
  collect()
}

/** The same a second later, when nothing on the way out holds anything any more; keeps no process alive. */
export function freeMemorySoon(): void {
  setTimeout(freeMemory, SOON_MS).unref()
}

function findCollector(): () => void {
  // Offered from the start by bin/spamd.js and bin/spamlogd.js: a context for it takes 0.7 MiB in each thread.
  if (typeof gc === 'function') return () => void gc?.()
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('typeof gc === "function" ? gc : undefined')
  // A Node that does not offer it collects in its own time.
  return typeof found === 'function' ? (found as () => void) : () => undefined
}
