/** Pools identified by network: the keys of an attempt, and log lines about the results. */

import type { Tuple } from '../../domain/entry.js'
import { WIDEST_OPENED } from '../../domain/pool-key.js'
import type { PoolAttempt, TupleAttempt, TupleOutcome } from '../../domain/requests.js'
import { familyOf } from '../../ip/address.js'
import { networkOf, networkText } from '../../ip/cidr.js'
import type { Logger } from '../../platform/log.js'
import type { BlockListLookup, PoolState } from '../seams.js'
import { describeTuple } from './tuple-fields.js'

/** The network that may be opened around a client, and the keys that identify it. */
export interface NetworkPoolOptions {
  greyPrefix4?: number | undefined
  greyPrefix6?: number | undefined
  blockLists: BlockListLookup
}

/**
 * The keys of an attempt in addition to its exact tuple: its network, if a prefix length is set for its family.
 * `mayOpenAround`: no list holds an address of the client's /24 or /64.
 */
export function networkPools(
  clientIp: string,
  { greyPrefix4, greyPrefix6, blockLists }: NetworkPoolOptions,
  { mayOpenAround }: Pick<TupleAttempt, 'mayOpenAround'>,
): PoolAttempt[] {
  const family = familyOf(clientIp)
  const prefixLength = family === 4 ? greyPrefix4 : greyPrefix6
  if (prefixLength === undefined) return []
  const key = { kind: 'network', network: networkText(clientIp, prefixLength) } as const
  // A wider key opens the /24 or /64 around the client, a narrower one its own network.
  const isNarrow = prefixLength > WIDEST_OPENED[family]
  const mayOpen = isNarrow ? !blockLists.overlaps(networkOf(clientIp, prefixLength)) : mayOpenAround === true
  return [{ key, mayOpen }]
}

/** Logs networks that an attempt opened or closed; returns how many it opened. */
export function reportPools(
  logged: Tuple,
  { opened = [], closed = [] }: TupleOutcome,
  { logger, onPool }: { logger: Logger; onPool?: (network: string, state: PoolState) => void },
): number {
  for (const network of opened) {
    logger.log('info', `pool ${network} opened: ${describeTuple(logged)}`, {
      event: 'pool-opened',
      network,
      ...logged,
    })
    onPool?.(network, 'open')
  }
  for (const network of closed) {
    logger.log('info', `pool ${network} closed: ${logged.ip} is trapped`, {
      event: 'pool-closed',
      network,
      ip: logged.ip,
    })
    onPool?.(network, 'closed')
  }
  return opened.length
}
