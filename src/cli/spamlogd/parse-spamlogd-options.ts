/**
 * Turns the command line of spamlogd into its options. They are checked in the given order, as in getopt(3)
 * programs; unlike in the original, an unexpected argument is refused.
 */
import { resolve } from 'node:path'
import { INBOUND_PREFIXES, OUTBOUND_PREFIXES } from '../../app/read-sighting.js'
import { defaultLogDevice, type SpamlogdOptions } from '../../app/spamlogd-options.js'
import { parseDuration } from '../../codec/duration.js'
import { WHITE_EXPIRE_SEC } from '../../domain/times.js'
import { parseCidr } from '../../ip/cidr.js'
import { type Environment, resolveSettings, type SettingOverrides } from '../../platform/settings.js'
import { getopt } from '../getopt.js'
import { applyOption, numberIn, OptionProblem, type OptionTable } from '../option-reader.js'
import { formatFailure } from '../report-error.js'
import { SPAMLOGD_OPTIONS, SPAMLOGD_USAGE } from './spamlogd-options.js'

const MAX_WHITE_EXPIRE_HOURS = 2_160
const SMTP_PORT = 25
/** A busy mailing list server reaches a few hundred hosts per minute; a spammer, thousands. */
const DEFAULT_OUTBOUND_RATE = 600
const MAX_OUTBOUND_RATE = 1_000_000
/** IFNAMSIZ minus its terminator, on every system. */
const MAX_INTERFACE_NAME_BYTES = 15
const MAX_NFLOG_GROUP = 65_535
/** A prefix of nft(8) has at most 127 bytes. */
const MAX_PREFIX_BYTES = 127
/**
 * Maximum number of values of a repeatable option: each is tested for every packet.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_REPEATED_VALUES = 256

export type SpamlogdOptionsResult =
  | { ok: true; options: SpamlogdOptions; asks?: 'help' | 'version' }
  /**
   * `isReplay`: a replay was meant, as far as the arguments were read, so root is not needed to report the
   * error.
   */
  | { ok: false; stderr: string; isReplay: boolean }

interface Draft {
  options: Omit<SpamlogdOptions, 'dbPath' | 'user' | 'rules' | 'key' | 'syncPort'>
  rules: {
    -readonly [Name in keyof SpamlogdOptions['rules']]: SpamlogdOptions['rules'][Name]
  }
  ports: number[]
  overrides: { -readonly [Name in keyof SettingOverrides]: SettingOverrides[Name] }
  asks: 'help' | 'version' | undefined
}

/** Parses the arguments. Throws `AppError` `ERR_SETTING_INVALID` for a bad setting. */
export function parseSpamlogdOptions(
  argv: readonly string[],
  environment: Environment = process.env,
  platform: string = process.platform,
): SpamlogdOptionsResult {
  const draft = newDraft(platform)
  const parsed = getopt(argv, SPAMLOGD_OPTIONS)
  try {
    for (const option of parsed.options) applyOption(SPAMLOGD_OPTION_TABLE, option, draft)
    if (!parsed.ok) throw new OptionProblem(parsed.message, { usage: SPAMLOGD_USAGE })
    if (draft.asks === undefined) {
      checkCombination(draft.options)
      if (parsed.operands.length > 0) throw strayWord(parsed.operands[0]!)
    }
  } catch (problem) {
    if (!(problem instanceof OptionProblem)) throw problem
    return {
      ok: false,
      stderr: formatFailure('spamlogd', problem) ?? '',
      isReplay: isReplayMeant(draft.options),
    }
  }
  const settings = resolveSettings(draft.overrides, environment)
  const options: SpamlogdOptions = {
    ...draft.options,
    rules: { ...draft.rules, ports: draft.ports.length === 0 ? [SMTP_PORT] : draft.ports },
    user: settings.user,
    dbPath: settings.db,
    key: settings.key,
    syncPort: settings.syncPort,
  }
  return { ok: true, options, ...(draft.asks === undefined ? {} : { asks: draft.asks }) }
}

function checkCombination(options: Draft['options']): void {
  if (options.useCaptureTime && options.replayPath === undefined) {
    throw new OptionProblem('--use-capture-time requires -r', {
      hint: 'name the capture with -r FILE, or -r - for standard input',
    })
  }
}

function isReplayMeant({ replayPath, useCaptureTime }: Draft['options']): boolean {
  return replayPath !== undefined || useCaptureTime
}

function newDraft(platform: string): Draft {
  return {
    options: {
      isDebug: false,
      isForeground: false,
      device: defaultLogDevice(platform),
      replayPath: undefined,
      useCaptureTime: false,
      outboundPerMinute: DEFAULT_OUTBOUND_RATE,
      whiteExpireSec: WHITE_EXPIRE_SEC,
      untrap: false,
      syncTargets: [],
      isJson: false,
      statsIntervalSec: undefined,
      metricsFile: undefined,
      pidFile: undefined,
      isUserGiven: false,
    },
    rules: {
      ports: [],
      direction: 'both',
      excludedNetworks: [],
      inboundGroups: [],
      outboundGroups: [],
      inboundPrefixes: INBOUND_PREFIXES,
      outboundPrefixes: OUTBOUND_PREFIXES,
    },
    ports: [],
    overrides: {},
    asks: undefined,
  }
}

/** By name, the letters of the original first. */
const SPAMLOGD_OPTION_TABLE: OptionTable<Draft> = {
  D: ({ options }) => {
    options.isDebug = true
  },
  I: ({ rules }) => {
    rules.direction = 'in'
  },
  i: ({ rules }, value) => {
    if (!isInterfaceName(value)) throw invalid('-i', value, 'not an interface name')
    rules.interfaceName = value
  },
  l: ({ options }, value) => {
    options.device = value
  },
  W: ({ options }, value) => {
    const hours = numberIn(value, [1, MAX_WHITE_EXPIRE_HOURS], () => {
      const { message } = invalid('-W', value, `not a number of hours from 1 to ${MAX_WHITE_EXPIRE_HOURS}`)
      return new OptionProblem(message, { usage: SPAMLOGD_USAGE })
    })
    options.whiteExpireSec = hours * 3_600
  },
  Y: ({ options }, value) => {
    options.syncTargets = withOneMore(options.syncTargets, '-Y', value)
  },
  r: ({ options }, value) => {
    options.replayPath = value
  },
  port: (draft, value) => {
    draft.ports = [...withOneMore(draft.ports, '--port', numberOf('--port', value, 1, 65_535))]
  },
  direction: ({ rules }, value) => {
    if (value !== 'in' && value !== 'out' && value !== 'both') {
      throw invalid('--direction', value, 'not one of in, out, both')
    }
    rules.direction = value
  },
  exclude: ({ rules }, value) => {
    const network = parseCidr(value)
    if (network === undefined) throw invalid('--exclude', value, 'not an address or network')
    rules.excludedNetworks = withOneMore(rules.excludedNetworks, '--exclude', network)
  },
  'outbound-source': ({ rules }, value) => {
    if (value === 'self') {
      rules.isOutboundSelf = true
      rules.outboundSources ??= []
      return
    }
    const network = parseCidr(value)
    if (network === undefined) {
      throw invalid('--outbound-source', value, 'not an address, a network or "self"')
    }
    rules.outboundSources = withOneMore(rules.outboundSources ?? [], '--outbound-source', network)
  },
  'outbound-rate': ({ options }, value) => {
    options.outboundPerMinute = numberOf('--outbound-rate', value, 0, MAX_OUTBOUND_RATE) || Infinity
  },
  'in-group': ({ rules }, value) => {
    rules.inboundGroups = withOneMore(rules.inboundGroups, '--in-group', groupOf('--in-group', value))
  },
  'out-group': ({ rules }, value) => {
    rules.outboundGroups = withOneMore(rules.outboundGroups, '--out-group', groupOf('--out-group', value))
  },
  'in-prefix': ({ rules }, value) => {
    rules.inboundPrefixes = withPrefix(rules.inboundPrefixes, INBOUND_PREFIXES, '--in-prefix', value)
  },
  'out-prefix': ({ rules }, value) => {
    rules.outboundPrefixes = withPrefix(rules.outboundPrefixes, OUTBOUND_PREFIXES, '--out-prefix', value)
  },
  'metrics-textfile': ({ options }, value) => {
    // The daemon runs in another folder than the caller.
    options.metricsFile = resolve(value)
  },
  'stats-interval': ({ options }, value) => {
    const intervalSec = parseDuration(value)
    if (intervalSec === undefined || intervalSec < 1 || intervalSec > 86_400) {
      throw invalid('--stats-interval', value, 'not a duration from 1s to 1d')
    }
    options.statsIntervalSec = intervalSec
  },
  'pid-file': ({ options }, value) => {
    options.pidFile = value
  },
  user: ({ options, overrides }, value) => {
    overrides.user = value
    options.isUserGiven = true
  },
  'sync-port': ({ overrides }, value) => {
    overrides.syncPort = String(numberOf('--sync-port', value, 1, 65_535))
  },
  db: ({ overrides }, value) => {
    overrides.db = value
  },
  key: ({ overrides }, value) => {
    overrides.key = value
  },
  'use-capture-time': ({ options }) => {
    options.useCaptureTime = true
  },
  untrap: ({ options }) => {
    options.untrap = true
  },
  json: ({ options }) => {
    options.isJson = true
  },
  foreground: ({ options }) => {
    options.isForeground = true
  },
  help: (draft) => {
    draft.asks = 'help'
  },
  version: (draft) => {
    draft.asks = 'version'
  },
}

/** The first word given replaces the default ones. */
function withPrefix(
  current: readonly string[],
  known: readonly string[],
  flag: string,
  word: string,
): readonly string[] {
  if (word === '' || Buffer.byteLength(word) > MAX_PREFIX_BYTES) {
    throw invalid(flag, word, `not a word of 1 to ${MAX_PREFIX_BYTES} bytes`)
  }
  return withOneMore(current === known ? [] : current, flag, word)
}

function withOneMore<Value>(values: readonly Value[], flag: string, value: Value): readonly Value[] {
  if (values.length === MAX_REPEATED_VALUES) {
    throw new OptionProblem(`${flag}: more than ${MAX_REPEATED_VALUES} times`)
  }
  return [...values, value]
}

function groupOf(flag: string, value: string): number {
  return numberOf(flag, value, 0, MAX_NFLOG_GROUP)
}

function numberOf(flag: string, value: string, min: number, max: number): number {
  return numberIn(value, [min, max], () => invalid(flag, value, `not a number from ${min} to ${max}`))
}

function isInterfaceName(text: string): boolean {
  return (
    text !== '' &&
    Buffer.byteLength(text) <= MAX_INTERFACE_NAME_BYTES &&
    !/[\s/\u0000-\u001f\u007f]/.test(text)
  )
}

function strayWord(word: string): OptionProblem {
  return new OptionProblem(`unexpected argument ${JSON.stringify(word)}`, { usage: SPAMLOGD_USAGE })
}

function invalid(flag: string, value: string, why: string): OptionProblem {
  return new OptionProblem(`${flag}: ${JSON.stringify(value)} is ${why}`)
}
