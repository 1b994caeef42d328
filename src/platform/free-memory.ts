import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

let collect: (() => void) | undefined

/** How long finished work may still reference its memory. */
const SOON_MS = 1000

/**
 * Frees unreferenced memory now, which takes a daemon 10 to 20 ms: after a start, and after a list or a table of megabytes
 * was replaced. V8 hardly notices arrays outside its heap and lets three or four generations of them accumulate in an idle
 * process, although another program of a small gateway may need that memory.
 */
export function freeMemory(): void {
  collect ??= findCollector()
  collect()
}

/** The same a second later, when no unfinished work references it any more; does not keep the process alive. */
export function freeMemorySoon(): void {
  setTimeout(freeMemory, SOON_MS).unref()
}

function findCollector(): () => void {
  // bin/spamd.js and bin/spamlogd.js enable it at startup: a context for it would take 0.7 MiB in each thread.
  if (typeof gc === 'function') return () => void gc?.()
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('typeof gc === "function" ? gc : undefined')
  // A Node without it collects garbage when it likes.
  return typeof found === 'function' ? (found as () => void) : () => undefined
}
