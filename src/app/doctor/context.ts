/** What all checks of `spamdctl doctor` share: the machine, the settings, the running daemons. */

import type { SqliteFault } from '../../db/sqlite-fault.js'
import type { AllowSource } from '../../domain/allow.js'
import { AppError } from '../../platform/app-error.js'
import type { Settings } from '../../platform/settings.js'
import type { CommandOutput, ProcessFacts, SystemProbe } from '../../platform/system-probe.js'
import { askDaemon } from '../ask-daemon.js'
import type { DaemonStatus } from '../control-protocol.js'
import type { Findings } from './finding.js'
import type { NodeReport } from './node-report.js'

/** Answer of the control socket: `reason` is why there is none, for people. */
export type DaemonAnswer =
  | { kind: 'status'; status: DaemonStatus }
  | { kind: 'silent'; code: string; reason: string }

/** A running program of ours. */
export interface RunningProgram {
  process: ProcessFacts
  /** Words after the name. */
  words: string[]
}

export interface DoctorContext {
  probe: SystemProbe
  settings: Settings
  daemon: DaemonAnswer
  /** Undefined when processes cannot be listed. */
  processes: readonly ProcessFacts[] | undefined
  /** Why SQLite cannot be used; undefined when it can. */
  sqliteFault: () => SqliteFault | undefined
  /** Output of `doctor --json` on the other gateway, with --peer. */
  peer: NodeReport | undefined
}

/** What the checks of the packet filter need from the database; undefined when it cannot be read. */
export interface StoredFacts {
  /** WHITE entries. */
  white: number | undefined
  exceptions: readonly AllowSource[]
}

/** One group of checks. An error that it throws is reported as a check that could not be made. */
export type CheckGroup = (context: DoctorContext, findings: Findings) => Promise<void> | void

/** Queries spamd for its status; never throws. */
export async function readDaemonAnswer(controlSocket: string): Promise<DaemonAnswer> {
  try {
    return { kind: 'status', status: await askDaemon(controlSocket, 'status') }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { kind: 'silent', code: error.code, reason: error.message }
  }
}

/** Words of a command line that may come before the name of our program. */
const LEADING_WORDS = 8

/**
 * Processes that run one of our programs: `node …/spamlogd -l pflog1`, in any folder. For spamd both
 * processes are returned.
 */
export function findProgram(processes: readonly ProcessFacts[] | undefined, name: string): RunningProgram[] {
  return (processes ?? []).flatMap((process) => {
    const words = process.command.split(/\s+/)
    const at = words
      .slice(0, LEADING_WORDS)
      .findIndex((word) => word.replace(/^.*\//, '').replace(/\.(?:js|cjs|mjs|ts)$|:$/, '') === name)
    // The name must be the program: in "vi /etc/spamd" or "grep spamd" it is an argument.
    const isRun = at === 0 || (at > 0 && /(?:^|\/)(?:node|env|sh|ksh|tsx)[0-9]*$/.test(words[0]!))
    return isRun ? { process, words: words.slice(at + 1) } : []
  })
}

/** The last value of an option with a letter, written `-l pflog1` or `-lpflog1`. */
export function optionValue(words: readonly string[], letter: string): string | undefined {
  let value: string | undefined
  words.forEach((word, index) => {
    if (word === `-${letter}`) value = words[index + 1]
    else if (word.startsWith(`-${letter}`) && word.length > 2) value = word.slice(2)
  })
  return value
}

/** True for output that says that only root may see this. */
export function isDenied(output: CommandOutput): boolean {
  if (output.kind === 'failed') return output.errno === 'EACCES' || output.errno === 'EPERM'
  if (output.kind !== 'ended' || output.status === 0) return false
  // eslint-disable-next-line no-restricted-syntax -- pfctl, nft and the others have no status of its own for this
  return /permission denied|not permitted|must be root|superuser/i.test(output.stderr)
}

/** Why a probe gave no result, for people. */
export function whyNothing(program: string, output: CommandOutput): string {
  if (output.kind === 'missing') return `${program} is not installed`
  if (output.kind === 'failed') return output.reason
  const said = output.stderr.trim().split('\n').at(-1) ?? ''
  return `${program} returned status ${output.status}${said === '' ? '' : `: ${said}`}`
}

/** Standard output of a run that succeeded. */
export function outputOf(output: CommandOutput): string | undefined {
  return output.kind === 'ended' && output.status === 0 ? output.stdout : undefined
}
