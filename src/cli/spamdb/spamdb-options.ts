import type { OptionSpec } from '../getopt.js'

/** The usage line of the original, which every wrong call prints. */
export const SPAMDB_USAGE = 'usage: spamdb [-adGTt] [keys ...]'

/**
 * Every option of spamdb: the letters of the original and our long ones. The plain run, oclif's help and the
 * test of the manual all read this table.
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
    summary: 'tell other gateways about added and deleted WHITE and TRAPPED entries',
  },
  { long: 'db', value: 'FILE', summary: 'database to use in place of SPAMD_DB and the default' },
  { long: 'all-tuples', summary: 'with -d -G: delete every tuple of an address, not only the oldest' },
  { long: 'if-missing', summary: 'with -a: leave entries that exist as they are' },
  {
    long: 'expire',
    value: 'DURATION',
    summary: 'with -a: life time such as 90s, 4h, 36d, 2w in place of the default, or never',
  },
  { long: 'comment', value: 'TEXT', summary: 'with -a: a note kept with the entry' },
  { long: 'yes', summary: 'with -d and filters: delete without asking' },
  { long: 'dry-run', summary: 'with -a or -d: print what would change, and change nothing' },
  { long: 'human', summary: 'print a table for people: time left, local times, fitted to the terminal' },
  { long: 'json', summary: 'one JSON array' },
  { long: 'ndjson', summary: 'one JSON object a line' },
  { long: 'csv', summary: 'CSV with a header line' },
  {
    long: 'kind',
    value: 'KIND',
    isRepeatable: true,
    summary: 'take only WHITE, TRAPPED, SPAMTRAP, GREY or POOL (repeatable, or separated by commas)',
  },
  { long: 'ip', value: 'CIDR', summary: 'take only entries whose address lies in this network' },
  { long: 'from', value: 'PATTERN', summary: 'take only tuples whose sender ends with or matches PATTERN' },
  { long: 'to', value: 'PATTERN', summary: 'take only tuples whose recipient ends with or matches PATTERN' },
  {
    long: 'helo',
    value: 'PATTERN',
    summary: 'take only tuples whose HELO name ends with or matches PATTERN',
  },
  { long: 'expires-within', value: 'DURATION', summary: 'take only entries that expire within this time' },
  { long: 'older-than', value: 'DURATION', summary: 'take only entries created longer ago than this' },
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
