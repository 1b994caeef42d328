/**
 * The packet filter for a spamd-setup that has given up root: a separate process of ours keeps it and answers
 * the requests of `privileged-protocol.ts` about the one table of spamd-setup, and no other.
 */
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { deserialize } from 'node:v8'
import type { FirewallHelper } from '../../app/lists/leave-root.js'
import type { Firewall } from '../../firewall/backend.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { spawnProgram } from '../../platform/run-process.js'
import type { Settings } from '../../platform/settings.js'
import { FrameReader, writeFrame } from './message-frames.js'
import { PrivilegedClient } from './privileged-client.js'
import { encodeChildMessage, type ParentMessage } from './privileged-protocol.js'

const HELPER = fileURLToPath(new URL('./setup-firewall-helper.js', import.meta.url))

/** Descriptor of the helper's messages. */
export const HELPER_MESSAGES_FD = 3
/** The helper is trusted; a listing of a full table is its longest message. */
const MAX_ANSWER_BYTES = 1024 * 1024 * 1024

/** Parameters of the helper on its command line, as JSON. */
export type HelperSettings = Pick<Settings, 'firewall' | 'pfctl' | 'nft'>

/** Starts the helper, as the user that we are now. Requests to one that has ended reject with `ERR_SETUP_HELPER`. */
export async function startSetupFirewall(settings: Settings): Promise<FirewallHelper> {
  const told: HelperSettings = { firewall: settings.firewall, pfctl: settings.pfctl, nft: settings.nft }
  const child = spawnProgram(HELPER, [JSON.stringify(told)], ['ignore', 'ignore', 'inherit', 'pipe'])
  const messages = child.stdio[HELPER_MESSAGES_FD] as Socket
  const client = new PrivilegedClient(settings.firewall, (message) =>
    writeFrame(messages, encodeChildMessage(message)).catch((error: unknown) => {
      throw gone(reasonOf(error))
    }),
  )
  const frames = new FrameReader({ maxWordsBytes: 0, maxBytes: MAX_ANSWER_BYTES })
  messages.on('data', (chunk: Buffer) => {
    for (const { bytes } of frames.push(chunk)) {
      client.take(deserialize(bytes) as Extract<ParentMessage, { id: number }>, undefined)
    }
  })
  // Its end is reported by its exit.
  messages.on('error', () => undefined)
  const ended = new Promise<never>((_resolve, reject) => {
    child.once('error', (error) => reject(gone(reasonOf(error))))
    child.once('exit', (exitCode, signal) => reject(gone(`it ended with ${signal ?? `status ${exitCode}`}`)))
  })
  ended.catch(() => undefined)
  const orGone = <Result>(answer: Promise<Result>): Promise<Result> => Promise.race([answer, ended])
  const firewall: Firewall = {
    name: client.name,
    replaceTable: (table, content) => orGone(client.replaceTable(table, content)),
    changeTable: (table, change, content) => orGone(client.changeTable(table, change, content)),
    countTable: (table) => orGone(client.countTable(table)),
    watchLoss: (onLost) => client.watchLoss(onLost),
    readTable: (table) => orGone(client.readTable(table)),
    limits: () => orGone(client.limits()),
    describe: () => client.describe(),
  }
  return {
    firewall,
    stop: async () => {
      messages.end()
      await ended.catch(() => undefined)
    },
  }
}

function gone(reason: string): AppError {
  return new AppError('ERR_SETUP_HELPER', `the privileged part of spamd-setup is gone: ${reason}`)
}
