import type { FeedFetcher } from '../../feeds/feed-fetcher.js'
import type { ListStore } from '../../feeds/list-store.js'
import type { UnixSec } from '../../platform/clock.js'
import type { ListSource } from './list-source.js'

/** Where sources are asked: a `FeedFetcher`, or what stands before it. */
export type ListFetcher = Pick<FeedFetcher, 'fetch'>

/** What settling a source needs from the run. */
export interface SettleOptions {
  store: ListStore
  fetcher: ListFetcher
  /** Start of the run. */
  nowSec: UnixSec
  isForced: boolean
  isOffline: boolean
  /** Reads copies, writes nothing. */
  isReadOnly: boolean
  /** Content that is that of the last good copy is not read: whoever needs it calls `loadSettled`. */
  isLazy: boolean
  canShrink: boolean
  canGrow: boolean
  onProgress(source: ListSource, receivedBytes: number): void
}
