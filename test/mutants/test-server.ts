/**
 * Runs test files of the copy, in a process that stays: vitest and its transformed modules are warm from the second run on.
 * argv: root of the copy, setup file. Told by messages what to run, tells by messages what happens.
 */
import { relative } from 'node:path'
import {
  BaseSequencer,
  createVitest,
  type Reporter,
  type TestModule,
  type TestSpecification,
} from 'vitest/node'

/** Files to run, relative to the root, in this order. */
export interface RunRequest {
  files: string[]
  /** Stop at the first failure. */
  bail: boolean
  /** Only these tests, for each of the files. */
  testIds?: Record<string, string[]> | undefined
}

export type ServerEvent =
  | { kind: 'ready' }
  /** A file has come to its next step; `step` undefined: it has ended. */
  | { kind: 'step'; file: string; step: string | undefined; testId?: string }
  | { kind: 'failed'; file: string; what: string; testId?: string }
  | { kind: 'end' }

const [, , root, setupFile] = process.argv as [string, string, string, string]
const tell = (event: ServerEvent) => void process.send!(event)
const fileOf = ({ moduleId }: { moduleId: string }) => relative(root, moduleId)

let wanted: RunRequest = { files: [], bail: false }
let hasFailed = false

function fail(file: string, what: string, testId?: string): void {
  tell({ kind: 'failed', file, what, ...(testId === undefined ? {} : { testId }) })
  if (!wanted.bail || hasFailed) return
  hasFailed = true
  void vitest.cancelCurrentRun('test-failure')
}

const reporter: Reporter = {
  onTestModuleQueued: (module) => tell({ kind: 'step', file: fileOf(module), step: 'load' }),
  onTestModuleStart: (module) => tell({ kind: 'step', file: fileOf(module), step: 'start' }),
  onTestCaseReady: ({ module, fullName, id }) =>
    tell({ kind: 'step', file: fileOf(module), step: fullName, testId: id }),
  onTestCaseResult: (test) => {
    const file = fileOf(test.module)
    tell({ kind: 'step', file, step: `after ${test.fullName}` })
    if (test.result().state === 'failed') fail(file, test.fullName, test.id)
  },
  onTestModuleEnd: (module: TestModule) => {
    const file = fileOf(module)
    const errors = [
      ...module.errors(),
      ...[...module.children.allSuites()].flatMap((suite) => suite.errors()),
    ]
    if (errors.length > 0) fail(file, `(the file) ${errors[0]!.message}`)
    tell({ kind: 'step', file, step: undefined })
  },
  onTestRunEnd: (modules, unhandled) => {
    for (const error of unhandled) {
      const path = (error as { VITEST_TEST_PATH?: string }).VITEST_TEST_PATH
      const file = path === undefined ? modules[0] && fileOf(modules[0]) : relative(root, path)
      if (file !== undefined) fail(file, `(unhandled) ${error.message}`)
    }
  },
}

class AsWanted extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = (file: TestSpecification) => wanted.files.indexOf(fileOf(file))
    return [...files].sort((a, b) => place(a) - place(b))
  }
}

const vitest = await createVitest('test', {
  root,
  config: false,
  watch: false,
  include: ['test/**/*.test.ts'],
  setupFiles: ['./test/support/umask.ts', setupFile],
  testTimeout: 180_000,
  hookTimeout: 180_000,
  maxWorkers: 2,
  reporters: [reporter],
  disableConsoleIntercept: true,
  sequence: { sequencer: AsWanted },
})
const all = await vitest.globTestSpecifications()

process.on('message', (request: RunRequest) => {
  wanted = request
  hasFailed = false
  const files = new Set(request.files)
  const chosen = all
    .filter((specification) => files.has(fileOf(specification)))
    .map((specification) => {
      const testIds = request.testIds?.[fileOf(specification)]
      if (testIds === undefined) return specification
      return specification.project.createSpecification(specification.moduleId, { testIds })
    })
  // What was run before counts no more.
  vitest.state.filesMap.clear()
  vitest.state.idMap.clear()
  vitest.runTestSpecifications(chosen).then(
    () => tell({ kind: 'end' }),
    (error: unknown) => {
      process.stderr.write(`test-server: ${String(error)}\n`)
      process.exit(1)
    },
  )
})
tell({ kind: 'ready' })
