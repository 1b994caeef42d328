import type { OptionSpec } from '../getopt.js'

/** The usage text of the original, which every wrong call prints. */
export const SPAMLOGD_USAGE =
  'usage: spamlogd [-DI] [-i interface] [-l pflog_interface] [-W whiteexp] [-Y synctarget]\n'

/** Every option of spamlogd: the letters of the original and our long ones. */
export const SPAMLOGD_OPTIONS: readonly OptionSpec[] = [
  { short: 'D', summary: 'stay in the foreground, log everything to standard error' },
  { short: 'I', summary: 'inbound connections only, as --direction in' },
  { short: 'i', value: 'INTERFACE', summary: 'only packets logged on this interface' },
  {
    short: 'l',
    value: 'LOGDEVICE',
    summary: 'packet log: pflog0, or nflog:GROUP[,GROUP] on Linux (default pflog0, nflog:25)',
  },
  { short: 'W', value: 'WHITEEXP', summary: 'life of a white entry, 1 to 2160 hours (default 864)' },
  {
    short: 'Y',
    value: 'SYNCTARGET',
    isRepeatable: true,
    summary: 'send synchronisation messages there',
  },
  { short: 'r', value: 'FILE', summary: 'replay a capture file, - for standard input' },
  { long: 'use-capture-time', summary: 'with -r: the time of capture counts, not the present' },
  { long: 'port', value: 'NUMBER', isRepeatable: true, summary: 'destination port that counts (default 25)' },
  {
    long: 'direction',
    value: 'DIRECTION',
    choices: ['in', 'out', 'both'],
    summary: 'connections that count (default both)',
  },
  {
    long: 'exclude',
    value: 'CIDR',
    isRepeatable: true,
    summary: 'network that outbound connections never whitelist',
  },
  {
    long: 'outbound-source',
    value: 'CIDR|self',
    isRepeatable: true,
    summary: 'mail servers (self: this host): only their outbound connections whitelist (default everybody)',
  },
  {
    long: 'outbound-rate',
    value: 'NUMBER',
    summary: 'addresses that one source may whitelist in a minute (default 600, 0 for no limit)',
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
    summary: 'replace this file each minute, for the textfile collector of node_exporter',
  },
  { long: 'stats-interval', value: 'DURATION', summary: 'log the counters this often' },
  { long: 'foreground', summary: 'stay in the foreground, for systemd and its like' },
  { long: 'pid-file', value: 'FILE', summary: 'file that holds the process id while spamlogd runs' },
  { long: 'user', value: 'NAME', summary: 'unprivileged user in place of SPAMD_USER' },
  { long: 'db', value: 'FILE', summary: 'database in place of SPAMD_DB' },
  { long: 'key', value: 'FILE', summary: 'synchronisation key in place of SPAMD_KEY' },
  { long: 'sync-port', value: 'PORT', summary: 'synchronisation port in place of SPAMD_SYNC_PORT' },
  { long: 'help', summary: 'show this help' },
  { long: 'version', summary: 'show the version' },
]
