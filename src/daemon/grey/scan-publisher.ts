/**
 * What a whole scan gives to others: the table of WHITE addresses, the trap list, and the table of networks that
 * pools of senders have opened.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ScanReport } from '../../app/control-protocol.js'
import { escapeControl } from '../../codec/escape.js'
import type { GreyPolicy } from '../../db/store.js'
import type { PoolEntry } from '../../domain/entry.js'
import type { PoolKeyKind } from '../../domain/pool-key.js'
import { parseCidr } from '../../ip/cidr.js'
import { isEmptySet } from '../../ip/ip-range-set.js'
import { RangeTable } from '../../ip/range-table.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import type { BlockLists } from '../lists/block-lists.js'
import type { StoreKeeper } from '../store/store-keeper.js'
import type { DaemonStore } from '../store/store-worker-messages.js'
import type { HostGatherer } from './host-gatherer.js'
import type { PoolNetworks } from './pool-networks.js'
import { isPoolInUse } from './scan-parts.js'
import type { WhiteTable } from './white-table.js'

/** What the publisher reads, and where it writes. */
export interface PublisherOptions {
  keeper: Pick<StoreKeeper, 'isFresh' | 'generation'>
  /** Path that log lines name. */
  databasePath: string
  policy: GreyPolicy
  logger: Logger
  blockLists: BlockLists
  whiteTable: WhiteTable
  pools: PoolNetworks
  /** Keys by which pools are identified here: networks of other keys stay out of the table. */
  poolKinds: ReadonlySet<PoolKeyKind>
}

/** `write` runs an action on the database, again while another program holds it. */
export class ScanPublisher {
  readonly #options: PublisherOptions
  readonly #write: <Result>(action: (store: DaemonStore) => Promise<Result>) => Promise<Result>
  /** The opened database that has held a white address. */
  #whiteGeneration: number | undefined
  #isPoolTableCleared = false

  constructor(
    options: PublisherOptions,
    write: <Result>(action: (store: DaemonStore) => Promise<Result>) => Promise<Result>,
  ) {
    this.#options = options
    this.#write = write
  }

  /** Fills in the counts of `report` as well. */
  async publish(
    report: ScanReport,
    white: HostGatherer,
    trapped: HostGatherer,
    pools: readonly PoolEntry[],
  ): Promise<void> {
    const { keeper, whiteTable, blockLists, logger, databasePath } = this.#options
    Object.assign(report, { whiteCount: white.count, trappedCount: trapped.count })
    const whiteSet = white.takeSet()
    await nextTurn()
    const isEmpty = isEmptySet(whiteSet)
    if (!isEmpty) this.#whiteGeneration = keeper.generation
    if (isEmpty && keeper.isFresh && this.#whiteGeneration !== keeper.generation) {
      // A newly created database says nothing about which hosts were WHITE before.
      logger.log('info', `${databasePath} is new and holds no WHITE addresses: leaving the table unchanged`)
      whiteTable.keep()
    } else await whiteTable.replace(whiteSet)
    const trappedSet = trapped.takeSet()
    blockLists.replaceTrapList(trappedSet, report.trappedCount)
    await this.#publishPools(report, pools, new RangeTable(trappedSet))
  }

  /**
   * Closes networks that contain a TRAPPED or block-listed address, and puts the others whose key is in use into
   * the table.
   */
  async #publishPools(report: ScanReport, entries: readonly PoolEntry[], trapped: RangeTable): Promise<void> {
    const { blockLists, policy, poolKinds, pools, logger } = this.#options
    const isBarred = (text: string): boolean => {
      const network = parseCidr(text)
      return network === undefined || blockLists.overlaps(network) || trapped.overlaps(network)
    }
    const used = entries.filter((entry) => isPoolInUse(entry, poolKinds))
    const closedPools = used.map(({ ip }) => ip).filter(isBarred)
    if (closedPools.length > 0) {
      for (const network of closedPools)
        logger.log('info', `pool ${network} closed`, { event: 'pool-closed', network })
      const changes = { expired: [], promoted: [], blocked: [], blockedTuples: [], closedPools }
      try {
        await this.#write((store) => store.applyScan(changes, policy, report.atSec))
      } catch (error) {
        // They are removed from the table anyway, and the next scan tries again.
        logger.log('notice', `cannot close pools (${escapeControl(reasonOf(error))})`)
      }
    }
    const closed = new Set(closedPools)
    const open = used.filter(({ ip }) => !closed.has(ip))
    report.poolCount = open.length
    report.deletedCount += closed.size
    if (poolKinds.size > 0) await pools.replace(open.map(({ ip }) => ip))
    else if (!this.#isPoolTableCleared) await pools.clearLeft()
    this.#isPoolTableCleared = true
  }
}
