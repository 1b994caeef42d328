/** One sentence: what happens now, when that changes, and the command that changes it. Pure. */
import { formatDuration } from '../../codec/duration.js'
import { shellWord } from '../../codec/shell-word.js'
import type { GreyEntry, HostEntry, PoolEntry } from '../../domain/entry.js'
import { isPinned } from '../../domain/host-state.js'
import { poolKeyOf, poolKeyText } from '../../domain/pool-key.js'
import { trapKeyOf } from '../../domain/recipient.js'
import { meetsTerms } from '../../domain/release.js'
import type { Settings } from '../../platform/settings.js'
import { describeTerms } from '../release/release-terms.js'
import { toDisplayText } from '../wire-text.js'
import { namesTuple } from './releases.js'
import type { Verdict, VerdictState, WhyReport } from './report.js'

/** spamd's own defaults, for when it cannot be queried. Source: spamd(8). */
const DEFAULT_PASS_SEC = 1500
const DEFAULT_SCAN_SEC = 60
const TRAP_LIST = 'spamd-greytrap'

type Facts = Omit<WhyReport, 'verdict'>

/** Evaluates in the order of the example rules and spamd. */
export function judge(facts: Facts, settings: Settings): Verdict {
  return facts.subject.kind === 'address'
    ? judgeAddress(facts, settings, facts.subject.ip)
    : judgeRecipient(facts)
}

/** An address and what decides about it. */
interface AddressView {
  facts: Facts
  settings: Settings
  ip: string
  /** The packet filter could be asked. */
  isFilterSeen: boolean
  isWhiteInFilter: boolean
  /** True when the address is in a table of the packet filter. */
  holds(table: string): boolean
  host: HostEntry | undefined
  /** Seconds between scans. */
  scanSec: number
}

/** Rules are evaluated in this order; the first that has a verdict decides. */
const ADDRESS_RULES: readonly ((view: AddressView) => Verdict | undefined)[] = [
  judgeNospamd,
  judgeException,
  judgeLists,
  judgeTrapped,
  judgeOpened,
  judgeWhite,
  judgeTableAlone,
]

function judgeAddress(facts: Facts, settings: Settings, ip: string): Verdict {
  const { tables } = facts
  const holds = (name: string): boolean =>
    Array.isArray(tables) && tables.some(({ table, isIn }) => table === name && isIn)
  const view: AddressView = {
    facts,
    settings,
    ip,
    isFilterSeen: Array.isArray(tables),
    isWhiteInFilter: holds('spamd-white'),
    holds,
    host: 'host' in facts.database ? facts.database.host : undefined,
    scanSec: 'pid' in facts.daemon ? facts.daemon.scanIntervalSec : DEFAULT_SCAN_SEC,
  }
  for (const rule of ADDRESS_RULES) {
    const found = rule(view)
    if (found !== undefined) return found
  }
  return judgeStranger(facts, ip)
}

function judgeNospamd({ ip, settings, holds }: AddressView): Verdict | undefined {
  if (!holds('nospamd')) return undefined
  const command =
    settings.firewall === 'pf'
      ? `pfctl -t nospamd -T delete ${ip}`
      : `nft delete element inet spamd nospamd${ip.includes(':') ? '6' : ''} { ${ip} }`
  return verdict(
    'passes',
    `${ip} reaches the mail server: it is in nospamd, your own exceptions`,
    undefined,
    `${command} (and in its file)`,
  )
}

function judgeException({ facts, ip, isFilterSeen, holds }: AddressView): Verdict | undefined {
  const exception = 'exceptions' in facts.database ? facts.database.exceptions[0] : undefined
  if (exception === undefined || (isFilterSeen && !holds('spamd-allow'))) return undefined
  return verdict(
    'passes',
    `${ip} reaches the mail server: it belongs to ${exception}, one of your exceptions`,
    undefined,
    `spamdctl allow remove ${exception}`,
  )
}

function judgeLists({ facts, ip, isWhiteInFilter, holds }: AddressView): Verdict | undefined {
  const blocking = blockingLists(facts)
  if (blocking.length > 0) return judgeListed(facts, ip, blocking, holds('spamd'), isWhiteInFilter)
  if (!holds('spamd')) return undefined
  return verdict(
    'refused',
    `${ip} is sent to spamd, because it is in the packet filter's table spamd, although it is on no list now`,
    undefined,
    'spamd-setup -b',
  )
}

function judgeTrapped({ facts, ip, host, isWhiteInFilter, scanSec }: AddressView): Verdict | undefined {
  if (host?.kind !== 'TRAPPED') return undefined
  const stillPasses = isWhiteInFilter
    ? `; the packet filter still lets it pass until the next scan, within ${scanSec} seconds`
    : ''
  return verdict(
    'refused',
    `${ip} is tarpitted and refused: it is TRAPPED ${until(host, facts.timeSec)}${stillPasses}`,
    isPinned(host) ? undefined : host.expire,
    `spamdb -t -d ${ip}`,
  )
}

function judgeOpened({ facts, ip, host, isWhiteInFilter, holds }: AddressView): Verdict | undefined {
  const pool = 'pools' in facts.database ? facts.database.pools[0] : undefined
  if (pool === undefined || isWhiteInFilter) return undefined
  const isInFilter = holds('spamd-white-net')
  return isInFilter || host === undefined ? judgePool(facts, ip, pool, isInFilter) : undefined
}

function judgeWhite(view: AddressView): Verdict | undefined {
  const { facts, ip, host, isFilterSeen, isWhiteInFilter, scanSec } = view
  if (host === undefined) return undefined
  if (isWhiteInFilter || !isFilterSeen) {
    return verdict(
      'passes',
      `${ip} reaches the mail server: it is WHITE ${until(host, facts.timeSec)}`,
      isPinned(host) ? undefined : host.expire,
      `spamdb -d ${ip}`,
    )
  }
  return verdict(
    'waits',
    `${ip} is WHITE, but not yet in the packet filter's table: it passes after the next scan, within ${scanSec} seconds`,
    facts.timeSec + scanSec,
    'spamdctl doctor, if this does not change',
  )
}

function judgeTableAlone({ facts, ip, isWhiteInFilter, scanSec }: AddressView): Verdict | undefined {
  if (!isWhiteInFilter) return undefined
  return verdict(
    'passes',
    `${ip} reaches the mail server, because it is in the packet filter's table; it is not in the database, so the next scan, within ${scanSec} seconds, removes it`,
    facts.timeSec + scanSec,
    `spamdb -a ${ip}`,
  )
}

/** An address that passes by the network that a pool of senders opened. */
function judgePool(facts: Facts, ip: string, pool: PoolEntry, isInFilter: boolean): Verdict {
  const command = `spamdb -d ${pool.ip}`
  const reason =
    pool.pool === poolKeyText({ kind: 'learn' })
      ? 'it retried, and spamd only learns (--learn)'
      : `${pool.ip} is open, because a sender with many addresses retried from there`
  if (!isInFilter && Array.isArray(facts.tables)) {
    return verdict(
      'waits',
      `${ip} passes soon: ${reason}, but the packet filter's table does not have it yet`,
      undefined,
      'spamdctl doctor, if this does not change',
    )
  }
  return verdict('passes', `${ip} reaches the mail server: ${reason}`, pool.expire, command)
}

/** Lists that spamd has it in now; else, when spamd cannot be asked, those whose copies name it. */
function blockingLists({ loadedLists, lists }: Facts): string[] {
  if (loadedLists !== undefined) return loadedLists.filter((name) => name !== TRAP_LIST)
  return lists.filter(({ isBlocking }) => isBlocking).map(({ source }) => source.name)
}

function judgeListed(
  facts: Facts,
  ip: string,
  blocking: readonly string[],
  isInTable: boolean,
  isWhiteInFilter: boolean,
): Verdict {
  const names = blocking.map(toDisplayText).join(', ')
  const cutting = facts.lists.filter(
    ({ source, cutOutBy }) => blocking.includes(source.name) && cutOutBy.length > 0,
  )
  const command =
    cutting.length > 0
      ? 'spamd-setup, which loads the white list that excludes it'
      : `put ${ip} into a white list after ${toDisplayText(blocking[0]!)} in "all" of spamd.conf, then spamd-setup`
  if (isWhiteInFilter && !isInTable) {
    return verdict(
      'passes',
      `${ip} reaches the mail server for now, because it is in the packet filter's white table; it is on ${names}, so the next scan removes it`,
      undefined,
      command,
    )
  }
  return verdict('refused', `${ip} is tarpitted and refused: it is on ${names}`, undefined, command)
}

function judgeStranger(facts: Facts, ip: string): Verdict {
  if ('pid' in facts.daemon && facts.daemon.mode === 'block-lists') {
    return verdict(
      'passes',
      `${ip} reaches the mail server: it is on no list, and spamd does not greylist`,
      undefined,
      undefined,
    )
  }
  if ('reason' in facts.database) return unseen(ip)
  const passSec = 'pid' in facts.daemon ? facts.daemon.policy.passSec : DEFAULT_PASS_SEC
  const tuples =
    'tuples' in facts.database ? facts.database.tuples.filter((tuple) => decides(tuple, facts.timeSec)) : []
  if (tuples.length === 0) {
    return verdict(
      'unknown-host',
      `${ip} is unknown: its first mail is deferred, and passes when it is retried after ${formatDuration(passSec)}`,
      undefined,
      `spamdb -a ${ip}`,
    )
  }
  const release =
    'releases' in facts.database
      ? facts.database.releases.find((each) => tuples.some((tuple) => namesTuple(each, tuple)))
      : undefined
  if (release !== undefined) {
    return verdict(
      'waits',
      `${ip} is greylisted, but ${describeTerms(release)} is released: its next try makes the address WHITE, and the one after that passes`,
      release.expire,
      `spamdctl release cancel ${release.id}`,
    )
  }
  const readySec = Math.min(...tuples.map(({ first }) => first + passSec))
  if (readySec <= facts.timeSec) {
    return verdict(
      'waits',
      `${ip} is greylisted, and passes at its next try of the same mail: the waiting time ended ${formatDuration(facts.timeSec - readySec)} ago`,
      Math.min(...tuples.map(({ expire }) => expire)),
      `spamdb -a ${ip}`,
    )
  }
  return verdict(
    'waits',
    `${ip} is greylisted: the same mail passes when it is retried in ${formatDuration(readySec - facts.timeSec)} or later`,
    readySec,
    `spamdb -a ${ip}`,
  )
}

/** An expired key starts again with the next try; a key of SPF helps only clients that pass SPF. */
function decides(tuple: GreyEntry, nowSec: number): boolean {
  return tuple.expire > nowSec && poolKeyOf(tuple)?.kind !== 'spf'
}

/** Without the database this is unknown; it does not mean that there is no entry. */
function unseen(name: string): Verdict {
  return verdict(
    'unseen',
    `cannot tell what happens to ${name}, since the database cannot be read`,
    undefined,
    'run it as root, or spamdctl doctor',
  )
}

function judgeRecipient(facts: Facts): Verdict {
  const { subject, allowedDomains } = facts
  const name = nameOf(subject)
  const policy = 'pid' in facts.daemon ? facts.daemon.policy : undefined
  const traps = 'spamtraps' in facts.database ? facts.database.spamtraps : []
  const trapText = `a host that mails to it is trapped for ${formatDuration(policy?.trapExpireSec ?? 86_400)}, unless it is WHITE`
  if (subject.kind === 'email' && traps.length > 0) {
    return verdict('trap', `${name} is a spamtrap: ${trapText}`, undefined, `spamdb -T -d ${name}`)
  }
  if (allowedDomains?.isAllowed === false) {
    const domain = name.replace(/^.*@/, '')
    return verdict(
      'trap',
      `${name} is outside the allowed domains, so it counts as a spamtrap: ${trapText}`,
      undefined,
      `echo ${domain} >> ${allowedDomains.path}, then reload spamd`,
    )
  }
  if ('reason' in facts.database) return unseen(name)
  const waiting = 'tuples' in facts.database ? facts.database.tuples.length : 0
  const release = releaseCommand(facts) ?? 'spamdb -a ADDRESS, with the address of a host above'
  return verdict(
    'mail-waits',
    `${name} is not a spamtrap; ${waitingText(facts, waiting)}; mail from unknown hosts waits ${formatDuration(policy?.passSec ?? DEFAULT_PASS_SEC)}`,
    undefined,
    waiting === 0 ? undefined : release,
  )
}

function nameOf(subject: Facts['subject']): string {
  if (subject.kind === 'email') return toDisplayText(subject.address)
  return subject.kind === 'domain' ? toDisplayText(subject.domain) : ''
}

function waitingText({ database }: Facts, waiting: number): string {
  if (waiting === 0) return 'no mail from or to it is waiting'
  const more = 'tuples' in database && database.hasMoreTuples ? 'more than ' : ''
  return more === '' && waiting === 1
    ? '1 mail from or to it is waiting'
    : `${more}${waiting} mails from or to it are waiting`
}

/** The command that releases the mail that waits; undefined where no word of a shell names it. */
function releaseCommand({ subject, database }: Facts): string | undefined {
  if (subject.kind === 'address' || !('tuples' in database)) return undefined
  const { tuples } = database
  const name = subject.kind === 'email' ? subject.address : subject.domain
  const isRecipient = subject.kind === 'email' && tuples.some(({ to }) => trapKeyOf(to) === name)
  const isSender = tuples.some((tuple) => meetsTerms({ from: name }, { tuple, trapKey: '' }))
  if (!isRecipient && !isSender) return undefined
  const word = shellWord(toDisplayText(name))
  return word === undefined ? undefined : `spamdctl release ${isRecipient ? '--to' : '--from'} ${word}`
}

function until(host: { expire: number }, nowSec: number): string {
  return host.expire === 0
    ? 'permanently'
    : `for another ${formatDuration(Math.max(0, host.expire - nowSec))}`
}

function verdict(
  state: VerdictState,
  sentence: string,
  changesSec: number | undefined,
  command: string | undefined,
): Verdict {
  return { state, sentence, changesSec, command }
}
