import { readFileSync } from 'node:fs'

/**
 * Maximum number of descriptors of this process, or undefined when there is no limit: the hard limit, to
 * which Node raises the soft one at startup. Source: getrlimit(2) RLIMIT_NOFILE, as shown by Linux in /proc
 * and by Node in its report.
 */
export function maxOpenFiles(limitsPath = '/proc/self/limits'): number | undefined {
  let text: string
  try {
    text = readFileSync(limitsPath, 'latin1')
  } catch {
    return reportedLimit()
  }
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(text)?.[1]
  return hard === undefined || hard === 'unlimited' ? undefined : Number(hard)
}

/** For systems without /proc; slow, because it collects a whole diagnostic report. */
function reportedLimit(): number | undefined {
  const report = process.report.getReport() as { userLimits?: { open_files?: { hard?: unknown } } }
  const hard = report.userLimits?.open_files?.hard
  return typeof hard === 'number' ? hard : undefined
}
