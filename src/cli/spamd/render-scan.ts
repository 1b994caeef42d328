import type { ScanReport } from '../../app/control-protocol.js'

/** The report of a scan in one line. */
export function renderScan(report: ScanReport): string {
  const { isComplete, whiteCount, trappedCount, deletedCount, promotedCount, durationMs } = report
  if (!isComplete) return 'scan not finished: see the log of spamd\n'
  return `${whiteCount} WHITE, ${trappedCount} TRAPPED, ${promotedCount} promoted, ${deletedCount} expired, ${Math.round(durationMs)} ms\n`
}
