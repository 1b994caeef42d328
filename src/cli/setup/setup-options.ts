/** The options of spamd-setup: one table for getopt(3), the help and the manual's test. */
import { OUTPUT_FORMATS, type OutputFormat } from '../../app/lists/write-list-output.js'
import { AppError } from '../../platform/app-error.js'
import type { SettingOverrides } from '../../platform/settings.js'
import { getopt, type OptionSpec } from '../getopt.js'

/** The original's usage line, byte for byte. */
export const SETUP_USAGE = 'usage: spamd-setup [-bDdn]\n'

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

/** Parsed arguments, or the text for stderr of a usage error (exit code 1, as the original). */
export type SetupArgumentsResult = { ok: true; arguments: SetupArguments } | { ok: false; stderr: string }

/**
 * Parses the arguments of `spamd-setup`. Throws `ERR_USAGE` for a value of our own options that cannot be
 * used.
 */
export function parseSetupArguments(argv: readonly string[]): SetupArgumentsResult {
  const result = getopt(argv, SETUP_OPTIONS)
  if (!result.ok) return { ok: false, stderr: `spamd-setup: ${result.message}\n${SETUP_USAGE}` }
  if (result.operands.length > 0) return { ok: false, stderr: SETUP_USAGE }
  const given = new Map(result.options.map(({ name, value }) => [name, value]))
  const format = given.get('format') ?? 'plain'
  if (!isOutputFormat(format)) throw usageFailure('format', format, `one of ${OUTPUT_FORMATS.join(', ')}`)
  const target = given.get('output')
  const timeoutSec = numberOf(given, 'timeout', 1, 86_400)
  return {
    ok: true,
    arguments: {
      wantsFirewall: given.has('b'),
      isBackground: given.has('D'),
      isVerbose: given.has('d'),
      isDryRun: given.has('n'),
      action: actionOf(given),
      isForced: given.has('force'),
      isOffline: given.has('offline'),
      canShrink: given.has('accept-shrink'),
      canGrow: given.has('accept-growth'),
      maxBytes: numberOf(given, 'max-bytes', 1, 2 ** 40),
      timeoutMs: timeoutSec === undefined ? undefined : timeoutSec * 1000,
      output: target === undefined ? undefined : { target, format },
      isJson: given.has('json'),
      waitMs: (numberOf(given, 'wait', 0, 86_400) ?? 0) * 1000,
      configSocket: given.get('config-socket'),
      settings: {
        conf: given.get('conf'),
        stateDir: given.get('state-dir'),
        firewall: given.get('firewall'),
        cfgPort: given.get('cfg-port'),
        feedUser: given.get('user'),
      },
    },
  }
}

function actionOf(given: ReadonlyMap<string, unknown>): SetupArguments['action'] {
  for (const action of ['help', 'version', 'check', 'print-config'] as const) {
    if (given.has(action)) return action
  }
  return 'run'
}

function isOutputFormat(text: string): text is OutputFormat {
  return (OUTPUT_FORMATS as readonly string[]).includes(text)
}

function numberOf(
  given: ReadonlyMap<string, string | undefined>,
  name: string,
  least: number,
  most: number,
): number | undefined {
  const text = given.get(name)
  if (text === undefined) return undefined
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) throw usageFailure(name, text, `a number from ${least} to ${most}`)
  return value
}

function usageFailure(name: string, text: string, wanted: string): AppError {
  return new AppError('ERR_USAGE', `--${name}: ${JSON.stringify(text)} is not ${wanted}`)
}
