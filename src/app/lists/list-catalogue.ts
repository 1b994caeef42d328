/**
 * Public lists that were available in November 2026, as records of spamd.conf. Read each provider's terms
 * before use.
 */

export interface CatalogueEntry {
  /** Name of the record. */
  name: string
  /** What it lists, in a line. */
  meaning: string
  method: 'http' | 'https'
  /** URL without scheme. */
  location: string
  families: '4' | '6' | '4+6'
  format: string
  /** How often its provider allows requests. */
  pace: string
  terms: string
  /** Further capabilities: column, min, empty_ok. */
  more?: string
}

/** Public lists that were alive when this was written, with their format, pace and terms. */
export const LIST_CATALOGUE: readonly CatalogueEntry[] = [
  {
    name: 'spamhaus-drop',
    meaning: 'networks hijacked or leased by spammers',
    method: 'https',
    location: 'www.spamhaus.org/drop/drop_v4.json',
    families: '4',
    format: 'JSON lines; the record count of the last line is checked',
    pace: 'once a day is enough, never more than once an hour: clients that fetch more often are blocked',
    terms: 'credit and copyright note must stay; see www.spamhaus.org/drop/',
  },
  {
    name: 'spamhaus-drop6',
    meaning: 'the same for IPv6',
    method: 'https',
    location: 'www.spamhaus.org/drop/drop_v6.json',
    families: '6',
    format: 'JSON lines; the record count of the last line is checked',
    pace: 'once a day is enough, never more than once an hour',
    terms: 'credit and copyright note must stay; see www.spamhaus.org/drop/',
  },
  {
    name: 'blocklist-de-mail',
    meaning: 'hosts that attacked mail servers in the last 48 hours',
    method: 'https',
    location: 'lists.blocklist.de/lists/mail.txt',
    families: '4+6',
    format: 'one address a line',
    pace: 'hourly suffices',
    terms: 'see www.blocklist.de',
  },
  {
    name: 'blocklist-de-all',
    meaning: 'hosts that attacked any service in the last 48 hours',
    method: 'https',
    location: 'lists.blocklist.de/lists/all.txt',
    families: '4+6',
    format: 'one address a line',
    pace: 'hourly suffices',
    terms: 'see www.blocklist.de',
  },
  {
    name: 'bsdly-traplist',
    meaning: 'hosts greytrapped at bsdly.net, kept 24 hours',
    method: 'https',
    location: 'www.bsdly.net/~peter/bsdly.net.traplist',
    families: '4',
    format: 'one address a line, # comments',
    pace: 'generated hourly at ten past; fetch after that',
    terms: 'see www.bsdly.net',
  },
  {
    name: 'firehol-level1',
    meaning: 'the firehol collection with the fewest false positives (holds private networks too)',
    method: 'https',
    location: 'iplists.firehol.org/files/firehol_level1.netset',
    families: '4',
    format: 'CIDR, # header',
    pace: 'changes daily to hourly; its GitHub mirror has been frozen since 2026-03-30',
    terms: 'see the terms of its sources',
  },
  {
    name: 'uceprotect-1',
    meaning: 'single hosts seen sending spam; level 3 lists whole providers and is not for blocking',
    method: 'http',
    location: 'wget-mirrors.uceprotect.net/rbldnsd-all/dnsbl-1.uceprotect.net.gz',
    families: '4',
    format: 'rbldnsd, gzip; http only',
    pace: 'at most twice an hour',
    terms: 'see www.uceprotect.net',
  },
  {
    name: 'feodo',
    meaning: 'command servers of botnets',
    method: 'https',
    location: 'feodotracker.abuse.ch/downloads/ipblocklist.txt',
    families: '4',
    format: 'one address a line, CR LF, # comments',
    pace: 'hourly suffices',
    terms: 'see feodotracker.abuse.ch',
    more: 'empty_ok',
  },
  {
    name: 'cins',
    meaning: 'hosts of bad reputation by the sensors of CINS',
    method: 'https',
    location: 'cinsscore.com/list/ci-badguys.txt',
    families: '4',
    format: 'one address a line',
    pace: 'every three hours',
    terms: 'see cinsscore.com',
  },
  {
    name: 'blocklist-net-ua',
    meaning: 'hosts that attacked or spammed in Ukraine',
    method: 'https',
    location: 'blocklist.net.ua/blocklist.csv',
    families: '4',
    format: 'CSV with semicolons, address first',
    pace: 'hourly suffices',
    terms: 'see blocklist.net.ua',
  },
  {
    name: 'dshield',
    meaning: 'the twenty networks that attack most',
    method: 'https',
    location: 'feeds.dshield.org/block.txt',
    families: '4',
    format: 'start, end and prefix length, separated by tabs',
    pace: 'hourly suffices',
    terms: 'see www.dshield.org',
  },
  {
    name: 'bruteforceblocker',
    meaning: 'hosts that guess passwords',
    method: 'http',
    location: 'danger.rulez.sk/projects/bruteforceblocker/blist.php',
    families: '4',
    format: 'address, tab, # date, count and number',
    pace: 'every three hours',
    terms: 'see danger.rulez.sk',
  },
  {
    name: 'emerging-threats',
    meaning: 'compromised hosts',
    method: 'https',
    location: 'rules.emergingthreats.net/blockrules/compromised-ips.txt',
    families: '4',
    format: 'one address a line',
    pace: 'every twelve hours',
    terms: 'see rules.emergingthreats.net',
  },
  {
    name: 'greensnow',
    meaning: 'hosts that attacked the sensors of GreenSnow',
    method: 'https',
    location: 'blocklist.greensnow.co/greensnow.txt',
    families: '4',
    format: 'one address a line',
    pace: 'hourly suffices',
    terms: 'see greensnow.co',
  },
  {
    name: 'ipsum-3',
    meaning: 'hosts on three or more of thirty lists',
    method: 'https',
    location: 'raw.githubusercontent.com/stamparm/ipsum/master/levels/3.txt',
    families: '4',
    format: 'one address a line',
    pace: 'once a day',
    terms: 'see github.com/stamparm/ipsum',
  },
  {
    name: 'turris-greylist',
    meaning: 'hosts that attacked the routers of the Turris project',
    method: 'https',
    location: 'view.sentinel.turris.cz/greylist-data/greylist-latest.csv',
    families: '4+6',
    format: 'CSV, address first',
    pace: 'made weekly',
    terms: 'see view.sentinel.turris.cz',
    more: 'column#1',
  },
  {
    name: 'ipthreat-30',
    meaning: 'hosts reported to ipthreat.net with a threat of 30 or more',
    method: 'https',
    location: 'lists.ipthreat.net/file/ipthreat-lists/threat/threat-30.txt.gz',
    families: '4+6',
    format: 'addresses, ranges and CIDR, # comments, gzip',
    pace: 'hourly suffices',
    terms: 'see ipthreat.net',
  },
  {
    name: 'voipbl',
    meaning: 'hosts that attack telephone servers',
    method: 'https',
    location: 'voipbl.org/update/',
    families: '4',
    format: 'CIDR, # comments',
    pace: 'every four hours',
    terms: 'see voipbl.org',
  },
]

/** spamd.conf records with comments for people, who write `all` themselves. */
export function formatCatalogue(entries: readonly CatalogueEntry[] = LIST_CATALOGUE): string {
  return entries.map(formatEntry).join('\n')
}

function formatEntry(entry: CatalogueEntry): string {
  const { name, meaning, method, location, families, format, pace, terms, more } = entry
  const fields = [
    'black',
    `msg="Your address %A is in the list ${name} (${meaning})\\n"`,
    `method=${method}`,
    `file=${location.replaceAll(':', '\\c')}`,
    ...(more === undefined ? [] : [more]),
  ]
  return [
    `# ${meaning}`,
    `# IPv${families.replace('+', ' and IPv')}; ${format}`,
    `# pace: ${pace}`,
    `# terms: ${terms}`,
    `${name}:\\`,
    fields.map((field) => `\t:${field}:`).join('\\\n'),
    '',
  ].join('\n')
}
