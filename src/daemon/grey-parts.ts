/** Assembles the parts of spamd that work on the database and on the packet filter's tables; with -b there are none. */
import type { SpamdConfig } from '../app/spamd-config.js'
import type { GreyPolicy } from '../domain/requests.js'
import type { Firewall } from '../firewall/backend.js'
import type { Clock } from '../platform/clock.js'
import type { Logger } from '../platform/log.js'
import { type OpenedSenderChecks, openSenderChecks } from './checks/open-sender-checks.js'
import type { DebugOutput } from './debug-output.js'
import { followHosts } from './grey/follow-hosts.js'
import { Greylister } from './grey/greylister.js'
import type { HostFollower } from './grey/host-follower.js'
import { PoolNetworks } from './grey/pool-networks.js'
import { Scanner } from './grey/scanner.js'
import { WhiteFile } from './grey/white-file.js'
import { WhiteTable } from './grey/white-table.js'
import { poolKindsOf } from './grey-policy.js'
import type { BlockLists } from './lists/block-lists.js'
import type { PoolState, SyncAnnouncer } from './seams.js'
import type { StoreKeeper } from './store/store-keeper.js'

/** The parts of greylisting in one spamd. */
export interface GreyParts {
  keeper: StoreKeeper
  greylister: Greylister
  scanner: Scanner
  whiteTable: WhiteTable
  pools: PoolNetworks
  whiteFile: WhiteFile | undefined
  /** Undefined if no option needs DNS checks of senders. */
  senders: OpenedSenderChecks | undefined
  /** Undefined if changes by other programs wait for the scan. */
  follower: HostFollower | undefined
  /** Writes the tables again after another program emptied or changed them. */
  refillTable: () => void
}

/** The dependencies of the parts. */
export interface GreyPartsOptions {
  config: SpamdConfig
  clock: Clock
  logger: Logger
  debug?: DebugOutput | undefined
  firewall: Firewall
  /** False: changes by other programs wait for the scan. */
  followsChanges?: boolean | undefined
  keeper: StoreKeeper
  policy: GreyPolicy
  blockLists: BlockLists
  sync: SyncAnnouncer | undefined
}

/** Creates the parts without starting them. */
export function openGreyParts(options: GreyPartsOptions): GreyParts {
  const { config, clock, logger, debug, firewall, keeper, policy, blockLists, sync } = options
  const whiteFile =
    config.whiteFile === undefined ? undefined : new WhiteFile({ path: config.whiteFile, logger })
  const whiteTable = new WhiteTable({ firewall, clock, logger, file: whiteFile })
  const pools = new PoolNetworks({ firewall, clock, logger, file: whiteFile })
  const notePool = (network: string, state: PoolState): void => pools.note(network, state)
  const refillTable = (): void => {
    const text = 'table spamd-white was emptied or changed by another program; filling it again'
    logger.log('notice', text, { event: 'table-lost' })
    whiteTable.rewrite()
    pools.rewrite()
  }
  const common = { databasePath: config.settings.db, policy, clock, logger, debug }
  const shared = {
    ...common,
    useStore: keeper.use,
    blockLists,
    sync,
    onPromoted: (ip: string) => whiteTable.add(ip),
    onPool: notePool,
  }
  const senders = openSenderChecks(config, shared)
  const greylister = new Greylister({
    ...shared,
    lowPriorityMx: config.lowPriorityMx,
    recipientDelimiter: config.recipientDelimiter,
    greyPrefix4: config.greyPrefix4,
    greyPrefix6: config.greyPrefix6,
    checks: senders?.checks,
  })
  const followsChanges = options.followsChanges !== false
  const poolKinds = poolKindsOf(config)
  const scanner = new Scanner({
    ...common,
    keeper,
    blockLists,
    whiteTable,
    pools,
    checks: senders?.checks,
    poolKinds,
    followsChanges,
    intervalMs: config.scanIntervalSec * 1000,
  })
  const follower = followsChanges
    ? followHosts({
        keeper,
        clock,
        whiteTable,
        blockLists,
        poolKinds,
        notePool,
        onEverything: () => void scanner.scan(),
        onTableLost: refillTable,
      })
    : undefined
  return { keeper, greylister, scanner, whiteTable, pools, whiteFile, senders, follower, refillTable }
}
