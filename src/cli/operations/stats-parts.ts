import { readDeliveredOrNone } from '../../app/lists/list-statistics.js'
import { readConfiguredLists } from '../../app/status.js'
import { LiveSystem } from '../../platform/system-probe.js'
import type { OptionValues } from '../option-reader.js'
import { settingsOf } from './operation-options.js'
import { presentPolicy } from './present-policy.js'
import type { StatsParts } from './stats-commands.js'
import { standardTerminal } from './terminal.js'

/** What `stats` and `advise` use: this machine, with the given paths. */
export async function liveStatsParts(options: OptionValues): Promise<StatsParts> {
  const settings = settingsOf(options)
  const probe = new LiveSystem()
  return {
    dbPath: settings.db,
    nowSec: probe.nowSec(),
    ...(await presentPolicy(settings.controlSocket)),
    terminal: standardTerminal(),
    readLists: async () => ({
      states: (await readConfiguredLists(probe, settings)) ?? [],
      delivered: await readDeliveredOrNone(settings.stateDir),
    }),
  }
}
