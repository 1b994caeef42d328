/**
 * The packet filter for a spamd-setup that has given up root: a process of our own keeps it and answers the requests
 * of `privileged-protocol.ts` about the one table of spamd-setup, and no other.
 */
import { fileURLToPath } from 'node:url'
import type { FirewallHelper } from '../../app/lists/leave-root.js'
import type { Firewall } from '../../firewall/backend.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { forkProgram } from '../../platform/run-process.js'
import type { Settings } from '../../platform/settings.js'
import { PrivilegedClient } from './privileged-client.js'
import type { ParentMessage } from './privileged-protocol.js'

const HELPER = fileURLToPath(new URL('./setup-firewall-helper.js', import.meta.url))

/** What the helper is told on its command line, as JSON. */
export type HelperSettings = Pick<Settings, 'firewall' | 'pfctl' | 'nft'>

/** Starts the helper, as the user that we are now. Requests to one that has ended reject with `ERR_SETUP_HELPER`. */
export async function startSetupFirewall(settings: Settings): Promise<FirewallHelper> {
  const told: HelperSettings = { firewall: settings.firewall, pfctl: settings.pfctl, nft: settings.nft }
  const child = forkProgram(HELPER, [JSON.stringify(told)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const client = new PrivilegedClient(
    settings.firewall,
    (message) =>
      new Promise((resolve, reject) => {
        child.send(message, (error) => (error === null ? resolve() : reject(gone(reasonOf(error)))))
      }),
  )
  child.on('message', (message) => client.take(message as Extract<ParentMessage, { id: number }>, undefined))
  const ended = new Promise<never>((_resolve, reject) => {
    child.once('error', (error) => reject(gone(reasonOf(error))))
    child.once('exit', (exitCode, signal) => reject(gone(`it ended with ${signal ?? `status ${exitCode}`}`)))
  })
  ended.catch(() => undefined)
  const orGone = <Result>(answer: Promise<Result>): Promise<Result> => Promise.race([answer, ended])
  const firewall: Firewall = {
    name: client.name,
    replaceTable: (table, content) => orGone(client.replaceTable(table, content)),
    readTable: (table) => orGone(client.readTable(table)),
    limits: () => orGone(client.limits()),
    describe: () => client.describe(),
  }
  return {
    firewall,
    stop: async () => {
      if (child.connected) child.disconnect()
      await ended.catch(() => undefined)
    },
  }
}

function gone(reason: string): AppError {
  return new AppError('ERR_SETUP_HELPER', `the privileged part of spamd-setup is gone: ${reason}`)
}
