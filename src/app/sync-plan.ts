/**
 * What the options -Y (targets) and -y (listen) mean on this machine: unicast peers, an address to listen on, or an
 * interface for multicast.
 * Source: sync_init of spamd's sync.c; deviations are listed in docs/protocol/sync.md.
 */
import { lookup } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import { AppError } from '../platform/app-error.js'
import { findInterfaceAddress } from '../platform/interface-address.js'

/** Source: SPAM_SYNC_MCASTADDR of sync.h. */
export const SYNC_GROUP = '224.0.1.240'
/** Source: SPAM_SYNC_MCASTTTL of sync.h (IP_DEFAULT_MULTICAST_TTL). */
const DEFAULT_TTL = 1
const MAX_TTL = 255
/** Each event is sent to every target; clusters have a handful. */
const MAX_TARGETS = 256

/** A peer that gets its own datagrams. */
export interface SyncPeer {
  /** As given with -Y. */
  name: string
  /** Dotted quad. */
  address: string
}

export interface SyncMulticast {
  interfaceName: string
  /** Primary IPv4 address of the interface: packets from it are our own. */
  interfaceAddress: string
  ttl: number
  isSending: boolean
  isReceiving: boolean
}

export interface SyncPlan {
  /** In the order of -Y. */
  peers: SyncPeer[]
  /** Address to receive unicast datagrams on (-y ADDRESS). */
  listenAddress: string | undefined
  multicast: SyncMulticast | undefined
}

/** The machine as the plan sees it; tests bring their own. */
export interface SyncEnvironment {
  /** First IPv4 address of a host name, undefined when it has none. */
  resolve(name: string): Promise<string | undefined>
  /** Primary IPv4 address of an interface; null for an interface without one, undefined when there is none. */
  interfaceAddress(name: string): Promise<string | null | undefined>
}

/** This machine. */
export const systemSyncEnvironment: SyncEnvironment = {
  async resolve(name) {
    if (isIPv4(name)) return name
    try {
      return (await lookup(name, { family: 4 })).address
    } catch {
      return undefined
    }
  },
  interfaceAddress: (name) => findInterfaceAddress(name),
}

/**
 * Reads the options. An existing interface is taken before a host of the same name, so that a wildcard in DNS
 * cannot make a host of `em0`. Throws `AppError` `ERR_SYNC_INIT` whose message is the original's reason.
 */
export async function planSync(
  options: { targets: readonly string[]; listen: string | undefined },
  environment: SyncEnvironment = systemSyncEnvironment,
): Promise<SyncPlan> {
  if (options.targets.length > MAX_TARGETS) {
    throw initError(`more than ${MAX_TARGETS} targets`, 'use multicast: -Y interface')
  }
  const peers: SyncPeer[] = []
  let sending: InterfaceOption | undefined
  for (const target of options.targets) {
    // A literal address is no interface: no need to look.
    const option = isIPv4(target) ? undefined : await parseInterface(target, environment)
    const address = option === undefined ? await environment.resolve(target) : undefined
    if (address !== undefined) peers.push({ name: target, address })
    else sending = option ?? noSuchDevice('-Y', target)
  }
  const { listen } = options
  if (listen === undefined)
    return { peers, listenAddress: undefined, multicast: multicastOf(sending, undefined) }
  if (isIPv4(listen)) return { peers, listenAddress: listen, multicast: multicastOf(sending, undefined) }
  const receiving = (await parseInterface(listen, environment)) ?? noSuchDevice('-y', listen)
  if (sending !== undefined && sending.name !== receiving.name) {
    throw initError(
      'multicast interface does not match',
      `name the same interface with -y and -Y, not ${receiving.name} and ${sending.name}`,
    )
  }
  return { peers, listenAddress: undefined, multicast: multicastOf(sending, receiving) }
}

interface InterfaceOption {
  name: string
  address: string
  ttl: number | undefined
}

/** `interface` or `interface:ttl`; undefined when there is no such interface. */
async function parseInterface(
  text: string,
  environment: SyncEnvironment,
): Promise<InterfaceOption | undefined> {
  // Aliases such as eth0:1 have a colon in their name.
  let name = text
  let ttl: number | undefined
  let address = await environment.interfaceAddress(name)
  const colon = text.lastIndexOf(':')
  if (address === undefined && colon > 0) {
    name = text.slice(0, colon)
    address = await environment.interfaceAddress(name)
    if (address !== undefined) ttl = parseTtl(text.slice(colon + 1))
  }
  if (address === undefined) return undefined
  if (address === null) throw initError(`interface ${name} has no IPv4 address`, undefined)
  return { name, address, ttl }
}

/** Messages of strtonum(3). */
function parseTtl(text: string): number {
  const value = /^[+-]?[0-9]+$/.test(text) ? Number(text) : Number.NaN
  const fault = Number.isNaN(value)
    ? 'invalid'
    : value < 1
      ? 'too small'
      : value > MAX_TTL
        ? 'too large'
        : undefined
  if (fault !== undefined) throw initError(`invalid multicast ttl ${text}: ${fault}`, 'use 1 to 255')
  return value
}

function multicastOf(
  sending: InterfaceOption | undefined,
  receiving: InterfaceOption | undefined,
): SyncMulticast | undefined {
  const option = sending ?? receiving
  if (option === undefined) return undefined
  return {
    interfaceName: option.name,
    interfaceAddress: option.address,
    ttl: sending?.ttl ?? receiving?.ttl ?? DEFAULT_TTL,
    isSending: sending !== undefined,
    isReceiving: receiving !== undefined,
  }
}

function noSuchDevice(flag: string, text: string): never {
  throw initError(
    'No such device',
    `${flag} ${text}: neither a host with an IPv4 address nor an interface of this machine`,
  )
}

function initError(reason: string, hint: string | undefined): AppError {
  return new AppError('ERR_SYNC_INIT', `sync init: ${reason}`, { hint })
}
