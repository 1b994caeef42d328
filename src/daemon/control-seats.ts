import type { Socket } from 'node:net'
import type { Logger } from '../platform/log.js'

/** Maximum number of simultaneous clients, more than people and monitoring need. */
const MAX_CONTROL_CONNECTIONS = 32

/**
 * Connections of the Unix socket. A new one is always accepted: the one that has been silent longest is closed for it,
 * those waiting for an answer last, so that idle clients cannot block others.
 */
export class ControlSeats {
  /** Whether an answer is being prepared, by connection; longest silent first. */
  readonly #isWorking = new Map<Socket, boolean>()
  readonly #logger: Logger
  #isCrowded = false

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Takes a new connection, and closes another one if there are too many. */
  admit(socket: Socket): void {
    if (this.#isWorking.size >= MAX_CONTROL_CONNECTIONS) this.#makeRoom()
    this.#isWorking.set(socket, false)
    socket.on('data', () => this.#move(socket, false))
    socket.once('close', () => {
      this.#isWorking.delete(socket)
      if (this.#isWorking.size < MAX_CONTROL_CONNECTIONS / 2) this.#isCrowded = false
    })
  }

  /** The whole request has arrived. */
  beginAnswer(socket: Socket): void {
    this.#move(socket, true)
  }

  /** The answer is written; the client must read it and close the connection. */
  endAnswer(socket: Socket): void {
    this.#move(socket, false)
  }

  #move(socket: Socket, isWorking: boolean): void {
    if (!this.#isWorking.delete(socket)) return
    this.#isWorking.set(socket, isWorking)
  }

  #makeRoom(): void {
    const [oldest] = this.#isWorking.keys()
    const [idle = oldest] = [...this.#isWorking].flatMap(([socket, isWorking]) => (isWorking ? [] : [socket]))
    if (idle === undefined) return
    this.#isWorking.delete(idle)
    idle.destroy()
    if (this.#isCrowded) return
    this.#isCrowded = true
    this.#logger.log(
      'notice',
      `more than ${MAX_CONTROL_CONNECTIONS} connections to the control socket: closing those that are idle`,
      { event: 'control-crowded' },
    )
  }
}
