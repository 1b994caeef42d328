import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Tests of layers without state of their own. */
const PURE = ['test/unit/codec/**/*.test.ts', 'test/unit/domain/**/*.test.ts', 'test/unit/ip/**/*.test.ts']

/** Folders of files that take long and mostly wait: they begin first, so that no worker waits for them at the end. */
const LONG = /\/test\/(db|lab|transcripts|golden)\//

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

export default defineConfig({
  test: {
    disableConsoleIntercept: true,
    setupFiles: ['./test/support/umask.ts'],
    // Four times what the slowest test takes at a load of 5 to 15 on two cores (23 s; 17 to 19 s alone).
    testTimeout: 90_000,
    hookTimeout: 90_000,
    // Much of a run is waiting for programs: two workers on two cores leave a fifth of these idle.
    maxWorkers: availableParallelism() + 1,
    reporters: ['default', './test/support/count-reporter.ts'],
    sequence: { sequencer: LongFirst },
    projects: [
      // A process for each file costs half a second, more than most of these take.
      { extends: true, test: { name: 'pure', include: PURE, isolate: false } },
      { extends: true, test: { name: 'others', include: ['test/**/*.test.ts'], exclude: PURE } },
    ],
  },
})
