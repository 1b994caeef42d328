/** Evaluation of the hourly counters and the history: `spamdctl stats` and `advise`. Pure. */
import type { HistoryRow } from '../domain/history.js'
import { CANDIDATE_MINUTES, type HourlyCount, MAX_DELAY_MINUTES } from '../domain/hourly-counts.js'
import { trapKeyOf } from '../domain/recipient.js'
import { familyOf } from '../ip/address.js'
import { networkText } from '../ip/cidr.js'

/** What a column counts, in the order in which they are shown. */
export const COLUMNS = [
  'new',
  'passed',
  'lost',
  'trapped',
  'refused',
  'listed',
  'expired',
  'sighted',
  'blocked',
  'evicted',
  'by-hand',
] as const
export type Column = (typeof COLUMNS)[number]

export interface StatsRow {
  /** Start of hour or day, seconds since the Epoch, UTC. */
  startSec: number
  counts: Record<Column, number>
}

export interface Stats {
  rows: StatsRow[]
  totals: Record<Column, number>
  /** Minutes within which a half, nine tenths, 99 of 100 of the mail that passed did; undefined without any. */
  delays: { p50: number; p90: number; p99: number } | undefined
  /** Number of tuples that passed by delay in minutes; the last holds all that took longer. */
  histogram: [minutes: number, count: number][]
  funnel: { grey: number; white: number; lostOnce: number; lostRetried: number }
  top: Record<'networks' | 'helos' | 'senderDomains' | 'trappedRecipients', [string, number][]>
  /** Set if `top` covers only the newest rows of the history: those since then. */
  topSinceSec: number | undefined
}

const MAX_TOP = 10
/** Different texts that are counted of each sort. */
const MAX_COUNTED = 50_000
const IPV4_NETWORK_BITS = 24
const IPV6_NETWORK_BITS = 48

/** Adds up counters by hours or days; `most` as counted from the history. */
export function computeStats(
  counts: readonly HourlyCount[],
  most: Pick<Stats, 'top' | 'topSinceSec'>,
  stepSec: number,
): Stats {
  const byStart = new Map<number, StatsRow>()
  const totals = noCounts()
  const delays = new Map<number, number>()
  const funnel = { grey: 0, white: 0, lostOnce: 0, lostRetried: 0 }
  for (const { hour, name, label, count } of counts) {
    if (name === 'delay') delays.set(Number(label), (delays.get(Number(label)) ?? 0) + count)
    if (name === 'lost') funnel[label === 'once' ? 'lostOnce' : 'lostRetried'] += count
    const column = COLUMNS.find((known) => known === name)
    if (column === undefined) continue
    const startSec = Math.floor(hour / stepSec) * stepSec
    const row = byStart.get(startSec) ?? { startSec, counts: noCounts() }
    byStart.set(startSec, row)
    row.counts[column] += count
    totals[column] += count
  }
  funnel.grey = totals.new
  funnel.white = totals.passed
  const histogram = [...delays].sort(([a], [b]) => a - b)
  return {
    rows: [...byStart.values()].sort((a, b) => a.startSec - b.startSec),
    totals,
    delays: percentiles(histogram),
    histogram,
    funnel,
    ...most,
  }
}

function noCounts(): Record<Column, number> {
  return Object.fromEntries(COLUMNS.map((name) => [name, 0])) as Record<Column, number>
}

function percentiles(histogram: readonly [number, number][]): Stats['delays'] {
  const total = histogram.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return undefined
  const at = (share: number): number => {
    let seen = 0
    for (const [minutes, count] of histogram) {
      seen += count
      if (seen >= total * share) return minutes
    }
    return MAX_DELAY_MINUTES
  }
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) }
}

/** Counts what is most frequent in rows of the history, as they are read: a million of them need not be kept. */
export class TopCounter {
  readonly #counts = {
    networks: new Map<string, number>(),
    helos: new Map<string, number>(),
    senderDomains: new Map<string, number>(),
    trappedRecipients: new Map<string, number>(),
  }

  add({ key, rule, before, after, actor }: HistoryRow): void {
    if (rule === 'attempt' && before === undefined && key?.kind === 'tuple') {
      this.#count('networks', networkAround(key.ip))
      this.#count('helos', key.helo)
      this.#count('senderDomains', trapKeyOf(key.from).replace(/^.*@/, '') || '<>')
    }
    if (rule === 'trap' && after?.kind === 'TRAPPED' && actor !== undefined)
      this.#count('trappedRecipients', actor)
  }

  top(): Stats['top'] {
    const top = (name: keyof Stats['top']): [string, number][] =>
      [...this.#counts[name]]
        .sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1))
        .slice(0, MAX_TOP)
    return {
      networks: top('networks'),
      helos: top('helos'),
      senderDomains: top('senderDomains'),
      trappedRecipients: top('trappedRecipients'),
    }
  }

  #count(name: keyof Stats['top'], key: string): void {
    const map = this.#counts[name]
    const known = map.get(key)
    // An item that came once among this many is not frequent.
    if (known === undefined && map.size >= MAX_COUNTED) return
    map.set(key, (known ?? 0) + 1)
  }
}

function networkAround(ip: string): string {
  if (ip.includes('/')) return ip
  return networkText(ip, familyOf(ip) === 4 ? IPV4_NETWORK_BITS : IPV6_NETWORK_BITS)
}

/** What one passtime would have done. */
export interface Candidate {
  minutes: number
  /** Tuples that would have passed, those of the lost among them. */
  passing: number
  /** Those that would if mail that passed earlier were retried once more; differs from `passing` only beyond the current passtime. */
  passingAtMost: number
  /** How long the mail among them would have waited, in seconds; beyond the current passtime, at least this long. */
  meanWaitSec: number | undefined
  /** Clients that never passed, and would have. */
  lostPassing: number
  /** False beyond the passtime in force: who passed did not try again. */
  isSeen: boolean
}

export interface Advice {
  candidates: Candidate[]
  passed: number
  lost: number
  presentMinutes: number
  /**
   * The shortest passtime that does not let more of the lost clients pass; undefined with too little data.
   */
  bestMinutes: number | undefined
}

/** With fewer tuples there is no advice. */
const MIN_KNOWN = 50
/** Percentage of the lost clients that may additionally pass with a shorter passtime. */
const TOLERATED_SHARE = 0.01

/** Compares passtimes by the retries that were seen with the present one. */
export function computeAdvice(counts: readonly HourlyCount[], presentPassSec: number): Advice {
  const sum = (name: string, label?: string): number =>
    counts.reduce(
      (total, row) => total + (row.name === name && (label ?? row.label) === row.label ? row.count : 0),
      0,
    )
  const presentMinutes = presentPassSec / 60
  const delays = counts.filter(({ name }) => name === 'delay')
  const candidates = CANDIDATE_MINUTES.map((minutes): Candidate => {
    const label = String(minutes)
    if (minutes > presentMinutes) {
      return { minutes, ...waitLonger(delays, minutes), lostPassing: sum('lost-reach', label), isSeen: false }
    }
    const passing = sum('reach', label)
    return {
      minutes,
      passing,
      passingAtMost: passing,
      meanWaitSec: passing === 0 ? undefined : sum('reach-seconds', label) / passing,
      lostPassing: sum('lost-reach', label),
      isSeen: true,
    }
  })
  const lost = sum('lost')
  const passed = sum('passed')
  const seen = candidates.filter(({ isSeen }) => isSeen)
  const least = seen.at(-1)?.lostPassing ?? 0
  const best = seen.find(({ lostPassing }) => lostPassing <= least + lost * TOLERATED_SHARE)
  return {
    candidates,
    passed,
    lost,
    presentMinutes,
    bestMinutes: passed + lost < MIN_KNOWN ? undefined : best?.minutes,
  }
}

/**
 * What a longer passtime would do to mail that passed: mail that was retried late enough passes as it did, the rest must
 * be retried once more, at an unknown time.
 */
function waitLonger(
  delays: readonly HourlyCount[],
  minutes: number,
): Pick<Candidate, 'passing' | 'passingAtMost' | 'meanWaitSec'> {
  let [passing, all, waitMinutes] = [0, 0, 0]
  for (const { label, count } of delays) {
    // Delays are rounded up, so one of this many minutes may be shorter.
    const delay = Number(label)
    if (delay > minutes) passing += count
    all += count
    waitMinutes += count * Math.max(delay, minutes)
  }
  return { passing, passingAtMost: all, meanWaitSec: all === 0 ? undefined : (waitMinutes * 60) / all }
}
