/**
 * Determines where a ruleset sends a TCP SYN. Source: pf.conf(5), and FreeBSD's ip6_input.c for what FreeBSD does
 * after pf.
 */
import { BlockList, isIPv6 } from 'node:net'
import type { AddressSpec, PfRule, PfRuleset } from './ruleset.js'

/** The first packet of a connection. */
export interface PfPacket {
  direction: 'in' | 'out'
  interface: string
  from: string
  to: string
  port: number
}

/** The gateway that runs the rules. */
export interface PfHost {
  /** Group egress, by interface. */
  groups: Readonly<Record<string, readonly string[]>>
  /** Own addresses, by interface. */
  addresses: Readonly<Record<string, readonly string[]>>
  /** Networks, by interface. */
  networks: Readonly<Record<string, readonly string[]>>
  /** The contents of the tables. */
  tables: Readonly<Record<string, readonly string[]>>
}

/** What happens to the packet. */
export interface PfOutcome {
  verdict: 'passed' | 'blocked' | 'dropped'
  /** Where it is delivered. */
  to: string
  port: number
  /** The device to which it was logged. */
  log: string | undefined
}

/** Evaluates a ruleset for one packet; throws for what it does not know. */
export function evaluatePf(ruleset: PfRuleset, host: PfHost, packet: PfPacket): PfOutcome {
  const state = { ...packet, tag: undefined as string | undefined }
  const fits = (rule: PfRule): boolean => ruleFits(rule, host, state)
  const isOpenBsd = ruleset.dialect === 'openbsd'
  if (!isOpenBsd && packet.direction === 'in') {
    // The first matching translation rule decides.
    const first = ruleset.rules.find(
      (rule) => (rule.action === 'rdr' || rule.action === 'no rdr') && fits(rule),
    )
    if (first?.action === 'rdr') {
      redirect(state, first)
      if (first.skipsFilter) return delivered(ruleset, state, 'passed', undefined)
    }
  }
  // No rule matches: passed.
  let last: PfRule | undefined
  for (const rule of ruleset.rules) {
    if (!['pass', 'block', 'match'].includes(rule.action) || !fits(rule)) continue
    if (rule.action === 'match') {
      redirect(state, rule)
      continue
    }
    last = rule
    if (rule.isQuick) break
  }
  if (last?.action === 'block') return { verdict: 'blocked', to: state.to, port: state.port, log: last.log }
  if (last?.divertTo !== undefined) {
    // FreeBSD: divert(4), on which no program listens.
    if (!isOpenBsd) return { verdict: 'dropped', to: state.to, port: state.port, log: last.log }
    state.to = last.divertTo.address
    state.port = Number(last.divertTo.port)
  } else if (last !== undefined) redirect(state, last)
  return delivered(ruleset, state, 'passed', last?.log)
}

function redirect(state: PfPacket & { tag: string | undefined }, rule: PfRule): void {
  state.tag = rule.tag ?? state.tag
  if (rule.rdrTo === undefined) return
  state.to = rule.rdrTo.address
  state.port = Number(rule.rdrTo.port ?? state.port)
}

function delivered(
  { dialect }: PfRuleset,
  state: PfPacket,
  verdict: 'passed',
  log: string | undefined,
): PfOutcome {
  // A packet from outside to ::1 is dropped after pf.
  const isLost = dialect !== 'openbsd' && state.direction === 'in' && state.to === '::1'
  return { verdict: isLost ? 'dropped' : verdict, to: state.to, port: state.port, log }
}

function ruleFits(rule: PfRule, host: PfHost, packet: PfPacket & { tag: string | undefined }): boolean {
  const family = isIPv6(packet.from) ? 'inet6' : 'inet'
  // A target of one family restricts the rule to that family.
  const target = rule.divertTo?.address ?? rule.rdrTo?.address
  const targetFamily = target === undefined ? undefined : isIPv6(target) ? 'inet6' : 'inet'
  const direction = rule.direction ?? (rule.action === 'rdr' || rule.action === 'no rdr' ? 'in' : undefined)
  return (
    (direction === undefined || direction === packet.direction) &&
    (rule.interfaces === undefined ||
      rule.interfaces.some(
        (name) => name === packet.interface || host.groups[name]?.includes(packet.interface),
      )) &&
    (rule.family ?? family) === family &&
    (targetFamily ?? family) === family &&
    (rule.protocol ?? 'tcp') === 'tcp' &&
    addressFits(rule.from, packet.from, host) &&
    addressFits(rule.to, packet.to, host) &&
    (rule.toPort === undefined || Number(rule.toPort) === packet.port) &&
    (rule.tagged === undefined || rule.tagged === packet.tag)
  )
}

function addressFits(spec: AddressSpec, address: string, host: PfHost): boolean {
  if (spec === 'any') return true
  return spec.some((item) => {
    if (item.startsWith('<')) return contains(host.tables[item.slice(1, -1)] ?? [], address)
    const name = item.replace(/^\(|\)$/g, '').replace(/:0$/, '')
    if (name.endsWith(':network'))
      return contains(host.networks[name.slice(0, -':network'.length)] ?? [], address)
    const links = host.groups[name] ?? [name]
    const own = links.flatMap((link) => host.addresses[link] ?? [])
    if (own.length > 0) return own.includes(address)
    if (!/^[0-9a-f.:/]+$/i.test(name)) throw new Error(`no interface or address: ${item}`)
    return contains([name], address)
  })
}

function contains(networks: readonly string[], address: string): boolean {
  const list = new BlockList()
  for (const network of networks) {
    const [start = '', length] = network.split('/')
    const family = isIPv6(start) ? 'ipv6' : 'ipv4'
    if (length === undefined) list.addAddress(start, family)
    else list.addSubnet(start, Number(length), family)
  }
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}
