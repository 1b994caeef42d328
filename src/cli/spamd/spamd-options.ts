import type { OptionSpec } from '../getopt.js'
import { SENDER_OPTIONS } from './sender-options.js'

/** The usage text of the original, printed for any wrong usage. */
export const SPAMD_USAGE = `usage: spamd [-45bdv] [-B maxblack] [-C file] [-c maxcon] [-G passtime:greyexp:whiteexp]
\t[-h hostname] [-K file] [-l address] [-M address] [-n name]
\t[-p port] [-S secs] [-s secs] [-w window] [-Y synctarget] [-y synclisten]
`

/**
 * Every option of spamd: the letters of the original and our long ones. Used by the parser, the help and the
 * test of the manual.
 */
export const SPAMD_OPTIONS: readonly OptionSpec[] = [
  { short: '4', summary: 'refuse block-listed clients with 450 (default)' },
  { short: '5', summary: 'refuse block-listed clients with 550' },
  { short: 'b', summary: 'block lists only: no greylisting, no database' },
  { short: 'd', summary: 'stay in the foreground and print what happens' },
  { short: 'v', summary: 'log recipients, headers and first lines of messages' },
  { short: 'B', value: 'MAXBLACK', summary: 'maximum number of block-listed clients to stutter' },
  { short: 'C', value: 'FILE', summary: 'TLS certificate, PEM' },
  { short: 'c', value: 'MAXCON', summary: 'maximum number of connections' },
  {
    short: 'G',
    value: 'PASSTIME:GREYEXP:WHITEEXP',
    summary: 'minutes, hours and hours, or with units: 90s:4h:36d (default 25:4:864)',
  },
  { short: 'h', value: 'HOSTNAME', summary: 'host name in the banner' },
  { short: 'K', value: 'FILE', summary: 'TLS key, PEM' },
  {
    short: 'l',
    value: 'ADDRESS',
    isRepeatable: true,
    summary: 'address to listen on, IPv4 or IPv6 (default 127.0.0.1)',
  },
  {
    short: 'M',
    value: 'ADDRESS',
    isRepeatable: true,
    summary: 'address of a low-priority MX: trap clients that try it first',
  },
  { short: 'n', value: 'NAME', summary: 'name of the software in the banner' },
  { short: 'p', value: 'PORT', summary: 'SMTP port instead of SPAMD_PORT or the default' },
  {
    short: 'S',
    value: 'SECS',
    summary: 'stutter greylisted clients for this many seconds, 0 to 90 (default 10)',
  },
  { short: 's', value: 'SECS', summary: 'delay between bytes, 0 to 10 (default 1)' },
  { short: 'w', value: 'WINDOW', summary: 'read message data at about this rate (bytes/s)' },
  {
    short: 'Y',
    value: 'SYNCTARGET',
    isRepeatable: true,
    summary: 'send synchronisation messages to this host, group or interface',
  },
  {
    short: 'y',
    value: 'SYNCLISTEN',
    summary: 'receive synchronisation messages on this address or interface',
  },
  { long: 'trapexp', value: 'DURATION', summary: 'how long a trapped address stays trapped (default 24h)' },
  { long: 'scan-interval', value: 'DURATION', summary: 'time between scans of the database (default 60s)' },
  {
    long: 'grey-prefix4',
    value: 'BITS',
    summary: 'accept retries from any IPv4 address in a network of this prefix length',
  },
  {
    long: 'grey-prefix6',
    value: 'BITS',
    summary: 'accept retries from any IPv6 address in a network of this prefix length',
  },
  {
    long: 'pool-expire',
    value: 'DURATION',
    summary: 'how long a network stays open after a retry from it (default 7d)',
  },
  {
    long: 'learn',
    summary: 'learn only: let every client that retries pass for a day, and record what would have happened',
  },
  ...SENDER_OPTIONS,
  { long: 'max-tuples', value: 'NUMBER', summary: 'maximum number of tuples (default 5000000)' },
  { long: 'max-tuples-per-ip', value: 'NUMBER', summary: 'maximum number of tuples per address' },
  {
    long: 'max-tuple-bytes',
    value: 'BYTES',
    summary: 'maximum total bytes of HELO, sender and recipient in the database',
  },
  {
    long: 'max-per-ip',
    value: 'NUMBER',
    summary: 'maximum simultaneous connections per address or IPv6 /64 (default 1/16 of -c)',
  },
  {
    long: 'max-recipients',
    value: 'NUMBER',
    summary: 'maximum recipients per session, then 452 (default 100)',
  },
  { long: 'max-commands', value: 'NUMBER', summary: 'maximum command lines per session (default 500)' },
  { long: 'max-session', value: 'DURATION', summary: 'maximum duration of a session (default 4h)' },
  {
    long: 'recipient-delimiter',
    value: 'CHARS',
    summary: 'characters that start a subaddress: with +, trap+x is trap',
  },
  {
    long: 'proxy-protocol',
    value: 'CIDR',
    isRepeatable: true,
    summary: 'expect a PROXY header (version 1 or 2) from these peers',
  },
  {
    long: 'white-file',
    value: 'FILE',
    summary: 'also write the white list to this file, for a load balancer (haproxy: src -f)',
  },
  {
    long: 'listen-fd',
    value: 'NUMBER',
    isRepeatable: true,
    summary: 'inherited listening socket (socket activation, TPROXY)',
  },
  { long: 'cfg-port', value: 'PORT', summary: 'configuration port instead of SPAMD_CFG_PORT' },
  { long: 'config-socket', value: 'PATH', summary: 'Unix socket for setup and status commands' },
  { long: 'sync-port', value: 'PORT', summary: 'synchronisation port instead of SPAMD_SYNC_PORT' },
  { long: 'sync-max-skew', value: 'DURATION', summary: 'maximum age of an accepted message (default 1h)' },
  {
    long: 'sync-version',
    value: 'NUMBER',
    choices: ['2', '3'],
    summary: 'use only this protocol version (default: 3 with gateways that support it, 2 with all others)',
  },
  { long: 'require-sync-key', summary: 'refuse to start if -Y or -y is used without a key' },
  { long: 'no-sync-replay-check', summary: 'accept exact repeats of messages' },
  {
    long: 'sync-peers',
    value: 'CIDR',
    isRepeatable: true,
    summary: 'accept messages only from these networks',
  },
  { long: 'key', value: 'FILE', summary: 'synchronisation key instead of SPAMD_KEY' },
  { long: 'allowed-domains', value: 'FILE', summary: 'allowed domains instead of SPAMD_ALLOWEDDOMAINS' },
  { long: 'db', value: 'FILE', summary: 'database instead of SPAMD_DB' },
  { long: 'state-dir', value: 'DIRECTORY', summary: 'copies of the block lists instead of SPAMD_STATE_DIR' },
  {
    long: 'firewall',
    value: 'NAME',
    choices: ['pf', 'nft', 'ipset', 'none'],
    summary: 'packet filter instead of SPAMD_FIREWALL',
  },
  { long: 'pfctl', value: 'FILE', summary: 'pfctl program instead of SPAMD_PFCTL' },
  { long: 'nft', value: 'FILE', summary: 'nft program instead of SPAMD_NFT' },
  { long: 'user', value: 'NAME', summary: 'unprivileged user instead of SPAMD_USER' },
  { long: 'log-format', value: 'FORMAT', choices: ['classic', 'json'], summary: 'format of the log lines' },
  { long: 'foreground', summary: 'stay in the foreground, log to standard error' },
  {
    long: 'metrics',
    value: 'PLACE',
    summary: 'serve metrics for Prometheus on ADDRESS:PORT or unix:PATH (default: off)',
  },
  { long: 'pid-file', value: 'FILE', summary: 'write the process id to this file while spamd runs' },
  { long: 'check', summary: 'check options, files, database and packet filter, and exit' },
  { long: 'help', summary: 'show this help' },
  { long: 'version', summary: 'show the version' },
]
