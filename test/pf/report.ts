import { release, type, version } from 'node:os'
import type { Reporter, TestModule } from 'vitest/node'
import { isRealPf } from './which-pf.js'

const TEXT = { passed: 'ok', failed: '**FAILED**', skipped: 'skipped', pending: 'not run' } as const

/** Prints the run as Markdown: which system, which pfctl, each case with its time, and what failed in full. */
export default class PfReport implements Reporter {
  onTestRunEnd(testModules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const tests = testModules.flatMap((testModule) => [...testModule.children.allTests()])
    const failures = tests.flatMap((test) =>
      (test.result().errors ?? []).map((error) => `${test.name}\n${error.stack ?? error.message}`),
    )
    const other = [
      ...testModules.flatMap((testModule) => testModule.errors().map(({ message }) => message)),
      ...testModules.flatMap((testModule) =>
        [...testModule.children.allSuites()].flatMap((suite) => suite.errors().map(({ message }) => message)),
      ),
      ...unhandledErrors.map(String),
    ]
    const failed = tests.filter((test) => test.result().state === 'failed').length + other.length
    const passed = tests.filter((test) => test.result().state === 'passed').length
    const lines = [
      '### Packet filter layer, `npm run test:pf`',
      '',
      `- system: ${type()} ${release()} (${version()}), ${process.arch}`,
      `- pfctl: ${isRealPf ? '/sbin/pfctl of this system' : 'the stand-in of the tests: no BSD'}`,
      `- Node ${process.version}`,
      '',
      '| case | result | ms |',
      '|---|---|---|',
      ...tests.map(
        (test) =>
          `| ${test.name.replaceAll('|', '\\|')} | ${TEXT[test.result().state]} | ${Math.round(test.diagnostic()?.duration ?? 0)} |`,
      ),
      '',
      ...[...failures, ...other].map((text) => `\`\`\`\n${text}\n\`\`\`\n`),
      `${passed} passed, ${failed} failed`,
    ]
    process.stdout.write(`${lines.join('\n')}\n`)
  }
}
