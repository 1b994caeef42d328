/**
 * What the methods of spamd.conf have in common: a source is opened and delivers its bytes as they arrive, or
 * reports that nothing has changed since the last good copy.
 */
import { AppError } from '../platform/app-error.js'
import type { UnixSec } from '../platform/clock.js'

export type FeedMethod = 'file' | 'exec' | 'http' | 'https' | 'ftp'

/** Methods that contact someone else's server: rate limits, validators and back-off apply to these. */
export function isRemote(method: FeedMethod): boolean {
  return method === 'http' || method === 'https' || method === 'ftp'
}

/** The validators by which a server recognises an unchanged document. Source: RFC 9110 section 8.8. */
export interface Validator {
  etag?: string
  lastModified?: string
}

export interface FeedRequest {
  method: FeedMethod
  /** Path, URL without scheme, or command line, as in `file=` of spamd.conf. */
  location: string
  /** Validators of the last good copy of the same source; absent: request unconditionally. */
  validator?: Validator
  /** `:allow_private:`: a server on the Internet may redirect to a private address. */
  isPrivateAllowed?: boolean | undefined
}

/** Limits of one fetch, each against a source that is slow, huge or hostile. */
export interface FeedLimits {
  /** To a connection, TLS included. */
  connectTimeoutMs: number
  /** Between two parts of an answer. */
  idleTimeoutMs: number
  /** One attempt from the request to the last byte; also for `exec` and `ftp` programs. */
  totalTimeoutMs: number
  /** Maximum size of a list in bytes, both as sent and after decompression. */
  maxBytes: number
  maxRedirects: number
  /** Number of attempts if a source fails temporarily. */
  maxAttempts: number
  /** Pause before the second attempt; doubles with each further one, plus up to half of it at random. */
  backoffMs: number
}

/** The limits of a run without flags. 256 MiB are about fifteen million lines. */
export const DEFAULT_FEED_LIMITS: FeedLimits = {
  connectTimeoutMs: 15_000,
  idleTimeoutMs: 30_000,
  totalTimeoutMs: 300_000,
  maxBytes: 256 * 1024 * 1024,
  maxRedirects: 5,
  maxAttempts: 3,
  backoffMs: 1_000,
}

export type FeedAnswer =
  | {
      kind: 'body'
      /**
       * The bytes as sent, possibly gzip. Ends only when the source is known to be complete: a short or
       * broken transfer, or a program that failed, throws `FeedError` instead.
       */
      body: AsyncIterable<Uint8Array>
      validator: Validator
      /** The server says that nothing changes before this time. */
      freshUntilSec: UnixSec | undefined
    }
  | { kind: 'unchanged'; freshUntilSec: UnixSec | undefined }

/** Codes of `FeedError`. */
export type FeedErrorCode =
  | 'ERR_FEED_OPEN'
  | 'ERR_FEED_READ'
  | 'ERR_FEED_URL'
  | 'ERR_FEED_CONNECT'
  | 'ERR_FEED_TLS'
  | 'ERR_FEED_STATUS'
  | 'ERR_FEED_REDIRECT'
  | 'ERR_FEED_TIMEOUT'
  | 'ERR_FEED_TRUNCATED'
  | 'ERR_FEED_TOO_BIG'
  | 'ERR_FEED_GZIP'
  | 'ERR_FEED_PROGRAM'
  | 'ERR_FEED_NO_CLIENT'
  | 'ERR_FEED_CONTENT'

/** A source that could not be fetched, or whose content was refused. */
export class FeedError extends AppError {
  declare readonly code: FeedErrorCode
  /** Worth another attempt within this run. */
  readonly isTransient: boolean
  /** The server does not want another request before this time. */
  readonly notBeforeSec: UnixSec | undefined

  constructor(
    code: FeedErrorCode,
    message: string,
    options: {
      hint?: string | undefined
      cause?: unknown
      isTransient?: boolean
      notBeforeSec?: UnixSec | undefined
    } = {},
  ) {
    super(code, message, options)
    this.name = 'FeedError'
    this.isTransient = options.isTransient ?? false
    this.notBeforeSec = options.notBeforeSec
  }
}
