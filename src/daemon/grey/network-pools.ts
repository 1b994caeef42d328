/** Pools identified by network: the keys of an attempt, and log lines about the results. */
import type { Tuple } from '../../domain/entry.js'
import { openedNetwork } from '../../domain/pool-key.js'
import type { PoolAttempt, TupleOutcome } from '../../domain/requests.js'
import { familyOf } from '../../ip/address.js'
import { formatCidr, networkOf } from '../../ip/cidr.js'
import type { Logger } from '../../platform/log.js'
import type { BlockListLookup } from '../seams.js'
import { describeTuple } from './tuple-fields.js'

/** The keys of an attempt beside its exact tuple: its network, where a prefix length of its family is given. */
export function networkPools(
  clientIp: string,
  options: {
    greyPrefix4?: number | undefined
    greyPrefix6?: number | undefined
    blockLists: BlockListLookup
  },
): PoolAttempt[] {
  const prefixLength = familyOf(clientIp) === 4 ? options.greyPrefix4 : options.greyPrefix6
  if (prefixLength === undefined) return []
  const key = { kind: 'network', network: formatCidr(networkOf(clientIp, prefixLength)) } as const
  return [{ key, mayOpen: !options.blockLists.overlaps(openedNetwork(key, clientIp)) }]
}

/** Logs networks that an attempt opened or closed; returns how many it opened. */
export function reportPools(
  logged: Tuple,
  { opened = [], closed = [] }: TupleOutcome,
  { logger, onPool }: { logger: Logger; onPool?: (network: string, isOpen: boolean) => void },
): number {
  for (const network of opened) {
    logger.log('info', `pool ${network} opened: ${describeTuple(logged)}`, {
      event: 'pool-opened',
      network,
      ...logged,
    })
    onPool?.(network, true)
  }
  for (const network of closed) {
    logger.log('info', `pool ${network} closed: ${logged.ip} is trapped`, {
      event: 'pool-closed',
      network,
      ip: logged.ip,
    })
    onPool?.(network, false)
  }
  return opened.length
}
