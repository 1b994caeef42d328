/** Brings changes of host entries by any program into the packet filter's table and the trap list. */

import { networksAround, type PoolKeyKind } from '../../domain/pool-key.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import type { Clock } from '../../platform/clock.js'
import type { BlockLists } from '../lists/block-lists.js'
import type { PoolState } from '../seams.js'
import type { StoreKeeper } from '../store/store-keeper.js'
import { HostFollower } from './host-follower.js'
import { isPoolInUse } from './scan-parts.js'
import type { WhiteTable } from './white-table.js'

/** What is followed, and where changes go. */
export interface FollowedParts {
  keeper: StoreKeeper
  clock: Clock
  whiteTable: Pick<WhiteTable, 'add' | 'remove' | 'hasRightCount'>
  blockLists: Pick<BlockLists, 'isListed' | 'noteTrap'>
  /** Keys by which pools are identified here. */
  poolKinds: ReadonlySet<PoolKeyKind>
  /** A network was opened or closed. */
  notePool(network: string, state: PoolState): void
  /** Changes were missed: everything must be read. */
  onEverything(): void
  /** The table does not hold as many addresses as were written into it. */
  onTableLost(): void
}

/** A follower that is not started yet. */
export function followHosts(parts: FollowedParts): HostFollower {
  const { keeper, clock, whiteTable, blockLists, poolKinds } = parts
  return new HostFollower({
    keeper,
    clock,
    onHost: (ip, host, wasWhite) => {
      const isPassed = host?.kind === 'WHITE' && host.pass <= clock.nowSec()
      const isLetIn = isPassed && (host.expire === EXPIRE_NEVER || !blockLists.isListed(ip))
      if (isLetIn) whiteTable.add(ip)
      else if (wasWhite) whiteTable.remove(ip)
      blockLists.noteTrap(ip, host?.kind === 'TRAPPED' ? 'trapped' : 'free')
      // What trapped it may not have considered networks: an import, or a merge with another gateway.
      if (host?.kind === 'TRAPPED')
        for (const network of networksAround(ip)) parts.notePool(network, 'closed')
    },
    onPool: (network, entry) => {
      const isOpen = entry !== undefined && isPoolInUse(entry, poolKinds)
      parts.notePool(network, isOpen ? 'open' : 'closed')
    },
    onEverything: () => parts.onEverything(),
    onInterval: () => {
      void whiteTable.hasRightCount().then((isRight) => {
        if (!isRight) parts.onTableLost()
      })
    },
  })
}
