import type { Store } from '../db/store.js'
import { MAX_STATISTICS_ROWS, recentRows } from './history.js'
import { type Stats, TopCounter } from './stats.js'

/** The most frequent items in the history since a time; `topSinceSec` is set if only rows since then were read. */
export async function readTop(
  store: Pick<Store, 'readHistory' | 'newestHistory'>,
  sinceSec: number,
): Promise<Pick<Stats, 'top' | 'topSinceSec'>> {
  const counter = new TopCounter()
  const isCut = (await store.newestHistory()) > MAX_STATISTICS_ROWS
  let firstSec: number | undefined
  for await (const row of recentRows(store, sinceSec)) {
    firstSec ??= row.at
    counter.add(row)
  }
  const topSinceSec = isCut && firstSec !== undefined && firstSec > sinceSec ? firstSec : undefined
  return { top: counter.top(), topSinceSec }
}
