/**
 * Preloaded into a program under test (`node --import bench/watch-process.js ...`): when the program ends, writes one
 * JSON line with peak memory, processor time and the longest pause of the event loop to the file named by
 * WATCH_OUTPUT.
 */
import { writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const output = process.env.WATCH_OUTPUT
// Processes started by the program are not measured.
delete process.env.WATCH_OUTPUT
if (output !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  // Loading the program is not measured: the watch begins after it.
  setTimeout(() => delay.enable(), Number(process.env.WATCH_AFTER_MS ?? 500)).unref()
  process.on('exit', () => {
    delay.disable()
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
    writeFileSync(
      output,
      JSON.stringify({
        longestPauseMs: Math.round(delay.max / 1e5) / 10,
        cpuSec: (userCPUTime + systemCPUTime) / 1e6,
        peakMiB: Math.round(maxRSS / 1024),
        runningSec: process.uptime(),
      }),
    )
  })
}
