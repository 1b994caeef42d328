import type { OptionSpec } from '../getopt.js'

/** The usage text of the original, printed for any wrong usage. */
export const SPAMLOGD_USAGE =
  'usage: spamlogd [-DI] [-i interface] [-l pflog_interface] [-W whiteexp] [-Y synctarget]\n'

/** Every option of spamlogd: the letters of the original and our long ones. */
export const SPAMLOGD_OPTIONS: readonly OptionSpec[] = [
  { short: 'D', summary: 'stay in the foreground, log everything to standard error' },
  { short: 'I', summary: 'inbound connections only, as --direction in' },
  { short: 'i', value: 'INTERFACE', summary: 'use only packets logged on this interface' },
  {
    short: 'l',
    value: 'LOGDEVICE',
    summary: 'packet log: pflog0, or nflog:GROUP[,GROUP] on Linux (default pflog0, nflog:25)',
  },
  { short: 'W', value: 'WHITEEXP', summary: 'lifetime of a WHITE entry, 1 to 2160 hours (default 864)' },
  {
    short: 'Y',
    value: 'SYNCTARGET',
    isRepeatable: true,
    summary: 'send synchronisation messages to this host, group or interface',
  },
  { short: 'r', value: 'FILE', summary: 'replay a capture file, - for standard input' },
  { long: 'use-capture-time', summary: 'with -r: use the time of capture instead of the current time' },
  { long: 'port', value: 'NUMBER', isRepeatable: true, summary: 'destination port to watch (default 25)' },
  {
    long: 'direction',
    value: 'DIRECTION',
    choices: ['in', 'out', 'both'],
    summary: 'direction of connections to watch (default both)',
  },
  {
    long: 'exclude',
    value: 'CIDR',
    isRepeatable: true,
    summary: 'never whitelist hosts in this network for outbound connections',
  },
  {
    long: 'outbound-source',
    value: 'CIDR|self',
    isRepeatable: true,
    summary: 'whitelist only for outbound connections of these mail servers (self: this host; default: all)',
  },
  {
    long: 'outbound-rate',
    value: 'NUMBER',
    summary: 'maximum addresses that one source may whitelist per minute (default 600, 0: no limit)',
  },
  { long: 'in-group', value: 'GROUP', isRepeatable: true, summary: 'nflog group of inbound packets' },
  { long: 'out-group', value: 'GROUP', isRepeatable: true, summary: 'nflog group of outbound packets' },
  {
    long: 'in-prefix',
    value: 'WORD',
    isRepeatable: true,
    summary: 'start of the log prefix of inbound packets (default spamlogd-in, spamd-in)',
  },
  {
    long: 'out-prefix',
    value: 'WORD',
    isRepeatable: true,
    summary: 'start of the log prefix of outbound packets (default spamlogd-out, spamd-out)',
  },
  { long: 'untrap', summary: 'turn TRAPPED entries WHITE as the original did' },
  { long: 'json', summary: 'log lines as JSON' },
  {
    long: 'metrics-textfile',
    value: 'FILE',
    summary: "write counters to this file every minute, for node_exporter's textfile collector",
  },
  { long: 'stats-interval', value: 'DURATION', summary: 'log the counters this often' },
  { long: 'foreground', summary: 'stay in the foreground, for service managers such as systemd' },
  { long: 'pid-file', value: 'FILE', summary: 'write the process id to this file while spamlogd runs' },
  { long: 'user', value: 'NAME', summary: 'unprivileged user instead of SPAMD_USER' },
  { long: 'db', value: 'FILE', summary: 'database instead of SPAMD_DB' },
  { long: 'key', value: 'FILE', summary: 'synchronisation key instead of SPAMD_KEY' },
  { long: 'sync-port', value: 'PORT', summary: 'synchronisation port instead of SPAMD_SYNC_PORT' },
  { long: 'help', summary: 'show this help' },
  { long: 'version', summary: 'show the version' },
]
