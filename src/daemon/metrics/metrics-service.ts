/** The metrics of one spamd: for its HTTP server, and for the request `metrics` of the control socket. */
import { formatMetrics, type MetricFamily } from '../../codec/metrics-text.js'
import { programVersion } from '../../platform/program-version.js'
import { ProcessMetrics } from './process-metrics.js'
import { collectMetrics, type MetricSources, notReadyReasons } from './spamd-metrics.js'

export class MetricsService {
  readonly #sources: MetricSources
  #stopServer: (() => void) | undefined

  constructor(sources: Omit<MetricSources, 'version' | 'process'>) {
    const process = new ProcessMetrics(sources.clock.nowSec())
    this.#sources = { ...sources, version: programVersion(), process }
  }

  families(): MetricFamily[] {
    return collectMetrics(this.#sources)
  }

  /** Serves them when --metrics is given. `AppError` `ERR_METRICS_LISTEN` when that cannot be. */
  async start(): Promise<void> {
    const { config, clock } = this.#sources
    if (config.metrics === undefined) return
    // Three MiB of Node's HTTP that nobody else needs.
    const { MetricsServer } = await import('./metrics-server.js')
    const server = new MetricsServer({
      place: config.metrics,
      clock,
      metrics: () => formatMetrics(this.families()),
      notReadyReasons: () => notReadyReasons(this.#sources),
    })
    this.#stopServer = () => server.stop()
    await server.start()
  }

  stop(): void {
    this.#stopServer?.()
    this.#sources.process.stop()
  }
}
