/**
 * The child's side of `privileged-protocol.ts`: requests sockets, files and the packet filter from the
 * parent.
 */
import { createServer, type Server } from 'node:net'
import type {
  Firewall,
  FirewallName,
  TableChange,
  TableContent,
  TableLimits,
  TableSpec,
} from '../../firewall/backend.js'
import { AppError } from '../../platform/app-error.js'
import { LISTEN_BACKLOG, sendAway } from './own-resources.js'
import {
  fromErrorMessage,
  type ParentMessage,
  PIECE_BYTES,
  type SimpleRequest,
} from './privileged-protocol.js'
import type { SpamdResources, TlsMaterial } from './spamd-resources.js'

/** Sends to the parent; resolves when the message has left, rejects when the parent is gone. */
export type SendToParent = (message: object) => Promise<void>

interface OpenRequest {
  handles: Server[]
  resolve: (value: unknown) => void
  reject: (error: AppError) => void
}

export class PrivilegedClient implements SpamdResources, Firewall {
  readonly name: FirewallName
  readonly #send: SendToParent
  readonly #open = new Map<number, OpenRequest>()
  #lastId = 0
  #onLost: (() => void) | undefined
  /** Tables go one after the other. */
  #tableTurn: Promise<unknown> = Promise.resolve()

  constructor(firewallName: FirewallName, send: SendToParent) {
    this.name = firewallName
    this.#send = send
  }

  /** Takes a message of the parent that answers a request, with the socket passed along. */
  take(message: Extract<ParentMessage, { id: number }>, handle: Server | undefined): void {
    const request = this.#open.get(message.id)
    if (request === undefined) {
      handle?.close()
      return
    }
    switch (message.kind) {
      case 'handle':
        if (handle !== undefined) request.handles.push(handle.on('connection', sendAway))
        return
      case 'answer':
        this.#open.delete(message.id)
        request.resolve(message.value)
        return
      case 'refused':
        this.#open.delete(message.id)
        request.reject(fromErrorMessage(message.error))
        return
    }
  }

  async openSmtpListeners(): Promise<Server[]> {
    const { handles, value } = await this.#request('smtp-listeners')
    if (handles.length !== value) {
      for (const handle of handles) handle.close()
      throw new AppError('ERR_SPAMD_LISTEN', 'a listening socket was lost while being passed to this process')
    }
    return Promise.all(
      handles.map((handle) => listenOnHandle(createServer({ allowHalfOpen: true }), handle, LISTEN_BACKLOG)),
    )
  }

  async listenConfig(server: Server): Promise<void> {
    const { handles } = await this.#request('config-listener')
    for (const handle of handles) await listenOnHandle(server, handle)
  }

  async listenControl(server: Server): Promise<void> {
    const { handles } = await this.#request('control-listener')
    for (const handle of handles) passConnections(handle, server)
  }

  async readTls(): Promise<TlsMaterial | undefined> {
    return (await this.#request('read-tls')).value as TlsMaterial | undefined
  }

  async readAllowedDomains(): Promise<Buffer | undefined> {
    return asBuffer((await this.#request('read-allowed-domains')).value)
  }

  async readSpfDomains(): Promise<Buffer | undefined> {
    return asBuffer((await this.#request('read-spf-domains')).value)
  }

  async readSyncKey(): Promise<Buffer | undefined> {
    return asBuffer((await this.#request('read-sync-key')).value)
  }

  async replaceTable(table: TableSpec, content: TableContent): Promise<void> {
    await this.#inTurn({ kind: 'replace-table', table: table.name }, content)
  }

  async changeTable(table: TableSpec, change: TableChange, content: TableContent): Promise<void> {
    await this.#inTurn({ kind: 'change-table', table: table.name, change }, content)
  }

  async countTable(table: TableSpec): Promise<number | undefined> {
    const { value } = await this.#ask({ kind: 'count-table', table: table.name })
    return value as number | undefined
  }

  watchLoss(onLost: () => void): () => void {
    this.#onLost = onLost
    // Without the parent nothing can be done about it.
    void this.#request('watch-tables').catch(() => undefined)
    return () => {
      this.#onLost = undefined
    }
  }

  /** Word of the parent that tables are gone. */
  tablesLost(): void {
    this.#onLost?.()
  }

  async readTable(table: TableSpec): Promise<string[] | undefined> {
    const { value } = await this.#ask({ kind: 'read-table', table: table.name })
    return value as string[] | undefined
  }

  async limits(): Promise<TableLimits> {
    return (await this.#request('table-limits')).value as TableLimits
  }

  async changesByOthers(): Promise<number | undefined> {
    return (await this.#request('changes-by-others')).value as number | undefined
  }

  describe(): string {
    return `${this.name} through the privileged process`
  }

  async #inTurn(message: object, content: TableContent): Promise<void> {
    const turn = this.#tableTurn.then(() => this.#sendTable(message, content))
    this.#tableTurn = turn.catch(() => undefined)
    await turn
  }

  async #sendTable(message: object, { ipv4, ipv6 }: TableContent): Promise<void> {
    const partOf = ({ text, count }: TableContent['ipv4']) => ({ count, lengthBytes: text.length })
    const answered = this.#ask({ ...message, ipv4: partOf(ipv4), ipv6: partOf(ipv6) })
    const id = this.#lastId
    // Awaited at the end: until then a rejection must not count as unhandled.
    answered.catch(() => undefined)
    for (const { text } of [ipv4, ipv6]) {
      for (let start = 0; start < text.length; start += PIECE_BYTES) {
        await this.#send({ kind: 'piece', id, bytes: text.subarray(start, start + PIECE_BYTES) })
      }
    }
    await answered
  }

  #request(name: SimpleRequest): Promise<{ value: unknown; handles: Server[] }> {
    return this.#ask({ kind: 'request', name })
  }

  async #ask(request: object): Promise<{ value: unknown; handles: Server[] }> {
    this.#lastId += 1
    const id = this.#lastId
    const handles: Server[] = []
    const answered = new Promise<unknown>((resolve, reject) => {
      this.#open.set(id, { handles, resolve, reject })
    })
    await this.#send({ ...request, id })
    return { value: await answered, handles }
  }
}

/** Lets `server` take over a listening TCP socket. */
function listenOnHandle(server: Server, handle: Server, backlog?: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(new AppError('ERR_SPAMD_LISTEN', `listen: ${error.message}`, { cause: error }))
    }
    server.once('error', onError)
    server.listen(handle, backlog, () => {
      server.off('error', onError)
      resolve(server)
    })
  })
}

/**
 * Gives `server` the connections of a Unix socket: Node cannot move a listening one from server to server.
 * Both close together.
 */
function passConnections(handle: Server, server: Server): void {
  const unixServer = handle as Server & { allowHalfOpen: boolean }
  unixServer.allowHalfOpen = true
  unixServer.maxConnections = server.maxConnections
  unixServer.off('connection', sendAway)
  unixServer.on('connection', (socket) => server.emit('connection', socket))
  server.once('close', () => unixServer.close())
}

/** Bytes as they came through the channel. */
function asBuffer(value: unknown): Buffer | undefined {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.length) : undefined
}
