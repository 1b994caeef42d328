/** All checks of `spamdctl doctor`, ordered by their dependencies. Reads only. */
import { hostname } from 'node:os'
import { sqliteFault } from '../../db/sqlite-fault.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { isPostgresLocation } from '../../platform/postgres-location.js'
import type { Settings } from '../../platform/settings.js'
import type { SystemProbe } from '../../platform/system-probe.js'
import { openDatabase } from '../database/open-database.js'
import { fingerprintOf, readSyncKeyFile } from '../sync/sync-key.js'
import { checkAllowed } from './allow-checks.js'
import { type CheckGroup, type DoctorContext, readDaemonAnswer, type StoredFacts } from './context.js'
import { checkDaemons } from './daemon-checks.js'
import { checkDatabaseFile } from './database-checks.js'
import { checkFailover, type FailoverFacts } from './failover-checks.js'
import { type Finding, Findings, type Level } from './finding.js'
import { checkLists } from './list-checks.js'
import { checkNft } from './nft-checks.js'
import type { NodeReport } from './node-report.js'
import { checkPf } from './pf-checks.js'
import { checkRuntime } from './runtime-checks.js'
import { checkSenders } from './sender-checks.js'
import { checkSync } from './sync-checks.js'

export interface DoctorReport {
  findings: Finding[]
  counts: Record<Level, number>
  /** For the doctor of the other gateway. */
  node: NodeReport
}

/** Everything that doctor needs to know before its first check. */
export async function prepareDoctor(
  probe: SystemProbe,
  settings: Settings,
  peer: NodeReport | undefined,
): Promise<DoctorContext> {
  const [daemon, processes] = await Promise.all([readDaemonAnswer(settings.controlSocket), probe.processes()])
  return { probe, settings, daemon, processes, sqliteFault, peer }
}

/** Makes every check. Never throws for a broken system: a check that fails itself is a finding. */
export async function runDoctor(context: DoctorContext): Promise<DoctorReport> {
  const findings = new Findings()
  let failover: FailoverFacts = { carp: [], preempt: null }
  let stored: StoredFacts = { white: undefined, exceptions: [] }
  const groups: [string, CheckGroup][] = [
    ['runtime', checkRuntime],
    ['database', checkDatabaseFile],
    ['daemons', checkDaemons],
    ['senders', checkSenders],
    [
      'firewall',
      async () => {
        stored = await readStored(context)
        const { firewall } = context.settings
        if (firewall === 'pf') await checkPf(context, findings, stored)
        else if (firewall === 'nft') await checkNft(context, findings, stored)
        else findings.info('firewall', `SPAMD_FIREWALL is ${firewall}: the packet filter is not checked`)
      },
    ],
    ['allow', () => checkAllowed(context, findings, stored.exceptions)],
    ['lists', checkLists],
    ['sync', checkSync],
    [
      'failover',
      async () => {
        failover = await checkFailover(context, findings)
      },
    ],
    ['peer', checkPeer],
  ]
  for (const [name, group] of groups) {
    try {
      await group(context, findings)
    } catch (error) {
      findings.warning(name, `cannot run these checks: ${reasonOf(error)}`)
    }
  }
  const counts = { ok: 0, info: 0, warning: 0, error: 0 }
  for (const { level } of findings.list) counts[level] += 1
  return { findings: findings.list, counts, node: describeNode(context, failover) }
}

async function readStored({ settings, sqliteFault: fault }: DoctorContext): Promise<StoredFacts> {
  const nothing = { white: undefined, exceptions: [] }
  if (fault() !== undefined) return nothing
  try {
    const store = await openDatabase(settings.db, 'read')
    try {
      const { WHITE: white } = await store.count({ kinds: ['WHITE'] })
      return { white, exceptions: await store.readAllowed() }
    } finally {
      await store.close()
    }
  } catch (error) {
    // Told by the checks of the database.
    if (error instanceof AppError) return nothing
    throw error
  }
}

function describeNode(context: DoctorContext, failover: FailoverFacts): NodeReport {
  return {
    host: hostname(),
    timeSec: context.probe.nowSec(),
    ...failover,
    keyFingerprint: keyFingerprint(context) ?? null,
    hasDatabase:
      isPostgresLocation(context.settings.db) || context.probe.stat(context.settings.db).kind === 'found',
  }
}

function keyFingerprint({ settings }: DoctorContext): string | undefined {
  try {
    const content = readSyncKeyFile(settings.key)
    return content && fingerprintOf(content)
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

/** What only the facts of both gateways show. */
function checkPeer(context: DoctorContext, findings: Findings): void {
  const { peer, probe } = context
  if (peer === undefined) return
  const own = keyFingerprint(context)
  if (own !== undefined && peer.keyFingerprint !== null && own !== peer.keyFingerprint) {
    findings.error(
      'peer.key',
      `${peer.host} has a different key: ${peer.keyFingerprint}, here ${own}`,
      `copy ${context.settings.key} to the other gateway`,
    )
  } else if (peer.keyFingerprint === null) {
    findings.error('peer.key', `${peer.host} has no key`, `copy ${context.settings.key} to it`)
  } else findings.ok('peer.key', `${peer.host} has the same key`)
  if (peer.hasDatabase === false)
    findings.error('peer.database', `${peer.host} has no database`, 'spamdctl init-db, there')
  const skewSec = peer.timeSec - probe.nowSec()
  if (skewSec > 5)
    findings.warning(
      'peer.clock',
      `the clock of ${peer.host} is ${skewSec} seconds ahead`,
      'start the time daemon on all gateways',
    )
}
