/** Synchronisation of the programs that only send: spamlogd -Y and spamdb -Y. */
import { escapeControl } from '../../codec/escape.js'
import { syncKeyOf } from '../../codec/sync-message.js'
import { AppError } from '../../platform/app-error.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { readSyncKeyFile, syncKeyWarning } from './sync-key.js'
import { planSync, SYNC_GROUP, type SyncPlanParts, systemSyncPlanParts } from './sync-plan.js'
import { SyncSender } from './sync-sender.js'
import { openSyncSocket } from './sync-socket.js'

export interface SendOnlySyncOptions {
  /** -Y, in order. */
  targets: readonly string[]
  keyPath: string
  port: number
  clock: Clock
  logger: Logger
  /** Takes the chatter of -D, a line at a time. */
  debug?: { err(line: string): void } | undefined
  planParts?: SyncPlanParts
}

export interface SendOnlySync {
  readonly sender: SyncSender
  /** Reads the key again and looks names up again; a key that cannot be read stays as it was. */
  reload(): Promise<void>
  /** Resolves when everything announced has left. */
  close(): Promise<void>
}

/** Resolves the targets, reads the key and opens the socket. `AppError` `ERR_SYNC_INIT` with the original's text. */
export async function openSendOnlySync(options: SendOnlySyncOptions): Promise<SendOnlySync> {
  const { targets, keyPath, port, clock, logger, debug, planParts = systemSyncPlanParts } = options
  const plan = await planSync({ targets, listen: undefined }, planParts)
  let key = readKey(keyPath)
  const warning = syncKeyWarning(keyPath)
  if (warning !== undefined) logger.log('warning', warning)
  const socket = await openSyncSocket({ plan, port, logger })
  const sender = new SyncSender({ socket, plan, port, key: () => key, planParts, clock, logger, debug })
  for (const { name, address } of plan.peers) {
    debug?.err(escapeControl(`added spam sync host ${name} (address ${address}, port ${port})`))
  }
  if (plan.multicast !== undefined) {
    debug?.err(
      `using multicast spam sync mode (ttl ${plan.multicast.ttl}, group ${SYNC_GROUP}, port ${port})`,
    )
  }
  return {
    sender,
    async reload() {
      try {
        key = readKey(keyPath)
      } catch (error) {
        logger.log('warning', `the synchronisation key was not changed: ${reasonOf(error)}`)
      }
      await sender.resolveAgain()
    },
    async close() {
      await sender.drained()
      sender.close()
      socket.close()
    },
  }
}

function readKey(path: string): Uint8Array {
  try {
    return syncKeyOf(readSyncKeyFile(path))
  } catch (error) {
    throw new AppError('ERR_SYNC_INIT', `sync init: ${reasonOf(error)}`, { cause: error })
  }
}
