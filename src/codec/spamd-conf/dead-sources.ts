/** A list source that people still have in spamd.conf although it has gone. */
export interface DeadSource {
  name: string
  /** What became of it and when: completes `NAME ...`. */
  fate: string
  /** What to use in its place. */
  replacement: string
}

interface KnownSource extends DeadSource {
  /** Matches `HOST/PATH`, lower case. */
  pattern: RegExp
}

const BLOCKLIST_DE = 'method=https and file=lists.blocklist.de/lists/mail.txt'
const BSDLY = 'method=https and file=www.bsdly.net/~peter/bsdly.net.traplist'
const SPAMHAUS_DROP = 'method=https and file=www.spamhaus.org/drop/drop_v4.json, and drop_v6.json for IPv6'

/** Facts as of November 2026. */
const KNOWN_SOURCES: readonly KnownSource[] = [
  {
    name: 'nixspam',
    pattern: /nixspam|heise\.de\/.*dnsbl/,
    fate: 'was shut down on 2025-01-16',
    replacement: BLOCKLIST_DE,
  },
  {
    name: 'uatraps',
    pattern: /(?:^|\.)openbsd\.(?:org|de)\/spamd\/(?:traplist|uatraps)|ualberta\.ca\/.*traplist/,
    fate: 'has been gone since 2016',
    replacement: BSDLY,
  },
  {
    name: 'spews',
    pattern: /spews/,
    fate: 'has been gone since 2006',
    replacement: SPAMHAUS_DROP,
  },
  {
    name: 'the okean mirror of Chinese and Korean networks',
    pattern: /okean\.com|(?:china|korea)cidr/,
    fate: 'is gone',
    replacement: 'a list that names senders of spam instead of a country',
  },
  {
    name: 'the openbsd.org mirror of block lists',
    pattern: /(?:^|\.)openbsd\.(?:org|de)\/spamd\//,
    fate: 'is gone',
    replacement: BLOCKLIST_DE,
  },
  {
    name: 'openbl',
    pattern: /(?:^|\.)openbl\.org(?:\/|$)/,
    fate: 'was shut down in 2017',
    replacement: 'method=https and file=lists.blocklist.de/lists/ssh.txt',
  },
  {
    name: 'the Spamhaus EDROP list',
    pattern: /spamhaus\.org\/drop\/edrop/,
    fate: 'was merged into DROP on 2024-04-10 and is empty',
    replacement: SPAMHAUS_DROP,
  },
  {
    name: 'the Spamhaus DROP list under its old name drop.lasso',
    pattern: /spamhaus\.org\/drop\/drop\.lasso/,
    fate: 'is gone',
    replacement: SPAMHAUS_DROP,
  },
  {
    name: 'urlvir',
    pattern: /urlvir\.com/,
    fate: 'has been gone since 2019',
    replacement: 'method=https and file=feodotracker.abuse.ch/downloads/ipblocklist.txt with empty_ok',
  },
  {
    name: 'anabar',
    pattern: /spamd\.vasily\.me|anabarblack/,
    fate: 'is gone',
    replacement: BSDLY,
  },
  {
    name: 'the FireHOL mirror on GitHub',
    pattern: /githubusercontent\.com\/firehol\/|github\.com\/firehol\//,
    fate: 'has not been updated since 2026-03-30',
    replacement: 'method=https and file=iplists.firehol.org/files/ with the name of the list',
  },
]

/** The dead source that a `file=` value (without scheme) asks for, if it is a known one. */
export function findDeadSource(location: string): DeadSource | undefined {
  const text = location.toLowerCase()
  return KNOWN_SOURCES.find(({ pattern }) => pattern.test(text))
}
