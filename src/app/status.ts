/** What `spamdctl status` shows: the current daemons, database, tables, lists and peers. Reads only. */

import { statSync } from 'node:fs'
import { countText } from '../codec/count-text.js'
import { formatDuration } from '../codec/duration.js'
import type { EntryCounts } from '../db/store.js'
import { ENTRY_KINDS } from '../domain/entry.js'
import { AppError } from '../platform/app-error.js'
import { reasonOf } from '../platform/errno-text.js'
import { isPostgresLocation } from '../platform/postgres-location.js'
import type { Settings } from '../platform/settings.js'
import type { ProcessFacts, SystemProbe } from '../platform/system-probe.js'
import { type AllowHealth, judgeAllowed } from './allow/allow-health.js'
import { ALLOW_TABLE } from './allow/sync-sources.js'
import type { DaemonStatus } from './control-protocol.js'
import { openDatabase } from './database/open-database.js'
import { findProgram, optionValue, readDaemonAnswer } from './doctor/context.js'
import { countTables, OUR_TABLES, type TableCounts } from './doctor/table-counts.js'
import { type ListState, readListStates } from './lists/list-states.js'
import { readConfiguration } from './lists/read-configuration.js'
import { toDisplayText } from './wire-text.js'

/** A list that was not fetched for this long causes a warning. */
const STALE_LIST_SEC = 3 * 86_400
const OVERDUE_SCANS = 5
/** As in doctor: promotions are written within a second. */
const TOLERATED_SHARE = 0.02
const TOLERATED_COUNT = 10

export interface SuiteStatus {
  timeSec: number
  spamd:
    | { state: 'running'; status: DaemonStatus }
    | { state: 'stopped' | 'silent' | 'unseen'; reason: string }
  spamlogd:
    | { state: 'running'; process: ProcessFacts; device: string | undefined }
    | { state: 'stopped' | 'unseen' | 'unneeded' }
  database:
    | { path: string; counts: EntryCounts; sizeBytes: number | undefined; allowed: AllowHealth }
    | { path: string; reason: string; isDenied: boolean; isUnneeded: boolean }
  tables: TableCounts
  /** Undefined when there is no spamd.conf. */
  lists: ListState[] | undefined
  /** What is wrong, the worst first. */
  troubles: { level: 'critical' | 'warning' | 'unknown'; message: string }[]
}

/** Reads everything once. What cannot be read is reported in its place; never throws for it. */
export async function readStatus(probe: SystemProbe, settings: Settings): Promise<SuiteStatus> {
  const timeSec = probe.nowSec()
  const [answer, processes] = await Promise.all([readDaemonAnswer(settings.controlSocket), probe.processes()])
  const running = findProgram(processes, 'spamd')
  const spamd: SuiteStatus['spamd'] =
    answer.kind === 'status'
      ? { state: 'running', status: answer.status }
      : {
          state: answer.code === 'ERR_DAEMON_DENIED' ? 'unseen' : running.length > 0 ? 'silent' : 'stopped',
          reason: answer.reason,
        }
  const isBlackOnly = answer.kind === 'status' && answer.status.mode === 'block-lists'
  const database = await readDatabase(settings, isBlackOnly, timeSec)
  const hasExceptions = 'allowed' in database && database.allowed.sourceCount > 0
  const tables = await countTables(probe, settings, [
    ...OUR_TABLES,
    ...(hasExceptions ? [ALLOW_TABLE.name] : []),
  ])
  const status: SuiteStatus = {
    timeSec,
    spamd,
    spamlogd: spamlogdState(processes, isBlackOnly),
    database,
    tables,
    lists: await readConfiguredLists(probe, settings),
    troubles: [],
  }
  status.troubles = findTroubles(status)
  return status
}

function spamlogdState(
  processes: readonly ProcessFacts[] | undefined,
  isBlackOnly: boolean,
): SuiteStatus['spamlogd'] {
  if (processes === undefined) return { state: 'unseen' }
  const [found] = findProgram(processes, 'spamlogd')
  if (found === undefined) return { state: isBlackOnly ? 'unneeded' : 'stopped' }
  return { state: 'running', process: found.process, device: optionValue(found.words, 'l') }
}

async function readDatabase(
  settings: Settings,
  isBlackOnly: boolean,
  nowSec: number,
): Promise<SuiteStatus['database']> {
  const path = settings.db
  try {
    const store = await openDatabase(path, 'read')
    try {
      return {
        path,
        counts: await store.count({ kinds: ENTRY_KINDS }),
        sizeBytes: isPostgresLocation(path) ? undefined : statSync(path).size,
        allowed: judgeAllowed(await store.readAllowed(), nowSec),
      }
    } finally {
      await store.close()
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { path, reason: error.message, isDenied: error.errno === 'EACCES', isUnneeded: isBlackOnly }
  }
}

/** The lists of spamd.conf; undefined when there is none that can be used. */
export async function readConfiguredLists(
  probe: Pick<SystemProbe, 'stat' | 'nowSec'>,
  settings: Settings,
): Promise<ListState[] | undefined> {
  if (probe.stat(settings.conf).kind !== 'found') return undefined
  try {
    const configuration = await readConfiguration(settings.conf)
    if (!configuration.isUsable) return undefined
    return await readListStates(configuration, settings.stateDir, probe.nowSec())
  } catch (error) {
    if (!(error instanceof AppError))
      throw new AppError('ERR_STATUS_LISTS', reasonOf(error), { cause: error })
    return undefined
  }
}

/** Addresses that the table of white hosts should hold: what spamd wrote last, else the entries of the database. */
export function wantedWhite(status: SuiteStatus): number | undefined {
  if (status.spamd.state === 'running') {
    if (status.spamd.status.mode === 'block-lists') return undefined
    if (status.spamd.status.table !== undefined) return status.spamd.status.table.addressCount
  }
  return 'counts' in status.database ? status.database.counts.WHITE : undefined
}

// eslint-disable-next-line complexity -- one line for each state that is trouble
function findTroubles(status: SuiteStatus): SuiteStatus['troubles'] {
  const troubles: SuiteStatus['troubles'] = []
  const tell = (level: 'critical' | 'warning' | 'unknown', message: string) =>
    troubles.push({ level, message })
  const { spamd, spamlogd, database, timeSec } = status
  if (spamd.state === 'stopped') tell('critical', 'spamd is not running')
  if (spamd.state === 'silent') tell('critical', `spamd does not answer: ${spamd.reason}`)
  if (spamd.state === 'unseen') tell('unknown', spamd.reason)
  if (spamd.state === 'running') tellAboutSpamd(spamd.status, timeSec, tell)
  if (spamlogd.state === 'stopped') tell('warning', 'spamlogd is not running: WHITE entries will expire')
  if ('reason' in database && !database.isUnneeded) {
    tell(database.isDenied ? 'unknown' : 'critical', database.reason)
  }
  tellAboutTables(status, tell)
  tellAboutExceptions(status, tell)
  for (const { name, source, entries, lastSuccessSec, lastError } of status.lists ?? []) {
    if (source === undefined || source.method === 'file') continue
    const ageSec = lastSuccessSec === undefined ? undefined : timeSec - lastSuccessSec
    const why = lastError === undefined ? '' : `: ${lastError}`
    const never =
      entries === undefined ? 'was never fetched' : 'has not been fetched since the clock was set back'
    if (ageSec === undefined) tell('warning', `list ${toDisplayText(name)} ${never}${why}`)
    else if (ageSec > STALE_LIST_SEC)
      tell('warning', `list ${toDisplayText(name)} is ${formatDuration(ageSec)} old${why}`)
  }
  const order = ['critical', 'warning', 'unknown']
  return troubles.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level))
}

type Tell = (level: 'critical' | 'warning' | 'unknown', message: string) => void

function tellAboutSpamd(spamd: DaemonStatus, timeSec: number, tell: Tell): void {
  if (spamd.isLearning) tell('warning', 'learn-only mode: every client that retries passes')
  if (spamd.listen.length === 0) tell('warning', 'spamd accepts no connections at the moment')
  if (spamd.mode === 'block-lists' || spamd.lastScan === undefined) return
  const ageSec = timeSec - spamd.lastScan.atSec
  if (spamd.clockDoubt !== undefined) {
    tell(
      'warning',
      `${spamd.clockDoubt}: entries do not expire; if the clock is right, run spamdctl accept-clock`,
    )
  }
  if (spamd.lastScan.isWaiting) return
  if (!spamd.lastScan.isComplete) tell('critical', 'the last scan of the database failed')
  else if (ageSec > spamd.scanIntervalSec * OVERDUE_SCANS) {
    tell('warning', `the last scan was ${formatDuration(ageSec)} ago`)
  }
}

function tellAboutTables(status: SuiteStatus, tell: Tell): void {
  const { tables } = status
  if (tables.kind === 'unseen') return
  const wanted = wantedWhite(status)
  if (wanted === undefined) return
  const held = tables.counts.get('spamd-white')
  if (held === undefined) tell('critical', 'the packet filter has no table spamd-white')
  else if (
    (held === 0 && wanted > 0) ||
    Math.abs(held - wanted) > Math.max(TOLERATED_COUNT, wanted * TOLERATED_SHARE)
  ) {
    tell(
      held === 0 ? 'critical' : 'warning',
      `table spamd-white holds ${countText(held, 'address', 'addresses')}, ${countText(wanted, 'host is', 'hosts are')} WHITE`,
    )
  }
}

function tellAboutExceptions({ database, tables }: SuiteStatus, tell: Tell): void {
  if (!('allowed' in database) || database.allowed.sourceCount === 0) return
  const { networkCount, troubles } = database.allowed
  for (const trouble of troubles) tell('warning', trouble)
  if (tables.kind === 'unseen') return
  const held = tables.counts.get(ALLOW_TABLE.name)
  if (held === undefined) tell('warning', `the packet filter has no table ${ALLOW_TABLE.name}`)
  else if (held !== networkCount)
    tell(
      'warning',
      `table ${ALLOW_TABLE.name} holds ${countText(held, 'network')}, but ${networkCount === 1 ? '1 is' : `${networkCount} are`} allowed`,
    )
}
