import type { OptionSpec } from '../getopt.js'
import { SENDER_OPTIONS } from './sender-options.js'

/** The usage text of the original, which every wrong call prints. */
export const SPAMD_USAGE = `usage: spamd [-45bdv] [-B maxblack] [-C file] [-c maxcon] [-G passtime:greyexp:whiteexp]
\t[-h hostname] [-K file] [-l address] [-M address] [-n name]
\t[-p port] [-S secs] [-s secs] [-w window] [-Y synctarget] [-y synclisten]
`

/** Every option of spamd: the letters of the original and our long ones. Parser, help and manual test read it. */
export const SPAMD_OPTIONS: readonly OptionSpec[] = [
  { short: '4', summary: 'refuse block-listed clients with 450 (default)' },
  { short: '5', summary: 'refuse block-listed clients with 550' },
  { short: 'b', summary: 'block lists only: no greylisting, no database' },
  { short: 'd', summary: 'stay in the foreground and say what happens' },
  { short: 'v', summary: 'log recipients, headers and first lines of messages' },
  { short: 'B', value: 'MAXBLACK', summary: 'most block-listed clients that are stuttered' },
  { short: 'C', value: 'FILE', summary: 'TLS certificate, PEM' },
  { short: 'c', value: 'MAXCON', summary: 'most connections at a time' },
  {
    short: 'G',
    value: 'PASSTIME:GREYEXP:WHITEEXP',
    summary: 'minutes, hours and hours, or with units: 90s:4h:36d (default 25:4:864)',
  },
  { short: 'h', value: 'HOSTNAME', summary: 'host name of the banner' },
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
    summary: 'address of a low priority MX: who tries it first is trapped',
  },
  { short: 'n', value: 'NAME', summary: 'name of the software in the banner' },
  { short: 'p', value: 'PORT', summary: 'SMTP port in place of SPAMD_PORT and the default' },
  { short: 'S', value: 'SECS', summary: 'stutter grey clients for so long, 0 to 90 (default 10)' },
  { short: 's', value: 'SECS', summary: 'delay between bytes, 0 to 10 (default 1)' },
  { short: 'w', value: 'WINDOW', summary: 'take message text at so many bytes a second' },
  {
    short: 'Y',
    value: 'SYNCTARGET',
    isRepeatable: true,
    summary: 'send synchronisation messages there',
  },
  { short: 'y', value: 'SYNCLISTEN', summary: 'receive synchronisation messages there' },
  { long: 'trapexp', value: 'DURATION', summary: 'how long a trapped address stays trapped (default 24h)' },
  { long: 'scan-interval', value: 'DURATION', summary: 'time between scans of the database (default 60s)' },
  {
    long: 'grey-prefix4',
    value: 'BITS',
    summary: 'know retries from other IPv4 addresses of a network of this size too',
  },
  {
    long: 'grey-prefix6',
    value: 'BITS',
    summary: 'know retries from other IPv6 addresses of a network of this size too',
  },
  {
    long: 'pool-expire',
    value: 'DURATION',
    summary: 'how long a network stays open after such a retry (default 7d)',
  },
  { long: 'learn', summary: 'let every client that comes back through for a day, and record what would be' },
  ...SENDER_OPTIONS,
  { long: 'max-tuples', value: 'NUMBER', summary: 'most tuples kept, the oldest go first' },
  { long: 'max-tuples-per-ip', value: 'NUMBER', summary: 'most tuples kept of one address' },
  {
    long: 'max-tuple-bytes',
    value: 'BYTES',
    summary: 'most bytes of HELO, sender and recipient kept in all',
  },
  {
    long: 'max-per-ip',
    value: 'NUMBER',
    summary: 'maximum connections of one address or IPv6 /64 at a time (default 1/16 of -c)',
  },
  {
    long: 'max-recipients',
    value: 'NUMBER',
    summary: 'maximum recipients of one session, then 452 (default 100)',
  },
  { long: 'max-commands', value: 'NUMBER', summary: 'maximum lines of one session (default 500)' },
  { long: 'max-session', value: 'DURATION', summary: 'maximum length of one session (default 4h)' },
  {
    long: 'recipient-delimiter',
    value: 'CHARS',
    summary: 'characters that begin the detail of a recipient: trap+x is trap',
  },
  {
    long: 'proxy-protocol',
    value: 'CIDR',
    isRepeatable: true,
    summary: 'peers that send a PROXY header (version 1 or 2) first',
  },
  {
    long: 'white-file',
    value: 'FILE',
    summary: 'keep the white list in this file too, for a load balancer (haproxy: src -f)',
  },
  {
    long: 'listen-fd',
    value: 'NUMBER',
    isRepeatable: true,
    summary: 'inherited listening socket (socket activation, TPROXY)',
  },
  { long: 'cfg-port', value: 'PORT', summary: 'configuration port in place of SPAMD_CFG_PORT' },
  { long: 'config-socket', value: 'PATH', summary: 'Unix socket for set-up and status commands' },
  { long: 'sync-port', value: 'PORT', summary: 'synchronisation port in place of SPAMD_SYNC_PORT' },
  { long: 'sync-max-skew', value: 'DURATION', summary: 'oldest message that is taken (default 1h)' },
  {
    long: 'sync-version',
    value: 'NUMBER',
    choices: ['2', '3'],
    summary: 'speak this version alone (default: 3 with gateways that do, 2 with all others)',
  },
  { long: 'require-sync-key', summary: 'refuse to start with -Y or -y and no key' },
  { long: 'no-sync-replay-check', summary: 'take exact repeats of messages' },
  {
    long: 'sync-peers',
    value: 'CIDR',
    isRepeatable: true,
    summary: 'take messages from these networks only',
  },
  { long: 'key', value: 'FILE', summary: 'synchronisation key in place of SPAMD_KEY' },
  { long: 'allowed-domains', value: 'FILE', summary: 'allowed domains in place of SPAMD_ALLOWEDDOMAINS' },
  { long: 'db', value: 'FILE', summary: 'database in place of SPAMD_DB' },
  { long: 'state-dir', value: 'DIRECTORY', summary: 'copies of the block lists in place of SPAMD_STATE_DIR' },
  {
    long: 'firewall',
    value: 'NAME',
    choices: ['pf', 'nft', 'ipset', 'none'],
    summary: 'packet filter in place of SPAMD_FIREWALL',
  },
  { long: 'pfctl', value: 'FILE', summary: 'pfctl program in place of SPAMD_PFCTL' },
  { long: 'nft', value: 'FILE', summary: 'nft program in place of SPAMD_NFT' },
  { long: 'user', value: 'NAME', summary: 'unprivileged user in place of SPAMD_USER' },
  { long: 'log-format', value: 'FORMAT', choices: ['classic', 'json'], summary: 'form of the log lines' },
  { long: 'foreground', summary: 'stay in the foreground, log to standard error' },
  {
    long: 'metrics',
    value: 'PLACE',
    summary: 'serve metrics for Prometheus on ADDRESS:PORT or unix:PATH (default: nowhere)',
  },
  { long: 'pid-file', value: 'FILE', summary: 'file that holds the process id while spamd runs' },
  { long: 'check', summary: 'check options, files, database and packet filter, and exit' },
  { long: 'help', summary: 'show this help' },
  { long: 'version', summary: 'show the version' },
]
