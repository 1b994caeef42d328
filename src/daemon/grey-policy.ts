/** What the options of spamd say about greylisting. */
import type { SpamdConfig } from '../app/spamd-config.js'
import type { GreyPolicy } from '../db/store.js'
import type { PoolKeyKind } from '../domain/pool-key.js'

/** The times and limits of greylisting. */
export function policyOf(config: SpamdConfig): GreyPolicy {
  const { passSec, greyExpireSec, whiteExpireSec, trapExpireSec } = config
  const { maxTuples, maxTuplesPerAddress, maxTupleBytes, poolExpireSec, isLearning } = config
  return {
    passSec,
    greyExpireSec,
    whiteExpireSec,
    trapExpireSec,
    maxTuples,
    maxTuplesPerAddress,
    maxTupleBytes,
    poolExpireSec,
    isLearning,
  }
}

/** Keys by which a pool of senders is known beside its addresses. */
export function poolKindsOf({
  greyPrefix4,
  greyPrefix6,
  senders,
  isLearning,
}: SpamdConfig): Set<PoolKeyKind> {
  const kinds = new Set<PoolKeyKind>(['release'])
  if ((greyPrefix4 ?? greyPrefix6) !== undefined) kinds.add('network')
  if (senders.spf !== undefined) kinds.add('spf')
  if (isLearning) kinds.add('learn')
  return kinds
}
