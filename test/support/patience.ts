/** How long a test waits for an expected event: vitest's default of one second is too short on a busy machine. */
export const PATIENCE = { timeout: 20_000, interval: 20 }
