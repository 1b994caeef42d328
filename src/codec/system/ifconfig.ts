/**
 * Reads what ifconfig(8) of OpenBSD and FreeBSD prints about interfaces, as far as fail-over and packet logs need it.
 * Source: ifconfig(8), carp(4), pfsync(4) of both, and their print formats.
 */

/** One node of a shared address. */
export interface CarpNode {
  /** Interface on which it is shown: `carp0`, or on FreeBSD the real one. */
  interface: string
  /** The underlying interface. */
  device: string
  protocol: 'carp' | 'vrrp'
  state: string
  vhid: number
  /** Lower is preferred; undefined for VRRP. */
  advskew: number | undefined
  /** VRRP: higher is preferred. */
  priority: number | undefined
  /** Unicast peer. */
  peer: string | undefined
  addresses: string[]
}

export interface PfsyncFacts {
  syncDevice: string | undefined
  peer: string | undefined
  /** False while the states of the other gateway are still being fetched; undefined if unknown. */
  isInSync: boolean | undefined
}

export interface InterfaceFacts {
  name: string
  isUp: boolean
  addresses: string[]
  groups: string[]
  status: string | undefined
  carp: CarpNode[]
  pfsync: PfsyncFacts | undefined
}

/** Reads `ifconfig`, `ifconfig -a` or `ifconfig NAME`. */
export function parseIfconfig(listing: string): InterfaceFacts[] {
  const interfaces: InterfaceFacts[] = []
  const lines: string[][] = []
  for (const line of listing.split('\n')) {
    const [, name, flags] = /^([a-zA-Z][^\s:]*): flags=[0-9a-f]+(?:<([^>]*)>)?/.exec(line) ?? []
    if (name !== undefined) {
      interfaces.push({
        name,
        isUp: (flags ?? '').split(',').includes('UP'),
        addresses: [],
        groups: [],
        status: undefined,
        carp: [],
        pfsync: undefined,
      })
      lines.push([])
    } else if (/^\s/.test(line)) lines.at(-1)?.push(line.trim())
  }
  for (const [index, facts] of interfaces.entries()) readLines(facts, lines[index]!)
  return interfaces
}

// eslint-disable-next-line complexity -- a grammar: one pattern for each kind of line
function readLines(facts: InterfaceFacts, lines: readonly string[]): void {
  const byVhid = new Map<number, string[]>()
  for (const line of lines) {
    const address = /^inet6? ([0-9a-f.:]+)/.exec(line)?.[1]
    if (address !== undefined) {
      facts.addresses.push(address)
      const vhid = / vhid ([0-9]+)/.exec(line)?.[1]
      if (vhid !== undefined) byVhid.set(Number(vhid), [...(byVhid.get(Number(vhid)) ?? []), address])
    }
    if (line.startsWith('groups: ')) facts.groups = line.slice(8).split(' ')
    if (line.startsWith('status: ')) facts.status = line.slice(8)
    const node = carpNode(facts.name, line)
    if (node !== undefined) facts.carp.push(node)
    else if (/^peer /.test(line) && facts.carp.length > 0) {
      const peer = /^peer (\S+)/.exec(line)?.[1]
      // The multicast address is not a peer.
      if (peer !== undefined && !/^22[4-9]\.|^23[0-9]\./.test(peer)) facts.carp.at(-1)!.peer = peer
    }
    readPfsync(facts, line)
  }
  for (const node of facts.carp) node.addresses = byVhid.get(node.vhid) ?? facts.addresses
}

function carpNode(name: string, line: string): CarpNode | undefined {
  const [, protocol, state, rest] =
    /^(?:(carp|vrrp): )?(?:state )?(INIT|BACKUP|MASTER) (.*\b(?:vhid|vrid) .*)$/.exec(line) ?? []
  if (state === undefined) return undefined
  const number = (word: string): number | undefined => {
    const text = new RegExp(String.raw`\b${word} ([0-9]+)`).exec(rest!)?.[1]
    return text === undefined ? undefined : Number(text)
  }
  return {
    interface: name,
    device: /\bcarpdev (\S+)/.exec(rest!)?.[1] ?? name,
    protocol: protocol === 'vrrp' ? 'vrrp' : 'carp',
    state,
    vhid: number('vhid') ?? number('vrid') ?? 0,
    advskew: number('advskew'),
    priority: number('prio'),
    peer: /\bcarppeer (\S+)/.exec(rest!)?.[1],
    addresses: [],
  }
}

function readPfsync(facts: InterfaceFacts, line: string): void {
  if (!/^pfsync[0-9]/.test(facts.name)) return
  facts.pfsync ??= { syncDevice: undefined, peer: undefined, isInSync: undefined }
  const text = line.replace(/^pfsync: /, '')
  if (/\bsyncdev: |\bmaxupd: /.test(text)) {
    facts.pfsync.syncDevice = /\bsyncdev: (\S+)/.exec(text)?.[1]
    facts.pfsync.peer = /\bsyncpeer: (\S+)/.exec(text)?.[1]
  }
  const ok = /^syncok: ([01])/.exec(text)?.[1]
  if (ok !== undefined) facts.pfsync.isInSync = ok === '1'
}

/** Demotion counter that `ifconfig -g carp` of OpenBSD prints; undefined for anything else. */
export function parseDemotion(text: string): number | undefined {
  const count = /carp demote count (-?[0-9]+)/.exec(text)?.[1]
  return count === undefined ? undefined : Number(count)
}

/** Reads `name=value` of OpenBSD's sysctl(8), `name: value` of FreeBSD's, `name = value` of Linux's. */
export function parseSysctl(text: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, name, value] = /^([a-z0-9_.]+)(?: ?= ?|: )(.*)$/i.exec(line) ?? []
    if (name !== undefined) values.set(name, value!.trim())
  }
  return values
}
