import { readFileSync } from 'node:fs'

/**
 * Most descriptors this process may have, or undefined when there is no limit: the hard limit, to which Node raises
 * the soft one at its start. Source: getrlimit(2) RLIMIT_NOFILE, as Linux shows it in /proc and Node in its report.
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

/** For systems without /proc; slow, since it gathers a whole diagnostic report. */
function reportedLimit(): number | undefined {
  const report = process.report.getReport() as { userLimits?: { open_files?: { hard?: unknown } } }
  const hard = report.userLimits?.open_files?.hard
  return typeof hard === 'number' ? hard : undefined
}
