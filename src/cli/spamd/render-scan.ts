/** The report of a scan, as the control request `scan` answers it. */
export interface ScanAnswer {
  isComplete: boolean
  whiteCount: number
  trappedCount: number
  deletedCount: number
  promotedCount: number
  durationMs: number
}

/** The report in one line. */
export function renderScan(report: ScanAnswer): string {
  const { isComplete, whiteCount, trappedCount, deletedCount, promotedCount, durationMs } = report
  if (!isComplete) return 'scan not finished: see the log of spamd\n'
  return `${whiteCount} WHITE, ${trappedCount} TRAPPED, ${promotedCount} promoted, ${deletedCount} expired, ${Math.round(durationMs)} ms\n`
}
