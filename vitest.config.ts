import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    disableConsoleIntercept: true,
    setupFiles: ['./test/support/umask.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Much of a run is waiting for programs: two workers on two cores leave a fifth of these idle.
    maxWorkers: availableParallelism() + 1,
    reporters: ['default', './test/support/count-reporter.ts'],
  },
})
