/** Methods `http` and `https`: the only importer of undici, itself loaded only when a list needs it. */
import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, buildConnector, type Dispatcher, EnvHttpProxyAgent, request as send } from 'undici'
import { escapeControl } from '../codec/escape.js'
import type { Clock, UnixSec } from '../platform/clock.js'
import { reasonOf } from '../platform/errno-text.js'
import type { Environment } from '../platform/settings.js'
import { type FeedAnswer, FeedError, type FeedLimits, type FeedRequest, type Validator } from './feed.js'
import { freshUntil, type HttpHeaders, headerText, nextDay, retryAfter } from './http-freshness.js'
import { isInsideAddress } from './inside-address.js'

/** A validator is sent back as it came, so it must stay a sane header field. */
const MAX_VALIDATOR_BYTES = 1_024

const PROXY_VARIABLES = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'] as const

/** Answers after which a second attempt may succeed. */
const TRANSIENT_STATUS: readonly number[] = [408, 425, 500, 502, 503, 504]
/** Status codes by which a server tells a client not to return soon. */
const REFUSAL_STATUS: readonly number[] = [403, 429]
const REDIRECT_STATUS: readonly number[] = [301, 302, 303, 307, 308]

export interface HttpClient {
  /**
   * Requests a document, following redirects within the limits and never from https to http. Errors:
   * `FeedError`; `isTransient` for temporary ones.
   */
  open(request: FeedRequest): Promise<FeedAnswer>
  /** Closes idle connections, so that the process can end. */
  close(): Promise<void>
}

export interface HttpClientOptions {
  limits: FeedLimits
  clock: Clock
  userAgent: string
  /** Where the proxy variables are read. */
  environment: Environment
  /** Instead of the system's; for tests. */
  lookup?: LookupFunction | undefined
  /** Instead of `isInsideAddress`; for tests. */
  isInside?: ((address: string) => boolean) | undefined
}

/** How documents are requested: `open` from any address, `outside` only from addresses on the Internet. */
interface Connections {
  open: Dispatcher
  outside: Dispatcher
  /** Whether the server of a requested URL is on the Internet. */
  isOutside(url: URL): Promise<boolean>
  /** Throws when a URL leads to a private address, as far as that is known before the request. */
  checkOutside(url: URL): Promise<void>
}

/** One client serves all lists in a run. Throws `ERR_FEED_URL` when a proxy variable is not a URL. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const connections = connectionsFor(options)
  return {
    open: (request) => openDocument(request, options, connections),
    close: async () => {
      await Promise.all([connections.open.destroy(), connections.outside.destroy()])
    },
  }
}

function connectionsFor(options: HttpClientOptions): Connections {
  const { limits, environment, lookup = systemLookup as LookupFunction, isInside = isInsideAddress } = options
  const hasProxy = PROXY_VARIABLES.some((name) => (environment[name] ?? '') !== '')
  const addressesOf = (name: string) =>
    new Promise<string[]>((resolve) => {
      if (isIP(name) !== 0) resolve([name])
      else lookup(name, { all: true }, (error, found) => resolve(error === null ? textsOf(found) : []))
    })
  const leadsInside = async (url: URL) => {
    const found = await addressesOf(hostOf(url))
    return found.length > 0 && found.every(isInside)
  }
  const checkOutside = async (url: URL) => {
    if (await leadsInside(url)) throw insideRefused(url.hostname)
  }
  if (hasProxy) {
    // The proxy looks up names and connects: our own lookup can only guess the result.
    const proxied = proxyDispatcher(options)
    return {
      open: proxied,
      outside: proxied,
      checkOutside,
      isOutside: async (url) => !(await leadsInside(url)),
    }
  }
  const timeouts = { headersTimeout: limits.idleTimeoutMs, bodyTimeout: limits.idleTimeoutMs }
  const connector = { timeout: limits.connectTimeoutMs, autoSelectFamily: true }
  const peers = new Map<string, string | undefined>()
  const connect = buildConnector({ ...connector, lookup })
  const open = new Agent({
    ...timeouts,
    connect: (target, callback) =>
      connect(target, (...result) => {
        const [error, socket] = result
        if (error === null)
          peers.set(`${target.protocol}//${target.host ?? target.hostname}`, socket.remoteAddress)
        callback(...result)
      }),
  })
  // A name is looked up again for the connection itself, so its answer must be checked here.
  const outside = new Agent({
    ...timeouts,
    connect: { ...connector, lookup: lookupOutside(lookup, isInside) },
  })
  return {
    open,
    outside,
    checkOutside: async (url) => {
      if (isIP(hostOf(url)) !== 0) await checkOutside(url)
    },
    isOutside: async (url) => !isInside(peers.get(url.origin) ?? hostOf(url)),
  }
}

/**
 * A lookup that ignores private addresses, and fails if there are no others. With `autoSelectFamily` Node always
 * asks for all addresses.
 */
function lookupOutside(lookup: LookupFunction, isInside: (address: string) => boolean): LookupFunction {
  return (name, lookupOptions, callback) => {
    lookup(name, { ...lookupOptions, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, found)
        return
      }
      const outside = (found as { address: string; family: number }[]).filter(
        ({ address }) => !isInside(address),
      )
      if (outside.length === 0) callback(insideRefused(name) as Error, '')
      else callback(null, outside)
    })
  }
}

function textsOf(found: string | { address: string }[]): string[] {
  return typeof found === 'string' ? [found] : found.map(({ address }) => address)
}

/** The host of a URL as a name or an address. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

function insideRefused(host: string): FeedError {
  return new FeedError(
    'ERR_FEED_REDIRECT',
    `redirect from the Internet to a private address (${escapeControl(host)}) refused`,
    { hint: 'add :allow_private: to the list if that is right' },
  )
}

function proxyDispatcher(options: HttpClientOptions): Dispatcher {
  const { limits, environment } = options
  const agentOptions = {
    connect: { timeout: limits.connectTimeoutMs, autoSelectFamily: true },
    headersTimeout: limits.idleTimeoutMs,
    bodyTimeout: limits.idleTimeoutMs,
  }
  const proxy = (lower: string, upper: string) => environment[lower] ?? environment[upper] ?? ''
  try {
    return new EnvHttpProxyAgent({
      ...agentOptions,
      httpProxy: proxy('http_proxy', 'HTTP_PROXY'),
      httpsProxy: proxy('https_proxy', 'HTTPS_PROXY') || proxy('http_proxy', 'HTTP_PROXY'),
      noProxy: proxy('no_proxy', 'NO_PROXY'),
    })
  } catch (error) {
    throw new FeedError('ERR_FEED_URL', 'the proxy of the environment is not a URL', {
      hint: `set ${PROXY_VARIABLES.join(', ')} to http://HOST:PORT`,
      cause: error,
    })
  }
}

async function openDocument(
  request: FeedRequest,
  options: HttpClientOptions,
  connections: Connections,
): Promise<FeedAnswer> {
  const { limits, clock } = options
  const firstUrl = parseUrl(`${request.method}://${request.location}`)
  const abort = new AbortController()
  const totalTimer = setTimeout(
    () => abort.abort(timedOut(`not complete after ${limits.totalTimeoutMs / 1000} s`)),
    limits.totalTimeoutMs,
  )
  let isBodyHandedOut = false
  // Once a server on the Internet has redirected us, no further one may be at a private address.
  let wasOutside = false
  try {
    let url = firstUrl
    for (let redirects = 0; ; redirects += 1) {
      const response = await send(withoutUser(url), {
        dispatcher: wasOutside ? connections.outside : connections.open,
        signal: abort.signal,
        headers: requestHeaders(request.validator, url, firstUrl, options.userAgent),
      })
      const { statusCode, body } = response
      const headers: HttpHeaders = response.headers
      if (statusCode === 200 || statusCode === 203) {
        isBodyHandedOut = true
        return {
          kind: 'body',
          body: readBody(body, totalTimer),
          validator: validatorOf(headers),
          freshUntilSec: freshUntil(headers, clock.nowSec()),
        }
      }
      discard(body)
      if (statusCode === 304 && request.validator !== undefined) {
        return { kind: 'unchanged', freshUntilSec: freshUntil(headers, clock.nowSec()) }
      }
      if (!REDIRECT_STATUS.includes(statusCode)) throw statusFailure(statusCode, headers, clock.nowSec())
      if (redirects === limits.maxRedirects) {
        throw new FeedError('ERR_FEED_REDIRECT', `more than ${limits.maxRedirects} redirects`)
      }
      wasOutside ||= request.isPrivateAllowed !== true && (await connections.isOutside(url))
      url = redirectTarget(url, headers)
      if (wasOutside) await connections.checkOutside(url)
    }
  } catch (error) {
    throw toFeedError(error, abort.signal)
  } finally {
    if (!isBodyHandedOut) clearTimeout(totalTimer)
  }

  async function* readBody(
    body: Dispatcher.ResponseData['body'],
    timer: NodeJS.Timeout,
  ): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) yield chunk
    } catch (error) {
      throw toFeedError(error, abort.signal)
    } finally {
      clearTimeout(timer)
      discard(body)
    }
  }
}

/** A body that is not needed: its errors are not needed either. */
function discard(body: Dispatcher.ResponseData['body']): void {
  body.on('error', () => undefined)
  body.destroy()
}

function requestHeaders(
  validator: Validator | undefined,
  url: URL,
  firstUrl: URL,
  userAgent: string,
): Record<string, string> {
  const headers: Record<string, string> = { 'user-agent': userAgent, 'accept-encoding': 'gzip' }
  if (validator?.etag !== undefined) headers['if-none-match'] = validator.etag
  if (validator?.lastModified !== undefined) headers['if-modified-since'] = validator.lastModified
  // The user and password in spamd.conf are for the server named there, not for a redirect target.
  if (firstUrl.username !== '' && url.origin === firstUrl.origin) {
    const credentials = `${decodeURIComponent(firstUrl.username)}:${decodeURIComponent(firstUrl.password)}`
    headers.authorization = `Basic ${Buffer.from(credentials).toString('base64')}`
  }
  return headers
}

function validatorOf(headers: HttpHeaders): Validator {
  const etag = headerText(headers, 'etag')
  const lastModified = headerText(headers, 'last-modified')
  return {
    ...(etag === undefined || etag.length > MAX_VALIDATOR_BYTES ? {} : { etag }),
    ...(lastModified === undefined || lastModified.length > MAX_VALIDATOR_BYTES ? {} : { lastModified }),
  }
}

function parseUrl(text: string): URL {
  try {
    return new URL(text)
  } catch {
    throw new FeedError('ERR_FEED_URL', 'not a URL', {
      hint: 'file= holds HOST/PATH, with \\c instead of a colon (HOST\\c8080/PATH)',
    })
  }
}

function withoutUser(url: URL): URL {
  const plain = new URL(url)
  plain.username = ''
  plain.password = ''
  return plain
}

function redirectTarget(from: URL, headers: HttpHeaders): URL {
  const location = headerText(headers, 'location')
  let target: URL
  try {
    target = new URL(location ?? '', location === undefined ? undefined : from)
  } catch {
    throw new FeedError('ERR_FEED_REDIRECT', 'redirect without a usable location')
  }
  if (target.protocol !== 'https:' && (target.protocol !== 'http:' || from.protocol === 'https:')) {
    throw new FeedError(
      'ERR_FEED_REDIRECT',
      `redirect from ${from.protocol.slice(0, -1)} to ${target.protocol.slice(0, -1)} refused`,
    )
  }
  return target
}

function statusFailure(statusCode: number, headers: HttpHeaders, nowSec: UnixSec): FeedError {
  const askedSec = retryAfter(headers, nowSec)
  if (REFUSAL_STATUS.includes(statusCode)) {
    return new FeedError('ERR_FEED_STATUS', `the server refused with status ${statusCode}`, {
      hint: "it is not fetched again until tomorrow; see the list's terms for how often it may be fetched",
      notBeforeSec: Math.max(nextDay(nowSec), askedSec ?? 0),
    })
  }
  return new FeedError('ERR_FEED_STATUS', `the server answered with status ${statusCode}`, {
    ...(statusCode === 404 || statusCode === 410 ? { hint: 'the list has moved or is gone' } : {}),
    // A server that names a time is not contacted again in this run.
    isTransient: TRANSIENT_STATUS.includes(statusCode) && askedSec === undefined,
    notBeforeSec: askedSec,
  })
}

function timedOut(message: string): FeedError {
  return new FeedError('ERR_FEED_TIMEOUT', message, { isTransient: true })
}

/** Errors of undici and of the system, by code. Source: undici docs, api/Errors. */
// eslint-disable-next-line complexity -- the first kind of error that fits, one branch each
function toFeedError(error: unknown, signal: AbortSignal): FeedError {
  if (error instanceof FeedError) return error
  if (signal.aborted && signal.reason instanceof FeedError) return signal.reason
  const cause = error as NodeJS.ErrnoException
  const code = cause.code ?? ''
  const options = { cause: error, isTransient: true }
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return timedOut('connection timed out')
  if (code === 'UND_ERR_HEADERS_TIMEOUT') return timedOut('response timed out')
  if (code === 'UND_ERR_BODY_TIMEOUT') return timedOut('the server stopped sending')
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE') {
    return new FeedError('ERR_FEED_TRUNCATED', 'the connection was closed before the end', options)
  }
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
    return new FeedError('ERR_FEED_TRUNCATED', 'the length differs from the announced length', options)
  }
  if (/CERT|SSL|TLS|SIGNATURE|ISSUER/.test(code)) {
    return new FeedError('ERR_FEED_TLS', `TLS connection not trusted: ${tlsReason(code)}`, {
      cause: error,
      hint: 'name a private certificate authority with NODE_EXTRA_CA_CERTS',
    })
  }
  if (code === 'ENOTFOUND') {
    return new FeedError('ERR_FEED_CONNECT', 'unknown host name', { cause: error })
  }
  if (cause.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new FeedError('ERR_FEED_READ', 'the answer is not HTTP', { cause: error })
  }
  const inner = error instanceof AggregateError ? error.errors[0] : error
  return new FeedError('ERR_FEED_CONNECT', `cannot connect: ${escapeControl(reasonOf(inner))}`, options)
}

function tlsReason(code: string): string {
  return code
    .replace(/^ERR_(TLS|SSL)_/, '')
    .toLowerCase()
    .replaceAll('_', ' ')
}
