import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    disableConsoleIntercept: true,
    setupFiles: ['./test/support/umask.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    reporters: ['default', './test/support/count-reporter.ts'],
  },
})
