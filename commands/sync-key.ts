import { createSyncKey, syncKeyFingerprint } from '../src/app/sync/sync-key.js'
import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import type { OptionSpec } from '../src/cli/getopt.js'
import { usageLine } from '../src/cli/usage-line.js'
import { escapeControl } from '../src/codec/escape.js'
import { inRightsFor } from '../src/platform/lesser-rights.js'
import { findUser, isRoot } from '../src/platform/privileges.js'
import { resolveSettings } from '../src/platform/settings.js'

const OPTIONS: readonly OptionSpec[] = [
  { long: 'key', value: 'FILE', summary: 'key file instead of SPAMD_KEY or the default' },
  { long: 'show', summary: 'create nothing; print the fingerprint of the key in use' },
  { long: 'help', summary: 'show this help' },
]

/** `spamdctl sync-key`: create the key that gateways share. Manual: docs/man/spamdctl.8. */
export default class SyncKey extends BaseCommand {
  static override summary = 'create the synchronisation key and print its fingerprint'
  static override description =
    'All gateways need the same file: create it on one and copy it to the others. An existing key is never replaced.'
  static override usage = usageLine('sync-key', OPTIONS)
  static override examples = [
    { description: 'create the key at its default place', command: 'spamdctl sync-key' },
    { description: 'compare the keys of two gateways', command: 'spamdctl sync-key --show' },
  ]
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(OPTIONS, `spamdctl ${SyncKey.usage}`)
    if (words === undefined) return
    const { key, user } = resolveSettings({ key: words.options.last('key') })
    // As init-db does: the daemons must be able to read it.
    const owner = isRoot() ? await findUser(user) : undefined
    const fingerprint = words.options.has('show')
      ? syncKeyFingerprint(key)
      : await inRightsFor(key, () => createSyncKey(key, isRoot() ? owner : undefined))
    process.stdout.write(`${escapeControl(key)} ${fingerprint}\n`)
  }
}
