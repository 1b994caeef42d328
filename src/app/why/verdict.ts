/** One sentence: what happens now, when that changes, and the command that changes it. Pure. */
import { formatDuration } from '../../codec/duration.js'
import { shellWord } from '../../codec/shell-word.js'
import type { PoolEntry } from '../../domain/entry.js'
import { isPinned } from '../../domain/host-state.js'
import { poolKeyText } from '../../domain/pool-key.js'
import { trapKeyOf } from '../../domain/recipient.js'
import { meetsTerms } from '../../domain/release.js'
import type { Settings } from '../../platform/settings.js'
import { describeTerms } from '../release/release-terms.js'
import { toDisplayText } from '../wire-text.js'
import { namesTuple } from './releases.js'
import type { Verdict, VerdictState, WhyReport } from './report.js'

/** spamd's own defaults, for when it cannot be asked. Source: spamd(8). */
const DEFAULT_PASS_SEC = 1500
const DEFAULT_SCAN_SEC = 60
const TRAP_LIST = 'spamd-greytrap'

type Facts = Omit<WhyReport, 'verdict'>

/** Judges in the order in which the example rules and spamd decide. */
export function judge(facts: Facts, settings: Settings): Verdict {
  return facts.subject.kind === 'address'
    ? judgeAddress(facts, settings, facts.subject.ip)
    : judgeRecipient(facts)
}

function judgeAddress(facts: Facts, settings: Settings, ip: string): Verdict {
  const holds = (name: string): boolean =>
    Array.isArray(facts.tables) && facts.tables.some(({ table, isIn }) => table === name && isIn)
  const scanSec = 'pid' in facts.daemon ? facts.daemon.scanIntervalSec : DEFAULT_SCAN_SEC
  if (holds('nospamd')) {
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
  const exception = 'exceptions' in facts.database ? facts.database.exceptions[0] : undefined
  if (exception !== undefined && (holds('spamd-allow') || !Array.isArray(facts.tables))) {
    return verdict(
      'passes',
      `${ip} reaches the mail server: it belongs to ${exception}, one of your exceptions`,
      undefined,
      `spamdctl allow remove ${exception}`,
    )
  }
  const blocking = blockingLists(facts)
  const isWhiteInFilter = holds('spamd-white')
  if (holds('spamd') && blocking.length === 0) {
    return verdict(
      'refused',
      `${ip} is sent to spamd, because it is in the packet filter's table spamd, although it is on no list now`,
      undefined,
      'spamd-setup -b',
    )
  }
  if (blocking.length > 0) return judgeListed(facts, ip, blocking, holds('spamd'), isWhiteInFilter)
  const host = 'host' in facts.database ? facts.database.host : undefined
  if (host?.kind === 'TRAPPED') {
    return verdict(
      'refused',
      `${ip} is tarpitted and refused: it is TRAPPED ${until(host, facts.timeSec)}${isWhiteInFilter ? `; the packet filter still lets it pass until the next scan, within ${scanSec} seconds` : ''}`,
      isPinned(host) ? undefined : host.expire,
      `spamdb -t -d ${ip}`,
    )
  }
  const pool = 'pools' in facts.database ? facts.database.pools[0] : undefined
  if (pool !== undefined && !isWhiteInFilter && (holds('spamd-white-net') || host === undefined)) {
    return judgePool(facts, ip, pool, holds('spamd-white-net'))
  }
  if (host !== undefined) {
    const isSeen = Array.isArray(facts.tables)
    if (isWhiteInFilter || !isSeen) {
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
  if (isWhiteInFilter) {
    return verdict(
      'passes',
      `${ip} reaches the mail server, because it is in the packet filter's table; it is not in the database, so the next scan, within ${scanSec} seconds, removes it`,
      facts.timeSec + scanSec,
      `spamdb -a ${ip}`,
    )
  }
  return judgeStranger(facts, ip)
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
  const passSec = 'pid' in facts.daemon ? facts.daemon.policy.passSec : DEFAULT_PASS_SEC
  const tuples = 'tuples' in facts.database ? facts.database.tuples : []
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

function judgeRecipient(facts: Facts): Verdict {
  const { subject, allowedDomains } = facts
  const name =
    subject.kind === 'email'
      ? toDisplayText(subject.address)
      : subject.kind === 'domain'
        ? toDisplayText(subject.domain)
        : ''
  const policy = 'pid' in facts.daemon ? facts.daemon.policy : undefined
  const traps = 'spamtraps' in facts.database ? facts.database.spamtraps : []
  const trapText = `hosts that are not WHITE and mail to it are trapped for ${formatDuration(policy?.trapExpireSec ?? 86_400)}`
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
  const waiting = 'tuples' in facts.database ? facts.database.tuples.length : 0
  const more = 'tuples' in facts.database && facts.database.hasMoreTuples ? 'more than ' : ''
  const waits =
    waiting === 0 ? 'no mail from or to it is waiting' : `${more}${waiting} mails from or to it are waiting`
  const passSec = policy?.passSec ?? DEFAULT_PASS_SEC
  return verdict(
    'mail-waits',
    `${name} is not a spamtrap; ${waits}; mail from unknown hosts waits ${formatDuration(passSec)}`,
    undefined,
    waiting === 0
      ? undefined
      : (releaseCommand(facts) ?? 'spamdb -a ADDRESS, with the address of a host above'),
  )
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
