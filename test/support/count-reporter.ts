import type { Reporter, TestModule } from 'vitest/node'

/**
 * Ends the run with the one line that the gate reads: `N passed, N failed`, with
 * `, N skipped` when a test could not run. The counts are the runner's own; a file
 * that could not even be loaded counts as one failure, as does a suite whose hooks failed.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(testModules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0
    let failed = unhandledErrors.length
    let skipped = 0
    for (const testModule of testModules) {
      let testCount = 0
      for (const test of testModule.children.allTests()) {
        testCount += 1
        const state = test.result().state
        if (state === 'passed') passed += 1
        else if (state === 'skipped') skipped += 1
        else failed += 1
      }
      for (const suite of testModule.children.allSuites()) {
        if (suite.errors().length > 0) failed += 1
      }
      if (testCount === 0 || testModule.errors().length > 0) failed += 1
    }
    const line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
    process.on('exit', () => process.stdout.write(`${line}\n`))
  }
}
