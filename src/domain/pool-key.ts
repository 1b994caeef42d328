/**
 * How the mail of a pool of senders is identified, besides the exact address. Many servers of one sender take
 * turns, so the first attempt and the retry come from different addresses, each with its own HELO; what they
 * have in common is their network, or the domain whose SPF record contains them.
 */
import { familyOf } from '../ip/address.js'
import { networkText, parseCidr } from '../ip/cidr.js'
import type { Tuple, WireText } from './entry.js'

/** `network`: CIDR text as `formatCidr` writes it. `spf`: a domain in lower case, letters, digits, dashes and dots. */
export type PoolKey =
  | { readonly kind: 'network'; readonly network: string }
  | { readonly kind: 'spf'; readonly domain: string }
  /** Learn-only mode: every client that retries passes, so only the address itself is identified. */
  | { readonly kind: 'learn' }
  /** The target of a release with `--pool`. */
  | { readonly kind: 'release'; readonly id: string }
export type PoolKeyKind = PoolKey['kind']

/** Prefix of a domain; no address has a colon after these letters. */
const SPF_PREFIX = 'spf:'
const RELEASE_PREFIX = 'release:'
const LEARN = 'learn'

/**
 * The key as stored instead of an address: `192.0.2.0/24`, `spf:example.org`, `learn`, `release:7kx2m9qa`.
 */
export function poolKeyText(key: PoolKey): string {
  switch (key.kind) {
    case 'network':
      return key.network
    case 'spf':
      return SPF_PREFIX + key.domain
    case 'learn':
      return LEARN
    case 'release':
      return RELEASE_PREFIX + key.id
  }
}

/** The key of a stored text, undefined for an address or anything else. */
export function parsePoolKey(text: string): PoolKey | undefined {
  if (text === LEARN) return { kind: 'learn' }
  if (text.startsWith(SPF_PREFIX)) return { kind: 'spf', domain: text.slice(SPF_PREFIX.length) }
  if (text.startsWith(RELEASE_PREFIX)) return { kind: 'release', id: text.slice(RELEASE_PREFIX.length) }
  return text.includes('/') && parseCidr(text) !== undefined ? { kind: 'network', network: text } : undefined
}

/** The tuple that counts the attempts of a key: it has no HELO, which differs from server to server. */
export function poolTuple(key: PoolKey, { from, to }: { from: WireText; to: WireText }): Tuple {
  return { ip: poolKeyText(key), helo: '', from, to }
}

/**
 * The key of a stored tuple; undefined for that of an address. A tuple of version 0.2 that is keyed by
 * network has a HELO and is not a key: it expires.
 */
export function poolKeyOf({ ip, helo }: Pick<Tuple, 'ip' | 'helo'>): PoolKey | undefined {
  return helo === '' ? parsePoolKey(ip) : undefined
}

/**
 * True for a tuple that counts the attempts of a key, as `poolKeyOf` says for every tuple that a store holds:
 * its text is that of an address or of a key. Called for each change, so nothing is parsed.
 */
export function isPoolTuple({ ip, helo }: Pick<Tuple, 'ip' | 'helo'>): boolean {
  return helo === '' && (namesNoAddress(ip) || ip === LEARN)
}

/** True when a tuple has no address that could become WHITE. */
export function namesNoAddress(ip: string): boolean {
  return ip.includes('/') || ip.startsWith(SPF_PREFIX)
}

/** The most that one completed retry opens: what one customer, or one IPv6 host, has available. */
export const WIDEST_OPENED = { 4: 24, 6: 64 } as const

/**
 * The network that is opened when a key has passed through `clientIp`: its /24 or /64, never wider than the
 * key, and only the address for a key that is not a network.
 */
export function openedNetwork(key: PoolKey, clientIp: string): string {
  const family = familyOf(clientIp)
  const own = key.kind === 'network' ? parseCidr(key.network) : undefined
  const length = own === undefined ? HOST_BITS[family] : Math.max(own.prefixLength, WIDEST_OPENED[family])
  return networkText(clientIp, length)
}

const HOST_BITS = { 4: 32, 6: 128 } as const

/** Every network that could have been opened with an address in it, narrowest last. */
export function networksAround(ip: string): string[] {
  const family = familyOf(ip)
  const networks: string[] = []
  for (let length: number = WIDEST_OPENED[family]; length <= HOST_BITS[family]; length += 1) {
    networks.push(networkText(ip, length))
  }
  return networks
}
