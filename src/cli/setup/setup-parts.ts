import { fstatSync } from 'node:fs'
import { systemClock } from '../../platform/clock.js'
import { killRunningPrograms } from '../../platform/run-process.js'
import { writeFully, writeMessage } from '../../platform/standard-output.js'
import type { SetupProgramParts } from './setup-main.js'

/** Signals that end a program without a handler: from a terminal, other programs, and limits (setrlimit(2), alarm(2)). */
const ENDING_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGALRM', 'SIGUSR2', 'SIGXCPU'] as const

/** The running process as the parts of spamd-setup. */
export function systemSetupParts(
  showHelp: () => Promise<void>,
  startFirewallHelper: NonNullable<SetupProgramParts['startFirewallHelper']>,
): SetupProgramParts {
  endProgramsWithUs()
  const parts: SetupProgramParts = {
    writeOut: (bytes) => writeFully(1, bytes),
    writeError: writeMessage,
    terminal: terminalOfStderr(),
    environment: process.env,
    clock: systemClock,
    sleep: (durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs)),
    random: Math.random,
    showHelp,
    startFirewallHelper,
    goToBackground: async () => {
      const { isBackgroundProcess, reportReady, startInBackground } = await import(
        '../../platform/daemonize.js'
      )
      if (!isBackgroundProcess()) return startInBackground()
      const { openLog } = await import('../../platform/syslog.js')
      reportReady(process.env, { keepsFolder: true })
      // Nobody sees stderr any more; the original prints nothing at all from here on.
      const log = openLog({ program: 'spamd-setup', format: 'classic', toStderr: false })
      parts.terminal = undefined
      parts.writeError = (text) => {
        for (const line of text.split('\n')) {
          if (line !== '') log.log('err', line.replace(/^spamd-setup: /, ''))
        }
      }
      return undefined
    },
  }
  return parts
}

/** The programs of method `exec` are in their own process groups: a signal for us does not reach them. */
function endProgramsWithUs(): void {
  for (const signal of ENDING_SIGNALS) {
    const end = (): void => {
      killRunningPrograms()
      process.removeListener(signal, end)
      process.kill(process.pid, signal)
    }
    process.on(signal, end)
  }
  // Node would open its inspector to anyone who may signal us, which the commands of method exec may.
  process.on('SIGUSR1', () => undefined)
}

/** Node's stream for stderr takes milliseconds to set up, so it is used only if there may be a terminal. */
function terminalOfStderr(): SetupProgramParts['terminal'] {
  if (!fstatSync(2).isCharacterDevice()) return undefined
  const { isTTY, rows, columns } = process.stderr
  return isTTY ? { rows, columns } : undefined
}
