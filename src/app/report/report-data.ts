/** Everything that one page about the gateway shows. It reads what is there already and counts nothing of its own. */
import { hostname } from 'node:os'
import type { EntryCounts, Store } from '../../db/store.js'
import type { HourlyCount } from '../../domain/hourly-counts.js'
import { AppError } from '../../platform/app-error.js'
import type { UnixSec } from '../../platform/clock.js'
import { programVersion } from '../../platform/program-version.js'
import type { Settings } from '../../platform/settings.js'
import type { SystemProbe } from '../../platform/system-probe.js'
import { useDatabase } from '../database/open-database.js'
import type { Finding } from '../doctor/finding.js'
import { prepareDoctor, runDoctor } from '../doctor/run-doctor.js'
import { computeListStatistics, type ListStatistics, readDeliveredOrNone } from '../lists/list-statistics.js'
import type { AdvisedLosing } from '../losing/advise-senders.js'
import { findLosing, LOSING_ADDRESSES, LOSING_SINCE_SEC, type LosingReport } from '../losing/find-losing.js'
import { readTop } from '../read-top.js'
import { computeStats, type Stats } from '../stats.js'
import { readStatus, type SuiteStatus } from '../status.js'

/** Tuples that began between two ages. */
export interface WaitingAge {
  fromSec: number
  /** Undefined: any longer. */
  toSec: number | undefined
  count: number
}

export interface ReportData {
  madeSec: UnixSec
  sinceSec: UnixSec
  /** Seconds of one step of `stats.rows` and `tarpit`. */
  stepSec: number
  host: string
  version: string
  /** Passtime of the running spamd, else its default. */
  passSec: number
  status: SuiteStatus
  findings: Finding[]
  /** What the database says; undefined when it cannot be read. */
  database:
    | {
        counts: EntryCounts
        waiting: WaitingAge[]
        stats: Stats
        tarpit: { startSec: UnixSec; seconds: number }[]
        losing: AdvisedLosing
        /** Seconds of the tries that `losing` is of. */
        losingSec: number
      }
    | undefined
  lists: ListStatistics[]
}

/** Source: spamd(8), -G. */
const DEFAULT_PASS_SEC = 1500
const DAY_SEC = 86_400
const HOUR_SEC = 3600
/** Times up to this are shown by hours, longer ones by days. */
const MAX_HOURS_SHOWN = 72

export interface ReportOptions {
  spanSec: number
  /** Finds a command for each sender that is losing mail. */
  advise(found: LosingReport): Promise<AdvisedLosing>
}

/** Looks at everything once. What cannot be seen is missing, and a finding says why; never throws for a sick system. */
export async function gatherReport(
  probe: SystemProbe,
  settings: Settings,
  { spanSec, advise }: ReportOptions,
): Promise<ReportData> {
  const status = await readStatus(probe, settings)
  const { findings } = await runDoctor(await prepareDoctor(probe, settings, undefined))
  const madeSec = status.timeSec
  const passSec = status.spamd.state === 'running' ? status.spamd.status.policy.passSec : DEFAULT_PASS_SEC
  const stepSec = spanSec <= MAX_HOURS_SHOWN * HOUR_SEC ? HOUR_SEC : DAY_SEC
  const time = { madeSec, sinceSec: madeSec - spanSec, stepSec, passSec }
  const found = await readOrNothing(settings.db, time, status)
  const losing = found === undefined ? undefined : await advise(found.losing)
  const delivered = await readDeliveredOrNone(settings.stateDir)
  return {
    ...time,
    host: hostname(),
    version: programVersion(),
    status,
    findings,
    database: found && losing && { ...found.database, losing },
    lists: computeListStatistics(found?.counts ?? [], status.lists ?? [], delivered, madeSec),
  }
}

type Time = Pick<ReportData, 'madeSec' | 'sinceSec' | 'stepSec' | 'passSec'>
interface Found {
  database: Omit<NonNullable<ReportData['database']>, 'losing'>
  losing: LosingReport
  counts: HourlyCount[]
}

async function readOrNothing(path: string, time: Time, status: SuiteStatus): Promise<Found | undefined> {
  if (!('counts' in status.database)) return undefined
  const { counts } = status.database
  try {
    return await useDatabase(path, 'read', (store) => readStore(store, time, counts))
  } catch (error) {
    // The doctor reports it.
    if (error instanceof AppError) return undefined
    throw error
  }
}

async function readStore(store: Store, time: Time, entries: EntryCounts): Promise<Found> {
  const most = await readTop(store, time.sinceSec)
  const counts = await store.readCounts(time.sinceSec)
  const losingSec = Math.min(LOSING_SINCE_SEC, time.madeSec - time.sinceSec)
  return {
    counts,
    database: {
      counts: entries,
      waiting: await readWaiting(store, time, entries.GREY),
      stats: computeStats(counts, most, time.stepSec),
      tarpit: tarpitSteps(counts, time.stepSec),
      losingSec,
    },
    losing: await findLosing(store, {
      nowSec: time.madeSec,
      sinceSec: time.madeSec - losingSec,
      minAddresses: LOSING_ADDRESSES,
    }),
  }
}

/** Minutes at which ages of tuples are parted, beside the passtime. */
const AGE_MINUTES = [5, 15, 60, 120, 240]

async function readWaiting(store: Store, { madeSec, passSec }: Time, grey: number): Promise<WaitingAge[]> {
  const edges = [...new Set([...AGE_MINUTES.map((minutes) => minutes * 60), passSec])].sort((a, b) => a - b)
  /** Tuples older than each edge. */
  const older = await store.countTuplesBefore(edges.map((edge) => madeSec - edge))
  return [0, ...edges].map((fromSec, index) => ({
    fromSec,
    toSec: edges[index],
    count: Math.max(0, (index === 0 ? grey : older[index - 1]!) - (older[index] ?? 0)),
  }))
}

function tarpitSteps(
  counts: readonly HourlyCount[],
  stepSec: number,
): { startSec: UnixSec; seconds: number }[] {
  const sums = new Map<number, number>()
  for (const { hour, name, count } of counts) {
    if (name !== 'tarpit-seconds') continue
    const startSec = Math.floor(hour / stepSec) * stepSec
    sums.set(startSec, (sums.get(startSec) ?? 0) + count)
  }
  return [...sums]
    .map(([startSec, seconds]) => ({ startSec, seconds }))
    .sort((a, b) => a.startSec - b.startSec)
}
