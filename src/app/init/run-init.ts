/** `spamdctl init`: detects, plans, and after confirmation writes and runs. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseCidr } from '../../ip/cidr.js'
import { AppError } from '../../platform/app-error.js'
import { type ProcessRunner, runProcess } from '../../platform/run-process.js'
import { programFolder, readExample } from '../examples.js'
import { LIST_CATALOGUE } from '../lists/list-catalogue.js'
import { applyStep, planSteps } from './apply-steps.js'
import type { System } from './detect-system.js'
import { planInit } from './init-plan.js'
import type { InitAnswers, InitCommand, InitPlan } from './init-types.js'
import type { FileStep } from './planned-file.js'

/** Starting a daemon may take a while; a rule set is loaded at once. */
const COMMAND_TIMEOUT_MS = 120_000

/** Lists for an administrator who has not chosen yet: available, small, without known false positives. */
export const STARTER_LISTS = ['spamhaus-drop', 'spamhaus-drop6', 'blocklist-de-mail'] as const

/** What was found out and planned. */
export interface PreparedInit {
  steps: FileStep[]
  plan: InitPlan
}

/**
 * Plans and compares with the files below `root`; `findLocalAddress` returns the address from which the
 * second gateway is reached. Errors: `ERR_INIT_ANSWER` (an answer that cannot be used) and those of
 * `planSteps`.
 */
export async function prepareInit(
  root: string,
  system: System,
  answers: InitAnswers,
  findLocalAddress: (peer: string) => Promise<string | undefined>,
): Promise<PreparedInit> {
  checkAnswers(answers)
  const plan = planInit(system, {
    answers,
    ownAddress: answers.peer === undefined ? undefined : await findLocalAddress(answers.peer),
    example: readExample,
    isThere: (path) => existsSync(join(root, path)),
    programFolder: root === '/' ? programFolder() : '/usr/bin',
  })
  return { plan, steps: await planSteps(root, plan.files) }
}

function checkAnswers({ outside, mailServers, lists, peer, log }: InitAnswers): void {
  if (!/^[A-Za-z][A-Za-z0-9._-]{0,14}$/.test(outside))
    throw answerError(`outside: not the name of an interface: ${outside}`)
  for (const network of mailServers) {
    if (parseCidr(network) === undefined)
      throw answerError(`mail-server: not an address or network: ${network}`)
  }
  for (const name of lists) {
    if (!LIST_CATALOGUE.some((entry) => entry.name === name))
      throw answerError(`list: not in the catalogue: ${name}`)
  }
  if (peer !== undefined && !/^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/.test(peer))
    throw answerError(`peer: not a host: ${peer}`)
  if (!/^(nflog:\d{1,5}|pflog\d{1,3})$/.test(log))
    throw answerError(`log: must be nflog:GROUP or pflogN: ${log}`)
}

function answerError(message: string): AppError {
  return new AppError('ERR_USAGE', message)
}

/** Writes every file that is not up to date; stops at the first failure. */
export async function writeFiles(root: string, steps: readonly FileStep[]): Promise<void> {
  for (const step of steps) await applyStep(root, step)
}

/** How a command ended; `output` is its stderr, for `escapeControl`. */
export interface CommandEnd {
  command: InitCommand
  result: 'done' | 'not needed' | 'failed'
  output: string
}

/**
 * Runs the commands in order, reporting each; stops after a required one that fails. True when none failed.
 */
export async function runCommands(
  commands: readonly InitCommand[],
  onEnd: (end: CommandEnd) => void,
  runner: ProcessRunner = runProcess,
): Promise<boolean> {
  let isAllDone = true
  for (const command of commands) {
    if (command.unless !== undefined && (await runOne(command.unless, runner)).isDone) {
      onEnd({ command, result: 'not needed', output: '' })
      continue
    }
    const { isDone, output } = await runOne(command.argv, runner)
    onEnd({ command, result: isDone ? 'done' : 'failed', output })
    if (isDone) continue
    isAllDone = false
    if (command.isNeeded) return false
  }
  return isAllDone
}

async function runOne(
  [program, ...args]: readonly [string, ...string[]],
  runner: ProcessRunner,
): Promise<{ isDone: boolean; output: string }> {
  try {
    const end = await runner({ program, args, timeoutMs: COMMAND_TIMEOUT_MS, maxStdoutBytes: 1024 * 1024 })
    return { isDone: end.exitCode === 0, output: end.stderrTail.trim() }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { isDone: false, output: error.message }
  }
}
