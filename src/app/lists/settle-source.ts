import type { ListSummary } from '../../codec/lists/list-lines.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { FeedError, isRemote, type Validator } from '../../feeds/feed.js'
import { fileStamp } from '../../feeds/file-feed.js'
import type { ListCopy, SourceState } from '../../feeds/list-store.js'
import { notBefore, pastSec } from '../../feeds/pace.js'
import { AppError } from '../../platform/app-error.js'
import type { UnixSec } from '../../platform/clock.js'
import { keepLineIndex } from './line-index.js'
import { findRefusal } from './list-guards.js'
import type { ListSource } from './list-source.js'
import { type Fetched, keepCopy, parseCopy, receiveList } from './receive-list.js'
import type { SettleOptions } from './settle-options.js'
import {
  failed,
  type SettledSource,
  type SettledStatus,
  type SourceFailure,
  settled,
  toFailure,
} from './settled-source.js'
import { addDay, readHistory, shrunkFrom } from './shrink-history.js'
import { findWidthRefusal, withoutSpecialUse } from './width-guards.js'

/**
 * Gets the content of one list: from its source if it may and can be requested, else the last good copy.
 * Never throws for a failing source.
 */
export async function settleSource(source: ListSource, options: SettleOptions): Promise<SettledSource> {
  const { store } = options
  const state = await store.readState(source.name)
  const facts = await store.readCopyFacts(source.name)
  return new Settling(source, options, facts, state).settle()
}

type Asked =
  /** `summary` is undefined with `isLazy`. */
  | { kind: 'unchanged'; summary: ListSummary | undefined; freshUntilSec: UnixSec | undefined }
  | { kind: 'content'; fetched: Fetched; validator: Validator; freshUntilSec: UnixSec | undefined }

/** One source in one run; `settle` once. */
class Settling {
  readonly #source: ListSource
  readonly #options: SettleOptions
  /** The last good copy, of whatever source. */
  readonly #facts: ListCopy | undefined
  /** The same, where it is of this source. */
  readonly #own: ListCopy | undefined
  readonly #state: SourceState | undefined
  /** Of a file, before it is read: one that changes meanwhile is read again next time. */
  readonly #stamp: string | undefined

  constructor(
    source: ListSource,
    options: SettleOptions,
    facts: ListCopy | undefined,
    state: SourceState | undefined,
  ) {
    this.#source = source
    this.#options = options
    this.#facts = facts
    this.#state = state
    this.#own = facts?.method === source.method && facts.location === source.location ? facts : undefined
    this.#stamp = stampOf(source, options.nowSec)
  }

  async settle(): Promise<SettledSource> {
    if (this.#options.isOffline) return this.#settleOffline()
    return (await this.#settleWaiting()) ?? (await this.#settleSameFile()) ?? (await this.#settleAsked())
  }

  async #settleOffline(): Promise<SettledSource> {
    const failure = { code: 'ERR_LISTS_READ', reason: 'there is no last good copy' }
    return (await this.#fromCopy('offline')) ?? failed(this.#source, failure, { wasAsked: false })
  }

  /** Undefined when the source may be asked now. */
  async #settleWaiting(): Promise<SettledSource | undefined> {
    const { isForced, nowSec } = this.#options
    const untilSec = isForced ? undefined : notBefore(this.#source, this.#state, nowSec)
    if (untilSec === undefined) return undefined
    const waiting = (reason: string): SourceFailure => ({
      code: 'ERR_FEED_WAITING',
      reason,
      hint: 'use --force to fetch it now',
    })
    const failure = this.#state?.failure
    if (failure !== undefined) {
      const reason = `${failure.reason} (not fetched again before ${formatUtcTime(untilSec)})`
      return this.#fallBack(waiting(reason), false)
    }
    if (this.#facts === undefined) {
      const reason = 'it was fetched less than an hour ago, but no copy could be stored'
      return failed(this.#source, waiting(reason), { wasAsked: false })
    }
    // A damaged copy justifies a request before the next regular one.
    return this.#fromCopy('fresh')
  }

  /** A local file that is the one of the copy is not read at all where nobody needs its content. */
  async #settleSameFile(): Promise<SettledSource | undefined> {
    if (this.#stamp === undefined || this.#stamp !== this.#own?.stamp) return undefined
    const lazy = this.#lazyCopy('local', { currentSec: this.#options.nowSec, wasAsked: true })
    if (lazy !== undefined) await this.#noteSuccess(undefined)
    return lazy
  }

  async #settleAsked(): Promise<SettledSource> {
    try {
      const asked = await this.#ask()
      return asked.kind === 'unchanged'
        ? await this.#settleUnchanged(asked)
        : await this.#settleContent(asked)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      await this.#note({
        ...historyOf(this.#state),
        lastSuccessSec: this.#state?.lastSuccessSec,
        notBeforeSec: error instanceof FeedError ? error.notBeforeSec : undefined,
        failure: { sec: this.#options.nowSec, reason: error.message },
      })
      return this.#fallBack(toFailure(error), true)
    }
  }

  async #settleUnchanged({
    summary,
    freshUntilSec,
  }: Extract<Asked, { kind: 'unchanged' }>): Promise<SettledSource> {
    await this.#noteSuccess(freshUntilSec)
    const facts = { currentSec: this.#options.nowSec, wasAsked: true }
    const lazy = summary === undefined ? this.#lazyCopy('unchanged', facts) : undefined
    return lazy ?? settled(this.#source, 'unchanged', { summary, ...facts })
  }

  async #settleContent({
    fetched,
    validator,
    freshUntilSec,
  }: Extract<Asked, { kind: 'content' }>): Promise<SettledSource> {
    const { summary, writer } = fetched
    const { isReadOnly, nowSec } = this.#options
    const refusal = await this.#findRefusal(summary)
    if (refusal !== undefined) {
      await writer?.discard()
      throw new FeedError('ERR_FEED_CONTENT', refusal.reason, { hint: refusal.hint })
    }
    let { storeFailure } = fetched
    const shrinking = watchShrinking(this.#source, this.#options, this.#own && this.#state, summary)
    let digest: string | undefined
    if (!isReadOnly) {
      if (storeFailure === undefined) {
        const facts = { validator, stamp: this.#stamp }
        const kept = await keepCopy(this.#source, this.#options, facts, summary, writer!)
        if (typeof kept === 'string') digest = kept
        else storeFailure = kept
      }
      if (storeFailure === undefined) await keepLineIndex(this.#source, this.#options.store.folder)
      await this.#note({ ...shrinking.history, lastSuccessSec: nowSec, notBeforeSec: freshUntilSec })
    }
    const status = isRemote(this.#source.method) ? 'new' : 'local'
    return {
      ...settled(this.#source, status, { summary, currentSec: nowSec, wasAsked: true }),
      storeFailure,
      digest,
      shrunkFrom: shrinking.shrunkFrom,
    }
  }

  /** Why the new content is not believed; what it is compared with is the copy of the same source. */
  async #findRefusal(
    summary: ListSummary,
  ): Promise<{ reason: string; hint?: string | undefined } | undefined> {
    const own = this.#own
    const refusal = findRefusal(this.#source, summary, own?.entries, this.#options)
    if (refusal !== undefined || this.#options.canGrow) return refusal
    return findWidthRefusal(this.#source, summary, own?.size, async () =>
      own === undefined ? undefined : this.#parseCopy(),
    )
  }

  /** Asks with the validator of the copy; when the server says "unchanged" but the copy is damaged, once more without. */
  async #ask(): Promise<Asked> {
    const source = this.#source
    const options = this.#options
    const { method, location, isPrivateAllowed } = source
    const validator = this.#own?.validator
    const receive = (body: AsyncIterable<Uint8Array>) => receiveList(source, options, body)
    const first = await options.fetcher.fetch(
      { method, location, isPrivateAllowed, ...(validator === undefined ? {} : { validator }) },
      receive,
    )
    if (first.kind === 'body') return { ...first, kind: 'content', fetched: first.content }
    if (options.isLazy && (await options.store.isCopyWhole(source.name))) {
      return { kind: 'unchanged', summary: undefined, freshUntilSec: first.freshUntilSec }
    }
    const summary = await this.#parseCopy()
    if (summary !== undefined) return { kind: 'unchanged', summary, freshUntilSec: first.freshUntilSec }
    const again = await options.fetcher.fetch({ method, location, isPrivateAllowed }, receive)
    if (again.kind === 'body') return { ...again, kind: 'content', fetched: again.content }
    throw new FeedError('ERR_FEED_STATUS', 'the server says "unchanged", but there is no copy')
  }

  /** Notes what became of a request. A note that cannot be written is no failure of the list: the copy tells it. */
  async #note(
    result: Pick<SourceState, 'failure' | 'largest' | 'isShrinkTold'> & {
      lastSuccessSec: UnixSec | undefined
      notBeforeSec: UnixSec | undefined
    },
  ): Promise<void> {
    const source = this.#source
    const options = this.#options
    if (options.isReadOnly) return
    const { lastSuccessSec, notBeforeSec, ...rest } = result
    try {
      await options.store.writeState(source.name, {
        method: source.method,
        location: source.location,
        lastTrySec: options.nowSec,
        ...(lastSuccessSec === undefined ? {} : { lastSuccessSec }),
        ...(notBeforeSec === undefined ? {} : { notBeforeSec }),
        ...rest,
      })
    } catch (error) {
      if (!(error instanceof AppError)) throw error
    }
  }

  #noteSuccess(notBeforeSec: UnixSec | undefined): Promise<void> {
    return this.#note({ ...historyOf(this.#state), lastSuccessSec: this.#options.nowSec, notBeforeSec })
  }

  /** The last good copy in place of the source; undefined when there is none, or it is damaged. */
  async #fromCopy(status: SettledStatus, wasAsked = false): Promise<SettledSource | undefined> {
    const facts = { currentSec: currentSecOf(this.#facts, this.#state, this.#options.nowSec), wasAsked }
    const lazy = this.#lazyCopy(status, facts)
    if (lazy !== undefined) return lazy
    const summary = await this.#parseCopy()
    return summary && settled(this.#source, status, { summary, ...facts })
  }

  /** The copy with its content left unread, where that is wanted. */
  #lazyCopy(
    status: SettledStatus,
    facts: Pick<SettledSource, 'currentSec' | 'wasAsked'>,
  ): SettledSource | undefined {
    if (!this.#options.isLazy || this.#facts === undefined) return undefined
    return { ...settled(this.#source, status, { summary: undefined, ...facts }), digest: this.#facts.sha256 }
  }

  async #fallBack(failure: SourceFailure, wasAsked: boolean): Promise<SettledSource> {
    const kept = await this.#fromCopy('kept', wasAsked)
    return kept === undefined ? failed(this.#source, failure, { wasAsked }) : { ...kept, failure }
  }

  #parseCopy(): Promise<ListSummary | undefined> {
    return parseCopy(this.#source, this.#options.store, this.#facts)
  }
}

/** Changes with the file of a source that is one; a file that is read as root is not looked at before. */
function stampOf({ method, isAsRoot, location }: ListSource, nowSec: UnixSec): string | undefined {
  return method === 'file' && isAsRoot !== true ? fileStamp(location, nowSec * 1000) : undefined
}

type History = Pick<SourceState, 'largest' | 'isShrinkTold'>

/** The notes of how large a list was, which a failure leaves as they are. */
function historyOf(state: SourceState | undefined): History {
  if (state?.largest === undefined) return {}
  return { largest: state.largest, isShrinkTold: state.isShrinkTold === true }
}

/** Compares a list with its sizes within 30 days; reports shrinking once, until the list has grown again. */
function watchShrinking(
  source: ListSource,
  options: SettleOptions,
  state: SourceState | undefined,
  summary: ListSummary,
): { history: History; shrunkFrom: number | undefined } {
  if (source.method === 'file' || source.isEmptyOk) return { history: {}, shrunkFrom: undefined }
  const before = options.canShrink ? [] : readHistory(state?.largest)
  const largest = addDay(before, options.nowSec, summary.accepted)
  const from = shrunkFrom(largest, options.nowSec, summary.accepted)
  const isNews = from !== undefined && state?.isShrinkTold !== true
  return { history: { largest, isShrinkTold: from !== undefined }, shrunkFrom: isNews ? from : undefined }
}

/**
 * The same source with its content read from the copy. If the copy turns out to be damaged, the source is settled again
 * and requested regardless of server limits, unless its failure or `isOffline` forbids it.
 */
export async function loadSettled(lazy: SettledSource, options: SettleOptions): Promise<SettledSource> {
  const { source, failure } = lazy
  if (lazy.summary !== undefined || lazy.status === 'failed') return lazy
  const summary = await parseCopy(source, options.store, await options.store.readCopyFacts(source.name))
  if (summary !== undefined) return { ...lazy, summary: withoutSpecialUse(source, summary) }
  if (failure !== undefined) return failed(source, failure, lazy)
  return settleSource(source, { ...options, isLazy: false, isForced: true })
}

/** Undefined also when the clock was ahead at that time. */
function currentSecOf(
  facts: ListCopy | undefined,
  state: SourceState | undefined,
  nowSec: UnixSec,
): UnixSec | undefined {
  if (facts === undefined) return undefined
  const isOfCopy = state?.method === facts.method && state.location === facts.location
  const fetchedSec = pastSec(facts.fetchedSec, nowSec)
  const successSec = isOfCopy ? pastSec(state.lastSuccessSec, nowSec) : undefined
  return fetchedSec === undefined ? successSec : Math.max(fetchedSec, successSec ?? 0)
}
