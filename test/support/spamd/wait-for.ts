import { setTimeout as pause } from 'node:timers/promises'

/** Waits until the condition holds; fails with `what` if it does not within the time. */
export async function waitFor(
  condition: () => boolean,
  what: () => string,
  timeoutMs = 15_000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what()}`)
    await pause(1)
  }
}
