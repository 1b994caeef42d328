/**
 * Turns the command line of spamd into its configuration. Options are checked in the given order, as in
 * getopt(3) programs; errors are the original's, byte for byte.
 */

import { noSenderChecks } from '../../app/sender-check-config.js'
import type { SpamdConfig } from '../../app/spamd-config.js'
import {
  DEFAULT_TUPLE_LIMITS,
  GREY_EXPIRE_SEC,
  PASS_SEC,
  POOL_EXPIRE_SEC,
  TRAP_EXPIRE_SEC,
  WHITE_EXPIRE_SEC,
} from '../../domain/times.js'
import { type Environment, findService, readServices, resolveSettings } from '../../platform/settings.js'
import { getopt } from '../getopt.js'
import { applyOption, OptionProblem } from '../option-reader.js'
import { formatFailure } from '../report-error.js'
import { failure, SPAMD_OPTION_TABLE, type SpamdDraft, usage } from './spamd-option-table.js'
import { SPAMD_OPTIONS } from './spamd-options.js'

/** Default of -c and -B. Source: MAXCON of spamd.c. */
const DEFAULT_MAX_CONNECTIONS = 800
/** Descriptors kept for other uses, and the minimum number of connections. Source: get_maxfiles(). */
const RESERVED_FILES = 200
const FEWEST_CONNECTIONS = 10
/** Minimum distance of effective maxblack below maxcon. Source: spamd.c. */
const BLACK_MARGIN = 100
const INT_MAX = 2_147_483_647
const DEFAULT_BANNER_NAME = 'spamd IP-based SPAM blocker'
const DEFAULT_LISTEN_ADDRESS = '127.0.0.1'
/** Minimum that RFC 5321 section 4.5.3.1.8 requires of a server. */
const DEFAULT_MAX_RECIPIENTS = 100
/** A hundred recipients, a long header and ten lines of text are well within this. */
const DEFAULT_MAX_COMMANDS = 500
/** A dialogue of 1,000 bytes at the slowest stutter takes less than three hours. */
const DEFAULT_MAX_SESSION_SEC = 4 * 3600
const DEFAULT_SCAN_INTERVAL_SEC = 60
const DEFAULT_SYNC_SKEW_SEC = 3_600

/** The properties of the machine on which options depend. */
export interface SpamdOptionParts {
  hostname: string
  /** Maximum number of descriptors of a process; undefined when there is no limit. */
  maxFiles: number | undefined
  environment: Environment
}

export type SpamdOptionsResult =
  | { ok: true; config: SpamdConfig; asks?: 'help' | 'version' }
  | { ok: false; stderr: string }

/** Parses the arguments. Throws `AppError` `ERR_SETTING_INVALID` for a bad setting. */
export function parseSpamdOptions(argv: readonly string[], parts: SpamdOptionParts): SpamdOptionsResult {
  try {
    return { ok: true, ...configFrom(argv, parts) }
  } catch (problem) {
    if (!(problem instanceof OptionProblem)) throw problem
    return { ok: false, stderr: formatFailure('spamd', problem) ?? '' }
  }
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
  for (const option of parsed.options) {
    const { name, value } = option
    // The original takes the next word whatever it is, and would start with "--check" as its host name.
    if (name.length === 1 && value?.startsWith('--') === true)
      throw usage(`option requires an argument -- ${name}`)
    applyOption(SPAMD_OPTION_TABLE, option, draft)
  }
  if (!parsed.ok) throw usage(parsed.message)
  const { config } = draft
  if (draft.asks === undefined) {
    finish(draft)
    const [word] = parsed.operands
    if (word !== undefined) {
      throw usage(`unexpected argument ${JSON.stringify(word)}`)
    }
  }
  const settings = resolveSettings(draft.overrides, parts.environment)
  config.isPortFromServices = isPortFromServices(settings.port, draft, parts.environment)
  return {
    config: { ...config, settings },
    ...(draft.asks === undefined ? {} : { asks: draft.asks }),
  }
}

function isPortFromServices(
  port: number,
  { overrides }: SpamdDraft,
  { SPAMD_PORT = '' }: Environment,
): boolean {
  return (
    overrides.port === undefined && SPAMD_PORT === '' && findService('spamd', 'tcp', readServices()) === port
  )
}

function newDraft(parts: SpamdOptionParts, maxFiles: number): SpamdDraft {
  return {
    maxFiles,
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

/** The checks that need all options. */
function finish(draft: SpamdDraft): void {
  const { config, maxBlackGiven, certificateFile, keyFile } = draft
  if (config.senders.trapsSpfFail && config.senders.spf === undefined) {
    throw failure('--spf-fail requires --grey-spf', 'add --grey-spf all')
  }
  // Without -B, maxblack follows maxcon, so that -c alone works.
  const maxBlack = maxBlackGiven ?? config.maxConnections
  if (!config.isBlackOnly && maxBlack > config.maxConnections) {
    throw usage(`-B ${maxBlack}: more than the connections of -c (${config.maxConnections})`)
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
