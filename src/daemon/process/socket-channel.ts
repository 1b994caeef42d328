/**
 * The parent's end of the channel on which sockets go to the child. Node's channel is made for processes that
 * trust each other: incoming data is collected in memory without limits and decoded by Node itself. A socket
 * can be passed in no other way, so this lets in exactly the replies that Node expects, byte for byte, and
 * nothing else; all messages of the child arrive through `message-frames.ts`.
 */

import type { ChildProcess } from '../../platform/run-process.js'

/** What Node's other end answers for each socket. Source: internal/child_process of Node 20, 22 and 24. */
const TAKEN = '{"cmd":"NODE_HANDLE_ACK"}'
const LOST = '{"cmd":"NODE_HANDLE_NACK"}'
/** Node sends a socket that did not arrive three more times. */
const MAX_LOSSES = 4

/** Node's handle of the channel, as far as we touch it. */
interface ChannelHandle {
  onread: (this: unknown, buffer?: ArrayBuffer) => unknown
  pendingHandle?: { close(): void } | null
}

export class SocketChannel {
  readonly #child: ChildProcess
  readonly #onForeign: () => void
  #partial = ''
  /**
   * Sockets that Node has sent or will send, and whose reply is outstanding: a reply beyond them would end
   * Node.
   */
  #unanswered = 0
  #losses = 0
  #isForeign = false

  /** `onForeign` is called once, when anything but a reply arrives; it must kill the child. */
  constructor(child: ChildProcess, onForeign: () => void) {
    this.#child = child
    this.#onForeign = onForeign
  }

  /** Starts to watch; false when this Node stores its channel in an unknown way, so that it is unguarded. */
  guard(): boolean {
    const handle = channelHandleOf(this.#child)
    if (handle === undefined) return false
    const readOn = handle.onread
    const channel = this
    handle.onread = function (this: unknown, buffer) {
      if (buffer !== undefined && !channel.#accepts(buffer, handle)) return undefined
      return readOn.call(this, buffer)
    }
    return true
  }

  /** Sends a message, with a socket or without; they arrive in this order. Resolves when it has left. */
  send(message: object, socket?: Parameters<ChildProcess['send']>[1]): Promise<void> {
    if (socket !== undefined) this.#unanswered += 1
    return new Promise((resolve, reject) => {
      this.#child.send(message, socket, {}, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  #accepts(buffer: ArrayBuffer, handle: ChannelHandle): boolean {
    const lines = (this.#partial + Buffer.from(buffer).toString('latin1')).split('\n')
    this.#partial = lines.pop()!
    const isSocket = handle.pendingHandle !== undefined && handle.pendingHandle !== null
    if (isSocket) handle.pendingHandle!.close()
    handle.pendingHandle = null
    const isAnswer =
      !isSocket &&
      lines.every((line) => this.#countAnswer(line)) &&
      [TAKEN, LOST].some((answer) => answer.startsWith(this.#partial))
    if (isAnswer && !this.#isForeign) return true
    this.#partial = ''
    if (!this.#isForeign) this.#onForeign()
    this.#isForeign = true
    return false
  }

  #countAnswer(line: string): boolean {
    if (this.#unanswered === 0 || (line !== TAKEN && line !== LOST)) return false
    this.#losses = line === LOST ? this.#losses + 1 : 0
    if (line === TAKEN || this.#losses === MAX_LOSSES) {
      this.#unanswered -= 1
      this.#losses = 0
    }
    return true
  }
}

function channelHandleOf(child: ChildProcess): ChannelHandle | undefined {
  const name = Object.getOwnPropertySymbols(child).find(({ description }) => description === 'kChannelHandle')
  const handle = name && (child as unknown as Record<symbol, Partial<ChannelHandle>>)[name]
  return typeof handle?.onread === 'function' ? (handle as ChannelHandle) : undefined
}
