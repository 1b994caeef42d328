import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const MODULE = new URL('../../../src/platform/fatal-errors.ts', import.meta.url).href

/** A program that logs to its standard output, one that never takes a line away where told. */
function run(failure: string, flush = 'async () => undefined') {
  const script = `
    import { logFatalErrors } from ${JSON.stringify(MODULE)}
    const log = (level, message) => void process.stdout.write(level + ' ' + message + '\\n')
    logFatalErrors({ log, flush: ${flush} })
    setInterval(() => undefined, 1000)
    ${failure}`
  const words = ['--import', 'tsx', '--input-type=module', '-e', script]
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  return { status, stdout, stderr }
}

test.each([
  ['a rejection', "void Promise.reject(new TypeError('first\\nsecond'))", 'TypeError: first second'],
  ['an exception', "setImmediate(() => { throw new RangeError('\\x1b[2J') })", 'RangeError: \\x1b[2J'],
  ['something that is no error', 'void Promise.reject(undefined)', 'undefined'],
  ['something without a text', 'void Promise.reject({ toString: 1 })', 'an error that cannot be shown'],
  ['two at once', 'void Promise.reject(1); void Promise.reject(2)', '1'],
])('%s ends the program with its line', (_name, failure, text) => {
  const { status, stdout, stderr } = run(failure)
  expect([status, stderr]).toEqual([1, ''])
  expect(stdout.split('\n')).toHaveLength(2)
  expect(stdout).toContain(`err internal error: ${text}`)
})

test('a log that takes nothing holds the end up for a second only', () => {
  expect(run('void Promise.reject(1)', '() => new Promise(() => undefined)').status).toBe(1)
})
