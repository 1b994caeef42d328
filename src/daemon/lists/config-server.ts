/**
 * The configuration port: a TCP server for loopback whose clients prove by a source port below 1024 that root
 * started them. It never sends an answer. One connection is served at a time, the others wait. Source:
 * spamd(8), CONFIGURATION CONNECTIONS.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { escapeControl } from '../../codec/escape.js'
import { reasonOf } from '../../platform/errno-text.js'
import { type ConfigSessionOptions, runConfigSession } from './config-session.js'

/** Source ports that only root may bind. Source: IPPORT_RESERVED of netinet/in.h. */
const RESERVED_PORT_END = 1024
/** Connections waiting for their turn; setup opens one after the other. */
const MAX_WAITING_CONFIG_CONNECTIONS = 64

export interface ConfigServerOptions extends ConfigSessionOptions {
  /** Off only if the permission to configure is proved in another way. */
  needsReservedPort?: boolean
}

/** A server that is not yet listening. Closing it lets a session in progress finish. */
export function createConfigServer(options: ConfigServerOptions): Server {
  const { needsReservedPort = true } = options
  const waiting: Socket[] = []
  let isBusy = false
  const serveNext = async (): Promise<void> => {
    const socket = waiting.shift()
    if (socket === undefined) return
    isBusy = true
    try {
      await runConfigSession(socket, options)
      socket.end()
    } catch (error) {
      options.logger.log('err', `configuration failed: ${escapeControl(reasonOf(error))}`)
      socket.destroy()
    }
    isBusy = false
    await serveNext()
  }
  return createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const isReserved = (socket.remotePort ?? RESERVED_PORT_END) < RESERVED_PORT_END
    if ((needsReservedPort && !isReserved) || waiting.length >= MAX_WAITING_CONFIG_CONNECTIONS) {
      socket.destroy()
      return
    }
    waiting.push(socket)
    // Until its turn comes a client that goes away must not raise an unhandled error.
    socket.on('error', () => socket.destroy())
    if (!isBusy) void serveNext()
  })
}
