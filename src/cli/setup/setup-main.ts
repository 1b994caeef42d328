/** `spamd-setup` from arguments to exit code: run by both bin/spamd-setup.js and `spamdctl setup`. */
import type { ReadConfiguration } from '../../app/lists/read-configuration.js'
import { readConfiguration } from '../../app/lists/read-configuration.js'
import type { ListReport, RefreshReport } from '../../app/lists/refresh-report.js'
import { runSetup, type SetupParts } from '../../app/lists/run-setup.js'
import { escapeControl } from '../../codec/escape.js'
import type { Clock } from '../../platform/clock.js'
import { programVersion } from '../../platform/program-version.js'
import { type Environment, resolveSettings, SETTING_TABLE, type Settings } from '../../platform/settings.js'
import { formatFailure } from '../report-error.js'
import { changeLines, messageLines, problemLines, verboseLines } from './setup-lines.js'
import { parseSetupArguments, type SetupArguments } from './setup-options.js'
import type { SetupProgress } from './setup-progress.js'

/** What the program needs from its process, so that tests can run it in theirs. */
export interface SetupProgramParts {
  /** Writes results; returns when they are accepted. */
  writeOut(bytes: Uint8Array): void
  /** Writes messages, whole lines. */
  writeError(text: string): void
  /** The size of the terminal behind standard error; undefined when it is not a terminal. */
  terminal: { rows: number; columns: number } | undefined
  environment: Environment
  clock: Clock
  sleep(durationMs: number): Promise<void>
  random(): number
  /** Prints the help; loads oclif only then. */
  showHelp(): Promise<void>
  /**
   * Detaches from the terminal (-D): the exit code for the caller, or undefined in the process that continues
   * in the background, where `writeError` from then on writes to the system log.
   */
  goToBackground(): Promise<number | undefined>
  /** Where root is actually given up; see `SetupParts`. */
  startFirewallHelper?: SetupParts['startFirewallHelper']
  wrapFetcher?: SetupParts['wrapFetcher']
  ownAddresses?: SetupParts['ownAddresses']
  deliveryTimeouts?: SetupParts['deliveryTimeouts']
}

/** Exit code for wrong usage, as in the original. */
const EXIT_FAILURE = 1

/**
 * Runs spamd-setup with the arguments after its name; returns the exit code. Never throws for a user's error.
 */
export async function runSetupProgram(argv: readonly string[], parts: SetupProgramParts): Promise<number> {
  try {
    return await runAction(parseSetupArguments(argv), parts)
  } catch (error) {
    const text = formatFailure('spamd-setup', error)
    if (text === undefined) throw error
    parts.writeError(text)
    return EXIT_FAILURE
  }
}

async function runAction(call: SetupArguments, parts: SetupProgramParts): Promise<number> {
  if (call.action === 'help') {
    await parts.showHelp()
    return 0
  }
  if (call.action === 'version') {
    parts.writeOut(Buffer.from(`spamd-setup (spamdctl) ${programVersion()}\n`))
    return 0
  }
  const settings = resolveSettings(call.settings, parts.environment)
  if (call.isBackground) {
    const exitCode = await parts.goToBackground()
    if (exitCode !== undefined) return exitCode
  }
  const configuration = await readConfiguration(settings.conf)
  if (call.action === 'check') return checkConfiguration(configuration, settings, parts)
  if (call.action === 'print-config') return printConfiguration(configuration, parts)
  return refresh(call, settings, configuration, parts)
}

async function checkConfiguration(
  configuration: ReadConfiguration,
  settings: Settings,
  parts: SetupProgramParts,
): Promise<number> {
  const { checkSources } = await import('../../app/lists/check-sources.js')
  const problems = [
    ...configuration.problems,
    ...configuration.lists.flatMap((list) => list.problems),
    ...(await checkSources(configuration.lists, settings.feedUser)),
  ]
  for (const problem of problems) parts.writeError(problemLines(problem))
  if (problems.some((problem) => problem.isError)) return EXIT_FAILURE
  parts.writeOut(Buffer.from(`${escapeControl(settings.conf)}: ok, ${countLists(configuration)}\n`))
  return 0
}

/** A white list is named after each black list that it corrects, but is one list. */
function countLists({ lists }: ReadConfiguration): string {
  const colours = new Map(lists.map(({ name, colour }) => [name, colour]))
  const count = colours.size
  const whites = [...colours.values()].filter((colour) => colour === 'white').length
  const detail = whites === 0 ? '' : ` (${count - whites} black, ${whites} white)`
  return `${count} ${count === 1 ? 'list' : 'lists'}${detail}`
}

async function printConfiguration(
  configuration: ReadConfiguration,
  parts: SetupProgramParts,
): Promise<number> {
  const problems = [...configuration.problems, ...configuration.lists.flatMap((list) => list.problems)]
  for (const problem of problems) parts.writeError(problemLines(problem))
  const { formatSpamdConf } = await import('../../codec/spamd-conf/format-spamd-conf.js')
  if (configuration.isUsable) parts.writeOut(Buffer.from(formatSpamdConf(configuration.entries), 'latin1'))
  return problems.some((problem) => problem.isError) ? EXIT_FAILURE : 0
}

async function refresh(
  call: SetupArguments,
  settings: Settings,
  configuration: ReadConfiguration,
  parts: SetupProgramParts,
): Promise<number> {
  const progress = await openProgress(call, configuration, parts)
  // On a terminal the progress lines occupy the place of messages, so these wait until the end.
  const waiting: string[] = []
  const say = (text: string): void => {
    if (progress === undefined) parts.writeError(text)
    else waiting.push(text)
  }
  const isQuiet = progress === undefined && !call.isVerbose && !call.isJson
  let report: RefreshReport
  try {
    report = await runSetup(
      {
        ...call,
        settings,
        configuration: isQuiet ? withoutWarnings(configuration) : configuration,
        isFeedUserGiven: isFeedUserGiven(call, parts),
        isQuiet,
        wantsChanges: call.isVerbose || call.isJson,
        wantsCounts: progress !== undefined || call.isJson,
        output: call.output && {
          format: call.output.format,
          target: call.output.target === '-' ? (bytes) => parts.writeOut(bytes) : call.output.target,
        },
      },
      {
        clock: parts.clock,
        environment: parts.environment,
        version: programVersion,
        sleep: parts.sleep,
        random: parts.random,
        observer: {
          onProgress: (list, receivedBytes) => progress?.received(list.name, receivedBytes),
          onList: (list) => {
            progress?.settled(list)
            say(listLines(list, call.isVerbose))
          },
          onProblem: (problem) => say(problemLines(problem)),
          onMessages: (text) => say(messageLines(text, parts.terminal === undefined ? 'other' : 'terminal')),
        },
        startFirewallHelper: parts.startFirewallHelper,
        deliveryTimeouts: parts.deliveryTimeouts,
        ...(parts.wrapFetcher === undefined ? {} : { wrapFetcher: parts.wrapFetcher }),
        ...(parts.ownAddresses === undefined ? {} : { ownAddresses: parts.ownAddresses }),
      },
    )
  } finally {
    progress?.clear()
    for (const text of waiting) parts.writeError(text)
  }
  await showResult(call, report, progress !== undefined, parts)
  return report.exitCode
}

/**
 * Warnings about spamd.conf are printed with --check and -d: cron(8) would mail them at every run. Only if no
 * list is named at all they may explain why nothing is done.
 */
function withoutWarnings(configuration: ReadConfiguration): ReadConfiguration {
  if (configuration.lists.length === 0) return configuration
  return { ...configuration, problems: configuration.problems.filter((problem) => problem.isError) }
}

function isFeedUserGiven(call: SetupArguments, parts: SetupProgramParts): boolean {
  return (call.settings.feedUser ?? parts.environment[SETTING_TABLE.feedUser.variable] ?? '') !== ''
}

function listLines(list: ListReport, isVerbose: boolean): string {
  const problems = list.problems.map((problem) => problemLines(problem)).join('')
  if (!isVerbose) return problems
  // The original reports what it has received before it reports the error of the next list.
  return `${verboseLines(list)}${problems}`
}

async function showResult(
  call: SetupArguments,
  report: RefreshReport,
  isOnTerminal: boolean,
  parts: SetupProgramParts,
): Promise<void> {
  const isStdoutTaken = call.output?.target === '-'
  const show = (text: string): void => {
    if (text === '') return
    if (isStdoutTaken) parts.writeError(text)
    else parts.writeOut(Buffer.from(text))
  }
  if (call.isJson) {
    const { jsonReport } = await import('./setup-table.js')
    show(jsonReport(report))
  } else if (call.isDryRun && call.isVerbose) {
    show(changeLines(report))
  }
  if (isOnTerminal && report.lists.length > 0) {
    const { summaryTable } = await import('./setup-table.js')
    parts.writeError(summaryTable(report))
  }
}

async function openProgress(
  call: SetupArguments,
  configuration: ReadConfiguration,
  parts: SetupProgramParts,
): Promise<SetupProgress | undefined> {
  if (parts.terminal === undefined || call.isVerbose || call.isJson) return undefined
  const { SetupProgress } = await import('./setup-progress.js')
  const { terminal, clock } = parts
  return new SetupProgress(
    { ...terminal, write: (text) => parts.writeError(text), monotonicMs: () => clock.monotonicMs() },
    configuration.lists,
  )
}
