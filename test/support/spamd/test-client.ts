/** An SMTP client that stores everything it reads. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export class TestClient {
  received = ''
  hasEnded = false
  sentBytes = 0
  /** What was received before the current step. */
  seen = 0
  #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#watch(socket)
  }

  /** Rejects if the connection is refused. */
  static open(options: {
    host: string
    port: number
    localAddress?: string
    localPort?: number
  }): Promise<TestClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ...options, allowHalfOpen: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new TestClient(socket))
      })
    })
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0
  }

  /** Reply text since the last call. */
  take(): string {
    const text = this.received.slice(this.seen)
    this.seen = this.received.length
    return text
  }

  send(data: string): void {
    this.sentBytes += data.length
    if (!this.hasEnded) this.#socket.write(data, 'latin1')
  }

  /** Ends our side and keeps reading. */
  end(): void {
    this.#socket.end()
  }

  close(): void {
    this.#socket.destroy()
  }

  /** Closes the connection with a reset. */
  reset(): void {
    this.#socket.resetAndDestroy()
  }

  pause(): void {
    this.#socket.pause()
  }

  /** Starts TLS as the client; resolves with the protocol version. */
  startTls(): Promise<string> {
    const plain = this.#socket
    plain.removeAllListeners('data').removeAllListeners('end')
    return new Promise((resolve, reject) => {
      const secured = connectTls({ socket: plain, rejectUnauthorized: false }, () => {
        this.#socket = secured
        this.#watch(secured)
        resolve(secured.getProtocol() ?? '')
      })
      secured.once('error', reject)
    })
  }

  #watch(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1')
    })
    const ended = (): void => {
      this.hasEnded = true
    }
    socket.on('end', ended)
    socket.on('close', ended)
    socket.on('error', ended)
  }
}
