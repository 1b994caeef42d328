/**
 * The socket of one SMTP client: events, pausing and resuming, and the switch to TLS. The listeners are
 * shared functions that find their owner on the socket, because there may be tens of thousands of clients.
 */
import type { Socket } from 'node:net'

/** What a client's socket reports. */
export interface SocketOwner {
  receive(chunk: Uint8Array): void
  /** The client closed its side; it may still read. */
  inputEnded(): void
  /** The socket failed or is gone; may be called more than once. */
  socketClosed(): void
}

const ownerKey = Symbol('owner')
type OwnedSocket = Socket & { [ownerKey]?: SocketOwner | undefined }

export class ClientSocket {
  readonly #owner: SocketOwner
  #socket: OwnedSocket
  #isPaused = false
  #isTls = false

  /** Reports nothing before `listen`. */
  constructor(socket: Socket, owner: SocketOwner) {
    this.#socket = socket
    this.#owner = owner
  }

  get isTls(): boolean {
    return this.#isTls
  }

  /** True while the kernel has not taken all that was written. */
  get isBlocked(): boolean {
    return this.#socket.writableLength > 0
  }

  /** Starts to report to the owner; the socket may come paused, as from the reader of a PROXY header. */
  listen(): void {
    this.#adopt(this.#socket)
    this.#isPaused = this.#socket.isPaused()
  }

  /** Puts TLS around the connection; `onSecure` is called when the client's handshake is done. */
  startTls(secure: (plain: Socket) => Socket, onSecure: () => void): void {
    release(this.#socket)
    this.#adopt(secure(this.#socket))
    this.#isPaused = false
    this.#socket.once('secure', () => {
      this.#isTls = true
      onSecure()
    })
  }

  pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
  }

  /** Writes text, one character a byte. */
  write(text: string, written?: (error?: Error | null) => void): void {
    this.#socket.write(text, 'latin1', written)
  }

  /** Closes our side; the client may still send. */
  end(): void {
    this.#socket.end()
  }

  /** Closes both sides once all is written. */
  destroySoon(): void {
    this.#socket.destroySoon()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #adopt(socket: OwnedSocket): void {
    this.#socket = socket
    socket[ownerKey] = this.#owner
    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('error', onError)
    socket.on('close', onClose)
  }
}

function release(socket: OwnedSocket): void {
  socket[ownerKey] = undefined
  socket.off('data', onData)
  socket.off('end', onEnd)
  socket.off('error', onError)
  socket.off('close', onClose)
}

function onData(this: OwnedSocket, chunk: Buffer): void {
  this[ownerKey]?.receive(chunk)
}

function onEnd(this: OwnedSocket): void {
  this[ownerKey]?.inputEnded()
}

/** A socket error concerns only its client: it ends this connection, and 'close' follows. */
function onError(this: OwnedSocket): void {
  this[ownerKey]?.socketClosed()
}

function onClose(this: OwnedSocket): void {
  this[ownerKey]?.socketClosed()
}
