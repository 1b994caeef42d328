/**
 * Decides what one record of the packet filter's log means for the white list. This is the authority: a
 * filter in the kernel only saves work. Source: spamlogd(8); pflog(4); the nfnetlink_log attributes.
 */

import { ByteReader } from '../codec/byte-reader.js'
import * as nflog from '../codec/capture/nflog.js'
import { type ByteOrder, decodeNflog, LINK_TYPE_NFLOG, type NflogRecord } from '../codec/capture/nflog.js'
import {
  decodePflog,
  LINK_TYPE_PFLOG,
  PF_PASS,
  pflogFamily,
  pflogHeaderBytes,
} from '../codec/capture/pflog.js'
import { decodeTcpPacket, TCP_ACK, TCP_SYN, type TcpPacket } from '../codec/capture/tcp-packet.js'
import { canonicalIp, formatIpv4, formatIpv6 } from '../ip/address.js'
import { isInNetwork, type Network } from '../ip/cidr.js'

/** Seen from the host: `in` is a peer connecting to us, `out` is us connecting to a peer. */
export type SightingDirection = 'in' | 'out'

export interface SightingRules {
  /** Destination ports that count. */
  ports: readonly number[]
  direction: SightingDirection | 'both'
  /** Only packets logged on this interface. */
  interfaceName?: string
  /** Peers that outbound traffic never whitelists. */
  excludedNetworks: readonly Network[]
  /** Who may whitelist by connecting out: the mail servers. Undefined: everybody. */
  outboundSources?: readonly Network[]
  /** With `outboundSources`: the addresses of this host may as well. */
  isOutboundSelf?: boolean
  /** NFLOG groups and prefix words that give the direction. */
  inboundGroups: readonly number[]
  outboundGroups: readonly number[]
  inboundPrefixes: readonly string[]
  outboundPrefixes: readonly string[]
}

/** Words that the shipped nftables rules put in front of their log lines. */
export const INBOUND_PREFIXES = ['spamlogd-in', 'spamd-in'] as const
export const OUTBOUND_PREFIXES = ['spamlogd-out', 'spamd-out'] as const

export type SightingVerdict =
  /** The peer's canonical address; outbound also who connected. */
  | { kind: 'sighting'; ip: string; direction: 'in' }
  | { kind: 'sighting'; ip: string; direction: 'out'; source: string }
  /** Understood, and not ours. */
  | { kind: 'ignored' }
  /** Would count, but nothing says in which direction it went. */
  | { kind: 'no-direction' }
  | { kind: 'undecodable' }
  /** A pflog header of impossible length before what would be an accepted packet. */
  | { kind: 'bad-header'; lengthBytes: number }
  /** A pflog header of one address family before a packet of the other. */
  | { kind: 'other-family'; af: number; version: 4 | 6 }

/** What is asked about this host while records are read. */
export interface SightingParts {
  /** Index of a network interface by name, or undefined. */
  indexOf(name: string): number | undefined
  /** True for a canonical address of one of its interfaces. */
  isOwnAddress(address: string): boolean
}

const IGNORED: SightingVerdict = { kind: 'ignored' }
const UNDECODABLE: SightingVerdict = { kind: 'undecodable' }
const NO_DIRECTION: SightingVerdict = { kind: 'no-direction' }

/** True for the link types that `readSighting` understands. */
export function isLogLinkType(linkType: number): boolean {
  return linkType === LINK_TYPE_PFLOG || linkType === LINK_TYPE_NFLOG
}

/** Verdict on one captured record of a pflog or nflog device; any bytes are fine. */
export function readSighting(
  bytes: Uint8Array,
  link: { linkType: number; byteOrder: ByteOrder },
  rules: SightingRules,
  parts: SightingParts,
): SightingVerdict {
  if (link.linkType === LINK_TYPE_PFLOG) return readPflog(bytes, rules, parts)
  if (link.linkType === LINK_TYPE_NFLOG) return readNflog(bytes, link.byteOrder, rules, parts)
  return UNDECODABLE
}

// eslint-disable-next-line complexity -- tests in order, the first that fails decides
function readPflog(bytes: Uint8Array, rules: SightingRules, parts: SightingParts): SightingVerdict {
  const header = decodePflog(bytes)
  if (!header.ok) {
    if (header.reason === 'header-length') return readBadLength(bytes, rules)
    const [lengthBytes = 0, , action] = bytes
    if (header.reason !== 'no-packet' || action !== PF_PASS) return UNDECODABLE
    const version = bytes[header.offset]! >> 4
    if (version === 4 || version === 6) return { kind: 'other-family', af: bytes[1]!, version }
    return { kind: 'bad-header', lengthBytes }
  }
  const { action, direction, ifname, packetOffset } = header.value
  if (action !== PF_PASS) return IGNORED
  const packet = decodeTcpPacket(bytes, packetOffset)
  if (!packet.ok) return packet.reason === 'not-tcp' || packet.reason === 'fragment' ? IGNORED : UNDECODABLE
  if (!isMailSyn(packet.value, rules)) return IGNORED
  if (rules.interfaceName !== undefined && rules.interfaceName !== ifname) return IGNORED
  if (direction !== 'in' && direction !== 'out') return IGNORED
  return judge(packet.value, direction, rules, parts)
}

/** The original warns of an impossible length only where its filter let the packet through. */
function readBadLength(bytes: Uint8Array, rules: SightingRules): SightingVerdict {
  const [lengthBytes = 0, af = 0, action] = bytes
  if (pflogFamily(af) === undefined || action !== PF_PASS) return UNDECODABLE
  const ifname = new ByteReader(bytes, 4).paddedText(16)
  if (rules.interfaceName !== undefined && rules.interfaceName !== ifname) return UNDECODABLE
  const packet = decodeTcpPacket(bytes, pflogHeaderBytes(lengthBytes))
  return packet.ok && isMailSyn(packet.value, rules) ? { kind: 'bad-header', lengthBytes } : UNDECODABLE
}

function readNflog(
  bytes: Uint8Array,
  byteOrder: ByteOrder,
  rules: SightingRules,
  parts: SightingParts,
): SightingVerdict {
  const record = decodeNflog(bytes, byteOrder)
  if (!record.ok) return UNDECODABLE
  const packet = decodeTcpPacket(record.value.payload)
  if (!packet.ok) return packet.reason === 'not-tcp' || packet.reason === 'fragment' ? IGNORED : UNDECODABLE
  if (!isMailSyn(packet.value, rules)) return IGNORED
  const watchedIndex = rules.interfaceName === undefined ? undefined : parts.indexOf(rules.interfaceName)
  const direction = nflogDirection(record.value, rules, watchedIndex)
  if (direction === undefined) return NO_DIRECTION
  if (rules.interfaceName !== undefined) {
    const packetIndex = direction === 'in' ? record.value.inputIndex : record.value.outputIndex
    if (packetIndex === undefined || packetIndex !== watchedIndex) return IGNORED
  }
  return judge(packet.value, direction, rules, parts)
}

/** The first that decides: group, prefix word, hook, watched interface, the only interface given. */
// eslint-disable-next-line complexity -- hints in order, the first that decides
function nflogDirection(
  record: NflogRecord,
  rules: SightingRules,
  watchedIndex: number | undefined,
): SightingDirection | undefined {
  if (rules.inboundGroups.includes(record.group)) return 'in'
  if (rules.outboundGroups.includes(record.group)) return 'out'
  if (rules.inboundPrefixes.some((word) => record.prefix.startsWith(word))) return 'in'
  if (rules.outboundPrefixes.some((word) => record.prefix.startsWith(word))) return 'out'
  const { hook, inputIndex, outputIndex } = record
  if (hook === nflog.HOOK_PREROUTING || hook === nflog.HOOK_INPUT) return 'in'
  if (hook === nflog.HOOK_OUTPUT) return 'out'
  if (watchedIndex !== undefined && (hook === nflog.HOOK_FORWARD || hook === nflog.HOOK_POSTROUTING)) {
    if (inputIndex === watchedIndex) return 'in'
    if (outputIndex === watchedIndex) return 'out'
  }
  if (inputIndex !== undefined && outputIndex === undefined) return 'in'
  if (outputIndex !== undefined && inputIndex === undefined) return 'out'
  return undefined
}

/** A connection attempt to one of our ports: the SYN without ACK, whatever else is set (ECN). */
function isMailSyn(packet: TcpPacket, rules: SightingRules): boolean {
  return (packet.flags & (TCP_SYN | TCP_ACK)) === TCP_SYN && rules.ports.includes(packet.destinationPort)
}

function judge(
  packet: TcpPacket,
  direction: SightingDirection,
  rules: SightingRules,
  parts: SightingParts,
): SightingVerdict {
  if (rules.direction !== 'both' && rules.direction !== direction) return IGNORED
  if (direction === 'in') return { kind: 'sighting', ip: addressText(packet.source), direction }
  const ip = addressText(packet.destination)
  const source = addressText(packet.source)
  if (rules.excludedNetworks.some((network) => isInNetwork(ip, network))) return IGNORED
  return mayWhitelist(source, rules, parts) ? { kind: 'sighting', ip, direction, source } : IGNORED
}

function mayWhitelist(source: string, rules: SightingRules, parts: SightingParts): boolean {
  const { outboundSources, isOutboundSelf } = rules
  if (outboundSources === undefined) return true
  if (outboundSources.some((network) => isInNetwork(source, network))) return true
  return isOutboundSelf === true && parts.isOwnAddress(source)
}

function addressText(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length === 4) return formatIpv4(view.getUint32(0))
  const groups: number[] = []
  for (let offset = 0; offset < 16; offset += 2) groups.push(view.getUint16(offset))
  const text = formatIpv6(groups)
  // Folds IPv4-mapped addresses, which the database keeps as IPv4.
  return text.startsWith('::ffff:') ? (canonicalIp(text) ?? text) : text
}
