/**
 * The privileged side of spamd: answers the fixed requests of `privileged-protocol.ts` and does nothing else.
 * It parses no data from the network, and of the child's data only table text, byte by byte, in the firewall
 * layer.
 */
import { setMaxListeners } from 'node:events'
import { createServer, type Server } from 'node:net'
import type { Firewall, TableSpec } from '../../firewall/backend.js'
import { AppError } from '../../platform/app-error.js'
import { freeMemorySoon } from '../../platform/free-memory.js'
import type { PathOptions } from './listen-on-path.js'
import { sendAway } from './own-resources.js'
import {
  type ChildMessage,
  MAX_OPEN_REQUESTS,
  MESSAGE_BURST,
  MESSAGES_PER_SEC,
  type ParentMessage,
  PIECE_BYTES,
  readChildMessage,
  type SimpleRequest,
  type TablePart,
  toErrorMessage,
} from './privileged-protocol.js'
import type { PrivilegedResources } from './spamd-resources.js'

/**
 * Sends a message, and a listening socket along with it; resolves when it was sent. Messages with sockets,
 * and those after them, arrive in order.
 */
export type SendToChild = (message: ParentMessage, handle?: Server) => Promise<void>

export interface PrivilegedParentParts {
  resources: PrivilegedResources
  firewall: Firewall
  /** How the Unix socket for setup and status commands is created. */
  controlSocket: PathOptions
  /** The tables that the child may change; by default those of spamd. */
  tables?: readonly TableSpec[]
  send: SendToChild
  /** Milliseconds that only grow. */
  monotonicMs?: () => number
}

/** Each of these is needed once at startup: a child that requests one again is compromised. */
const ASKED_ONCE: ReadonlySet<SimpleRequest> = new Set([
  'config-listener',
  'control-listener',
  'watch-tables',
])

/** Their answers follow the sockets that they concern. */
const SOCKET_REQUESTS: ReadonlySet<SimpleRequest> = new Set([
  'smtp-listeners',
  'config-listener',
  'control-listener',
])

/** From this length on, the texts of a table are worth freeing soon after it was written. */
const LARGE_BYTES = 1024 * 1024

type TableMessage = Extract<ChildMessage, { kind: 'replace-table' | 'change-table' }>

type TableTransfer = TableMessage & {
  ipv4Text: Uint8Array
  ipv6Text: Uint8Array
  receivedBytes: number
}

export class PrivilegedParent {
  readonly #parts: PrivilegedParentParts
  readonly #monotonicMs: () => number
  readonly #openRequests = new Map<number, Promise<void>>()
  readonly #askedOnce = new Set<SimpleRequest>()
  readonly #abandoned = new AbortController()
  #removeControlSocket: (() => void) | undefined
  #stopWatching: (() => void) | undefined
  #allowance: { messages: number; sinceMs: number }
  #isReading = false
  #transfer: TableTransfer | undefined

  constructor(parts: PrivilegedParentParts) {
    this.#parts = parts
    // One for each request in progress.
    setMaxListeners(MAX_OPEN_REQUESTS, this.#abandoned.signal)
    this.#monotonicMs = parts.monotonicMs ?? (() => performance.now())
    this.#allowance = { messages: MESSAGE_BURST, sinceMs: this.#monotonicMs() }
  }

  /**
   * Takes one message of the child and returns messages about its state: `hello`, `ready` or `failed`. Throws
   * `AppError` `ERR_SPAMD_CHILD` for anything that our child would never send; it must then be killed.
   */
  take(raw: unknown): Extract<ChildMessage, { kind: 'hello' | 'ready' | 'failed' }> | undefined {
    const message = readChildMessage(raw, this.#parts.tables)
    if (message === undefined) throw misbehaviour('sent an invalid message')
    // Our child sends full pieces of a table except for the last of each family: many small ones only cost time.
    if (message.kind !== 'piece' || message.bytes.length < PIECE_BYTES) this.#countMessage()
    switch (message.kind) {
      case 'hello':
      case 'ready':
      case 'failed':
        return message
      case 'request':
        this.#countRequest(message.name)
        this.#serve(
          message.id,
          () => this.#answer(message.id, message.name),
          SOCKET_REQUESTS.has(message.name) ? true : undefined,
        )
        return undefined
      case 'read-table':
        this.#serve(message.id, () => this.#readTable(message.table))
        return undefined
      case 'count-table':
        this.#serve(message.id, () =>
          this.#unlessAbandoned(() => this.#parts.firewall.countTable(message.table)),
        )
        return undefined
      case 'replace-table':
      case 'change-table':
        this.#beginTransfer(message)
        return undefined
      case 'piece':
        this.#takePiece(message.id, message.bytes)
        return undefined
    }
  }

  /**
   * Rejects all pending and further requests for the packet filter: a hung program must not delay our end. It
   * continues by itself with the complete list that it received.
   */
  abandonHelpers(): void {
    this.#abandoned.abort()
  }

  /** Resolves when no request is in progress. */
  async settled(): Promise<void> {
    await Promise.all(this.#openRequests.values())
  }

  /** Removes what was created for the child in the file system. */
  close(): void {
    this.#removeControlSocket?.()
    this.#stopWatching?.()
  }

  #countMessage(): void {
    const nowMs = this.#monotonicMs()
    const { messages, sinceMs } = this.#allowance
    const grown = messages + ((nowMs - sinceMs) / 1000) * MESSAGES_PER_SEC
    this.#allowance = { messages: Math.min(MESSAGE_BURST, grown) - 1, sinceMs: nowMs }
    if (this.#allowance.messages < 0) throw misbehaviour('sent messages without pause')
  }

  /** One listing at a time: each can be large. */
  async #readTable(table: TableSpec): Promise<string[] | undefined> {
    if (this.#isReading) throw new AppError('ERR_FIREWALL_FAILED', 'another listing is in progress')
    this.#isReading = true
    try {
      return await this.#unlessAbandoned(() => this.#parts.firewall.readTable(table))
    } finally {
      this.#isReading = false
    }
  }

  #unlessAbandoned<Result>(work: () => Promise<Result>): Promise<Result> {
    const { signal } = this.#abandoned
    const refusal = (): AppError => new AppError('ERR_FIREWALL_TIMEOUT', 'spamd is ending')
    return new Promise((resolve, reject) => {
      const abandon = (): void => reject(refusal())
      if (signal.aborted) {
        abandon()
        return
      }
      signal.addEventListener('abort', abandon, { once: true })
      work()
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', abandon))
    })
  }

  #countRequest(name: SimpleRequest): void {
    if (!ASKED_ONCE.has(name)) return
    if (this.#askedOnce.has(name)) throw misbehaviour(`asked for ${name} again`)
    this.#askedOnce.add(name)
  }

  #serve(id: number, work: () => Promise<unknown>, follows?: true): void {
    if (this.#openRequests.has(id) || this.#openRequests.size >= MAX_OPEN_REQUESTS) {
      throw misbehaviour('made too many requests')
    }
    const serving = async (): Promise<void> => {
      let answer: ParentMessage
      try {
        answer = { kind: 'answer', id, value: await work(), ...(follows ? { follows } : {}) }
      } catch (error) {
        answer = { kind: 'refused', id, error: toErrorMessage(error) }
      }
      // The caller that started the child notices its end. A child that reads no answers makes no requests.
      await this.#parts.send(answer).catch(() => undefined)
      this.#openRequests.delete(id)
    }
    this.#openRequests.set(id, serving())
  }

  async #answer(id: number, name: SimpleRequest): Promise<unknown> {
    const { resources, firewall } = this.#parts
    switch (name) {
      case 'smtp-listeners': {
        const servers = await resources.openSmtpListeners()
        for (const server of servers) await this.#handOver(id, server)
        // A process without a free descriptor silently loses sockets that are being passed to it: it must be
        // able to count them.
        return servers.length
      }
      case 'config-listener': {
        const server = createServer(sendAway)
        await resources.listenConfig(server)
        await this.#handOver(id, server)
        return undefined
      }
      case 'control-listener':
        await this.#openControlSocket(id)
        return undefined
      case 'read-tls':
        return resources.readTls()
      case 'read-allowed-domains':
        return resources.readAllowedDomains()
      case 'read-spf-domains':
        return resources.readSpfDomains()
      case 'read-sync-key':
        return resources.readSyncKey()
      case 'table-limits':
        return this.#unlessAbandoned(() => firewall.limits())
      case 'changes-by-others':
        return firewall.changesByOthers?.()
      case 'watch-tables':
        this.#stopWatching = firewall.watchLoss(() => {
          // The starter of the child notices its exit.
          void this.#parts.send({ kind: 'tables-lost' }).catch(() => undefined)
        })
        return undefined
    }
  }

  /** Passes a listening socket on; ours is closed, or we would accept connections too. */
  async #handOver(id: number, server: Server): Promise<void> {
    try {
      await this.#parts.send({ kind: 'handle', id }, server)
    } finally {
      server.close()
    }
  }

  async #openControlSocket(id: number): Promise<void> {
    const { resources, controlSocket } = this.#parts
    const server = createServer(sendAway)
    this.#removeControlSocket = await resources.bindControl(server, controlSocket)
    await this.#handOver(id, server)
  }

  #beginTransfer(message: TableMessage): void {
    if (this.#transfer !== undefined) throw misbehaviour('sent two tables at once')
    this.#transfer = {
      ...message,
      ipv4Text: new Uint8Array(message.ipv4.lengthBytes),
      ipv6Text: new Uint8Array(message.ipv6.lengthBytes),
      receivedBytes: 0,
    }
    this.#finishTransfer()
  }

  #takePiece(id: number, bytes: Uint8Array): void {
    const transfer = this.#transfer
    if (transfer?.id !== id || transfer.receivedBytes + bytes.length > totalBytes(transfer)) {
      throw misbehaviour('sent more of a table than it announced')
    }
    const { ipv4Text, ipv6Text, receivedBytes } = transfer
    const ipv4Room = Math.max(0, ipv4Text.length - receivedBytes)
    ipv4Text.set(bytes.subarray(0, ipv4Room), Math.min(receivedBytes, ipv4Text.length))
    if (bytes.length > ipv4Room) {
      ipv6Text.set(bytes.subarray(ipv4Room), receivedBytes + ipv4Room - ipv4Text.length)
    }
    transfer.receivedBytes += bytes.length
    this.#finishTransfer()
  }

  #finishTransfer(): void {
    const transfer = this.#transfer
    if (transfer === undefined || transfer.receivedBytes < totalBytes(transfer)) return
    this.#transfer = undefined
    const { table, ipv4, ipv6, ipv4Text, ipv6Text } = transfer
    const content = {
      ipv4: { text: ipv4Text, count: ipv4.count },
      ipv6: { text: ipv6Text, count: ipv6.count },
    }
    const { firewall } = this.#parts
    const write = async (): Promise<void> => {
      try {
        if (transfer.kind === 'replace-table') await firewall.replaceTable(table, content)
        else await firewall.changeTable(table, transfer.change, content)
      } finally {
        if (totalBytes(transfer) >= LARGE_BYTES) freeMemorySoon()
      }
    }
    this.#serve(transfer.id, () => this.#unlessAbandoned(write))
  }
}

function totalBytes({ ipv4, ipv6 }: { ipv4: TablePart; ipv6: TablePart }): number {
  return ipv4.lengthBytes + ipv6.lengthBytes
}

function misbehaviour(what: string): AppError {
  return new AppError('ERR_SPAMD_CHILD', `the unprivileged process ${what}`)
}
