import type { FeedFetcher } from '../../feeds/feed-fetcher.js'
import type { ListStore } from '../../feeds/list-store.js'
import type { UnixSec } from '../../platform/clock.js'
import type { ListSource } from './list-source.js'

/** Requests sources: a `FeedFetcher`, or a wrapper of it. */
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
  /** Content equal to the last good copy is not read; call `loadSettled` to get it. */
  isLazy: boolean
  canShrink: boolean
  canGrow: boolean
  onProgress(source: ListSource, receivedBytes: number): void
}
