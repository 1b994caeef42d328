import type { SightingRules } from './read-sighting.js'

/** How spamlogd was asked to run. */
export interface SpamlogdOptions {
  /** -D: stay, and log everything to stderr. */
  isDebug: boolean
  /** --foreground: stay; for systemd and its like. */
  isForeground: boolean
  /** Packet log: `pflog0`, `nflog:25`. */
  device: string
  /** Capture file to replay instead, `-` for standard input. */
  replayPath: string | undefined
  useCaptureTime: boolean
  rules: SightingRules
  /** Addresses that one source may whitelist in a minute by connecting out; Infinity for no limit. */
  outboundPerMinute: number
  whiteExpireSec: number
  untrap: boolean
  /** -Y, in order. */
  syncTargets: readonly string[]
  isJson: boolean
  /** Log the counters this often; undefined for only when asked. */
  statsIntervalSec: number | undefined
  /** File for node_exporter, written each minute. */
  metricsFile: string | undefined
  pidFile: string | undefined
  /** User to become. */
  user: string
  /** The user was named: become it for a replay too. */
  isUserGiven: boolean
  dbPath: string
  /** Key file and port of the synchronisation. */
  key: string
  syncPort: number
}

/** Where the options of the log device come from when -l is absent: by system, since Linux has no pflog. */
export function defaultLogDevice(platform: string = process.platform): string {
  return platform === 'linux' ? 'nflog:25' : 'pflog0'
}
