/**
 * Connections from a source port below 1024, by which spamd recognises that the sender is root.
 * Source: rresvport(3); spamd-setup(8) starts at 1023 and takes the next free port below.
 */
import { connect, type Socket } from 'node:net'
import { isSystemError } from './app-error.js'

const HIGHEST_RESERVED_PORT = 1023
/** Ports below this belong to well-known services even when nothing listens. Source: IPPORT_RESERVED / 2. */
const LOWEST_RESERVED_PORT = 512

export interface ReservedPortTarget {
  host: string
  port: number
  /** Address to connect from; it must be of the family of `host`. */
  localAddress: string
}

/**
 * Connects from the highest free source port from 1023 down to 512. Rejects with the system's error of the
 * connection (`ECONNREFUSED` and so on), with `EACCES` when ports below 1024 are not ours to use, and with
 * the last `EADDRINUSE` when all are taken. A port whose old connection to the same target still lingers
 * counts as taken.
 */
export async function connectFromReservedPort(target: ReservedPortTarget): Promise<Socket> {
  for (let localPort = HIGHEST_RESERVED_PORT; ; localPort -= 1) {
    try {
      return await connectFrom(target, localPort)
    } catch (error) {
      if (!isPortTaken(error) || localPort === LOWEST_RESERVED_PORT) throw error
    }
  }
}

function isPortTaken(error: unknown): boolean {
  return isSystemError(error) && (error.code === 'EADDRINUSE' || error.code === 'EADDRNOTAVAIL')
}

function connectFrom(target: ReservedPortTarget, localPort: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...target, localPort })
    const onError = (error: Error): void => reject(error)
    socket.once('error', onError)
    socket.once('connect', () => {
      socket.off('error', onError)
      resolve(socket)
    })
  })
}
