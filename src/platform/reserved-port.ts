/**
 * Connections from a source port below 1024, by which spamd recognises that the sender is root.
 * Source: rresvport(3); spamd-setup(8) starts at 1023 and takes the next free port below.
 */
import { connect, type Socket } from 'node:net'
import { isSystemError } from './app-error.js'
import { type BoundTcp, bindTcp } from './bound-tcp.js'

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
 * connection (`ECONNREFUSED` and so on), with `EACCES` when ports below 1024 may not be used, and with the
 * last `EADDRINUSE` when all are taken. A port whose old connection to the same target still lingers counts
 * as taken.
 */
export async function connectFromReservedPort(target: ReservedPortTarget): Promise<Socket> {
  for (let localPort = HIGHEST_RESERVED_PORT; ; localPort -= 1) {
    try {
      return await connected(connect({ ...target, localPort }))
    } catch (error) {
      if (!isPortTaken(error) || localPort === LOWEST_RESERVED_PORT) throw error
    }
  }
}

/** Sockets bound as root, for connections made after root was given up. */
export class ReservedSockets {
  readonly #waiting: BoundTcp[] = []

  /**
   * Binds up to `count` sockets to free source ports from 1023 down to 512 at `localAddress`; fewer if there
   * are not enough. Throws the system's error when not even one can be bound.
   */
  constructor(localAddress: string, count: number) {
    let lastError: unknown
    for (let port = HIGHEST_RESERVED_PORT; port >= LOWEST_RESERVED_PORT; port -= 1) {
      if (this.#waiting.length >= count) return
      try {
        this.#waiting.push(bindTcp(localAddress, port))
      } catch (error) {
        lastError = error
        if (!isPortTaken(error)) break
      }
    }
    if (this.#waiting.length === 0 && count > 0) throw lastError
  }

  /** Connects one of the sockets. Rejects as `connectFromReservedPort`; `EADDRINUSE` when none is left. */
  async connect(target: { host: string; port: number }): Promise<Socket> {
    for (;;) {
      const bound = this.#waiting.shift()
      if (bound === undefined) {
        throw Object.assign(new Error('no reserved port is left'), { code: 'EADDRINUSE', syscall: 'bind' })
      }
      try {
        return await connected(bound.connect(target))
      } catch (error) {
        if (!isPortTaken(error)) throw error
      }
    }
  }

  /** Closes the unused ones. */
  close(): void {
    for (const bound of this.#waiting.splice(0)) bound.close()
  }
}

function isPortTaken(error: unknown): boolean {
  return isSystemError(error) && (error.code === 'EADDRINUSE' || error.code === 'EADDRNOTAVAIL')
}

function connected(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => reject(error)
    socket.once('error', onError)
    socket.once('connect', () => {
      socket.off('error', onError)
      resolve(socket)
    })
  })
}
