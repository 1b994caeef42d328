/** `spamd --check`: reads and tries everything that a start would, and changes nothing. */
import { existsSync } from 'node:fs'
import { parseAllowedDomains } from '../app/allowed-domains.js'
import { openDatabase } from '../app/open-database.js'
import type { SpamdConfig } from '../app/spamd-config.js'
import type { Firewall } from '../firewall/backend.js'
import { AppError } from '../platform/app-error.js'
import { findUser, isRoot } from '../platform/privileges.js'
import { DAEMON_TABLES } from './privileged-protocol.js'
import { loadSavedLists } from './saved-lists.js'
import { secureContextOf } from './secure-context.js'
import type { SpamdResources } from './spamd-resources.js'

/** Rejects with the `AppError` of the first thing that would stop spamd, or let it run without what it needs. */
export async function checkSpamd(parts: {
  config: SpamdConfig
  resources: SpamdResources
  firewall: Firewall
}): Promise<void> {
  const { config, resources, firewall } = parts
  const { settings } = config
  if (isRoot() && (await findUser(settings.user)) === undefined) {
    throw new AppError('ERR_SPAMD_USER', `no such user ${settings.user}`, {
      hint: 'create it, or name another with --user',
    })
  }
  const tls = await resources.readTls()
  if (tls !== undefined) secureContextOf(tls.certificate, tls.key)
  await loadSavedLists(settings.stateDir)
  await resources.readSyncKey()
  if (config.isBlackOnly) return
  const domains = await resources.readAllowedDomains()
  if (domains !== undefined) parseAllowedDomains(domains)
  if (existsSync(settings.db)) {
    const store = await openDatabase(settings.db, 'read')
    await store.close()
  }
  for (const table of DAEMON_TABLES) await firewall.readTable(table)
}
