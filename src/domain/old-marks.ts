/** How long marks of deletions are kept: until no entry of any gateway can be older than the deletion. */
import type { EntryKey } from './entry.js'
import type { GreyPolicy } from './requests.js'
import { GREY_EXPIRE_SEC, KEEP_RESET_SEC } from './times.js'

/** How long marks of each kind are kept. */
export interface MarkLives {
  /** Of addresses and spamtraps. */
  keepSec: number
  /** Of tuples and of networks of pools, which the next attempt makes anew. */
  keepTupleSec: number
}

/** As long as any automatic entry can live that the deletion concerns, here or by the defaults elsewhere. */
export function markLives(
  policy: Pick<GreyPolicy, 'whiteExpireSec' | 'trapExpireSec' | 'greyExpireSec'>,
): MarkLives {
  const { whiteExpireSec, trapExpireSec, greyExpireSec } = policy
  return {
    keepSec: Math.max(KEEP_RESET_SEC, whiteExpireSec, trapExpireSec),
    keepTupleSec: Math.max(GREY_EXPIRE_SEC, greyExpireSec),
  }
}

/** Marks of this kind that are as old as this, in seconds since the Epoch, or older are no longer needed. */
export function oldMarkSec(
  kind: EntryKey['kind'],
  { keepSec, keepTupleSec }: MarkLives,
  now: number,
): number {
  return now - (kind === 'tuple' || kind === 'pool' ? keepTupleSec : keepSec)
}
