/** Runs spamd as it was told: checks, the background, and then the privileged process to its end. */
import { fileURLToPath } from 'node:url'
import type { SpamdConfig } from '../app/spamd-config.js'
import { escapeControl } from '../codec/escape.js'
import { selectFirewall } from '../firewall/select.js'
import { isBackgroundProcess, startInBackground } from '../platform/daemonize.js'
import { logFatalErrors } from '../platform/fatal-errors.js'
import { dropPrivileges, ownRights } from '../platform/privileges.js'
import { currentSystem } from '../platform/settings.js'
import { checkPrivileges } from './process/check-privileges.js'
import { openSpamdLog } from './process/open-spamd-log.js'
import { OwnResources } from './process/own-resources.js'
import { runSpamdParent } from './process/spamd-parent-main.js'
import { startWarnings } from './process/start-warnings.js'

const CHILD_MODULE = fileURLToPath(new URL('./spamd-child.js', import.meta.url))

/**
 * Resolves with the exit code: of the check, of the start when spamd goes to the background, else of its whole
 * life. Rejects with `AppError` when it cannot start.
 */
export async function runSpamd(config: SpamdConfig): Promise<number> {
  checkPrivileges(config, ownRights())
  const logger = openSpamdLog(config)
  logFatalErrors(logger)
  const { firewall, pfctl, nft } = config.settings
  const parts = {
    config,
    logger,
    resources: new OwnResources(config),
    firewall: selectFirewall({
      choice: config.isBlackOnly ? 'none' : firewall,
      pfctl,
      nft,
      system: currentSystem(),
      onNotice: (message) => logger.log('notice', message),
    }),
  }
  const isToLeave = !config.isForeground && !isBackgroundProcess()
  const warn = (line: string): void => void process.stderr.write(`spamd: warning: ${escapeControl(line)}\n`)
  for (const line of startWarnings(config)) {
    if (config.isCheckOnly || isToLeave) warn(line)
    else logger.log('warning', escapeControl(line))
  }
  if (config.isCheckOnly) {
    // Loaded only here: the privileged process has no business with the database and the parsers.
    const { checkSpamd } = await import('./check-spamd.js')
    await checkSpamd({ ...parts, childModule: CHILD_MODULE, becomeUser: dropPrivileges, warn })
    return 0
  }
  if (isToLeave) return startInBackground()
  return runSpamdParent({ ...parts, childModule: CHILD_MODULE })
}
