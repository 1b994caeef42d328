/** The usage line of each command names the options of its table: all of them, or `[OPTIONS]` for the rest. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import type { OptionSpec } from '../../../src/cli/getopt.js'
import { OptionProblem } from '../../../src/cli/option-reader.js'
import { parseSetupArguments, SETUP_OPTIONS } from '../../../src/cli/setup/setup-options.js'
import { SPAMD_OPTIONS, SPAMD_USAGE } from '../../../src/cli/spamd/spamd-options.js'
import { SPAMDB_OPTIONS, SPAMDB_USAGE } from '../../../src/cli/spamdb/spamdb-options.js'
import { SPAMLOGD_OPTIONS, SPAMLOGD_USAGE } from '../../../src/cli/spamlogd/spamlogd-options.js'
import { usageLine } from '../../../src/cli/usage-line.js'

const COMMANDS = join(import.meta.dirname, '../../../commands')
const CLONED = ['spamdb', 'spamlogd', 'setup', 'spamd']

/** What is read of a flag here, as oclif has it. */
interface Flag {
  helpLabel: string
  helpValue?: string
  options?: readonly string[]
}
interface CommandClass {
  new (argv: string[], config: object): { run(): Promise<unknown> }
  usage?: string
  flags?: Record<string, Flag>
}

const names = readdirSync(COMMANDS, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replace(/(?:\/index)?\.ts$/, '').replace('/', ' '))
  .filter((name) => !CLONED.includes(name))
  .sort()

async function loadCommand(name: string): Promise<CommandClass> {
  const path = join(COMMANDS, name.replace(' ', '/'))
  const found = (await import(`${path}.ts`).catch(() => import(`${path}/index.ts`))) as {
    default: CommandClass
  }
  return found.default
}

/** `--kind KIND` for every option that a usage line names. */
const namedIn = (usage: string): string[] =>
  [...usage.matchAll(/--[a-z][a-z0-9-]*(?: [^\s\]]+)?/g)].map(([named]) => named)

afterEach(() => {
  vi.restoreAllMocks()
  process.exitCode = undefined
})

test.each(names)('%s', async (name) => {
  const Command = await loadCommand(name)
  const usage = Command.usage ?? ''
  expect(usage.startsWith(name)).toBe(true)

  const all = Object.values(Command.flags ?? {})
    .map(({ helpLabel, helpValue, options }) =>
      [helpLabel, helpValue ?? options?.join('|')].filter(Boolean).join(' '),
    )
    .filter((label) => label !== '--help')
  const named = namedIn(usage)
  expect(all).toEqual(expect.arrayContaining(named))
  expect(new Set(named).size).toBe(named.length)
  expect(usage.includes('[OPTIONS]')).toBe(named.length < all.length)

  let stderr = ''
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text)
    return true
  })
  await new Command(['--no-such-option'], {}).run()
  expect(stderr).toBe(
    `spamdctl: unknown option -- no-such-option\nusage: spamdctl ${usage}; --help for all options\n`,
  )
})

const SPECS: OptionSpec[] = [
  { long: 'kind', value: 'KIND', isRepeatable: true, summary: 's' },
  { long: 'by', short: 'b', value: 'STEP', choices: ['hour', 'day'], summary: 's' },
  { short: 'q', summary: 's' },
  { long: 'db', value: 'FILE', isRare: true, summary: 's' },
  { long: 'help', summary: 's' },
]

test('the line is that of the table, with the rare options together', () => {
  expect(usageLine('trial', SPECS, 'FILE')).toBe('trial [--kind KIND] [--by hour|day] [-q] [--db FILE] FILE')
  expect(usageLine('trial', [...SPECS, { long: 'dns', isRare: true, summary: 's' }])).toBe(
    'trial [--kind KIND] [--by hour|day] [-q] [OPTIONS]',
  )
  expect(usageLine('trial', [])).toBe('trial')
})

function setupUsage(): string {
  try {
    parseSetupArguments(['--no-such-option'])
  } catch (error) {
    if (error instanceof OptionProblem) return error.usage
  }
  return ''
}

test.each<[string, readonly OptionSpec[]]>([
  [SPAMDB_USAGE, SPAMDB_OPTIONS],
  [SPAMLOGD_USAGE, SPAMLOGD_OPTIONS],
  [setupUsage(), SETUP_OPTIONS],
  [SPAMD_USAGE, SPAMD_OPTIONS],
])('what an original names is in the table: %s', (usage, specs) => {
  const letters = [...usage.matchAll(/\[-([A-Za-z0-9]+)(?=(\s+[a-z_:]+)?)/g)].flatMap(
    ([, cluster = '', value]) => [...cluster].map((letter) => ({ letter, hasValue: value !== undefined })),
  )
  expect(letters.length).toBeGreaterThan(3)
  const inTable = specs.map(({ short, value }) => ({ letter: short, hasValue: value !== undefined }))
  expect(inTable).toEqual(expect.arrayContaining(letters))
})
