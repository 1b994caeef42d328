import { setTimeout as pause } from 'node:timers/promises'

/** Asks again and again until the answer is true; fails with `what` when it does not become so in time. */
export async function until(
  ask: () => Promise<boolean>,
  what: () => string,
  timeoutMs = 60_000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs
  while (!(await ask())) {
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what()}`)
    await pause(50)
  }
}
