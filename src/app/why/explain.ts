/**
 * Everything that affects an address, an e-mail address or a domain, in order of precedence: the packet
 * filter, block lists, the database, spamtraps and allowed domains. Reads only.
 */
import type { Store } from '../../db/store.js'
import { allowStateOf, coversAddress } from '../../domain/allow.js'
import type { Entry, GreyEntry, HostEntry, PoolEntry, SpamtrapEntry } from '../../domain/entry.js'
import type { HistoryRow } from '../../domain/history.js'
import { networksAround, poolKeyText } from '../../domain/pool-key.js'
import { trapKeyOf } from '../../domain/recipient.js'
import { canonicalIp, familyOf } from '../../ip/address.js'
import { networkText } from '../../ip/cidr.js'
import { AppError } from '../../platform/app-error.js'
import type { Settings } from '../../platform/settings.js'
import type { SystemProbe } from '../../platform/system-probe.js'
import { parseAllowedDomains } from '../allowed-domains.js'
import { askDaemon } from '../ask-daemon.js'
import type { DaemonStatus } from '../control-protocol.js'
import { openDatabase } from '../database/open-database.js'
import { readDaemonAnswer } from '../doctor/context.js'
import { releasesInForce } from '../release/release-mail.js'
import { toDisplayText, toWireText } from '../wire-text.js'
import { findListReasons } from './lists.js'
import { releasesFor } from './releases.js'
import type { WhyReport, WhySubject } from './report.js'
import { testTables } from './tables.js'
import { judge } from './verdict.js'

/** Tuples that are shown; a pool of senders can have thousands. */
const MAX_TUPLES = 10
/** Events of the address that are shown, and read to find the last. */
const MAX_EVENTS = 5
const MAX_EVENTS_READ = 10_000
/** Newest rows of the history that are searched: a million take a fifth of a second. */
const MAX_ROWS_SEARCHED = 250_000

/** What a word names. Throws `AppError` `ERR_USAGE` for anything else. */
export function parseWhySubject(text: string): WhySubject {
  const ip = canonicalIp(text)
  if (ip !== undefined) return { kind: 'address', ip }
  const wire = trapKeyOf(toWireText(text))
  if (/^[^\s@]+@[^\s@]+$/.test(wire)) return { kind: 'email', address: wire }
  const domain = wire.replace(/^[@.]/, '').replace(/\.$/, '')
  if (/^(?:[a-z0-9_\x80-\xff-]+\.)+[a-z0-9_\x80-\xff-]*[a-z\x80-\xff][a-z0-9\x80-\xff-]*$/.test(domain))
    return { kind: 'domain', domain }
  throw new AppError('ERR_USAGE', `${JSON.stringify(text)} is not an address, e-mail address or domain`, {
    hint: 'for example 192.0.2.1, 2001:db8::1, user@example.org, example.org',
  })
}

/** Reads everything. What cannot be read is reported in its place. */
export async function explainWhy(
  probe: SystemProbe,
  settings: Settings,
  subject: WhySubject,
): Promise<WhyReport> {
  const isAddress = subject.kind === 'address'
  const answer = await readDaemonAnswer(settings.controlSocket)
  const hasPools = answer.kind === 'status' && (answer.status.pools?.networkCount ?? 0) > 0
  const daemon = answer.kind === 'status' ? answer.status : { reason: answer.reason }
  const database = await readEntries(settings, subject, probe.nowSec(), 'pid' in daemon ? daemon : undefined)
  const uses = { pools: hasPools, exceptions: 'exceptions' in database && database.exceptions.length > 0 }
  const [tables, lists] = await Promise.all([
    isAddress ? testTables(probe, settings, subject.ip, uses) : [],
    isAddress ? findListReasons(settings, subject.ip) : [],
  ])
  const facts = {
    timeSec: probe.nowSec(),
    subject,
    tables,
    lists,
    loadedLists: isAddress && answer.kind === 'status' ? await loadedLists(settings, subject.ip) : undefined,
    daemon,
    database,
    allowedDomains: readAllowed(probe, settings, subject),
  }
  return { ...facts, verdict: judge(facts, settings) }
}

async function loadedLists({ controlSocket }: Settings, ip: string): Promise<string[] | undefined> {
  try {
    return (await askDaemon(controlSocket, 'lookup', { ip })).lists
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

async function readEntries(
  settings: Settings,
  subject: WhySubject,
  nowSec: number,
  daemon: DaemonStatus | undefined,
): Promise<WhyReport['database']> {
  try {
    const store = await openDatabase(settings.db, 'read')
    const take = async (query: Parameters<typeof store.list>[0], into: Entry[]): Promise<void> => {
      if (into.length > MAX_TUPLES) return
      for await (const batch of store.list({ ...query, limit: MAX_TUPLES + 1 })) into.push(...batch)
    }
    try {
      const tuples: Entry[] = []
      const traps: Entry[] = []
      let host: Entry | undefined
      let history: HistoryRow[] = []
      let hasOlderHistory = false
      let pools: PoolEntry[] = []
      if (subject.kind === 'address') {
        host = await store.get({ kind: 'host', ip: subject.ip })
        pools = await openPools(store, subject.ip, nowSec)
        const after = Math.max(0, (await store.newestHistory()) - MAX_ROWS_SEARCHED)
        const events = await store.readHistory({ after, limit: MAX_EVENTS_READ, ip: subject.ip })
        history = events.slice(-MAX_EVENTS)
        hasOlderHistory = after > 0 && events.length < MAX_EVENTS
        await take({ kinds: ['GREY'], ip: subject.ip }, tuples)
        const prefix = familyOf(subject.ip) === 4 ? daemon?.greyPrefix4 : daemon?.greyPrefix6
        if (prefix !== undefined) {
          await take({ kinds: ['GREY'], ip: networkText(subject.ip, prefix) }, tuples)
        }
        tuples.push(...(await spfTuples(store, tuples as GreyEntry[])))
      } else {
        if (subject.kind === 'email') {
          const trap = await store.get({ kind: 'spamtrap', address: subject.address })
          if (trap !== undefined) traps.push(trap)
        } else await takeTraps(store.list({ kinds: ['SPAMTRAP'] }), subject.domain, traps)
        const pattern = subject.kind === 'email' ? withoutWildcards(subject.address) : subject.domain
        await take({ kinds: ['GREY'], to: pattern }, tuples)
        await take({ kinds: ['GREY'], from: pattern }, tuples)
      }
      const shown = unique((tuples as GreyEntry[]).filter((tuple) => concerns(tuple, subject))).slice(
        0,
        MAX_TUPLES,
      )
      return {
        host: host as HostEntry | undefined,
        exceptions: subject.kind === 'address' ? await exceptionsFor(store, subject.ip, nowSec) : [],
        pools,
        tuples: shown,
        hasMoreTuples: tuples.length > MAX_TUPLES,
        spamtraps: traps as SpamtrapEntry[],
        history,
        hasOlderHistory,
        releases: releasesFor(subject, shown, await releasesInForce(store, nowSec)),
      }
    } finally {
      await store.close()
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { reason: error.message }
  }
}

/** What is counted for the mail of these tuples by SPF of the sender's domain, whatever address it came from. */
async function spfTuples(store: Pick<Store, 'get'>, tuples: readonly GreyEntry[]): Promise<Entry[]> {
  const found: Entry[] = []
  for (const { from, to } of tuples.slice(0, MAX_TUPLES)) {
    const domain = trapKeyOf(from).replace(/^.*@/, '').replace(/\.$/, '')
    if (domain === '') continue
    const entry = await store.get({
      kind: 'tuple',
      ip: poolKeyText({ kind: 'spf', domain }),
      helo: '',
      from,
      to,
    })
    if (entry !== undefined) found.push(entry)
  }
  return found
}

async function exceptionsFor(
  store: Pick<Store, 'readAllowed'>,
  ip: string,
  nowSec: number,
): Promise<string[]> {
  return (await store.readAllowed())
    .filter((source) => allowStateOf(source, nowSec) === 'in force' && coversAddress(source, ip))
    .map(({ name }) => name)
}

async function openPools(store: Pick<Store, 'get'>, ip: string, nowSec: number): Promise<PoolEntry[]> {
  const pools: PoolEntry[] = []
  for (const network of networksAround(ip)) {
    const entry = await store.get({ kind: 'pool', ip: network })
    if (entry?.kind === 'POOL' && entry.expire > nowSec) pools.push(entry)
  }
  return pools
}

/** A `*` in an address is itself, and no wildcard; a `?` stands for it. */
function withoutWildcards(address: string): string {
  return address.replaceAll('*', '?')
}

/** A filter by suffix also finds longer names, which are different ones. */
function concerns({ from, to }: GreyEntry, subject: WhySubject): boolean {
  if (subject.kind === 'address') return true
  const names = [trapKeyOf(from), trapKeyOf(to)]
  if (subject.kind === 'email') return names.includes(subject.address)
  return names.some((name) => name.endsWith(`@${subject.domain}`) || name.endsWith(`.${subject.domain}`))
}

async function takeTraps(batches: AsyncIterable<Entry[]>, domain: string, into: Entry[]): Promise<void> {
  for await (const batch of batches) {
    for (const entry of batch) {
      if (entry.kind !== 'SPAMTRAP') continue
      if (entry.address.endsWith(`@${domain}`) || entry.address.endsWith(`.${domain}`)) into.push(entry)
      if (into.length > MAX_TUPLES) return
    }
  }
}

function unique(tuples: readonly GreyEntry[]): GreyEntry[] {
  const seen = new Map(
    tuples.map((tuple) => [JSON.stringify([tuple.ip, tuple.helo, tuple.from, tuple.to]), tuple]),
  )
  return [...seen.values()].sort((a, b) => a.first - b.first)
}

function readAllowed(
  probe: SystemProbe,
  settings: Settings,
  subject: WhySubject,
): WhyReport['allowedDomains'] {
  if (subject.kind === 'address') return undefined
  const file = probe.readFile(settings.allowedDomains)
  if (file.kind !== 'text') return undefined
  try {
    const domains = parseAllowedDomains(Buffer.from(file.text, 'latin1'), settings.allowedDomains)
    if (domains === undefined) return undefined
    const recipient = subject.kind === 'email' ? subject.address : `@${subject.domain}`
    return { path: settings.allowedDomains, isAllowed: domains.allows(recipient) }
  } catch (error) {
    // spamd ignores a file with such a line, too.
    if (error instanceof AppError) return undefined
    throw error
  }
}

/** The subject as people write it. */
export function subjectText(subject: WhySubject): string {
  switch (subject.kind) {
    case 'address':
      return subject.ip
    case 'email':
      return toDisplayText(subject.address)
    case 'domain':
      return toDisplayText(subject.domain)
  }
}
