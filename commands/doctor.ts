import { readFileSync } from 'node:fs'
import { parseNodeReport } from '../src/app/doctor/node-report.js'
import { prepareDoctor, runDoctor } from '../src/app/doctor/run-doctor.js'
import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import type { OptionSpec } from '../src/cli/getopt.js'
import { PLACE_OPTIONS, settingsOf } from '../src/cli/operations/operation-options.js'
import { doctorJson, renderDoctor } from '../src/cli/operations/render-doctor.js'
import { standardTerminal } from '../src/cli/operations/terminal.js'
import { EXIT } from '../src/cli/report-error.js'
import { usageLine } from '../src/cli/usage-line.js'
import { AppError } from '../src/platform/app-error.js'
import { reasonOf } from '../src/platform/errno-text.js'
import { writeFully } from '../src/platform/standard-output.js'
import { LiveSystem } from '../src/platform/system-probe.js'

const OPTIONS: readonly OptionSpec[] = [
  { long: 'json', summary: 'print one JSON object' },
  { long: 'quiet', summary: 'print only warnings and errors' },
  {
    long: 'peer',
    value: 'FILE',
    summary: 'compare with the doctor --json output of the other gateway (-: standard input)',
  },
  ...PLACE_OPTIONS,
]
const USAGE = usageLine('doctor', OPTIONS)
const STANDARD_INPUT = 0

/** `spamdctl doctor`: show what is wrong, and the command that fixes it. Manual: docs/man/spamdctl.8. */
export default class Doctor extends BaseCommand {
  static override summary = 'check everything mail depends on, and print the command that fixes each problem'
  static override description =
    'Reads only. Each check is ok, info, warning or error; the exit code is 1 if any is an error, otherwise 0.'
  static override usage = USAGE
  static override examples = [
    { description: 'show what is wrong', command: 'spamdctl doctor' },
    { description: 'run from cron: print nothing when all is well', command: 'spamdctl doctor --quiet' },
    {
      description: 'compare two gateways',
      command: 'ssh OTHER spamdctl doctor --json | spamdctl doctor --peer -',
    },
  ]
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const { options } = words
    const peerFile = options.last('peer')
    const peer = peerFile === undefined ? undefined : parseNodeReport(readReport(peerFile))
    const report = await runDoctor(await prepareDoctor(new LiveSystem(), settingsOf(options), peer))
    const text = options.has('json')
      ? doctorJson(report)
      : renderDoctor(report, standardTerminal(), { isQuiet: options.has('quiet') })
    writeFully(1, Buffer.from(text))
    if (report.counts.error > 0) process.exitCode = EXIT.failure
  }
}

function readReport(path: string): string {
  try {
    return readFileSync(path === '-' ? STANDARD_INPUT : path, 'utf8')
  } catch (error) {
    throw new AppError('ERR_DOCTOR_PEER', `cannot read ${path}: ${reasonOf(error)}`, { cause: error })
  }
}
