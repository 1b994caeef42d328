/** Options shared by the operation commands: which system they examine. */
import { resolveSettings, type Settings } from '../../platform/settings.js'
import type { OptionSpec } from '../getopt.js'
import type { OptionValues } from '../option-reader.js'

export const PLACE_OPTIONS: readonly OptionSpec[] = [
  { long: 'db', isRare: true, value: 'FILE', summary: 'database instead of SPAMD_DB' },
  { long: 'conf', isRare: true, value: 'FILE', summary: 'spamd.conf to use instead of the default' },
  { long: 'state-dir', isRare: true, value: 'DIR', summary: 'folder of the last good copies' },
  { long: 'key', isRare: true, value: 'FILE', summary: 'synchronisation key instead of SPAMD_KEY' },
  {
    long: 'config-socket',
    isRare: true,
    value: 'PATH',
    summary: 'Unix socket of spamd instead of SPAMD_CONTROL_SOCKET',
  },
  {
    long: 'firewall',
    isRare: true,
    value: 'NAME',
    summary: 'packet filter to use',
    choices: ['pf', 'nft', 'ipset', 'none'],
  },
  { long: 'help', summary: 'show this help' },
]

/** Settings with the given paths. */
export function settingsOf(options: OptionValues): Settings {
  return resolveSettings({
    db: options.last('db'),
    conf: options.last('conf'),
    stateDir: options.last('state-dir'),
    key: options.last('key'),
    controlSocket: options.last('config-socket'),
    firewall: options.last('firewall'),
  })
}
