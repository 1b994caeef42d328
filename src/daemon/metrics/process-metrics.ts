/**
 * Resources used by the process. The usual names `process_…` belong to node_exporter, which refuses a file
 * with them.
 */
import { readdirSync } from 'node:fs'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { type MetricFamily, single } from '../../codec/metrics-text.js'

const NS_PER_SEC = 1e9
/** How long delays are remembered: a scrape every minute sees each once or twice. */
const WINDOW_MS = 120_000
const DELAY_RESOLUTION_MS = 50

export class ProcessMetrics {
  readonly #startedSec: number
  #delays: IntervalHistogram | undefined
  #windowStartMs = 0

  /** `startedSec`: since the Epoch. */
  constructor(startedSec: number) {
    this.#startedSec = startedSec
  }

  /** Delays of the event loop are measured from the first call on. */
  collect(monotonicMs: number): MetricFamily[] {
    const { user, system } = process.cpuUsage()
    const families = [
      single('spamd_process_start_time_seconds', 'gauge', 'Start time of the process.', this.#startedSec),
      single('spamd_process_cpu_seconds_total', 'counter', 'CPU time of the process.', (user + system) / 1e6),
      single('spamd_process_resident_memory_bytes', 'gauge', 'Resident memory.', process.memoryUsage.rss()),
      single('spamd_process_open_fds', 'gauge', 'Open file descriptors.', openDescriptors()),
    ]
    if (this.#delays !== undefined) {
      families.push(
        single(
          'spamd_event_loop_delay_max_seconds',
          'gauge',
          'Longest delay of the event loop in the last two minutes.',
          this.#delays.max / NS_PER_SEC,
        ),
        single(
          'spamd_event_loop_delay_p99_seconds',
          'gauge',
          '99th percentile of the event loop delay in the last two minutes.',
          this.#delays.percentile(99) / NS_PER_SEC,
        ),
      )
    }
    if (monotonicMs - this.#windowStartMs > WINDOW_MS || this.#delays === undefined) {
      this.#delays ??= monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
      this.#delays.reset()
      this.#delays.enable()
      this.#windowStartMs = monotonicMs
    }
    return families
  }

  stop(): void {
    this.#delays?.disable()
  }
}

/** Undefined where the system does not list them. */
function openDescriptors(): number | undefined {
  for (const folder of ['/proc/self/fd', '/dev/fd']) {
    try {
      return readdirSync(folder).length
    } catch {
      // The next one.
    }
  }
  return undefined
}
