/** What each option of spamd does to its configuration. The checks that need all options are in parse-spamd-options.ts. */
import { resolve } from 'node:path'
import type { SpamdConfig } from '../../app/spamd-config.js'
import { hasNoUnit, hintForUnit, parseDuration } from '../../codec/duration.js'
import { escapeControl } from '../../codec/escape.js'
import { WHITE_EXPIRE_SEC } from '../../domain/times.js'
import { canonicalIp } from '../../ip/address.js'
import { parseCidr } from '../../ip/cidr.js'
import type { SettingOverrides } from '../../platform/settings.js'
import { type ApplyOption, numberIn, OptionProblem, type OptionTable } from '../option-reader.js'
import { applySenderOption, SENDER_OPTIONS } from './sender-options.js'
import { SPAMD_USAGE } from './spamd-options.js'

const INT_MAX = 2_147_483_647
const MAX_HOSTNAME_BYTES = 255
/** Seconds of a unit-less field of -G: minutes, hours, hours. */
const G_FIELD_UNIT_SEC = [60, 3600, 3600] as const
const MAX_SCAN_INTERVAL_SEC = 86_400
/** More than the disk of any gateway. */
const MAX_TUPLE_BYTES = 2 ** 50

/** The values of the options so far. */
export interface SpamdDraft {
  /** Maximum number of descriptors for connections. */
  readonly maxFiles: number
  config: Omit<SpamdConfig, 'settings'>
  overrides: { -readonly [Name in keyof SettingOverrides]: SettingOverrides[Name] }
  maxBlackGiven: number | undefined
  certificateFile: string | undefined
  keyFile: string | undefined
  asks?: 'help' | 'version'
}

type NumberField =
  | 'greyPrefix4'
  | 'greyPrefix6'
  | 'maxTuples'
  | 'maxTuplesPerAddress'
  | 'maxTupleBytes'
  | 'maxRecipients'
  | 'maxCommands'

/** A number that is stored in the configuration unchanged. */
function numberInto(field: NumberField, range: readonly [number, number]): ApplyOption<SpamdDraft> {
  return ({ config }, value, name) => {
    config[field] = numberOf(`--${name}`, value, range)
  }
}

/** A value that overrides a common setting. */
function settingInto(setting: keyof SettingOverrides): ApplyOption<SpamdDraft> {
  return ({ overrides }, value) => {
    overrides[setting] = value
  }
}

const SENDER_TABLE: OptionTable<SpamdDraft> = Object.fromEntries(
  SENDER_OPTIONS.map(({ long = '' }) => [
    long,
    ({ config }: SpamdDraft, value: string, name: string) =>
      void applySenderOption(config.senders, name, value, failure),
  ]),
)

/** By name, the letters of the original first. */
export const SPAMD_OPTION_TABLE: OptionTable<SpamdDraft> = {
  '4': ({ config }) => {
    config.listReplyCode = 450
  },
  '5': ({ config }) => {
    config.listReplyCode = 550
  },
  b: ({ config }) => {
    config.isBlackOnly = true
  },
  d: ({ config }) => {
    config.isDebug = true
    config.isForeground = true
  },
  v: ({ config }) => {
    config.isVerbose = true
  },
  B: (draft, value) => {
    draft.maxBlackGiven = numberOf('-B', value, [0, INT_MAX])
  },
  C: (draft, value) => {
    draft.certificateFile = value
  },
  c: (draft, value) => {
    draft.config.maxConnections = numberIn(value, [1, draft.maxFiles], (problem) => {
      const message = `-c ${value}: ${problem}`
      // The original prints this one without its name.
      return new OptionProblem(message, { line: `${escapeControl(message)}\n`, usage: SPAMD_USAGE })
    })
  },
  G: ({ config }, value) => {
    applyTimes(config, value)
  },
  h: ({ config }, value) => {
    if (Buffer.byteLength(value) > MAX_HOSTNAME_BYTES) throw failure('-h arg too long')
    config.hostname = value
  },
  K: (draft, value) => {
    draft.keyFile = value
  },
  l: ({ config }, value) => {
    config.listenAddresses.push(value)
  },
  M: ({ config }, value) => {
    config.lowPriorityMx.push(addressOf(value))
  },
  n: ({ config }, value) => {
    config.bannerName = value
  },
  p: ({ overrides }, value) => {
    overrides.port = String(numberOf('-p', value, [1, 65535]))
  },
  S: ({ config }, value) => {
    config.greyStutterSec = numberOrUsage('-S', value, [0, 90])
  },
  s: ({ config }, value) => {
    config.stutterSec = numberOrUsage('-s', value, [0, 10])
  },
  w: ({ config }, value) => {
    config.windowBytes = numberOf('-w', value, [1, INT_MAX])
  },
  Y: ({ config }, value) => {
    config.sync.targets.push(value)
  },
  y: ({ config }, value) => {
    config.sync.listen = value
  },
  trapexp: ({ config }, value, name) => {
    config.trapExpireSec = durationOf(name, value)
  },
  'pool-expire': ({ config }, value, name) => {
    config.poolExpireSec = durationOf(name, value)
    if (config.poolExpireSec < 1) throw failure(`--${name} ${value}: too small`)
    if (config.poolExpireSec > WHITE_EXPIRE_SEC) throw failure(`--${name} ${value}: too large`)
  },
  learn: ({ config }) => {
    config.isLearning = true
  },
  'scan-interval': ({ config }, value, name) => {
    config.scanIntervalSec = durationOf(name, value)
    if (config.scanIntervalSec < 1) throw failure(`--${name} ${value}: too small`)
    if (config.scanIntervalSec > MAX_SCAN_INTERVAL_SEC) throw failure(`--${name} ${value}: too large`)
  },
  'max-per-ip': (draft, value, name) => {
    draft.config.maxPerIp = numberOf(`--${name}`, value, [1, draft.maxFiles])
  },
  'max-session': ({ config }, value, name) => {
    config.maxSessionSec = durationOf(name, value)
    if (config.maxSessionSec < 1) throw failure(`--${name} ${value}: too small`)
  },
  'proxy-protocol': ({ config }, value, name) => {
    config.proxyPeers.push(cidrOf(name, value))
  },
  'sync-peers': ({ config }, value, name) => {
    config.sync.peers.push(cidrOf(name, value))
  },
  'listen-fd': ({ config }, value, name) => {
    config.listenFds.push(numberOf(`--${name}`, value, [0, INT_MAX]))
  },
  'cfg-port': ({ overrides }, value, name) => {
    overrides.cfgPort = String(numberOf(`--${name}`, value, [1, 65535]))
  },
  'sync-port': ({ overrides }, value, name) => {
    overrides.syncPort = String(numberOf(`--${name}`, value, [1, 65535]))
  },
  'sync-max-skew': ({ config }, value, name) => {
    config.sync.maxSkewSec = durationOf(name, value)
  },
  'recipient-delimiter': ({ config }, value, name) => {
    if (!/^[!-?[-`{-~]{1,16}$/.test(value)) throw failure(`--${name} ${value}: invalid`)
    config.recipientDelimiter = value
  },
  'sync-version': ({ config }, value, name) => {
    if (value !== '2' && value !== '3') throw failure(`--${name} ${value}: invalid`)
    config.sync.version = value === '2' ? 2 : 3
  },
  'require-sync-key': ({ config }) => {
    config.sync.requiresKey = true
  },
  'no-sync-replay-check': ({ config }) => {
    config.sync.checksReplay = false
  },
  'log-format': ({ config }, value, name) => {
    if (value !== 'classic' && value !== 'json') throw failure(`--${name} ${value}: invalid`)
    config.logFormat = value
  },
  foreground: ({ config }) => {
    config.isForeground = true
  },
  'white-file': ({ config }, value) => {
    // The daemon runs in another folder than the caller.
    config.whiteFile = resolve(value)
  },
  metrics: ({ config }, value) => {
    config.metrics = metricsPlaceOf(value)
  },
  'pid-file': ({ config }, value) => {
    config.pidFile = value
  },
  check: ({ config }) => {
    config.isCheckOnly = true
  },
  help: (draft) => {
    draft.asks ??= 'help'
  },
  version: (draft) => {
    draft.asks ??= 'version'
  },
  'grey-prefix4': numberInto('greyPrefix4', [1, 32]),
  'grey-prefix6': numberInto('greyPrefix6', [1, 128]),
  'max-tuples': numberInto('maxTuples', [1, INT_MAX]),
  'max-tuples-per-ip': numberInto('maxTuplesPerAddress', [1, INT_MAX]),
  'max-tuple-bytes': numberInto('maxTupleBytes', [1, MAX_TUPLE_BYTES]),
  'max-recipients': numberInto('maxRecipients', [1, INT_MAX]),
  'max-commands': numberInto('maxCommands', [1, INT_MAX]),
  'config-socket': ({ config, overrides }, value) => {
    overrides.controlSocket = value
    config.isControlSocketGiven = true
  },
  key: settingInto('key'),
  'allowed-domains': settingInto('allowedDomains'),
  db: settingInto('db'),
  'state-dir': settingInto('stateDir'),
  firewall: settingInto('firewall'),
  pfctl: settingInto('pfctl'),
  nft: settingInto('nft'),
  user: settingInto('user'),
  ...SENDER_TABLE,
}

/**
 * -G: numbers as sscanf(3) reads them, minutes, hours and hours; each field may have a unit instead. The
 * original ignores anything after the third number.
 */
function applyTimes(config: SpamdDraft['config'], value: string): void {
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
  return usage(`-G ${value}: not three durations, such as 25:4:864 or 90s:4h:36d`)
}

function numberOf(option: string, value: string, range: readonly [number, number]): number {
  return numberIn(value, range, (problem) => failure(`${option} ${value}: ${problem}`))
}

function numberOrUsage(option: string, value: string, range: readonly [number, number]): number {
  return numberIn(value, range, (problem) =>
    usage(`${option} ${value}: ${problem}, ${range[0]} to ${range[1]} is allowed`),
  )
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

/** The process that serves them is unprivileged, so it cannot use ports below 1024. */
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

/** A value that cannot be used. */
export function failure(message: string, hint?: string): OptionProblem {
  return new OptionProblem(message, { hint })
}

/** As `failure`, where the original also prints its usage. */
export function usage(message: string): OptionProblem {
  return new OptionProblem(message, { usage: SPAMD_USAGE })
}
