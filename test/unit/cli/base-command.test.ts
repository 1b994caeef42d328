/** What all commands of ours do with their words and their errors. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { BaseCommand } from '../../../src/cli/base-command.js'
import type { OptionSpec } from '../../../src/cli/getopt.js'
import type { OptionValues } from '../../../src/cli/option-reader.js'
import { AppError } from '../../../src/platform/app-error.js'

const SPECS: OptionSpec[] = [
  { long: 'name', short: 'n', value: 'name', summary: 's', isRepeatable: true },
  { long: 'quiet', short: 'q', summary: 's' },
]
const USAGE = 'spamdctl trial [--name NAME] FILE'

class Trial extends BaseCommand {
  parsed_: { options: OptionValues; operands: string[] } | undefined
  asked: string[][] = []
  specs = SPECS
  count: { min: number; max: number } | undefined
  override id = 'trial:words'

  override async run(): Promise<void> {
    this.parsed_ = this.parseWords(this.specs, USAGE, this.count)
  }
  fail(error: Error): Promise<void> {
    return this.catch(error)
  }
}

let stderr = ''
beforeEach(() => {
  stderr = ''
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text)
    return true
  })
})
afterEach(() => {
  vi.restoreAllMocks()
  process.exitCode = undefined
})

async function run(argv: string[], more: Partial<Pick<Trial, 'count' | 'specs'>> = {}): Promise<Trial> {
  const asked: string[][] = []
  const config = { runCommand: async (...words: [string, string[]]) => void asked.push(words.flat()) }
  const trial = Object.assign(new Trial(argv, config as never), more, { asked })
  await trial.run()
  return trial
}

test('words become options and operands', async () => {
  const { parsed_ } = await run(['-n', 'a', 'file', '--name=b', '-q'], { count: { min: 1, max: 1 } })
  expect(parsed_?.operands).toEqual(['file'])
  const options = parsed_!.options
  expect([options.has('name'), options.last('name'), options.all('name')]).toEqual([true, 'b', ['a', 'b']])
  expect([options.has('quiet'), options.last('quiet'), options.all('quiet')]).toEqual([true, undefined, []])
  expect([options.has('other'), options.last('other'), options.all('other')]).toEqual([false, undefined, []])
  expect([stderr, process.exitCode]).toEqual(['', undefined])
})

test('a value that is none of the choices is refused, before the command sees it', async () => {
  const specs = [{ long: 'by', value: 'STEP', choices: ['hour', 'day'], summary: 's' }]
  expect((await run(['--by=day'], { specs })).parsed_?.options.last('by')).toBe('day')
  expect((await run(['--by', 'week\u001b'], { specs })).parsed_).toBeUndefined()
  expect([stderr.split('\n')[0], process.exitCode]).toEqual([
    'spamdctl: --by: "week\\x1b" is not one of hour, day',
    64,
  ])
})

test.each([
  { argv: ['--bogus'], count: { min: 0, max: 0 }, what: 'unknown option -- bogus' },
  { argv: ['-n'], count: { min: 0, max: 0 }, what: 'option requires an argument -- n' },
  { argv: ['a'], count: undefined, what: 'too many arguments: a' },
  { argv: ['a', 'b\x1b', 'c'], count: { min: 1, max: 1 }, what: 'too many arguments: b\\x1b' },
  { argv: ['a'], count: { min: 2, max: 3 }, what: 'missing argument' },
])('$argv: $what', async ({ argv, count, what }) => {
  const { parsed_, asked } = await run(argv, { count })
  expect(parsed_).toBeUndefined()
  expect(stderr).toBe(`spamdctl: ${what}\nusage: ${USAGE}; --help for all options\n`)
  expect(process.exitCode).toBe(64)
  expect(asked).toEqual([])
})

test('as many operands as may be, and as few', async () => {
  expect((await run(['a', 'b'], { count: { min: 2, max: 3 } })).parsed_?.operands).toEqual(['a', 'b'])
  expect((await run(['a', 'b', 'c'], { count: { min: 2, max: 3 } })).parsed_?.operands).toHaveLength(3)
  expect((await run([])).parsed_?.operands).toEqual([])
  expect(stderr).toBe('')
})

test('-h shows the help of the command, unless it is an option of its own', async () => {
  const { parsed_, asked } = await run(['-h'])
  expect([parsed_, asked]).toEqual([undefined, [['help', 'trial', 'words']]])
  const own = await run(['-h'], { specs: [{ short: 'h', summary: 's' }] })
  expect([own.parsed_?.options.has('h'), own.asked]).toEqual([true, []])
  expect(stderr).toBe('')
})

test('an expected failure is told with its hint; anything else is thrown on', async () => {
  const trial = await run([])
  await trial.fail(new AppError('ERR_DB_OPEN', 'cannot\x07 open', { hint: 'look' }))
  expect(stderr).toBe('spamdctl: cannot\\x07 open\nspamdctl: hint: look\n')
  expect(process.exitCode).toBe(1)
  await trial.fail(new AppError('ERR_USAGE', 'wrong words'))
  expect(process.exitCode).toBe(64)
  await expect(trial.fail(new TypeError('a bug'))).rejects.toThrow('a bug')
})
