import { defineConfig } from 'vitest/config'

/**
 * The lab alone: the quick stories of `npm test` and all others (docs/lab.md), two at once, since they mostly wait. Each has
 * machines, networks and folders of its own.
 */
export default defineConfig({
  test: {
    include: ['test/lab/stories/*.{test,story}.ts'],
    disableConsoleIntercept: true,
    setupFiles: ['./test/support/umask.ts'],
    testTimeout: 300_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
    reporters: ['verbose', './test/support/count-reporter.ts'],
  },
})
