/** The description read by `spamdctl failover plan`: two gateways, what they share, and who is master. */
import { parse, TomlError } from 'smol-toml'
import { familyOf } from '../../ip/address.js'
import { parseCidr } from '../../ip/cidr.js'
import { isIpv4Text } from '../../ip/numeric-text.js'
import { AppError } from '../../platform/app-error.js'

/** Systems whose fail-over configuration can be planned; `linux` means keepalived or ucarp. */
const FAILOVER_SYSTEMS = ['openbsd', 'freebsd', 'pfsense', 'linux'] as const
export type FailoverSystem = (typeof FAILOVER_SYSTEMS)[number]

/** One of the two gateways. */
export interface FailoverNode {
  /** Host name, as hostname(1) prints it, with or without its domain. */
  name: string
  /** 0 to 254; the lower one is master. */
  advskew: number
  /** Address with prefix length on the interface between the two. */
  syncAddress: string
  /** A working master stays master unless preempt is on; both nodes must agree. */
  preempt: boolean
  /** Fingerprint of the node's synchronisation key (`spamdctl sync-key --show`), when it was given. */
  keyFingerprint: string | undefined
}

/** An address that both gateways hold, one at a time. */
export interface SharedAddress {
  interfaceName: string
  /** 1 to 255, once on each segment. */
  vhid: number
  /** IPv4 address with prefix length. */
  address: string
  /** IPv6 address with prefix length. */
  address6: string | undefined
  /** Each node's own IPv4 address on this interface, in the order of the nodes: ucarp sends from it. */
  own: [string, string] | undefined
}

export interface FailoverDescription {
  system: FailoverSystem
  /** On Linux: the program that manages the shared addresses. */
  program: 'keepalived' | 'ucarp'
  /** The outside interface: state synchronisation must not use it. */
  outside: string
  /** The interface between the two gateways, on a dedicated cable. */
  syncInterface: string
  /** File whose first line is the passphrase of CARP; VRRP, which keepalived speaks, has none. */
  passphraseFile: string | undefined
  nodes: [FailoverNode, FailoverNode]
  shared: SharedAddress[]
}

const TOP_KEYS = [
  'system',
  'program',
  'outside',
  'sync-interface',
  'passphrase-file',
  'preempt',
  'node',
  'shared',
]
const NODE_KEYS = ['name', 'advskew', 'sync-address', 'preempt', 'key-fingerprint']
const SHARED_KEYS = ['interface', 'vhid', 'address', 'address6', 'own']

/**
 * Reads a description (TOML). `ERR_FAILOVER_FORMAT` names the key and the error. A well-formed plan may still
 * be one that cannot work: see `findFailoverFaults`.
 */
export function parseFailoverDescription(text: string): FailoverDescription {
  let table: Record<string, unknown>
  try {
    table = parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [reason = 'not TOML'] = error.message.split('\n')
    throw formatError(`line ${error.line}: ${reason.replace(/^Invalid TOML document: /, '')}`)
  }
  refuseUnknown(table, TOP_KEYS, '')
  const system = oneOf(table, 'system', FAILOVER_SYSTEMS)
  const preempt = table.preempt === undefined ? true : booleanOf(table, 'preempt', '')
  const nodes = tables(table, 'node').map((node, index) => nodeOf(node, `node ${index + 1}: `, preempt))
  if (nodes.length !== 2) throw formatError(`node: two are needed, ${nodes.length} are described`)
  const shared = tables(table, 'shared').map((entry, index) => sharedOf(entry, `shared ${index + 1}: `))
  if (shared.length === 0) throw formatError('shared: at least one address is needed')
  return {
    system,
    program:
      table.program === undefined ? 'keepalived' : oneOf(table, 'program', ['keepalived', 'ucarp'] as const),
    outside: interfaceOf(table, 'outside', ''),
    syncInterface: interfaceOf(table, 'sync-interface', ''),
    passphraseFile: table['passphrase-file'] === undefined ? undefined : textOf(table, 'passphrase-file', ''),
    nodes: [nodes[0]!, nodes[1]!],
    shared,
  }
}

/** Why a well-formed plan cannot work, one line each; empty when it can. `passphrase`: undefined when the file is missing. */
export function findFailoverFaults(plan: FailoverDescription, passphrase: string | undefined): string[] {
  const [one, other] = plan.nodes
  const faults: string[] = []
  if (one.name === other.name) faults.push(`both nodes are called ${one.name}`)
  if (one.advskew === other.advskew) {
    faults.push(
      `both nodes have advskew ${one.advskew}: neither would yield; give the master 0 and the other 100`,
    )
  }
  if (one.preempt !== other.preempt) {
    faults.push(
      `preempt differs (${one.name}: ${one.preempt}, ${other.name}: ${other.preempt}): set it once for both`,
    )
  }
  if (one.syncAddress === other.syncAddress)
    faults.push(`both nodes have the sync-address ${one.syncAddress}`)
  if (plan.syncInterface === plan.outside) {
    faults.push(
      `sync-interface is the outside interface ${plan.outside}: states are sent without authentication; use a dedicated cable`,
    )
  }
  const seen = new Map<string, number>()
  for (const [index, { interfaceName, vhid }] of plan.shared.entries()) {
    const earlier = seen.get(`${interfaceName} ${vhid}`)
    if (earlier !== undefined) {
      faults.push(`vhid ${vhid} is used twice on ${interfaceName} (shared ${earlier + 1} and ${index + 1})`)
    }
    seen.set(`${interfaceName} ${vhid}`, index)
  }
  if (needsPassphrase(plan)) faults.push(...passphraseFaults(passphrase, plan.passphraseFile))
  if (isUcarp(plan) && plan.shared.some(({ own }) => own === undefined)) {
    faults.push(
      'ucarp sends from each node\'s own address: give own = ["ADDRESS", "ADDRESS"] with each shared address',
    )
  }
  if (
    one.keyFingerprint !== undefined &&
    other.keyFingerprint !== undefined &&
    one.keyFingerprint !== other.keyFingerprint
  ) {
    faults.push(
      'the synchronisation keys differ: copy the key of one node to the other (spamdctl sync-key --show)',
    )
  }
  return faults
}

/** True when ucarp manages the shared addresses. */
export function isUcarp({ system, program }: FailoverDescription): boolean {
  return system === 'linux' && program === 'ucarp'
}

/** True when the protocol in use has a passphrase: CARP does, VRRP version 3 does not. */
export function needsPassphrase(plan: FailoverDescription): boolean {
  return plan.system !== 'linux' || isUcarp(plan)
}

/** Missing, or with characters that ifconfig(8), rc.conf(5) or ucarp would truncate or interpret. */
function passphraseFaults(passphrase: string | undefined, file: string | undefined): string[] {
  if (file === undefined)
    return ['passphrase-file is missing: without one anyone on the segment could take over']
  if (passphrase === undefined || passphrase === '') {
    return [`the passphrase file ${file} is missing or empty: anyone on the segment could take over`]
  }
  if (!/^[\x21-\x7e]+$/.test(passphrase) || /["'\\$`#]/.test(passphrase)) {
    return [
      `the passphrase in ${file} contains blanks, quotes, $, #, \\ or other characters that a configuration file would change`,
    ]
  }
  // Source: CARP_KEY_LEN of ip_carp.h.
  return passphrase.length > 20
    ? [`the passphrase in ${file} is longer than the 20 bytes that CARP uses`]
    : []
}

function nodeOf(table: Record<string, unknown>, where: string, preempt: boolean): FailoverNode {
  refuseUnknown(table, NODE_KEYS, where)
  const name = textOf(table, 'name', where)
  if (!/^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})$/.test(name)) throw formatError(`${where}name: not a host name`)
  return {
    name,
    advskew: integerOf(table, 'advskew', where, 0, 254),
    syncAddress: addressOf(table, 'sync-address', where, 4),
    preempt: table.preempt === undefined ? preempt : booleanOf(table, 'preempt', where),
    keyFingerprint:
      table['key-fingerprint'] === undefined ? undefined : textOf(table, 'key-fingerprint', where),
  }
}

function sharedOf(table: Record<string, unknown>, where: string): SharedAddress {
  refuseUnknown(table, SHARED_KEYS, where)
  return {
    interfaceName: interfaceOf(table, 'interface', where),
    vhid: integerOf(table, 'vhid', where, 1, 255),
    address: addressOf(table, 'address', where, 4),
    address6: table.address6 === undefined ? undefined : addressOf(table, 'address6', where, 6),
    own: ownOf(table, where),
  }
}

function ownOf(table: Record<string, unknown>, where: string): [string, string] | undefined {
  const own = table.own
  if (own === undefined) return undefined
  const isAddress = (entry: unknown) => typeof entry === 'string' && isIpv4Text(entry)
  if (!Array.isArray(own) || own.length !== 2 || !own.every(isAddress)) {
    throw formatError(`${where}own: must be two IPv4 addresses, in the order of the nodes`)
  }
  return [own[0], own[1]]
}

function refuseUnknown(table: Record<string, unknown>, known: readonly string[], where: string): void {
  const unknown = Object.keys(table).find((key) => !known.includes(key))
  if (unknown !== undefined)
    throw formatError(`${where}${unknown}: unknown key; known keys are ${known.join(', ')}`)
}

function tables(table: Record<string, unknown>, key: string): Record<string, unknown>[] {
  const value = table[key] ?? []
  if (!Array.isArray(value) || value.some((entry) => typeof entry !== 'object' || entry === null)) {
    throw formatError(`${key}: write [[${key}]] above each`)
  }
  return value as Record<string, unknown>[]
}

function textOf(table: Record<string, unknown>, key: string, where: string): string {
  const value = table[key]
  if (value === undefined) throw formatError(`${where}${key}: missing`)
  if (typeof value !== 'string' || value === '') throw formatError(`${where}${key}: not a string`)
  return value
}

function interfaceOf(table: Record<string, unknown>, key: string, where: string): string {
  const name = textOf(table, key, where)
  // IFNAMSIZ is 16 on all systems, with the ending NUL.
  if (!/^[A-Za-z][A-Za-z0-9._-]{0,14}$/.test(name))
    throw formatError(`${where}${key}: not the name of an interface`)
  return name
}

function oneOf<Choice extends string>(
  table: Record<string, unknown>,
  key: string,
  choices: readonly Choice[],
): Choice {
  const value = textOf(table, key, '')
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw formatError(`${key}: must be one of ${choices.join(', ')}`)
  return found
}

function integerOf(
  table: Record<string, unknown>,
  key: string,
  where: string,
  min: number,
  max: number,
): number {
  const value = table[key]
  if (value === undefined) throw formatError(`${where}${key}: missing`)
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw formatError(`${where}${key}: must be a number from ${min} to ${max}`)
  }
  return value
}

function booleanOf(table: Record<string, unknown>, key: string, where: string): boolean {
  const value = table[key]
  if (typeof value !== 'boolean') throw formatError(`${where}${key}: must be true or false`)
  return value
}

function addressOf(table: Record<string, unknown>, key: string, where: string, family: 4 | 6): string {
  const text = textOf(table, key, where)
  const network = text.includes('/') ? parseCidr(text) : undefined
  if (network === undefined || familyOf(network.address) !== family) {
    throw formatError(`${where}${key}: must be an IPv${family} address with prefix length`)
  }
  return text
}

function formatError(message: string): AppError {
  return new AppError('ERR_FAILOVER_FORMAT', message, { hint: 'see FAIL-OVER in spamdctl(8) for the form' })
}
