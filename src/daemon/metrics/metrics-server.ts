/**
 * The HTTP server of --metrics, for Prometheus and for load balancers: `/metrics`, `/healthz` and `/readyz`,
 * GET and HEAD only. It runs in the unprivileged process and is limited in every respect: a client can occupy
 * one of a few connections for some seconds, and the numbers are collected at most once per second, however
 * many requests there are.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { escapeControl } from '../../codec/escape.js'
import { METRICS_MEDIA_TYPE } from '../../codec/metrics-text.js'
import { AppError } from '../../platform/app-error.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import { hasRights } from '../../platform/privileges.js'
import { listenOnPath } from '../process/listen-on-path.js'

/** One or two Prometheus servers, a load balancer, somebody who looks. */
const MAX_CONNECTIONS = 16
const MAX_HEADER_BYTES = 8 * 1024
/** For a whole request. */
const REQUEST_TIMEOUT_MS = 5_000
/** How often that is checked. */
const CHECK_INTERVAL_MS = 1_000
/** Lifetime of a connection: it serves one request. */
const CONNECTION_LIFE_MS = 15_000
/** Minimum time between two collections of the numbers. */
const CACHE_MS = 1_000

export interface MetricsServerOptions {
  place: { host: string; port: number } | { path: string }
  clock: Clock
  /** The text of `/metrics`. */
  metrics: () => string
  /** Why `/readyz` fails; empty when it succeeds. */
  notReadyReasons: () => string[]
}

interface Answer {
  status: number
  text: string
  type?: string
  allow?: string
}

export class MetricsServer {
  readonly #options: MetricsServerOptions
  readonly #server: Server
  #cached: { atMs: number; text: string } | undefined
  #removeSocket: (() => void) | undefined

  constructor(options: MetricsServerOptions) {
    this.#options = options
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: REQUEST_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: CHECK_INTERVAL_MS,
        keepAlive: false,
      },
      (request, response) => this.#answer(request, response),
    )
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#server.on('connection', (socket) => {
      const timer = setTimeout(() => socket.destroy(), CONNECTION_LIFE_MS)
      socket.once('close', () => clearTimeout(timer))
    })
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Listens; `AppError` `ERR_METRICS_LISTEN` when that cannot be. */
  async start(): Promise<void> {
    const { place } = this.#options
    const name = 'path' in place ? `unix:${place.path}` : `${place.host}, port ${place.port}`
    try {
      if ('path' in place) {
        this.#removeSocket = await listenOnPath(this.#server, place.path, { isPrivileged: hasRights() })
      } else await this.#listen(place)
    } catch (error) {
      throw new AppError('ERR_METRICS_LISTEN', `--metrics ${escapeControl(name)}: ${reasonOf(error)}`, {
        hint:
          (error instanceof AppError ? error.hint : undefined) ??
          'another program may use it: choose another place, or leave --metrics out',
        cause: error,
      })
    }
  }

  /** The port as bound; undefined for a path. */
  get port(): number | undefined {
    const bound = this.#server.address() as AddressInfo | string | null
    return bound === null || typeof bound === 'string' ? undefined : bound.port
  }

  stop(): void {
    this.#removeSocket?.()
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #listen(place: { host: string; port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ ...place, backlog: MAX_CONNECTIONS }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { status, text, type, allow } = this.#answerTo(request)
    // One request per connection: a body is never read.
    response.writeHead(status, {
      'content-type': type ?? 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      connection: 'close',
      ...(allow === undefined ? {} : { allow }),
    })
    response.end(request.method === 'HEAD' ? undefined : text)
  }

  #answerTo({ method, url = '' }: IncomingMessage): Answer {
    if (method !== 'GET' && method !== 'HEAD') {
      return { status: 405, text: 'only GET and HEAD\n', allow: 'GET, HEAD' }
    }
    switch (url.split('?', 1)[0]) {
      case '/metrics':
        return { status: 200, text: this.#metricsText(), type: METRICS_MEDIA_TYPE }
      case '/healthz':
        return { status: 200, text: 'ok\n' }
      case '/readyz': {
        const reasons = this.#options.notReadyReasons()
        if (reasons.length === 0) return { status: 200, text: 'ready\n' }
        return { status: 503, text: reasons.map((reason) => `not ready: ${reason}\n`).join('') }
      }
      default:
        return { status: 404, text: 'try /metrics, /healthz or /readyz\n' }
    }
  }

  #metricsText(): string {
    const nowMs = this.#options.clock.monotonicMs()
    if (this.#cached === undefined || nowMs - this.#cached.atMs >= CACHE_MS) {
      this.#cached = { atMs: nowMs, text: this.#options.metrics() }
    }
    return this.#cached.text
  }
}
