/** The UDP socket of the synchronisation protocol, as the plan wants it bound. */
import { createSocket, type Socket } from 'node:dgram'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { SYNC_GROUP, type SyncMulticast, type SyncPlan } from './sync-plan.js'

/** A burst of peers' messages must fit while the database commits: some 4,000 of the usual size. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
/** How often the membership is renewed: an interface that was removed and returned has lost it. */
const REJOIN_INTERVAL_MS = 60_000

export interface SyncSocketOptions {
  plan: SyncPlan
  port: number
  group?: string
  logger: Logger
  /** Present when datagrams are received. */
  onMessage?: (datagram: Uint8Array, peerAddress: string) => void
}

/** True when the plan receives anything. */
export function receives(plan: SyncPlan): boolean {
  return plan.listenAddress !== undefined || plan.multicast?.isReceiving === true
}

/**
 * Opens the socket. One that only sends has a port of its own choice, so that it takes no datagram away from a
 * spamd on the same machine. Rejects with `AppError` `ERR_SYNC_INIT` and the original's text.
 */
export async function openSyncSocket(options: SyncSocketOptions): Promise<Socket> {
  const { plan, port, group = SYNC_GROUP, logger, onMessage } = options
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  socket.on('error', (error) => logger.log('debug', `synchronisation socket: ${reasonOf(error)}`))
  const isReceiving = receives(plan)
  try {
    await bind(socket, isReceiving ? port : 0, plan.listenAddress ?? '0.0.0.0')
    if (isReceiving) enlargeBuffer(socket)
    if (plan.multicast !== undefined) prepareMulticast(socket, plan.multicast, group)
  } catch (error) {
    socket.close()
    throw error instanceof AppError
      ? error
      : new AppError('ERR_SYNC_INIT', `sync init: ${reasonOf(error)}`, { cause: error })
  }
  if (onMessage !== undefined) socket.on('message', (datagram, { address }) => onMessage(datagram, address))
  if (plan.multicast?.isReceiving === true) {
    const { interfaceAddress } = plan.multicast
    const timer = setInterval(() => rejoin(socket, group, interfaceAddress), REJOIN_INTERVAL_MS)
    timer.unref()
    socket.once('close', () => clearInterval(timer))
  }
  return socket
}

function bind(socket: Socket, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, address, () => {
      socket.removeListener('error', reject)
      resolve()
    })
  })
}

function enlargeBuffer(socket: Socket): void {
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES)
  } catch {
    // The system's limit is lower: its default stays.
  }
}

function prepareMulticast(socket: Socket, multicast: SyncMulticast, group: string): void {
  const { interfaceAddress, ttl } = multicast
  if (multicast.isReceiving) {
    attempt(`failed to add multicast membership to ${group}`, () =>
      socket.addMembership(group, interfaceAddress),
    )
  }
  attempt(`failed to set multicast ttl to ${ttl}`, () => socket.setMulticastTTL(ttl))
  attempt('failed to set the multicast interface', () => socket.setMulticastInterface(interfaceAddress))
}

function attempt(what: string, action: () => void): void {
  try {
    action()
  } catch (error) {
    throw new AppError('ERR_SYNC_INIT', `sync init: ${what}: ${reasonOf(error)}`, { cause: error })
  }
}

function rejoin(socket: Socket, group: string, interfaceAddress: string): void {
  try {
    socket.addMembership(group, interfaceAddress)
    socket.setMulticastInterface(interfaceAddress)
  } catch {
    // Already a member, which is the usual case, or the interface is gone, which the next try finds out.
  }
}
