/** `spamdctl pull`: fetches from other gateways over ssh, one after the other, and merges. */

import { escapeControl } from '../../codec/escape.js'
import { formatPullRequest } from '../../codec/pull-stream.js'
import type { MergePolicy } from '../../db/store.js'
import { AppError } from '../../platform/app-error.js'
import type { Clock } from '../../platform/clock.js'
import { type RunningProcess, startProcess } from '../../platform/run-process.js'
import { useDatabase } from '../database/open-database.js'
import { mergePull, type PullReport, pullRequestOf } from './merge-pull.js'

/** A million entries take a minute; a gateway that hangs must not delay a start forever. */
const TIMEOUT_MS = 15 * 60_000
/** What a host may be called: a name, an address or a name of ssh_config(5), with a user in front. */
const HOST = /^[A-Za-z0-9_.%:@[\]-]+$/
const MAX_HOST_BYTES = 320

export interface PullOptions {
  databasePath: string
  /** In place of ssh of the PATH. */
  ssh: string
  /** ssh_config(5) in place of the usual files. */
  sshConfig: string | undefined
  /** Only what changed since the last pull, as far as the other side can tell. */
  isSince: boolean
  policy: MergePolicy
  clock: Clock
}

/** Refuses what ssh would parse as an option or what is not a host. `AppError` `ERR_PULL_HOST`. */
export function checkPullHost(host: string): void {
  if (!host.startsWith('-') && HOST.test(host) && host.length <= MAX_HOST_BYTES) return
  throw new AppError('ERR_PULL_HOST', `"${escapeControl(host)}" is not a host`, {
    hint: 'name a host as for ssh: gw2.example.org, _spamdpull@192.0.2.2, or an alias from ssh_config(5)',
  })
}

/**
 * Pulls from one host. ssh does authentication and transport, without asking for a password. Rejects with
 * `AppError` `ERR_PULL_SSH` with what ssh said, `ERR_PULL_ANSWER`, `ERR_PULL_OLD`, or as `useDatabase` does.
 */
export async function pullHost(host: string, options: PullOptions): Promise<PullReport> {
  checkPullHost(host)
  const { databasePath, policy, clock } = options
  const request = await useDatabase(databasePath, 'read', (store) => pullRequestOf(store, options))
  const running = await startSsh(host, options, formatPullRequest(request))
  let report: PullReport
  try {
    report = await useDatabase(databasePath, 'write', (store) =>
      mergePull(store, running.stdout, { host, policy, now: () => clock.nowSec() }),
    )
  } catch (error) {
    // That ssh failed is the reason why its answer was cut; that nobody read on is not.
    if (error instanceof AppError && error.code === 'ERR_PULL_ANSWER') await endOf(host, running, true)
    throw error
  }
  await endOf(host, running)
  return report
}

async function startSsh(
  host: string,
  { ssh, sshConfig }: PullOptions,
  request: string,
): Promise<RunningProcess> {
  const limits = ['-o', 'BatchMode=yes', '-o', 'ConnectTimeout=10', '-o', 'ServerAliveInterval=15']
  return startProcess({
    program: ssh,
    args: [
      ...(sshConfig === undefined ? [] : ['-F', sshConfig]),
      '-T',
      ...limits,
      '--',
      host,
      'spamdctl serve-pull',
    ],
    stdin: Buffer.from(request),
    timeoutMs: TIMEOUT_MS,
  })
}

async function endOf(host: string, running: RunningProcess, isRefused = false): Promise<void> {
  const { exitCode, hasTimedOut, stderrTail } = await running.ended
  if (exitCode === 0 || (isRefused && exitCode === null && !hasTimedOut)) return
  const last = stderrTail.trimEnd().split('\n').at(-1) ?? ''
  const reason = hasTimedOut ? 'no answer in time' : last === '' ? `ssh ended with status ${exitCode}` : last
  throw new AppError('ERR_PULL_SSH', `${host}: ${escapeControl(reason)}`, {
    hint: `test it as the same user: ssh -o BatchMode=yes ${host} spamdctl serve-pull`,
  })
}
