import { useDatabase } from '../src/app/database/open-database.js'
import { findLosing } from '../src/app/losing/find-losing.js'
import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { adviseWithDns } from '../src/cli/losing/advise-with-dns.js'
import { LOSING_OPTIONS, losingQueryOf } from '../src/cli/losing/losing-options.js'
import { losingCheck, losingJson, renderLosing } from '../src/cli/losing/render-losing.js'
import { standardTerminal } from '../src/cli/operations/terminal.js'
import { EXIT } from '../src/cli/report-error.js'
import { usageLine } from '../src/cli/usage-line.js'
import { systemClock } from '../src/platform/clock.js'
import { resolveDbPath } from '../src/platform/settings.js'
import { writeFully } from '../src/platform/standard-output.js'

const USAGE = usageLine('losing', LOSING_OPTIONS)

/** `spamdctl losing`: show who is losing mail, and the command that helps. Manual: docs/man/spamdctl.8. */
export default class Losing extends BaseCommand {
  static override summary =
    'show who is losing mail by retrying from many addresses, and the command that lets it pass'
  static override usage = USAGE
  static override examples = [
    { description: 'the last three days', command: 'spamdctl losing' },
    { description: 'for monitoring', command: 'spamdctl losing --check --since 1d' },
  ]
  static override flags = flagsForHelp(LOSING_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(LOSING_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const { options } = words
    const frame = { nowSec: systemClock.nowSec(), ...losingQueryOf(options) }
    const found = await useDatabase(resolveDbPath(options.last('db')), 'read', (store) =>
      findLosing(store, { ...frame, sinceSec: frame.nowSec - frame.forSec }),
    )
    const isBrief = options.has('check') && !options.has('json')
    const report = await adviseWithDns(found, options, { ...frame, isBrief })
    let text = options.has('json')
      ? losingJson(report, frame)
      : renderLosing(report, frame, standardTerminal())
    if (options.has('check')) {
      const check = losingCheck(report)
      if (!options.has('json')) text = check.text
      process.exitCode = check.isAlarm ? EXIT.failure : EXIT.ok
    }
    writeFully(1, Buffer.from(text))
  }
}
