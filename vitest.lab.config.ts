import { defineConfig } from 'vitest/config'

/** The lab alone: the quick stories of `npm test` and all others, one after the other (docs/lab.md). */
export default defineConfig({
  test: {
    include: ['test/lab/stories/*.{test,story}.ts'],
    disableConsoleIntercept: true,
    setupFiles: ['./test/support/umask.ts'],
    testTimeout: 300_000,
    hookTimeout: 180_000,
    fileParallelism: false,
    reporters: ['verbose', './test/support/count-reporter.ts'],
  },
})
