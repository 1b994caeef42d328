/** The options of spamd-setup: one table for getopt(3), the help and the manual's test. */
import { OUTPUT_FORMATS, type OutputFormat } from '../../app/lists/write-list-output.js'
import type { SettingOverrides } from '../../platform/settings.js'
import { getopt, type OptionSpec } from '../getopt.js'
import { OptionProblem, OptionValues } from '../option-reader.js'

const DAY_SEC = 86_400
const MAX_BYTES = 2 ** 40

/** The original's usage line, byte for byte. */
const SETUP_USAGE = 'usage: spamd-setup [-bDdn]\n'

export const SETUP_OPTIONS: readonly OptionSpec[] = [
  { short: 'b', summary: 'also load the firewall table spamd (blacklist-only mode)' },
  { short: 'D', summary: 'run in the background' },
  { short: 'd', summary: 'report progress; with -n, planned changes' },
  { short: 'n', summary: 'fetch and check everything, but change nothing' },
  { long: 'check', summary: 'check spamd.conf and exit' },
  { long: 'print-config', summary: 'print spamd.conf as parsed, and exit' },
  { long: 'force', summary: 'refetch all lists, ignoring server limits' },
  { long: 'offline', summary: 'load everything from the last good copies' },
  { long: 'accept-shrink', summary: 'accept lists that shrank by more than half' },
  { long: 'accept-growth', summary: 'accept lists that grew a lot or contain very wide networks' },
  {
    long: 'max-bytes',
    value: 'N',
    summary: 'maximum size of a list, as sent and decompressed (default 268435456)',
  },
  { long: 'timeout', value: 'SECONDS', summary: 'maximum time for one fetch attempt (default 300)' },
  {
    long: 'output',
    value: 'FILE',
    summary: 'write the blocked networks to a file, or to standard output (-)',
  },
  { long: 'format', value: 'FORMAT', summary: 'format of --output', choices: OUTPUT_FORMATS },
  { long: 'json', summary: 'print the whole report as JSON' },
  { long: 'wait', value: 'SECONDS', summary: 'wait this many seconds for another run to end (default 0)' },
  { long: 'cfg-port', value: 'PORT', summary: 'configuration port of spamd' },
  { long: 'config-socket', value: 'PATH', summary: 'reach spamd through its Unix socket' },
  {
    long: 'firewall',
    value: 'NAME',
    summary: 'packet filter to use',
    choices: ['pf', 'nft', 'ipset', 'none'],
  },
  { long: 'conf', value: 'FILE', summary: 'spamd.conf to use instead of the default' },
  { long: 'state-dir', value: 'DIR', summary: 'folder of the last good copies' },
  { long: 'user', value: 'NAME', summary: 'user to run as when started by root (default _spamdfeed)' },
  { long: 'help', summary: 'show this help' },
  { long: 'version', summary: 'show the version' },
]

export interface SetupArguments {
  wantsFirewall: boolean
  isBackground: boolean
  isVerbose: boolean
  isDryRun: boolean
  /** `run`, unless an option requests less. */
  action: 'run' | 'check' | 'print-config' | 'help' | 'version'
  isForced: boolean
  isOffline: boolean
  canShrink: boolean
  canGrow: boolean
  maxBytes: number | undefined
  timeoutMs: number | undefined
  output: { target: string; format: OutputFormat } | undefined
  isJson: boolean
  waitMs: number
  configSocket: string | undefined
  settings: SettingOverrides
}

/** Parses the arguments of `spamd-setup`. Throws `OptionProblem`, with the usage where the original prints it. */
export function parseSetupArguments(argv: readonly string[]): SetupArguments {
  const result = getopt(argv, SETUP_OPTIONS)
  if (!result.ok) throw new OptionProblem(result.message, { usage: SETUP_USAGE })
  if (result.operands.length > 0)
    throw new OptionProblem('unexpected argument', { line: '', usage: SETUP_USAGE })
  const given = new OptionValues(result)
  const format = given.last('format') ?? 'plain'
  if (!isOutputFormat(format)) {
    const choices = OUTPUT_FORMATS.join(', ')
    throw new OptionProblem(`--format: ${JSON.stringify(format)} is not one of ${choices}`)
  }
  const target = given.last('output')
  const timeoutSec = given.number('timeout', [1, DAY_SEC])
  return {
    wantsFirewall: given.has('b'),
    isBackground: given.has('D'),
    isVerbose: given.has('d'),
    isDryRun: given.has('n'),
    action: actionOf(given),
    isForced: given.has('force'),
    isOffline: given.has('offline'),
    canShrink: given.has('accept-shrink'),
    canGrow: given.has('accept-growth'),
    maxBytes: given.number('max-bytes', [1, MAX_BYTES]),
    timeoutMs: timeoutSec === undefined ? undefined : timeoutSec * 1000,
    output: target === undefined ? undefined : { target, format },
    isJson: given.has('json'),
    waitMs: (given.number('wait', [0, DAY_SEC]) ?? 0) * 1000,
    configSocket: given.last('config-socket'),
    settings: {
      conf: given.last('conf'),
      stateDir: given.last('state-dir'),
      firewall: given.last('firewall'),
      cfgPort: given.last('cfg-port'),
      feedUser: given.last('user'),
    },
  }
}

function actionOf(given: OptionValues): SetupArguments['action'] {
  for (const action of ['help', 'version', 'check', 'print-config'] as const) {
    if (given.has(action)) return action
  }
  return 'run'
}

function isOutputFormat(text: string): text is OutputFormat {
  return (OUTPUT_FORMATS as readonly string[]).includes(text)
}
