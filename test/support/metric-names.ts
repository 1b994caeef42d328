/** Every name that a scrape can contain, with the suffixes of histograms and summaries. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askForMetrics, suiteMetrics } from '../../src/app/metrics/suite-metrics.js'
import { readStatus } from '../../src/app/status.js'
import { parseSpamdOptions } from '../../src/cli/spamd/parse-spamd-options.js'
import { watcherMetrics } from '../../src/daemon/spamlogd/watcher-metrics.js'
import { healthyScene } from './doctor-scene.js'
import { ManualClock } from './manual-clock.js'
import { createTestDaemon, daemonEnvironment } from './spamd/test-daemon.js'

const ENDINGS = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['_sum', '_count'],
}

/** Names of a spamd with synchronisation and of `spamdctl metrics`. */
export async function familyNames(): Promise<Set<string>> {
  const folder = mkdtempSync(join(tmpdir(), 'metric-names-'))
  const parsed = parseSpamdOptions(['-y', '127.0.0.1', '-Y', '127.0.0.1', '--no-sync-replay-check'], {
    hostname: 'mx.example',
    maxFiles: undefined,
    environment: daemonEnvironment(folder),
  })
  if (!parsed.ok) throw new Error(parsed.stderr)
  parsed.config.settings.syncPort = 0
  const { service } = createTestDaemon(parsed.config, new ManualClock())
  try {
    await service.start()
    const { probe, settings } = await healthyScene('linux', folder)
    const outside = suiteMetrics(await readStatus(probe, settings))
    // Delays of the event loop are included from the second scrape on.
    await askForMetrics(join(folder, 'control.sock'))
    const inside = await askForMetrics(join(folder, 'control.sock'))
    const noCounts = { added: 0, refreshed: 0, untrapped: 0, leftTrapped: 0, dropped: 0 }
    const ofWatcher = watcherMetrics({
      timeSec: 0,
      watcher: { packets: 0, matched: 0, undecodable: 0, limited: 0 },
      recorder: noCounts,
      waitingCount: 0,
      lostCount: 0,
    })
    return new Set(
      [...inside, ...outside, ...ofWatcher].flatMap(({ name, type }) =>
        ENDINGS[type].map((ending) => name + ending),
      ),
    )
  } finally {
    await service.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
