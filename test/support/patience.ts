/** How long a test waits for what must come: vitest's own second is too short on a machine that is busy. */
export const PATIENCE = { timeout: 20_000, interval: 20 }
