/** What became of a source in one run, and the two ways to say so. */
import type { ListSummary } from '../../codec/lists/list-lines.js'
import type { AppError } from '../../platform/app-error.js'
import type { UnixSec } from '../../platform/clock.js'
import type { ListSource } from './list-source.js'
import { withoutSpecialUse } from './width-guards.js'

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
  /** When the content in use was last known to be current; undefined when `failed`, or not known. */
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

/** A source with a list: `summary` is undefined where its content is not read. Special-use space is removed. */
export function settled(
  source: ListSource,
  status: SettledStatus,
  facts: Pick<SettledSource, 'summary' | 'currentSec' | 'wasAsked'>,
): SettledSource {
  return {
    source,
    status,
    summary: facts.summary && withoutSpecialUse(source, facts.summary),
    digest: undefined,
    currentSec: facts.currentSec,
    wasAsked: facts.wasAsked,
    shrunkFrom: undefined,
    failure: undefined,
    storeFailure: undefined,
  }
}

/** A source without any list. */
export function failed(
  source: ListSource,
  failure: SourceFailure,
  { wasAsked }: Pick<SettledSource, 'wasAsked'>,
): SettledSource {
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

/** A failure as it is kept and told. */
export function toFailure(error: AppError): SourceFailure {
  return { code: error.code, reason: error.message, hint: error.hint }
}
