import type { Clock, UnixSec } from '../platform/clock.js'
import type { SystemUser } from '../platform/privileges.js'
import type { Environment } from '../platform/settings.js'
import { decompress } from './decompress.js'
import { type FeedAnswer, FeedError, type FeedLimits, type FeedRequest, type Validator } from './feed.js'
import { openFileFeed } from './file-feed.js'
import type { HttpClient, HttpClientOptions } from './http-feed.js'
import type { OpenedSource } from './opened-source.js'

export interface FeedFetcherOptions {
  limits: FeedLimits
  clock: Clock
  /** `spamdctl/VERSION`, sent to servers. Called before the first request. */
  userAgent(): string
  environment: Environment
  /** User for `exec` and `ftp` programs; called once, when the first one is needed. */
  findProgramUser(): Promise<SystemUser | undefined>
  /** Sources that root opened for us; see `sourceKey`. */
  opened?: ReadonlyMap<string, OpenedSource> | undefined
  /** Receives the standard error of programs that succeeded, one character per byte. */
  onMessages?: ((text: string) => void) | undefined
  /** For the HTTP client, instead of the system's; for tests. */
  lookup?: HttpClientOptions['lookup']
  isInside?: HttpClientOptions['isInside']
  sleep(durationMs: number): Promise<void>
  /** 0 up to but not including 1. */
  random(): number
}

export type FetchResult<Content> =
  | { kind: 'body'; content: Content; validator: Validator; freshUntilSec: UnixSec | undefined }
  | { kind: 'unchanged'; freshUntilSec: UnixSec | undefined }

/** Fetches sources by any method, with retries. One fetcher per run; close it afterwards. */
export class FeedFetcher {
  readonly #options: FeedFetcherOptions
  #http: Promise<HttpClient> | undefined
  #programUser: Promise<SystemUser | undefined> | undefined

  constructor(options: FeedFetcherOptions) {
    this.#options = options
  }

  /**
   * Fetches one source and hands its decompressed bytes to `consume`, which is called again for every
   * attempt: the result of an earlier attempt must be discarded. A chunk is valid until the next is requested
   * for. Throws `FeedError` of the last attempt, or what `consume` threw.
   */
  async fetch<Content>(
    request: FeedRequest,
    consume: (body: AsyncIterable<Uint8Array>) => Promise<Content>,
  ): Promise<FetchResult<Content>> {
    const { limits, random, sleep } = this.#options
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await this.#open(request)
        if (answer.kind === 'unchanged') return answer
        const content = await consume(decompress(answer.body, limits.maxBytes))
        return { kind: 'body', content, validator: answer.validator, freshUntilSec: answer.freshUntilSec }
      } catch (error) {
        const isWorthRetry = error instanceof FeedError && error.isTransient && attempt < limits.maxAttempts
        if (!isWorthRetry || request.method === 'file' || request.method === 'exec') throw error
        await sleep(limits.backoffMs * 2 ** (attempt - 1) * (1 + random() / 2))
      }
    }
  }

  /** Closes what is still open, so that the process can end. */
  async close(): Promise<void> {
    const http = await this.#http?.catch(() => undefined)
    await http?.close()
  }

  async #open(request: FeedRequest): Promise<FeedAnswer> {
    const { opened } = this.#options
    if (opened !== undefined && opened.size > 0) {
      const { readOpenedSource, sourceKey } = await import('./opened-source.js')
      const source = opened.get(sourceKey(request))
      if (source !== undefined) return readOpenedSource(source)
    }
    switch (request.method) {
      case 'file':
        return openFileFeed(request)
      case 'exec': {
        const { openExecFeed } = await import('./program-feed.js')
        return openExecFeed(request, await this.#programOptions())
      }
      case 'ftp': {
        const { openFtpFeed } = await import('./program-feed.js')
        return openFtpFeed(request, await this.#programOptions())
      }
      case 'http':
      case 'https':
        return (await this.#httpClient()).open(request)
    }
  }

  async #programOptions() {
    const { limits, environment, findProgramUser, onMessages } = this.#options
    this.#programUser ??= findProgramUser()
    return { limits, environment, user: await this.#programUser, onMessages }
  }

  /** Loaded when first needed: undici takes longer to load than everything else in a run over local files. */
  #httpClient(): Promise<HttpClient> {
    this.#http ??= import('./http-feed.js').then(({ createHttpClient }) =>
      createHttpClient({ ...this.#options, userAgent: this.#options.userAgent() }),
    )
    return this.#http
  }
}
