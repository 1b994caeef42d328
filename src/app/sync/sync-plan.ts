/**
 * What the options -Y (targets) and -y (listen) mean on this machine: unicast peers, an address to listen on, or an
 * interface for multicast.
 * Source: sync_init of spamd's sync.c; deviations are listed in docs/protocol/sync.md.
 */

import { lookup } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import { strtonum } from '../../codec/strtonum.js'
import { AppError } from '../../platform/app-error.js'
import { findInterfaceAddress } from '../../platform/interface-address.js'

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

/** The machine as the plan sees it; tests provide their own. */
export interface SyncPlanParts {
  /** First IPv4 address of a host name, undefined when it has none. */
  resolve(name: string): Promise<string | undefined>
  /** Primary IPv4 address of an interface; null for an interface without one, undefined when there is none. */
  interfaceAddress(name: string): Promise<string | null | undefined>
}

/** This machine. */
export const systemSyncPlanParts: SyncPlanParts = {
  async resolve(name) {
    if (isIPv4(name)) return name
    // lookup() has no error for the empty name.
    if (name === '') return undefined
    try {
      return (await lookup(name, { family: 4 })).address
    } catch {
      return undefined
    }
  },
  interfaceAddress: (name) => findInterfaceAddress(name),
}

/**
 * Reads the options. An existing interface takes precedence over a host of the same name, so that a wildcard
 * in DNS cannot make a host of `em0`. Throws `AppError` `ERR_SYNC_INIT` whose message is the original's
 * reason.
 */
// eslint-disable-next-line complexity -- tests in the order of the original
export async function planSync(
  options: { targets: readonly string[]; listen: string | undefined },
  parts: SyncPlanParts = systemSyncPlanParts,
): Promise<SyncPlan> {
  if (options.targets.length > MAX_TARGETS) {
    throw initError(`more than ${MAX_TARGETS} targets`, 'use multicast: -Y interface')
  }
  const peers: SyncPeer[] = []
  const sending: InterfaceOption[] = []
  for (const target of options.targets) {
    // A literal address is no interface: no need to look.
    const option = isIPv4(target) ? undefined : await readInterface('-Y', target, parts)
    const address = option?.address === undefined ? await parts.resolve(target) : undefined
    if (address !== undefined) peers.push({ name: target, address })
    else if (option !== undefined) sending.push(option)
  }
  const { listen } = options
  const listenAddress = listen !== undefined && isIPv4(listen) ? listen : undefined
  const receiving =
    listen === undefined || listenAddress !== undefined ? undefined : await readInterface('-y', listen, parts)
  // Tested in the original's order: names, TTLs, the machine's interfaces.
  const last = sending.at(-1)
  if (last !== undefined && receiving !== undefined && last.name !== receiving.name) {
    throw initError(
      'multicast interface does not match',
      `name the same interface with -y and -Y, not ${receiving.name} and ${last.name}`,
    )
  }
  const multicastSending = sending.map(checkInterface).at(-1)
  const multicastReceiving = receiving && checkInterface(receiving)
  return { peers, listenAddress, multicast: multicastOf(multicastSending, multicastReceiving) }
}

/** `interface` or `interface:ttl` as it was written, and what the machine knows of it. */
interface InterfaceOption {
  flag: '-Y' | '-y'
  text: string
  name: string
  ttlText: string | undefined
  /** As from `SyncPlanParts.interfaceAddress`. */
  address: string | null | undefined
}

interface UsableInterface {
  name: string
  address: string
  ttl: number | undefined
}

async function readInterface(
  flag: '-Y' | '-y',
  text: string,
  parts: SyncPlanParts,
): Promise<InterfaceOption> {
  // Aliases such as eth0:1 have a colon in their name.
  const address = await parts.interfaceAddress(text)
  const colon = text.lastIndexOf(':')
  if (address !== undefined || colon <= 0) return { flag, text, name: text, ttlText: undefined, address }
  const name = text.slice(0, colon)
  return {
    flag,
    text,
    name,
    ttlText: text.slice(colon + 1),
    address: await parts.interfaceAddress(name),
  }
}

/** Messages of strtonum(3). */
function parseTtl(text: string): number {
  const ttl = strtonum(text, 1, MAX_TTL)
  if (!ttl.ok) throw initError(`invalid multicast ttl ${text}: ${ttl.problem}`, 'use 1 to 255')
  return ttl.value
}

function checkInterface({ flag, text, name, ttlText, address }: InterfaceOption): UsableInterface {
  const ttl = ttlText === undefined ? undefined : parseTtl(ttlText)
  if (address === undefined) {
    throw initError(
      'No such device',
      `${flag} ${text}: neither a host with an IPv4 address nor an interface of this machine`,
    )
  }
  if (address === null) throw initError(`interface ${name} has no IPv4 address`, undefined)
  return { name, address, ttl }
}

function multicastOf(
  sending: UsableInterface | undefined,
  receiving: UsableInterface | undefined,
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

function initError(reason: string, hint: string | undefined): AppError {
  return new AppError('ERR_SYNC_INIT', `sync init: ${reason}`, { hint })
}
