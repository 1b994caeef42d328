import type { OptionSpec } from '../getopt.js'

/** The usage line of the original, printed for any wrong usage. */
export const SPAMDB_USAGE = 'usage: spamdb [-adGTt] [keys ...]'

/**
 * Every option of spamdb: the letters of the original and our long ones. Used by the fast path, oclif's help
 * and the test of the manual.
 */
export const SPAMDB_OPTIONS: readonly OptionSpec[] = [
  { short: 'a', summary: 'add or update the entries of the given keys' },
  { short: 'd', summary: 'delete the entries of the given keys' },
  { short: 'G', summary: 'with -d: GREY tuples, the keys are ip addresses' },
  { short: 'T', summary: 'SPAMTRAP entries, the keys are e-mail addresses' },
  { short: 't', summary: 'TRAPPED entries, the keys are ip addresses' },
  {
    short: 'Y',
    value: 'SYNCTARGET',
    isRepeatable: true,
    summary: 'send added and deleted WHITE and TRAPPED entries to other gateways',
  },
  { long: 'db', value: 'FILE', summary: 'database to use instead of SPAMD_DB or the default' },
  { long: 'all-tuples', summary: 'with -d -G: delete every tuple of an address, not only the oldest' },
  { long: 'if-missing', summary: 'with -a: leave existing entries unchanged' },
  {
    long: 'expire',
    value: 'DURATION',
    summary: 'with -a: lifetime such as 90s, 4h, 36d, 2w instead of the default, or never',
  },
  { long: 'comment', value: 'TEXT', summary: 'with -a: note to store with the entry' },
  { long: 'yes', summary: 'with -d and filters: delete without asking' },
  { long: 'dry-run', summary: 'with -a or -d: print what would change, and change nothing' },
  { long: 'human', summary: 'print a table for people: time left, local times, fitted to the terminal' },
  { long: 'json', summary: 'print one JSON array' },
  { long: 'ndjson', summary: 'print one JSON object per line' },
  { long: 'csv', summary: 'print CSV with a header line' },
  {
    long: 'kind',
    value: 'KIND',
    isRepeatable: true,
    summary: 'select only WHITE, TRAPPED, SPAMTRAP, GREY or POOL (repeatable, or separated by commas)',
  },
  { long: 'ip', value: 'CIDR', summary: 'select only entries whose address is in this network' },
  { long: 'from', value: 'PATTERN', summary: 'select only tuples whose sender ends with or matches PATTERN' },
  {
    long: 'to',
    value: 'PATTERN',
    summary: 'select only tuples whose recipient ends with or matches PATTERN',
  },
  {
    long: 'helo',
    value: 'PATTERN',
    summary: 'select only tuples whose HELO name ends with or matches PATTERN',
  },
  { long: 'expires-within', value: 'DURATION', summary: 'select only entries that expire within this time' },
  { long: 'older-than', value: 'DURATION', summary: 'select only entries created longer ago than this' },
  {
    long: 'sort',
    value: 'FIELD',
    choices: ['ip', 'kind', 'first', 'pass', 'expire', 'bcount', 'pcount', 'from', 'to', 'helo'],
    summary: 'sort by this field; a leading dash (--sort -expire) sorts in descending order',
  },
  { long: 'limit', value: 'NUMBER', summary: 'list at most this many entries' },
  { long: 'count', summary: 'print only the number of entries' },
  { long: 'help', summary: 'show this help' },
  { long: 'version', summary: 'show the version' },
]
