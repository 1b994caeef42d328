import type { SpamdConfig } from '../../app/spamd-config.js'
import type { Logger } from '../../platform/log.js'
import { openLog } from '../../platform/syslog.js'

/**
 * Where spamd logs: syslog in the background, standard error with --foreground. With -d standard error has
 * the output of the original, and the log goes to syslog as in the original.
 */
export function openSpamdLog(config: SpamdConfig): Logger {
  return openLog({
    program: 'spamd',
    format: config.logFormat,
    toStderr: config.isForeground && !config.isDebug,
  })
}
