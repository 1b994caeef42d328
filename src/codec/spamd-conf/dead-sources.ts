/** A list source that is still found in spamd.conf files although it no longer exists. */
export interface DeadSource {
  name: string
  /** What happened to it, and when; completes `NAME ...`. */
  fate: string
  /** What to use instead. */
  replacement: string
}

interface KnownSource extends DeadSource {
  /** The host or a parent domain of it; with `path`, also the start of the path on it. */
  hosts?: RegExp
  path?: RegExp
  /** The file name on any host, or a label of the host. */
  word?: RegExp
}

const BLOCKLIST_DE = 'method=https and file=lists.blocklist.de/lists/mail.txt'
const BSDLY = 'method=https and file=www.bsdly.net/~peter/bsdly.net.traplist'
const SPAMHAUS_DROP = 'method=https and file=www.spamhaus.org/drop/drop_v4.json, and drop_v6.json for IPv6'

/** Facts as of November 2026. */
const KNOWN_SOURCES: readonly KnownSource[] = [
  {
    name: 'nixspam',
    word: /nixspam/,
    fate: 'was shut down on 2025-01-16',
    replacement: BLOCKLIST_DE,
  },
  {
    name: 'uatraps',
    hosts: /openbsd\.(?:org|de)|ualberta\.ca/,
    path: /(?:.*\/)?(?:traplist|uatraps)/,
    fate: 'has been gone since 2016',
    replacement: BSDLY,
  },
  {
    name: 'spews',
    word: /spews/,
    fate: 'has been gone since 2006',
    replacement: SPAMHAUS_DROP,
  },
  {
    name: 'the okean mirror of Chinese and Korean networks',
    hosts: /okean\.com/,
    word: /(?:china|korea)cidr/,
    fate: 'is gone',
    replacement: 'a list that names senders of spam instead of a country',
  },
  {
    name: 'the openbsd.org mirror of block lists',
    hosts: /openbsd\.(?:org|de)/,
    path: /spamd\//,
    fate: 'is gone',
    replacement: BLOCKLIST_DE,
  },
  {
    name: 'openbl',
    hosts: /openbl\.org/,
    fate: 'was shut down in 2017',
    replacement: 'method=https and file=lists.blocklist.de/lists/ssh.txt',
  },
  {
    name: 'the Spamhaus EDROP list',
    hosts: /spamhaus\.org/,
    path: /drop\/edrop/,
    fate: 'was merged into DROP on 2024-04-10 and is empty',
    replacement: SPAMHAUS_DROP,
  },
  {
    name: 'the Spamhaus DROP list under its old name drop.lasso',
    hosts: /spamhaus\.org/,
    path: /drop\/drop\.lasso/,
    fate: 'is gone',
    replacement: SPAMHAUS_DROP,
  },
  {
    name: 'urlvir',
    hosts: /urlvir\.com/,
    fate: 'has been gone since 2019',
    replacement: 'method=https and file=feodotracker.abuse.ch/downloads/ipblocklist.txt with empty_ok',
  },
  {
    name: 'anabar',
    hosts: /spamd\.vasily\.me/,
    word: /anabarblack/,
    fate: 'is gone',
    replacement: BSDLY,
  },
  {
    name: 'the FireHOL mirror on GitHub',
    hosts: /githubusercontent\.com|github\.com/,
    path: /firehol\//,
    fate: 'has not been updated since 2026-03-30',
    replacement: 'method=https and file=iplists.firehol.org/files/ with the name of the list',
  },
]

/**
 * The known dead source that a URL without its scheme refers to, if any. Only the host with the path on it, and names
 * of hosts and files count: a folder may have any name.
 */
export function findDeadSource(location: string): DeadSource | undefined {
  const [, host = '', path = ''] =
    /^(?:[^/@]*@)?([^/:]*)(?::[0-9]*)?\/*([^?#]*)/.exec(location.toLowerCase()) ?? []
  const name = path.slice(path.lastIndexOf('/') + 1)
  return KNOWN_SOURCES.find((known) => {
    if (known.word !== undefined && (known.word.test(host) || known.word.test(name))) return true
    if (known.hosts === undefined || !new RegExp(`(?:^|\\.)(?:${known.hosts.source})$`).test(host))
      return false
    return known.path === undefined || new RegExp(`^(?:${known.path.source})`).test(path)
  })
}
