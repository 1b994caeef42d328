import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'

export interface RecordedDatagram {
  bytes: Buffer
  /** Address from which it was sent. */
  from: string
}

/** A UDP port that stores what it receives. */
export class UdpRecorder {
  readonly datagrams: RecordedDatagram[] = []
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('message', (bytes, { address }) => this.datagrams.push({ bytes, from: address }))
  }

  /** Listens on a free port of the address; by default, on all addresses. */
  static async open(address = '0.0.0.0', port = 0): Promise<UdpRecorder> {
    const socket = createSocket('udp4')
    socket.bind(port, address)
    await once(socket, 'listening')
    return new UdpRecorder(socket)
  }

  get port(): number {
    return this.#socket.address().port
  }

  /** Resolves when `count` datagrams have been received. */
  async waitFor(count: number): Promise<void> {
    while (this.datagrams.length < count) await once(this.#socket, 'message')
  }

  close(): void {
    this.#socket.close()
  }
}
