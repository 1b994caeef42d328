import { createListParser, type ListSummary } from '../../codec/lists/list-lines.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { FeedError, isRemote, type Validator } from '../../feeds/feed.js'
import type { FeedFetcher } from '../../feeds/feed-fetcher.js'
import { fileStamp } from '../../feeds/file-feed.js'
import type { CopyWriter, ListCopy, ListStore, SourceState } from '../../feeds/list-store.js'
import { notBefore } from '../../feeds/pace.js'
import { AppError } from '../../platform/app-error.js'
import type { UnixSec } from '../../platform/clock.js'
import { keepLineIndex } from './line-index.js'
import { findRefusal } from './list-guards.js'
import type { ListSource } from './list-source.js'
import { addDay, readHistory, shrunkFrom } from './shrink-history.js'
import { findWidthRefusal, sizeOf, withoutSpecialUse } from './width-guards.js'

/**
 * How a source was settled: `new` content, `local` content of a file or command, `unchanged` as its server
 * says, `fresh` because it was asked lately, `offline` from its copy as told, `kept` from its copy because
 * it failed, or `failed` with nothing to fall back on.
 */
export type SettledStatus = 'new' | 'local' | 'unchanged' | 'fresh' | 'offline' | 'kept' | 'failed'

/** Why a source gave no list. */
export interface SourceFailure {
  /** `FeedErrorCode`, or the code of another `AppError`. */
  code: string
  reason: string
  hint?: string | undefined
}

/** A source after the run: its list, new or kept, or why there is none. */
export interface SettledSource {
  source: ListSource
  status: SettledStatus
  /** Undefined when `failed`, and with `isLazy` where the last good copy says it: see `loadSettled`. */
  summary: ListSummary | undefined
  /** SHA-256 of the content, when a copy of it is stored. */
  digest: string | undefined
  /** When the content in use was last known to be current; undefined when `failed`. */
  currentSec: UnixSec | undefined
  /** True when the source itself was asked in this run. */
  wasAsked: boolean
  /** The most entries within 30 days, when that is news and the list has less than half of it now. */
  shrunkFrom: number | undefined
  /** Why the source itself could not be used. */
  failure: SourceFailure | undefined
  /** The content is good, but its copy could not be stored: the old copy stays. */
  storeFailure: SourceFailure | undefined
}

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

interface Fetched {
  summary: ListSummary
  writer: CopyWriter | undefined
  storeFailure: SourceFailure | undefined
}

/** Gets the content of one list: from its source when it may and can be asked, else the last good copy. Never throws for a failing source. */
export async function settleSource(source: ListSource, options: SettleOptions): Promise<SettledSource> {
  const { store, nowSec } = options
  const state = await store.readState(source.name)
  const facts = await store.readCopyFacts(source.name)
  const fallBack = (failure: SourceFailure, wasAsked: boolean) =>
    fallBackToCopy(source, options, facts, state, failure, wasAsked)

  const useCopy = (status: SettledStatus, wasAsked: boolean, currentSec = currentSecOf(facts, state)) =>
    options.isLazy && facts !== undefined
      ? { ...settled(source, status, undefined, currentSec, wasAsked), digest: facts.sha256 }
      : undefined

  if (options.isOffline) {
    const lazy = useCopy('offline', false)
    if (lazy !== undefined) return lazy
    const summary = await parseCopy(source, store, facts)
    if (summary === undefined) {
      return failed(source, { code: 'ERR_LISTS_READ', reason: 'there is no last good copy' }, false)
    }
    return settled(source, 'offline', summary, currentSecOf(facts, state), false)
  }

  const untilSec = options.isForced ? undefined : notBefore(source, state, nowSec)
  if (untilSec !== undefined) {
    const failure = state?.failure
    if (failure !== undefined) {
      const reason = `${failure.reason} (not asked again before ${formatUtcTime(untilSec)})`
      return fallBack({ code: 'ERR_FEED_WAITING', reason, hint: '--force asks at once' }, false)
    }
    if (facts === undefined) {
      const reason = 'it was asked less than an hour ago, but no copy could be stored'
      return failed(source, { code: 'ERR_FEED_WAITING', reason, hint: '--force asks at once' }, false)
    }
    const lazy = useCopy('fresh', false)
    if (lazy !== undefined) return lazy
    const summary = await parseCopy(source, store, facts)
    // A copy that was damaged since is worth a request out of turn.
    if (summary !== undefined) return settled(source, 'fresh', summary, currentSecOf(facts, state), false)
  }

  const isSameSource = facts?.method === source.method && facts.location === source.location
  const stamp =
    source.method === 'file' && source.isAsRoot !== true
      ? fileStamp(source.location, nowSec * 1000)
      : undefined
  if (isSameSource && stamp !== undefined && stamp === facts.stamp) {
    const lazy = useCopy('local', true, nowSec)
    if (lazy !== undefined) {
      const result = { lastSuccessSec: nowSec, notBeforeSec: undefined }
      await noteResult(source, options, { ...historyOf(state), ...result })
      return lazy
    }
  }
  try {
    const asked = await askSource(source, options, facts, isSameSource)
    if (asked.kind === 'unchanged') {
      const result = { lastSuccessSec: nowSec, notBeforeSec: asked.freshUntilSec }
      await noteResult(source, options, { ...historyOf(state), ...result })
      const lazy = asked.summary === undefined ? useCopy('unchanged', true, nowSec) : undefined
      if (lazy !== undefined) return lazy
      return settled(source, 'unchanged', asked.summary, nowSec, true)
    }
    const { summary, writer } = asked.fetched
    const refusal =
      findRefusal(source, summary, isSameSource ? facts.entries : undefined, options.canShrink) ??
      (options.canGrow
        ? undefined
        : await findWidthRefusal(source, summary, isSameSource ? facts.size : undefined, async () =>
            isSameSource ? parseCopy(source, store, facts) : undefined,
          ))
    if (refusal !== undefined) {
      await writer?.discard()
      throw new FeedError('ERR_FEED_CONTENT', refusal.reason, { hint: refusal.hint })
    }
    let { storeFailure } = asked.fetched
    const shrinking = watchShrinking(source, options, isSameSource ? state : undefined, summary)
    let digest: string | undefined
    if (!options.isReadOnly) {
      if (storeFailure === undefined) {
        const kept = await keepCopy(source, options, { validator: asked.validator, stamp }, summary, writer!)
        if (typeof kept === 'string') digest = kept
        else storeFailure = kept
      }
      if (storeFailure === undefined) await keepLineIndex(source, options.store.folder)
      const result = { lastSuccessSec: nowSec, notBeforeSec: asked.freshUntilSec }
      await noteResult(source, options, { ...shrinking.history, ...result })
    }
    const status = isRemote(source.method) ? 'new' : 'local'
    const { shrunkFrom } = shrinking
    return { ...settled(source, status, summary, nowSec, true), storeFailure, digest, shrunkFrom }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const notBeforeSec = error instanceof FeedError ? error.notBeforeSec : undefined
    await noteResult(source, options, {
      ...historyOf(state),
      lastSuccessSec: state?.lastSuccessSec,
      notBeforeSec,
      failure: { sec: nowSec, reason: error.message },
    })
    return fallBack(toFailure(error), true)
  }
}

type Asked =
  /** `summary` is undefined with `isLazy`. */
  | { kind: 'unchanged'; summary: ListSummary | undefined; freshUntilSec: UnixSec | undefined }
  | { kind: 'content'; fetched: Fetched; validator: Validator; freshUntilSec: UnixSec | undefined }

/** Asks with the validator of the copy; when the server says "unchanged" but the copy is damaged, once more without. */
async function askSource(
  source: ListSource,
  options: SettleOptions,
  facts: ListCopy | undefined,
  isSameSource: boolean,
): Promise<Asked> {
  const { method, location, isPrivateAllowed } = source
  const validator = isSameSource ? facts?.validator : undefined
  const receive = (body: AsyncIterable<Uint8Array>) => receiveList(source, options, body)
  const first = await options.fetcher.fetch(
    { method, location, isPrivateAllowed, ...(validator === undefined ? {} : { validator }) },
    receive,
  )
  if (first.kind === 'body') return { ...first, kind: 'content', fetched: first.content }
  if (options.isLazy && (await options.store.isCopyWhole(source.name))) {
    return { kind: 'unchanged', summary: undefined, freshUntilSec: first.freshUntilSec }
  }
  const summary = await parseCopy(source, options.store, facts)
  if (summary !== undefined) return { kind: 'unchanged', summary, freshUntilSec: first.freshUntilSec }
  const again = await options.fetcher.fetch({ method, location, isPrivateAllowed }, receive)
  if (again.kind === 'body') return { ...again, kind: 'content', fetched: again.content }
  throw new FeedError('ERR_FEED_STATUS', 'the server says "unchanged" to a first request')
}

async function receiveList(
  source: ListSource,
  options: SettleOptions,
  body: AsyncIterable<Uint8Array>,
): Promise<Fetched> {
  const parser = createListParser({ column: source.column })
  let writer: CopyWriter | undefined
  let storeFailure: SourceFailure | undefined
  const giveUpStoring = async (error: unknown) => {
    if (!(error instanceof AppError)) throw error
    storeFailure = toFailure(error)
    await writer?.discard()
    writer = undefined
  }
  if (!options.isReadOnly) {
    try {
      writer = await options.store.writeCopy(source.name)
    } catch (error) {
      await giveUpStoring(error)
    }
  }
  let receivedBytes = 0
  try {
    for await (const chunk of body) {
      parser.push(chunk)
      receivedBytes += chunk.length
      options.onProgress(source, receivedBytes)
      try {
        await writer?.write(chunk)
      } catch (error) {
        await giveUpStoring(error)
      }
    }
  } catch (error) {
    await writer?.discard()
    throw error
  }
  return { summary: parser.end(), writer, storeFailure }
}

type History = Pick<SourceState, 'largest' | 'isShrinkTold'>

/** The notes of how large a list was, which a failure leaves as they are. */
function historyOf(state: SourceState | undefined): History {
  if (state?.largest === undefined) return {}
  return { largest: state.largest, isShrinkTold: state.isShrinkTold === true }
}

/** Compares a list with what it was within 30 days; tells of shrinking once, until the list has grown again. */
function watchShrinking(
  source: ListSource,
  options: SettleOptions,
  state: SourceState | undefined,
  summary: ListSummary,
): { history: History; shrunkFrom: number | undefined } {
  if (source.method === 'file' || source.isEmptyOk) return { history: {}, shrunkFrom: undefined }
  const before = options.canShrink ? [] : readHistory(state?.largest)
  const largest = addDay(before, options.nowSec, summary.accepted)
  const from = shrunkFrom(largest, summary.accepted)
  const isNews = from !== undefined && state?.isShrinkTold !== true
  return { history: { largest, isShrinkTold: from !== undefined }, shrunkFrom: isNews ? from : undefined }
}

async function keepCopy(
  source: ListSource,
  options: SettleOptions,
  facts: { validator: Validator; stamp: string | undefined },
  summary: ListSummary,
  writer: CopyWriter,
): Promise<SourceFailure | string> {
  try {
    return await writer.commit({
      listName: source.name,
      method: source.method,
      location: source.location,
      fetchedSec: options.nowSec,
      ...facts,
      entries: summary.accepted,
      ...(isRemote(source.method) ? { size: sizeOf(summary) } : {}),
    })
  } catch (error) {
    await writer.discard()
    if (!(error instanceof AppError)) throw error
    return toFailure(error)
  }
}

/** Notes what became of a request. A note that cannot be written is no failure of the list: the copy tells it. */
async function noteResult(
  source: ListSource,
  options: SettleOptions,
  result: Pick<SourceState, 'failure' | 'largest' | 'isShrinkTold'> & {
    lastSuccessSec: UnixSec | undefined
    notBeforeSec: UnixSec | undefined
  },
): Promise<void> {
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

async function fallBackToCopy(
  source: ListSource,
  options: SettleOptions,
  facts: ListCopy | undefined,
  state: SourceState | undefined,
  failure: SourceFailure,
  wasAsked: boolean,
): Promise<SettledSource> {
  if (options.isLazy && facts !== undefined) {
    const kept = settled(source, 'kept', undefined, currentSecOf(facts, state), wasAsked)
    return { ...kept, digest: facts.sha256, failure }
  }
  const summary = await parseCopy(source, options.store, facts)
  if (summary === undefined) return failed(source, failure, wasAsked)
  return { ...settled(source, 'kept', summary, currentSecOf(facts, state), wasAsked), failure }
}

/**
 * The same source with its content read from the copy. When that turns out to be damaged the source is settled anew,
 * and asked whatever it asked for, unless its failure or `isOffline` forbids.
 */
export async function loadSettled(lazy: SettledSource, options: SettleOptions): Promise<SettledSource> {
  const { source, failure } = lazy
  if (lazy.summary !== undefined || lazy.status === 'failed') return lazy
  const summary = await parseCopy(source, options.store, await options.store.readCopyFacts(source.name))
  if (summary !== undefined) return { ...lazy, summary: withoutSpecialUse(source, summary) }
  if (failure !== undefined) return failed(source, failure, lazy.wasAsked)
  return settleSource(source, { ...options, isLazy: false, isForced: true })
}

/** The content of the copy, or undefined when there is none that can be trusted. */
async function parseCopy(
  source: ListSource,
  store: ListStore,
  facts: ListCopy | undefined,
): Promise<ListSummary | undefined> {
  if (facts === undefined) return undefined
  const parser = createListParser({ column: source.column })
  try {
    for await (const chunk of store.readCopy(source.name)) parser.push(chunk)
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
  const summary = parser.end()
  return summary.failure === undefined ? summary : undefined
}

function currentSecOf(facts: ListCopy | undefined, state: SourceState | undefined): UnixSec | undefined {
  if (facts === undefined) return undefined
  const isOfCopy = state?.method === facts.method && state.location === facts.location
  return Math.max(facts.fetchedSec, (isOfCopy ? state.lastSuccessSec : undefined) ?? 0)
}

function settled(
  source: ListSource,
  status: SettledStatus,
  summary: ListSummary | undefined,
  currentSec: UnixSec | undefined,
  wasAsked: boolean,
): SettledSource {
  return {
    source,
    status,
    summary: summary && withoutSpecialUse(source, summary),
    digest: undefined,
    currentSec,
    wasAsked,
    shrunkFrom: undefined,
    failure: undefined,
    storeFailure: undefined,
  }
}

function failed(source: ListSource, failure: SourceFailure, wasAsked: boolean): SettledSource {
  return {
    source,
    status: 'failed',
    summary: undefined,
    digest: undefined,
    currentSec: undefined,
    wasAsked,
    shrunkFrom: undefined,
    failure,
    storeFailure: undefined,
  }
}

function toFailure(error: AppError): SourceFailure {
  return { code: error.code, reason: error.message, hint: error.hint }
}
