import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { Reporter, TestModule } from 'vitest/node'

/** Tests below this folder test the stand-ins of other tests, not the product. */
const STAND_INS = 'test/stand-ins/'
/** Tests below this folder are stories with several machines of the lab. */
const STORIES = 'test/lab/stories/'

/**
 * Counts the results of the runner: a file that could not be loaded counts as one failure, as does a suite whose
 * hooks failed. For `scripts/gate.js`, the counts go to the file that it names; otherwise the run ends with the line
 * `N passed, N failed`, followed by `, N skipped` if a test could not run.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(testModules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const counts = {
      passed: 0,
      failed: unhandledErrors.length,
      skipped: 0,
      product: 0,
      standIns: 0,
      lab: 0,
      labSkipped: 0,
    }
    for (const testModule of testModules) {
      const path = relative(process.cwd(), testModule.moduleId)
      const isStandIn = path.startsWith(STAND_INS)
      let testCount = 0
      for (const test of testModule.children.allTests()) {
        testCount += 1
        const state = test.result().state
        if (state === 'passed' || state === 'skipped') counts[state] += 1
        else counts.failed += 1
        if (path.startsWith(STORIES)) counts[state === 'skipped' ? 'labSkipped' : 'lab'] += 1
        if (state !== 'skipped') counts[isStandIn ? 'standIns' : 'product'] += 1
      }
      for (const suite of testModule.children.allSuites()) {
        if (suite.errors().length > 0) counts.failed += 1
      }
      if (testCount === 0 || testModule.errors().length > 0) counts.failed += 1
    }
    const { SPAMDCTL_COUNT_FILE: countFile } = process.env
    if (countFile !== undefined) {
      writeFileSync(countFile, JSON.stringify(counts))
      return
    }
    const { passed, failed, skipped } = counts
    const line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
    process.on('exit', () => process.stdout.write(`${line}\n`))
  }
}
