import type { SpamlogdOptions } from '../../app/spamlogd-options.js'
import { openSendOnlySync } from '../../app/sync/send-only-sync.js'
import type { Clock } from '../../platform/clock.js'
import type { Logger } from '../../platform/log.js'
import type { WhiteAnnouncer } from './spamlogd-parts.js'

/**
 * The sender of `spamlogd -Y`: tells the peers of each sighting. With -D its chatter goes to `writeError`; without,
 * unlike the original's, nowhere. Rejects with `AppError` `ERR_SYNC_INIT`.
 */
export async function openWhiteAnnouncer(
  options: SpamlogdOptions,
  logger: Logger,
  parts: { clock: Clock; writeError: (text: string) => void },
): Promise<WhiteAnnouncer> {
  const { syncTargets, key, syncPort, isDebug } = options
  const sync = await openSendOnlySync({
    targets: syncTargets,
    keyPath: key,
    port: syncPort,
    clock: parts.clock,
    logger,
    debug: isDebug ? { err: (line) => parts.writeError(`${line}\n`) } : undefined,
  })
  return {
    announce: (ip, expire) => sync.sender.announceHost(ip, { kind: 'WHITE', expire }),
    counters: () => {
      const { sent, failed, ipv6 } = sync.sender.counters
      return { syncSent: sent, syncFailed: failed, syncNotSentIpv6: ipv6 }
    },
    reload: () => sync.reload(),
    close: () => sync.close(),
  }
}
