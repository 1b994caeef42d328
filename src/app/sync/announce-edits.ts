/** `spamdb -Y`: sends manual changes to other gateways. */
import { type Change, isHostChange } from '../../domain/change.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { type Environment, resolveSettings } from '../../platform/settings.js'
import { openSendOnlySync, type SendOnlySync } from './send-only-sync.js'

/** Maximum number of datagrams in flight: more would overflow the buffers of the receivers. */
const MAX_IN_FLIGHT = 50

export interface EditAnnouncer {
  announce(changes: readonly Change[]): Promise<void>
  /** Sends what is left and prints a warning about what could not be sent. */
  finish(): Promise<void>
}

/**
 * Opens the way to `targets`. Never rejects for anything outside: what fails is passed to `warn`, and nothing is
 * sent; the change of the database counts.
 */
export async function openEditAnnouncer(
  targets: readonly string[],
  parts: { environment: Environment; clock: Clock; warn: (message: string) => void },
): Promise<EditAnnouncer> {
  const { environment, clock, warn } = parts
  const logger: Logger = {
    log: (level, message) => {
      if (level === 'warning' || level === 'err') warn(message)
    },
    flush: async () => undefined,
  }
  let sync: SendOnlySync | undefined
  try {
    const { key, syncPort } = resolveSettings({}, environment)
    sync = await openSendOnlySync({ targets, keyPath: key, port: syncPort, clock, logger })
  } catch (error) {
    warn(`warning: cannot notify sync peers: ${reasonOf(error)}`)
  }
  return {
    async announce(changes) {
      if (sync === undefined) return
      for (const [index, change] of changes.entries()) {
        // Messages for tuples are those of clients, and there are none for spamtraps.
        if (isHostChange(change)) sync.sender.announceHost(change.key.ip, change.after.entry)
        if (index % MAX_IN_FLIGHT === MAX_IN_FLIGHT - 1) await sync.sender.drained()
      }
    },
    async finish() {
      if (sync === undefined) return
      await sync.close()
      const { failed, ipv6 } = sync.sender.counters
      if (failed > 0) warn(`warning: ${failed} messages to other gateways could not be sent`)
      if (ipv6 > 0) warn(`warning: ${ipv6} IPv6 entries were not sent: the protocol supports only IPv4`)
    },
  }
}
