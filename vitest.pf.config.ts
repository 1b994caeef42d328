import { defineConfig } from 'vitest/config'

/** `npm run test:pf`: the packet filter layer against the pfctl of this system, and a report to paste into an issue. */
export default defineConfig({
  test: {
    include: ['test/pf/*.pf.ts'],
    disableConsoleIntercept: true,
    setupFiles: ['./test/support/umask.ts'],
    testTimeout: 300_000,
    hookTimeout: 60_000,
    reporters: ['./test/pf/report.ts'],
  },
})
