/** `spamd --check`: reads and tests everything that a start would, and changes nothing. */
import { accessSync, constants, existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { parseAllowedDomains } from '../app/allowed-domains.js'
import { openDatabase } from '../app/database/open-database.js'
import { readDeliveredLists } from '../app/lists/delivered-lists.js'
import type { SpamdConfig } from '../app/spamd-config.js'
import { syncKeyWarning } from '../app/sync/sync-key.js'
import { planSync, systemSyncPlanParts } from '../app/sync/sync-plan.js'
import { checkFolder } from '../db/file/database-file.js'
import type { Firewall } from '../firewall/backend.js'
import { AppError, isSystemError } from '../platform/app-error.js'
import { databaseOwnerHint } from '../platform/database-place.js'
import { errnoText, reasonOf } from '../platform/errno-text.js'
import { checkPidFile } from '../platform/pid-file.js'
import { isPostgresLocation } from '../platform/postgres-location.js'
import { isRoot, type SystemUser } from '../platform/privileges.js'
import { readSpfDomains } from './checks/read-spf-domains.js'
import { checkWhiteFile } from './grey/white-file.js'
import { checkProgramsFor } from './process/child-launch.js'
import { DAEMON_TABLES } from './process/privileged-protocol.js'
import { spamdUser } from './process/spamd-parent-main.js'
import type { SpamdResources } from './process/spamd-resources.js'
import { secureContextOf } from './smtp/secure-context.js'

/**
 * Rejects with the `AppError` of the first error that would stop spamd, or let it run incompletely.
 * `becomeUser` is called before anything that the unprivileged process opens by itself.
 */
export async function checkSpamd(parts: {
  config: SpamdConfig
  resources: SpamdResources
  firewall: Firewall
  /** Main module of the unprivileged process. */
  childModule: string
  becomeUser: (user: SystemUser) => void
  /** Receives warnings that do not prevent a start, one line each. */
  warn: (line: string) => void
}): Promise<void> {
  const { config, resources, firewall } = parts
  const { settings } = config
  const user = isRoot() ? await spamdUser(settings.user) : undefined
  const tls = await resources.readTls()
  if (tls !== undefined) secureContextOf(tls.certificate, tls.key)
  if (config.pidFile !== undefined) checkPidFile(config.pidFile)
  await checkSyncKey(config, resources, parts.warn)
  await planSync(config.sync, systemSyncPlanParts)
  await checkListeners(resources)
  await checkControlSocket(config, resources)
  const domains = config.isBlackOnly ? undefined : await resources.readAllowedDomains()
  if (domains !== undefined) parseAllowedDomains(domains, settings.allowedDomains)
  if (!config.isBlackOnly) await readSpfDomains(config.senders, resources)
  if (!config.isBlackOnly) for (const table of DAEMON_TABLES) await firewall.readTable(table)
  // What follows belongs to others, or may: it must not be accessed with our privileges.
  if (user !== undefined) {
    checkProgramsFor(user, parts.childModule)
    parts.becomeUser(user)
  }
  await readDeliveredLists(settings.stateDir)
  if (config.isBlackOnly) return
  if (isPostgresLocation(settings.db)) {
    await (await openDatabase(settings.db, 'write')).close()
    return
  }
  if (existsSync(settings.db)) {
    const store = await openDatabase(settings.db, 'read')
    await store.close()
  }
  checkWritable(settings.db, settings.user)
  if (config.whiteFile !== undefined) checkWhiteFile(config.whiteFile)
}

/** A key is checked when it is used: an unreadable one does not stop mail, but is still an error. */
async function checkSyncKey(
  { sync, settings }: SpamdConfig,
  resources: SpamdResources,
  warn: (line: string) => void,
): Promise<void> {
  if (sync.targets.length === 0 && sync.listen === undefined) return
  const key = await resources.readSyncKey()
  const warning = syncKeyWarning(settings.key)
  if (warning !== undefined) warn(warning)
  if (key !== undefined || !sync.requiresKey) return
  throw new AppError('ERR_SYNC_INIT', `sync init: no synchronisation key in ${settings.key}`, {
    hint: 'create one with "spamdctl sync-key"; every gateway needs the same file',
  })
}

/** Opens the SMTP sockets briefly. An address in use is assumed to be that of a running spamd. */
async function checkListeners(resources: SpamdResources): Promise<void> {
  try {
    for (const server of await resources.openSmtpListeners()) server.close()
  } catch (error) {
    const cause = error instanceof AppError ? error.cause : error
    if (!isSystemError(cause) || cause.code !== 'EADDRINUSE') throw error
  }
}

/**
 * Opens the Unix socket briefly if a start would need it, unless the start creates its folder. One in use is
 * assumed to be that of a running spamd.
 */
async function checkControlSocket(config: SpamdConfig, resources: SpamdResources): Promise<void> {
  const folder = dirname(config.settings.controlSocket)
  const isFolderMade = !existsSync(folder) && existsSync(dirname(folder))
  if (!config.isControlSocketGiven || isFolderMade) return
  const server = createServer()
  try {
    await resources.listenControl(server)
    server.close()
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'ERR_CONTROL_SOCKET_TAKEN') throw error
  }
}

/**
 * The database and its folder, where SQLite keeps two more files; a folder that a start would create may be
 * missing.
 */
function checkWritable(path: string, userName: string): void {
  const folder = dirname(path)
  const wanted = existsSync(folder) ? [folder, ...(existsSync(path) ? [path] : [])] : []
  if (wanted.length === 0 && !existsSync(dirname(folder))) {
    throw new AppError('ERR_SPAMD_DB', `open of ${path} failed (${errnoText('ENOENT')})`, {
      hint: `create the folder first: install -d -m 0750 -o ${userName} ${folder}`,
    })
  }
  for (const item of wanted) {
    try {
      accessSync(item, constants.W_OK)
      if (item === folder && !existsSync(path)) checkFolder(folder)
    } catch (error) {
      const known = error instanceof AppError ? error.hint : undefined
      throw new AppError('ERR_SPAMD_DB', `open of ${path} failed (${reasonOf(error)})`, {
        hint: known ?? databaseOwnerHint(userName, path),
        cause: error,
      })
    }
  }
}
