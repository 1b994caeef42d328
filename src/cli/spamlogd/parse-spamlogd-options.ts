/**
 * Turns the command line of spamlogd into its options. They are judged in the order in which they were given,
 * as getopt(3) programs do; unlike in the original, a word that is no option is refused.
 */
import { resolve } from 'node:path'
import { INBOUND_PREFIXES, OUTBOUND_PREFIXES } from '../../app/read-sighting.js'
import { defaultLogDevice, type SpamlogdOptions } from '../../app/spamlogd-options.js'
import { parseDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { WHITE_EXPIRE_SEC } from '../../domain/times.js'
import { parseCidr } from '../../ip/cidr.js'
import { type Environment, resolveSettings, type SettingOverrides } from '../../platform/settings.js'
import { getopt, type ParsedOption } from '../getopt.js'
import { strtonum } from '../strtonum.js'
import { SPAMLOGD_OPTIONS, SPAMLOGD_USAGE } from './spamlogd-options.js'

const MAX_WHITE_EXPIRE_HOURS = 2_160
const SMTP_PORT = 25
/** A busy server of a mailing list reaches some hundred hosts a minute; one who sprays, thousands. */
const DEFAULT_OUTBOUND_RATE = 600
const MAX_OUTBOUND_RATE = 1_000_000
/** IFNAMSIZ less its terminator, on every system. */
const MAX_INTERFACE_NAME_BYTES = 15
const MAX_NFLOG_GROUP = 65_535
/** A prefix of nft(8) has at most 127 bytes. */
const MAX_PREFIX_BYTES = 127
/** Values of one repeatable option: each is looked at for every packet. */
export const MAX_REPEATED_VALUES = 256

export type SpamlogdOptionsResult =
  | { ok: true; options: SpamlogdOptions; asks?: 'help' | 'version' }
  /** `isReplay`: a replay was meant, as far as the words were read, so root is not needed to be told of it. */
  | { ok: false; stderr: string; isReplay: boolean }

/** A stop in the middle of the options: the text for stderr. */
class OptionProblem {
  readonly stderr: string
  constructor(stderr: string) {
    this.stderr = stderr
  }
}

interface Draft {
  options: Omit<SpamlogdOptions, 'dbPath' | 'user' | 'rules' | 'key' | 'syncPort'>
  rules: {
    -readonly [Name in keyof SpamlogdOptions['rules']]: SpamlogdOptions['rules'][Name]
  }
  ports: number[]
  overrides: { -readonly [Name in keyof SettingOverrides]: SettingOverrides[Name] }
  asks: 'help' | 'version' | undefined
}

/** Parses the words behind the program name. Throws `AppError` `ERR_SETTING_INVALID` for a bad setting. */
export function parseSpamlogdOptions(
  argv: readonly string[],
  environment: Environment = process.env,
  platform: string = process.platform,
): SpamlogdOptionsResult {
  const draft = newDraft(platform)
  const parsed = getopt(argv, SPAMLOGD_OPTIONS)
  try {
    for (const option of parsed.options) applyOption(draft, option)
    if (!parsed.ok) throw new OptionProblem(`spamlogd: ${escapeControl(parsed.message)}\n${SPAMLOGD_USAGE}`)
    if (draft.asks === undefined) {
      checkCombination(draft.options)
      if (parsed.operands.length > 0) throw strayWord(parsed.operands[0]!)
    }
  } catch (problem) {
    if (!(problem instanceof OptionProblem)) throw problem
    return { ok: false, stderr: problem.stderr, isReplay: isReplayMeant(draft.options) }
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
    throw new OptionProblem(
      'spamlogd: --use-capture-time is for a capture that is replayed\nspamlogd: hint: name it with -r FILE, or - for standard input\n',
    )
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

function applyOption(draft: Draft, option: ParsedOption): void {
  const { options, rules, overrides } = draft
  const value = option.value ?? ''
  switch (option.name) {
    case 'D':
      options.isDebug = true
      break
    case 'I':
      rules.direction = 'in'
      break
    case 'i':
      if (!isInterfaceName(value)) throw invalid('-i', value, 'not an interface name')
      rules.interfaceName = value
      break
    case 'l':
      options.device = value
      break
    case 'W': {
      const hours = strtonum(value, 1, MAX_WHITE_EXPIRE_HOURS)
      if (!hours.ok) {
        const reason = `not a number of hours from 1 to ${MAX_WHITE_EXPIRE_HOURS}`
        throw new OptionProblem(`${invalid('-W', value, reason).stderr}${SPAMLOGD_USAGE}`)
      }
      options.whiteExpireSec = hours.value * 3_600
      break
    }
    case 'Y':
      options.syncTargets = withOneMore(options.syncTargets, '-Y', value)
      break
    case 'r':
      options.replayPath = value
      break
    case 'port':
      draft.ports = [...withOneMore(draft.ports, '--port', numberOf('--port', value, 1, 65_535))]
      break
    case 'direction':
      if (value !== 'in' && value !== 'out' && value !== 'both') {
        throw invalid('--direction', value, 'not one of in, out, both')
      }
      rules.direction = value
      break
    case 'exclude': {
      const network = parseCidr(value)
      if (network === undefined) throw invalid('--exclude', value, 'not an address or network')
      rules.excludedNetworks = withOneMore(rules.excludedNetworks, '--exclude', network)
      break
    }
    case 'outbound-source': {
      if (value === 'self') {
        rules.isOutboundSelf = true
        rules.outboundSources ??= []
        break
      }
      const network = parseCidr(value)
      if (network === undefined) {
        throw invalid('--outbound-source', value, 'not an address, a network or "self"')
      }
      rules.outboundSources = withOneMore(rules.outboundSources ?? [], '--outbound-source', network)
      break
    }
    case 'outbound-rate':
      options.outboundPerMinute = numberOf('--outbound-rate', value, 0, MAX_OUTBOUND_RATE) || Infinity
      break
    case 'in-group':
      rules.inboundGroups = withOneMore(rules.inboundGroups, '--in-group', groupOf('--in-group', value))
      break
    case 'out-group':
      rules.outboundGroups = withOneMore(rules.outboundGroups, '--out-group', groupOf('--out-group', value))
      break
    case 'in-prefix':
      rules.inboundPrefixes = withPrefix(rules.inboundPrefixes, INBOUND_PREFIXES, '--in-prefix', value)
      break
    case 'out-prefix':
      rules.outboundPrefixes = withPrefix(rules.outboundPrefixes, OUTBOUND_PREFIXES, '--out-prefix', value)
      break
    case 'metrics-textfile':
      // The daemon works in another folder than the caller.
      options.metricsFile = resolve(value)
      break
    case 'stats-interval': {
      const intervalSec = parseDuration(value)
      if (intervalSec === undefined || intervalSec < 1 || intervalSec > 86_400) {
        throw invalid('--stats-interval', value, 'not a duration from 1s to 1d')
      }
      options.statsIntervalSec = intervalSec
      break
    }
    case 'pid-file':
      options.pidFile = value
      break
    case 'user':
      overrides.user = value
      options.isUserGiven = true
      break
    case 'db':
    case 'key':
      overrides[option.name] = value
      break
    case 'sync-port':
      overrides.syncPort = String(numberOf('--sync-port', value, 1, 65_535))
      break
    default:
      applySwitch(draft, option.name)
  }
}

function applySwitch(draft: Draft, name: string): void {
  const { options } = draft
  if (name === 'use-capture-time') options.useCaptureTime = true
  else if (name === 'untrap') options.untrap = true
  else if (name === 'json') options.isJson = true
  else if (name === 'foreground') options.isForeground = true
  else if (name === 'help' || name === 'version') draft.asks = name
}

/** The first word given replaces the words that are known by default. */
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
    throw new OptionProblem(`spamlogd: ${flag}: more than ${MAX_REPEATED_VALUES} times\n`)
  }
  return [...values, value]
}

function groupOf(flag: string, value: string): number {
  return numberOf(flag, value, 0, MAX_NFLOG_GROUP)
}

function numberOf(flag: string, value: string, min: number, max: number): number {
  const number = strtonum(value, min, max)
  if (!number.ok) throw invalid(flag, value, `not a number from ${min} to ${max}`)
  return number.value
}

function isInterfaceName(text: string): boolean {
  return (
    text !== '' &&
    Buffer.byteLength(text) <= MAX_INTERFACE_NAME_BYTES &&
    !/[\s/\u0000-\u001f\u007f]/.test(text)
  )
}

function strayWord(word: string): OptionProblem {
  return new OptionProblem(
    `spamlogd: ${escapeControl(JSON.stringify(word))} is no option, and spamlogd takes no other words\n${SPAMLOGD_USAGE}`,
  )
}

function invalid(flag: string, value: string, why: string): OptionProblem {
  return new OptionProblem(`spamlogd: ${flag}: ${escapeControl(JSON.stringify(value))} is ${why}\n`)
}
