/** What `spamdctl pull` and `serve-pull` do, from their arguments to their exit code. */

import { useDatabase } from '../../app/database/open-database.js'
import type { PullReport } from '../../app/sync/merge-pull.js'
import { checkPullHost, pullHost } from '../../app/sync/pull-hosts.js'
import { readPullRequest, servePull } from '../../app/sync/serve-pull.js'
import { countText } from '../../codec/count-text.js'
import { escapeControl } from '../../codec/escape.js'
import { DEFAULT_TUPLE_LIMITS } from '../../domain/times.js'
import { AppError } from '../../platform/app-error.js'
import type { Clock } from '../../platform/clock.js'
import { type Environment, resolveDbPath } from '../../platform/settings.js'
import { endsWithin } from '../../platform/within.js'
import type { OptionSpec } from '../getopt.js'
import type { OptionValues } from '../option-reader.js'
import { EXIT, formatFailure } from '../report-error.js'

/** A request arrives at once; sshd must not keep a process for a caller that sends nothing. */
const REQUEST_WAIT_MS = 60_000

const DB_OPTION: OptionSpec = {
  long: 'db',
  isRare: true,
  value: 'FILE',
  summary: 'database to use instead of SPAMD_DB or the default',
}

export const PULL_OPTIONS: readonly OptionSpec[] = [
  {
    long: 'since',
    summary: 'fetch only what changed since the last pull, if the other gateway still has it',
  },
  DB_OPTION,
  { long: 'ssh-config', value: 'FILE', summary: 'ssh configuration file to use instead of the default' },
  { long: 'ssh', isRare: true, value: 'FILE', summary: 'program to run instead of ssh' },
  { long: 'json', summary: 'print one JSON object for each host' },
  { long: 'help', summary: 'show this help' },
]
export const SERVE_PULL_OPTIONS: readonly OptionSpec[] = [
  DB_OPTION,
  { long: 'help', summary: 'show this help' },
]

interface PullParts {
  clock: Clock
  environment: Environment
  out(text: string): void
  err(text: string): void
}

/** Pulls from each host; a failed one does not prevent the others. Exit code 1 when any failed. */
export async function runPull(
  hosts: readonly string[],
  options: OptionValues,
  parts: PullParts,
): Promise<number> {
  for (const host of hosts) checkPullHost(host)
  let exitCode: number = EXIT.ok
  for (const host of hosts) {
    try {
      const report = await pullHost(host, {
        databasePath: resolveDbPath(options.last('db'), parts.environment),
        ssh: options.last('ssh') ?? 'ssh',
        sshConfig: options.last('ssh-config'),
        isSince: options.has('since'),
        // How long a tuple waits is decided by spamd at its next attempt.
        policy: { passSec: Number.POSITIVE_INFINITY, ...DEFAULT_TUPLE_LIMITS },
        clock: parts.clock,
      })
      parts.out(options.has('json') ? `${JSON.stringify(report)}\n` : formatReport(report))
      const warning = warningOf(report)
      if (warning === undefined) continue
      parts.err(warning)
      exitCode = EXIT.failure
    } catch (error) {
      const text = formatFailure('spamdctl', error)
      if (text === undefined) throw error
      parts.err(text)
      exitCode = EXIT.failure
    }
  }
  return exitCode
}

function formatReport({ host, isWhole, read, changed }: PullReport): string {
  return `${escapeControl(host)}: ${isWhole ? countText(read, 'entry', 'entries') : countText(read, 'change')} read, ${countText(changed, 'was', 'were')} new\n`
}

function warningOf({ host, ahead, unknown }: PullReport): string | undefined {
  if (ahead > 0) {
    return `spamdctl: ${escapeControl(host)}: ${countText(ahead, 'entry was', 'entries were')} skipped: dated more than 5 minutes in the future\nspamdctl: hint: set the clocks of both gateways (NTP), then pull again\n`
  }
  if (unknown === 0) return undefined
  return `spamdctl: ${escapeControl(host)}: ${countText(unknown, 'entry', 'entries')} of a kind unknown to this version skipped\nspamdctl: hint: update this gateway, then pull again\n`
}

/** Answers one pull; `write` waits for a slow reader. */
export async function runServePull(
  options: OptionValues,
  parts: {
    clock: Clock
    environment: Environment
    stdin: AsyncIterable<Uint8Array>
    write(bytes: Uint8Array): Promise<void>
  },
): Promise<number> {
  const reading = readPullRequest(parts.stdin)
  if (!(await endsWithin(reading, REQUEST_WAIT_MS))) {
    throw new AppError('ERR_PULL_REQUEST', 'no request on standard input')
  }
  const request = await reading
  await useDatabase(resolveDbPath(options.last('db'), parts.environment), 'read', async (store) => {
    for await (const bytes of servePull(store, request, parts.clock.nowSec())) await parts.write(bytes)
  })
  return EXIT.ok
}
