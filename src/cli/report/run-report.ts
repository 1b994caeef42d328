/** `spamdctl report`: writes the page once, or repeatedly for a web server. */
import { setTimeout as pause } from 'node:timers/promises'
import { LOSING_ADDRESSES } from '../../app/losing/find-losing.js'
import { gatherReport, type ReportData } from '../../app/report/report-data.js'
import { writeTrustedFile } from '../../app/write-trusted-file.js'
import type { Settings } from '../../platform/settings.js'
import type { SystemProbe } from '../../platform/system-probe.js'
import type { OptionSpec } from '../getopt.js'
import { adviseWithDns } from '../losing/advise-with-dns.js'
import { DNS_OPTIONS } from '../losing/losing-options.js'
import { PLACE_OPTIONS } from '../operations/operation-options.js'
import { sinceSeconds } from '../operations/stats-commands.js'
import { OptionProblem, type OptionValues } from '../option-reader.js'
import { EXIT, formatFailure } from '../report-error.js'
import { renderReport } from './render-report.js'
import { reportJson } from './report-json.js'

export const REPORT_OPTIONS: readonly OptionSpec[] = [
  { long: 'output', value: 'FILE', summary: 'write the page to this file, or to standard output (-)' },
  { long: 'since', value: 'DURATION', summary: 'look this far back (default 30d)' },
  { long: 'watch', value: 'SECONDS', summary: 'write the page again every SECONDS until stopped' },
  ...DNS_OPTIONS,
  { long: 'json', summary: 'print the data behind the charts as one JSON object instead of the page' },
  ...PLACE_OPTIONS,
]

export interface ReportParts {
  probe: SystemProbe
  settings: Settings
  write(text: string): void
  writeError(text: string): void
  /** Ends `--watch`. */
  signal?: AbortSignal
}

const DAY_SEC = 86_400
/** A page every second would only keep the machine busy. */
const MIN_WATCH_SEC = 5
const MAX_WATCH_SEC = 7 * DAY_SEC

/** Runs it; returns the exit code. Usage errors are thrown as `OptionProblem`. */
export async function runReport(options: OptionValues, parts: ReportParts): Promise<number> {
  const spanSec = sinceSeconds(options.last('since'), 30 * DAY_SEC)
  const named = options.last('output')
  const output = named === '-' ? undefined : named
  const isJson = options.has('json')
  if (named === undefined && !isJson) {
    throw new OptionProblem('no file for the page', {
      hint: 'name one with --output FILE.html, or use --json',
    })
  }
  const watchSec = options.number(
    'watch',
    [MIN_WATCH_SEC, MAX_WATCH_SEC],
    `a number of seconds from ${MIN_WATCH_SEC} to ${MAX_WATCH_SEC}`,
  )
  if (watchSec !== undefined && output === undefined) {
    throw new OptionProblem('--watch needs --output FILE')
  }
  const make = async (): Promise<void> => {
    const data: ReportData = await gatherReport(parts.probe, parts.settings, {
      spanSec,
      advise: (found) => adviseWithDns(found, options, { minAddresses: LOSING_ADDRESSES }),
    })
    const text = isJson ? reportJson(data) : renderReport(data)
    if (output === undefined) parts.write(text)
    else await writeTrustedFile(output, text, 'ERR_REPORT_WRITE')
  }
  await make()
  while (watchSec !== undefined && parts.signal?.aborted !== true) {
    try {
      await pause(watchSec * 1000, undefined, parts.signal && { signal: parts.signal })
    } catch {
      break
    }
    try {
      await make()
    } catch (error) {
      // A full disk must not stop the program: the page is written again later.
      const text = formatFailure('spamdctl', error)
      if (text === undefined) throw error
      parts.writeError(text)
    }
  }
  return EXIT.ok
}
