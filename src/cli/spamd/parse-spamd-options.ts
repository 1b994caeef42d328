/**
 * Turns the command line of spamd into its configuration. Options are judged in the order in which they were
 * given, as getopt(3) programs do; errors are the original's, byte for byte.
 */

import { resolve } from 'node:path'
import { noSenderChecks } from '../../app/sender-check-config.js'
import type { SpamdConfig } from '../../app/spamd-config.js'
import { hasNoUnit, hintForUnit, parseDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import {
  DEFAULT_TUPLE_LIMITS,
  GREY_EXPIRE_SEC,
  PASS_SEC,
  POOL_EXPIRE_SEC,
  TRAP_EXPIRE_SEC,
  WHITE_EXPIRE_SEC,
} from '../../domain/times.js'
import { canonicalIp } from '../../ip/address.js'
import { parseCidr } from '../../ip/cidr.js'
import {
  type Environment,
  findService,
  readServices,
  resolveSettings,
  type SettingOverrides,
} from '../../platform/settings.js'
import { getopt, type ParsedOption } from '../getopt.js'
import { strtonum } from '../strtonum.js'
import { applySenderOption } from './sender-options.js'
import { SPAMD_OPTIONS, SPAMD_USAGE } from './spamd-options.js'

/** Default of -c and -B. Source: MAXCON of spamd.c. */
const DEFAULT_MAX_CONNECTIONS = 800
/** Descriptors kept for other uses, and the fewest connections worth running for. Source: get_maxfiles(). */
const RESERVED_FILES = 200
const FEWEST_CONNECTIONS = 10
/** How far effective maxblack stays below maxcon. Source: spamd.c. */
const BLACK_MARGIN = 100
const INT_MAX = 2_147_483_647
const MAX_HOSTNAME_BYTES = 255
const DEFAULT_BANNER_NAME = 'spamd IP-based SPAM blocker'
const DEFAULT_LISTEN_ADDRESS = '127.0.0.1'
/** Seconds of a unit-less field of -G: minutes, hours, hours. */
const G_FIELD_UNIT_SEC = [60, 3600, 3600] as const
/** What RFC 5321 section 4.5.3.1.8 asks a server to take at least. */
const DEFAULT_MAX_RECIPIENTS = 100
/** A hundred recipients, a long header and ten lines of text fit well. */
const DEFAULT_MAX_COMMANDS = 500
/** A dialogue of 1,000 bytes at the slowest stutter takes less than three hours. */
const DEFAULT_MAX_SESSION_SEC = 4 * 3600
const DEFAULT_SCAN_INTERVAL_SEC = 60
const MAX_SCAN_INTERVAL_SEC = 86_400
const DEFAULT_SYNC_SKEW_SEC = 3_600

/** The machine as far as options depend on it. */
export interface SpamdOptionParts {
  hostname: string
  /** Most descriptors a process may open; undefined when there is no limit. */
  maxFiles: number | undefined
  environment: Environment
}

export type SpamdOptionsResult =
  | { ok: true; config: SpamdConfig; asks?: 'help' | 'version' }
  | { ok: false; stderr: string }

/** A stop in the middle of the options: the text for stderr. */
class OptionProblem {
  readonly stderr: string
  constructor(stderr: string) {
    this.stderr = stderr
  }
}

/** Parses the words behind the program name. Throws `AppError` `ERR_SETTING_INVALID` for a bad setting. */
export function parseSpamdOptions(argv: readonly string[], parts: SpamdOptionParts): SpamdOptionsResult {
  try {
    return { ok: true, ...configFrom(argv, parts) }
  } catch (problem) {
    if (problem instanceof OptionProblem) return { ok: false, stderr: problem.stderr }
    throw problem
  }
}

interface Draft {
  config: Omit<SpamdConfig, 'settings'>
  overrides: { -readonly [Name in keyof SettingOverrides]: SettingOverrides[Name] }
  maxBlackGiven: number | undefined
  certificateFile: string | undefined
  keyFile: string | undefined
  asks?: 'help' | 'version'
}

function configFrom(
  argv: readonly string[],
  parts: SpamdOptionParts,
): { config: SpamdConfig; asks?: 'help' | 'version' } {
  const maxFiles = parts.maxFiles === undefined ? INT_MAX : parts.maxFiles - RESERVED_FILES
  if (maxFiles < FEWEST_CONNECTIONS) {
    throw failure(`kern.maxfiles is only ${parts.maxFiles}, can not continue`)
  }
  const draft = newDraft(parts, maxFiles)
  const parsed = getopt(argv, SPAMD_OPTIONS)
  for (const option of parsed.options) applyOption(draft, option, maxFiles)
  if (!parsed.ok) throw usage(`spamd: ${parsed.message}\n`)
  const { config } = draft
  if (draft.asks === undefined) {
    finish(draft)
    const [word] = parsed.operands
    if (word !== undefined) {
      throw usage(
        `spamd: ${escapeControl(JSON.stringify(word))} is no option, and spamd takes no other words\n`,
      )
    }
  }
  const settings = resolveSettings(draft.overrides, parts.environment)
  config.isPortFromServices = isPortFromServices(settings.port, draft, parts.environment)
  return {
    config: { ...config, settings },
    ...(draft.asks === undefined ? {} : { asks: draft.asks }),
  }
}

function isPortFromServices(port: number, { overrides }: Draft, { SPAMD_PORT = '' }: Environment): boolean {
  return (
    overrides.port === undefined && SPAMD_PORT === '' && findService('spamd', 'tcp', readServices()) === port
  )
}

function newDraft(parts: SpamdOptionParts, maxFiles: number): Draft {
  return {
    config: {
      isBlackOnly: false,
      isDebug: false,
      isVerbose: false,
      isForeground: false,
      isCheckOnly: false,
      listReplyCode: 450,
      maxConnections: Math.min(DEFAULT_MAX_CONNECTIONS, maxFiles),
      maxBlack: 0,
      maxPerIp: undefined,
      maxRecipients: DEFAULT_MAX_RECIPIENTS,
      maxCommands: DEFAULT_MAX_COMMANDS,
      maxSessionSec: DEFAULT_MAX_SESSION_SEC,
      tls: undefined,
      passSec: PASS_SEC,
      greyExpireSec: GREY_EXPIRE_SEC,
      whiteExpireSec: WHITE_EXPIRE_SEC,
      trapExpireSec: TRAP_EXPIRE_SEC,
      scanIntervalSec: DEFAULT_SCAN_INTERVAL_SEC,
      hostname: parts.hostname,
      bannerName: DEFAULT_BANNER_NAME,
      listenAddresses: [],
      listenFds: [],
      lowPriorityMx: [],
      greyStutterSec: 10,
      stutterSec: 1,
      windowBytes: undefined,
      recipientDelimiter: '',
      greyPrefix4: undefined,
      greyPrefix6: undefined,
      poolExpireSec: POOL_EXPIRE_SEC,
      isLearning: false,
      senders: noSenderChecks(),
      maxTuples: DEFAULT_TUPLE_LIMITS.maxTuples,
      maxTuplesPerAddress: DEFAULT_TUPLE_LIMITS.maxTuplesPerAddress,
      maxTupleBytes: DEFAULT_TUPLE_LIMITS.maxTupleBytes,
      proxyPeers: [],
      metrics: undefined,
      whiteFile: undefined,
      isControlSocketGiven: false,
      isPortFromServices: false,
      logFormat: 'classic',
      pidFile: undefined,
      sync: {
        targets: [],
        listen: undefined,
        maxSkewSec: DEFAULT_SYNC_SKEW_SEC,
        checksReplay: true,
        version: undefined,
        requiresKey: false,
        peers: [],
      },
    },
    overrides: {},
    maxBlackGiven: undefined,
    certificateFile: undefined,
    keyFile: undefined,
  }
}

/** Long names that set a common setting, and which. */
const SETTING_OPTIONS: Readonly<Record<string, keyof SettingOverrides>> = {
  'config-socket': 'controlSocket',
  key: 'key',
  'allowed-domains': 'allowedDomains',
  db: 'db',
  'state-dir': 'stateDir',
  firewall: 'firewall',
  pfctl: 'pfctl',
  nft: 'nft',
  user: 'user',
}

/** More than any disk of a gateway holds. */
const MAX_TUPLE_BYTES = 2 ** 50

/** Long names whose number goes into the configuration as it is: the field, the least and the most. */
const NUMBER_OPTIONS: Readonly<Record<string, readonly [NumberField, number, number]>> = {
  'grey-prefix4': ['greyPrefix4', 1, 32],
  'grey-prefix6': ['greyPrefix6', 1, 128],
  'max-tuples': ['maxTuples', 1, INT_MAX],
  'max-tuples-per-ip': ['maxTuplesPerAddress', 1, INT_MAX],
  'max-tuple-bytes': ['maxTupleBytes', 1, MAX_TUPLE_BYTES],
  'max-recipients': ['maxRecipients', 1, INT_MAX],
  'max-commands': ['maxCommands', 1, INT_MAX],
}
type NumberField =
  | 'greyPrefix4'
  | 'greyPrefix6'
  | 'maxTuples'
  | 'maxTuplesPerAddress'
  | 'maxTupleBytes'
  | 'maxRecipients'
  | 'maxCommands'

function applyOption(draft: Draft, option: ParsedOption, maxFiles: number): void {
  const { config, overrides } = draft
  const { name } = option
  const value = option.value ?? ''
  // The original takes the next word whatever it is, and would start with "--check" as its host name.
  if (name.length === 1 && value.startsWith('--'))
    throw usage(`spamd: option requires an argument -- ${name}\n`)
  const setting = SETTING_OPTIONS[name]
  if (setting !== undefined) {
    overrides[setting] = value
    if (setting === 'controlSocket') config.isControlSocketGiven = true
    return
  }
  switch (name) {
    case '4':
      config.listReplyCode = 450
      break
    case '5':
      config.listReplyCode = 550
      break
    case 'b':
      config.isBlackOnly = true
      break
    case 'd':
      config.isDebug = true
      config.isForeground = true
      break
    case 'v':
      config.isVerbose = true
      break
    case 'B':
      draft.maxBlackGiven = numberOf('-B', value, 0, INT_MAX)
      break
    case 'C':
      draft.certificateFile = value
      break
    case 'c': {
      const number = strtonum(value, 1, maxFiles)
      if (!number.ok) throw usage(`-c ${escapeControl(value)}: ${number.problem}\n`)
      config.maxConnections = number.value
      break
    }
    case 'G':
      applyTimes(config, value)
      break
    case 'h':
      if (Buffer.byteLength(value) > MAX_HOSTNAME_BYTES) throw failure('-h arg too long')
      config.hostname = value
      break
    case 'K':
      draft.keyFile = value
      break
    case 'l':
      config.listenAddresses.push(value)
      break
    case 'M':
      config.lowPriorityMx.push(addressOf(value))
      break
    case 'n':
      config.bannerName = value
      break
    case 'p':
      overrides.port = String(numberOf('-p', value, 1, 65535))
      break
    case 'S':
      config.greyStutterSec = numberOrUsage('-S', value, 0, 90)
      break
    case 's':
      config.stutterSec = numberOrUsage('-s', value, 0, 10)
      break
    case 'w':
      config.windowBytes = numberOf('-w', value, 1, INT_MAX)
      break
    case 'Y':
      config.sync.targets.push(value)
      break
    case 'y':
      config.sync.listen = value
      break
    default:
      applyExtension(draft, name, value, maxFiles)
  }
}

function applyExtension(draft: Draft, name: string, value: string, maxFiles: number): void {
  const { config, overrides } = draft
  const number = (min: number, max: number): number => numberOf(`--${name}`, value, min, max)
  const plain = NUMBER_OPTIONS[name]
  if (plain !== undefined) {
    const [field, min, max] = plain
    config[field] = number(min, max)
    return
  }
  switch (name) {
    case 'trapexp':
      config.trapExpireSec = durationOf(name, value)
      break
    case 'pool-expire':
      config.poolExpireSec = durationOf(name, value)
      if (config.poolExpireSec < 1) throw failure(`--${name} ${value}: too small`)
      if (config.poolExpireSec > WHITE_EXPIRE_SEC) throw failure(`--${name} ${value}: too large`)
      break
    case 'learn':
      config.isLearning = true
      break
    case 'scan-interval':
      config.scanIntervalSec = durationOf(name, value)
      if (config.scanIntervalSec < 1) throw failure(`--${name} ${value}: too small`)
      if (config.scanIntervalSec > MAX_SCAN_INTERVAL_SEC) throw failure(`--${name} ${value}: too large`)
      break
    case 'max-per-ip':
      config.maxPerIp = number(1, maxFiles)
      break
    case 'max-session':
      config.maxSessionSec = durationOf(name, value)
      if (config.maxSessionSec < 1) throw failure(`--${name} ${value}: too small`)
      break
    case 'proxy-protocol':
      config.proxyPeers.push(cidrOf(name, value))
      break
    case 'sync-peers':
      config.sync.peers.push(cidrOf(name, value))
      break
    case 'listen-fd':
      config.listenFds.push(number(0, INT_MAX))
      break
    case 'cfg-port':
      overrides.cfgPort = String(number(1, 65535))
      break
    case 'sync-port':
      overrides.syncPort = String(number(1, 65535))
      break
    case 'sync-max-skew':
      config.sync.maxSkewSec = durationOf(name, value)
      break
    case 'recipient-delimiter':
      if (!/^[!-?[-`{-~]{1,16}$/.test(value)) throw failure(`--${name} ${value}: invalid`)
      config.recipientDelimiter = value
      break
    case 'sync-version':
      if (value !== '2' && value !== '3') throw failure(`--${name} ${value}: invalid`)
      config.sync.version = value === '2' ? 2 : 3
      break
    case 'require-sync-key':
      config.sync.requiresKey = true
      break
    case 'no-sync-replay-check':
      config.sync.checksReplay = false
      break
    case 'log-format':
      if (value !== 'classic' && value !== 'json') throw failure(`--${name} ${value}: invalid`)
      config.logFormat = value
      break
    case 'foreground':
      config.isForeground = true
      break
    case 'white-file':
      // The daemon works in another folder than the caller.
      config.whiteFile = resolve(value)
      break
    case 'metrics':
      config.metrics = metricsPlaceOf(value)
      break
    case 'pid-file':
      config.pidFile = value
      break
    case 'check':
      config.isCheckOnly = true
      break
    case 'help':
    case 'version':
      draft.asks ??= name
      break
    default:
      applySenderOption(config.senders, name, value, failure)
  }
}

/** The checks that need all options. */
function finish(draft: Draft): void {
  const { config, maxBlackGiven, certificateFile, keyFile } = draft
  if (config.senders.trapsSpfFail && config.senders.spf === undefined) {
    throw failure('--spf-fail: without --grey-spf no SPF is checked', 'add --grey-spf all')
  }
  // Without -B, maxblack follows maxcon, so that -c alone works.
  const maxBlack = maxBlackGiven ?? config.maxConnections
  if (!config.isBlackOnly && maxBlack > config.maxConnections) {
    throw usage(`spamd: -B ${maxBlack}: more than the connections of -c (${config.maxConnections})\n`)
  }
  if (config.isBlackOnly) config.maxBlack = config.maxConnections
  else if (maxBlack >= config.maxConnections) {
    config.maxBlack = Math.max(config.maxConnections - BLACK_MARGIN, 0)
  } else config.maxBlack = maxBlack
  if (certificateFile !== undefined && keyFile !== undefined) config.tls = { certificateFile, keyFile }
  else if (certificateFile !== undefined || keyFile !== undefined) {
    throw failure('need key and certificate for TLS')
  }
  if (config.listenAddresses.length === 0 && config.listenFds.length === 0) {
    config.listenAddresses.push(DEFAULT_LISTEN_ADDRESS)
  }
}

/**
 * -G: numbers as sscanf(3) reads them, minutes, hours and hours; each field may carry a unit instead.
 * Behind the third number the original reads no further.
 */
function applyTimes(config: Draft['config'], value: string): void {
  const fields = /^\s*([^:]+):\s*([^:]+):\s*([^:]+)/.exec(value)
  if (fields === null) throw badTimes(value)
  const seconds = G_FIELD_UNIT_SEC.map((unitSec, index) => {
    const text = fields[index + 1]!
    if (/^[0-9]+[a-z]/.test(text)) {
      const durationSec = parseDuration(text)
      if (durationSec !== undefined) return durationSec
    }
    const isLast = index === G_FIELD_UNIT_SEC.length - 1
    const number = (isLast ? /^[+-]?[0-9]{1,10}/ : /^[+-]?[0-9]{1,10}$/).exec(text)
    if (number === null) throw badTimes(value)
    return Number(number[0]) * unitSec
  })
  config.passSec = seconds[0]!
  config.greyExpireSec = seconds[1]!
  config.whiteExpireSec = seconds[2]!
}

function badTimes(value: string): OptionProblem {
  return usage(`spamd: -G ${escapeControl(value)}: not three times, such as 25:4:864 or 90s:4h:36d\n`)
}

function numberOf(option: string, value: string, min: number, max: number): number {
  const number = strtonum(value, min, max)
  if (!number.ok) throw failure(`${option} ${value}: ${number.problem}`)
  return number.value
}

function numberOrUsage(option: string, value: string, min: number, max: number): number {
  const number = strtonum(value, min, max)
  if (!number.ok)
    throw usage(`spamd: ${option} ${escapeControl(value)}: ${number.problem}, ${min} to ${max} is allowed\n`)
  return number.value
}

function durationOf(name: string, value: string): number {
  const durationSec = parseDuration(value)
  if (durationSec === undefined) throw failure(`--${name} ${value}: invalid`)
  if (hasNoUnit(value)) throw failure(`--${name} ${value}: no unit`, hintForUnit(value))
  return durationSec
}

function addressOf(value: string): string {
  const address = canonicalIp(value)
  if (address === undefined) throw failure(`-M ${value}: not an ip address`)
  return address
}

function cidrOf(name: string, value: string): string {
  if (parseCidr(value) === undefined) throw failure(`--${name} ${value}: invalid`)
  return value
}

/** The process that serves them has no rights, so that ports below 1024 are not its own. */
function metricsPlaceOf(value: string): NonNullable<SpamdConfig['metrics']> {
  if (value.startsWith('unix:') && value.length > 5) return { path: resolve(value.slice(5)) }
  const [, host = '', portText = ''] = /^(.+):([0-9]{1,5})$/.exec(value) ?? []
  const address = canonicalIp(host.replace(/^\[(.*)\]$/, '$1'))
  const port = Number(portText)
  if (address === undefined || portText === '' || port > 65535) {
    throw failure(
      `--metrics ${value}: neither ADDRESS:PORT, such as 127.0.0.1:9112 or [::1]:9112, nor unix:PATH`,
    )
  }
  if (port < 1024) throw failure(`--metrics ${value}: the port must be above 1023`)
  return { host: address, port }
}

function failure(message: string, hint?: string): OptionProblem {
  const lines = hint === undefined ? [message] : [message, `hint: ${hint}`]
  return new OptionProblem(lines.map((line) => `spamd: ${escapeControl(line)}\n`).join(''))
}

function usage(before: string): OptionProblem {
  return new OptionProblem(`${before}${SPAMD_USAGE}`)
}
