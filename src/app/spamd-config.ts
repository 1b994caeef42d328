/** What spamd was told on its command line and by its environment: plain data, fit for another process. */
import type { Settings } from '../platform/settings.js'
import type { SenderCheckConfig } from './sender-check-config.js'

export interface SpamdConfig {
  /** -b: block lists only, no greylisting, no database. */
  isBlackOnly: boolean
  /** -d: foreground with the chatter of the original on stdout and stderr. */
  isDebug: boolean
  /** -v */
  isVerbose: boolean
  /** -d or --foreground. */
  isForeground: boolean
  /** --check: validate everything and exit. */
  isCheckOnly: boolean
  /** -4, -5: for block-listed clients. */
  listReplyCode: 450 | 550
  maxConnections: number
  /** Effective number of BLACK clients that are stuttered. */
  maxBlack: number
  /** --max-per-ip; undefined: the default. */
  maxPerIp: number | undefined
  maxRecipients: number
  maxCommands: number
  maxSessionSec: number
  /** -C and -K, always both. */
  tls: { certificateFile: string; keyFile: string } | undefined
  passSec: number
  greyExpireSec: number
  whiteExpireSec: number
  trapExpireSec: number
  scanIntervalSec: number
  hostname: string
  bannerName: string
  /** -l: addresses or names, at least one unless `listenFds` has some. */
  listenAddresses: string[]
  /** --listen-fd: listening sockets that were inherited. */
  listenFds: number[]
  /** -M: canonical where it is an address. */
  lowPriorityMx: string[]
  greyStutterSec: number
  stutterSec: number
  windowBytes: number | undefined
  /** --recipient-delimiter; empty: none. */
  recipientDelimiter: string
  greyPrefix4: number | undefined
  greyPrefix6: number | undefined
  /** --pool-expire */
  poolExpireSec: number
  /** --learn */
  isLearning: boolean
  /** Which DNS queries about senders are made. */
  senders: SenderCheckConfig
  maxTuples: number
  maxTuplesPerAddress: number
  maxTupleBytes: number
  /** --proxy-protocol: CIDR texts. */
  proxyPeers: string[]
  /** --metrics: where to serve them. */
  metrics: { host: string; port: number } | { path: string } | undefined
  /** --white-file */
  whiteFile: string | undefined
  /** --config-socket was given: spamd does not start without it. */
  isControlSocketGiven: boolean
  /** The SMTP port was found in services(5): nobody named it. */
  isPortFromServices: boolean
  logFormat: 'classic' | 'json'
  pidFile: string | undefined
  sync: {
    /** -Y, in order. */
    targets: string[]
    /** -y */
    listen: string | undefined
    maxSkewSec: number
    checksReplay: boolean
    /** --sync-version: speak this one alone; undefined: 3 with those that do, 2 with all others. */
    version: 2 | 3 | undefined
    /** --require-sync-key: no start without a key. */
    requiresKey: boolean
    /** --sync-peers: CIDR texts; empty: anyone with the key. */
    peers: string[]
  }
  settings: Settings
}
