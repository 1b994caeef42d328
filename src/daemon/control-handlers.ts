/** What spamd answers on its Unix socket. Source: docs/protocol/control-socket.md. */
import type { ControlHandlers, DaemonStatus, SenderStatus, SyncStatus } from '../app/control-protocol.js'
import type { SpamdConfig } from '../app/spamd-config.js'
import type { MetricFamily } from '../codec/metrics-text.js'
import { canonicalIp } from '../ip/address.js'
import { AppError } from '../platform/app-error.js'
import type { UnixSec } from '../platform/clock.js'
import type { DnsCounters } from '../platform/dns-client.js'
import { resolveLocation } from '../platform/postgres-location.js'
import type { Greylister } from './grey/greylister.js'
import type { PoolNetworks } from './grey/pool-networks.js'
import type { Scanner } from './grey/scanner.js'
import type { WhiteTable } from './grey/white-table.js'
import type { BlockLists } from './lists/block-lists.js'
import type { SmtpServer } from './smtp/smtp-server.js'

/** The parts that provide answers; greylister, scanner and tables are undefined with -b. */
export interface ControlHandlerParts {
  config: SpamdConfig
  smtp: Pick<SmtpServer, 'snapshot' | 'counts' | 'counters' | 'addresses'>
  blockLists: Pick<BlockLists, 'match' | 'summaries'>
  greylister: Pick<Greylister, 'counters'> | undefined
  scanner: Pick<Scanner, 'scan' | 'acceptClock' | 'clockDoubt' | 'lastReport'> | undefined
  whiteTable: Pick<WhiteTable, 'counters'> | undefined
  pools: Pick<PoolNetworks, 'counters'> | undefined
  /** Undefined when no DNS queries about senders are made. */
  senders: { dns: { counters: Pick<DnsCounters, 'answered' | 'failed'> } } | undefined
  metrics: { families(): MetricFamily[] }
  /** Undefined when nothing is synchronised. */
  sync: { status(): SyncStatus; acceptClock(): boolean } | undefined
  startedSec: () => UnixSec
  /** Time since which the gateway has used its local database. */
  aloneSinceSec: () => UnixSec | undefined
}

/** One function for each request. */
export function createControlHandlers(parts: ControlHandlerParts): ControlHandlers {
  const { smtp, blockLists, greylister, scanner, whiteTable, pools, metrics, sync } = parts
  return {
    connections: () => ({ connections: smtp.snapshot() }),
    status: () => statusOf(parts),
    lookup: ({ ip }) => ({ lists: blockLists.match(addressOf(ip)).map(({ listName }) => listName) }),
    stats: () => ({
      connections: smtp.counts,
      smtp: { ...smtp.counters },
      greylister: greylister && { ...greylister.counters },
      lists: blockLists.summaries(),
      lastScan: scanner?.lastReport,
      table: whiteTable && { ...whiteTable.counters },
      pools: pools && { ...pools.counters },
    }),
    scan: async () => {
      if (scanner !== undefined) return scanner.scan()
      throw new AppError('ERR_SCAN_OFF', 'spamd runs with -b: there is nothing to scan')
    },
    'accept-clock': () => {
      const wasDoubted = [scanner?.acceptClock(), sync?.acceptClock()]
      return { wasDoubted: wasDoubted.includes(true) }
    },
    metrics: () => metrics.families(),
    'sync-status': () => {
      if (sync !== undefined) return sync.status()
      throw new AppError('ERR_SYNC_OFF', 'spamd runs without -Y and -y: nothing is synchronised')
    },
  }
}

/**
 * A client of the socket may send anything as an address; "on no list" would be a wrong answer to invalid
 * text.
 */
function addressOf(ip: unknown): string {
  const address = typeof ip === 'string' ? canonicalIp(ip) : undefined
  if (address === undefined) throw new AppError('ERR_REQUEST_FIELD', 'lookup: "ip" is not an address')
  return address
}

function senderStatusOf(
  { spf, dnswl, dnsbl }: SpamdConfig['senders'],
  { dns }: NonNullable<ControlHandlerParts['senders']>,
): SenderStatus {
  const { answered, failed } = dns.counters
  return {
    spf: spf && (spf.domainsFile === undefined ? 'all' : 'file'),
    dnswl: dnswl.map(({ zone }) => zone),
    dnsbl: dnsbl.map(({ zone }) => zone),
    answered,
    failed,
  }
}

function statusOf(parts: ControlHandlerParts): DaemonStatus {
  const { config, smtp, scanner, whiteTable } = parts
  const { passSec, greyExpireSec, whiteExpireSec, trapExpireSec } = config
  return {
    pid: process.pid,
    startedSec: parts.startedSec(),
    mode: config.isBlackOnly ? 'block-lists' : 'greylisting',
    listen: smtp.addresses,
    configPort: config.settings.cfgPort,
    database: config.isBlackOnly ? undefined : resolveLocation(config.settings.db),
    aloneSinceSec: parts.aloneSinceSec(),
    stateDir: config.settings.stateDir,
    user: config.settings.user,
    policy: { passSec, greyExpireSec, whiteExpireSec, trapExpireSec },
    greyPrefix4: config.greyPrefix4,
    greyPrefix6: config.greyPrefix6,
    lowPriorityMx: config.lowPriorityMx,
    connections: smtp.counts,
    lists: parts.blockLists.summaries(),
    lastScan: scanner?.lastReport,
    scanIntervalSec: config.scanIntervalSec,
    clockDoubt: scanner?.clockDoubt,
    table: whiteTable?.counters,
    poolExpireSec: config.poolExpireSec,
    isLearning: config.isLearning,
    pools: parts.pools?.counters,
    senders: parts.senders && senderStatusOf(config.senders, parts.senders),
    sync: parts.sync?.status(),
  }
}
