/**
 * Fail-over: carp(4) or VRRP and pfsync(4) on OpenBSD and FreeBSD, keepalived, ucarp and conntrackd on Linux.
 * Source: carp(4), pfsync(4), ifconfig(8) of both systems.
 */
import {
  type CarpNode,
  type InterfaceFacts,
  parseDemotion,
  parseIfconfig,
  parseSysctl,
} from '../../codec/system/ifconfig.js'
import { type DoctorContext, findProgram, outputOf } from './context.js'
import { startCommand } from './daemon-checks.js'
import type { Findings } from './finding.js'
import type { NodeReport } from './node-report.js'

/** What is known of fail-over on this machine, for `--json` and the other gateway. */
export interface FailoverFacts {
  carp: NodeReport['carp']
  preempt: boolean | null
}

/** Checks `carp.*` and `pfsync` on BSD, `failover` on Linux; none if no shared address is found. */
export async function checkFailover(context: DoctorContext, findings: Findings): Promise<FailoverFacts> {
  if (context.probe.system === 'linux') {
    checkLinux(context, findings)
    return { carp: [], preempt: null }
  }
  const interfaces = parseIfconfig(outputOf(await context.probe.run('ifconfig', [])) ?? '')
  const nodes = interfaces.flatMap(({ carp }) => carp)
  const sysctls = parseSysctl(outputOf(await context.probe.run('sysctl', ['net.inet.carp'])) ?? '')
  const preempt = sysctls.get('net.inet.carp.preempt')
  const facts: FailoverFacts = {
    carp: nodes.map(({ vhid, state, advskew, protocol }) => ({
      vhid,
      state,
      advskew: advskew ?? null,
      protocol,
    })),
    preempt: preempt === undefined ? null : preempt === '1',
  }
  if (nodes.length === 0) {
    if (interfaces.some(({ pfsync }) => pfsync?.syncDevice !== undefined)) {
      findings.warning('carp', 'pfsync is set up, but no interface shares an address through CARP')
    }
    comparePeer(context, findings, facts)
    return facts
  }
  checkSysctls(findings, sysctls, nodes)
  for (const node of nodes) checkNode(findings, node, interfaces)
  checkRoles(findings, nodes)
  await checkDemotion(context, findings, sysctls)
  await checkAuthentication(context, findings)
  checkPfsync(context, findings, interfaces)
  checkListening(context, findings, nodes)
  comparePeer(context, findings, facts)
  return facts
}

function checkSysctls(
  findings: Findings,
  sysctls: ReadonlyMap<string, string>,
  nodes: readonly CarpNode[],
): void {
  if (sysctls.get('net.inet.carp.allow') === '0') {
    findings.error(
      'carp.allow',
      'net.inet.carp.allow is 0: advertisements are ignored',
      'sysctl net.inet.carp.allow=1',
    )
  } else findings.ok('carp.allow', 'net.inet.carp.allow is 1')
  if (sysctls.get('net.inet.carp.preempt') === '0') {
    const many = new Set(nodes.map(({ device }) => device)).size > 1
    const message = 'net.inet.carp.preempt is 0: a gateway that returns does not become master again'
    const fix = 'sysctl net.inet.carp.preempt=1; echo net.inet.carp.preempt=1 >> /etc/sysctl.conf'
    if (many) findings.warning('carp.preempt', `${message}, and interfaces do not fail over together`, fix)
    else findings.info('carp.preempt', message, fix)
  } else findings.ok('carp.preempt', 'net.inet.carp.preempt is 1')
}

function checkNode(findings: Findings, node: CarpNode, interfaces: readonly InterfaceFacts[]): void {
  const order = node.protocol === 'vrrp' ? `prio ${node.priority}` : `advskew ${node.advskew}`
  const name = `${node.interface} ${node.protocol === 'vrrp' ? 'vrid' : 'vhid'} ${node.vhid}`
  const owner = interfaces.find((facts) => facts.name === node.interface)
  const device = interfaces.find((facts) => facts.name === node.device) ?? owner
  if (node.state === 'INIT') {
    const isCable = device?.status === 'no carrier'
    findings.error(
      'carp.state',
      `${name} is INIT: it does not take part${isCable ? `, since ${node.device} has no carrier` : ''}`,
      isCable
        ? `check the cable of ${node.device}`
        : `ifconfig ${node.device} up; ifconfig ${node.interface} up`,
    )
  } else
    findings.ok(
      'carp.state',
      `${name} is ${node.state} (${order}${node.peer === undefined ? '' : `, peer ${node.peer}`})`,
    )
}

/** One gateway should have all shared addresses, or none. */
function checkRoles(findings: Findings, nodes: readonly CarpNode[]): void {
  const states = new Set(nodes.map(({ state }) => state).filter((state) => state !== 'INIT'))
  if (states.size < 2) return
  const texts = nodes.map(({ interface: name, vhid, state }) => `${name} vhid ${vhid} ${state}`)
  findings.warning(
    'carp.roles',
    `this gateway is master of some shared addresses and backup of others: ${texts.join(', ')}`,
    'sysctl net.inet.carp.preempt=1 on both gateways, and the same order of advskew on all interfaces',
  )
}

async function checkDemotion(
  { probe }: DoctorContext,
  findings: Findings,
  sysctls: ReadonlyMap<string, string>,
): Promise<void> {
  const count =
    probe.system === 'openbsd'
      ? parseDemotion(outputOf(await probe.run('ifconfig', ['-g', 'carp'])) ?? '')
      : Number(sysctls.get('net.inet.carp.demotion') ?? Number.NaN)
  if (count === undefined || Number.isNaN(count)) return
  if (count === 0) {
    findings.ok('carp.demotion', 'the demotion counter is 0')
    return
  }
  const fix =
    probe.system === 'openbsd'
      ? `when the cause is gone: ifconfig -g carp -carpdemote ${count}`
      : `when the cause is gone: sysctl net.inet.carp.demotion=-${count}`
  findings.warning('carp.demotion', `the demotion counter is ${count}: this gateway yields to the other`, fix)
}

/** A wrong passphrase shows only in the counters of discarded packets. */
async function checkAuthentication({ probe }: DoctorContext, findings: Findings): Promise<void> {
  const text = outputOf(await probe.run('netstat', ['-s', '-p', 'carp']))
  if (text === undefined) return
  const count = Number(/([0-9]+) discarded for bad authentication/.exec(text)?.[1] ?? 0)
  if (count > 0) {
    findings.warning(
      'carp.pass',
      `${count} CARP packets had a wrong passphrase (pass), vhid or address list`,
      'compare the carp lines of hostname.if or rc.conf on both gateways',
    )
  } else findings.ok('carp.pass', 'no CARP packet had a wrong passphrase')
}

function checkPfsync(
  context: DoctorContext,
  findings: Findings,
  interfaces: readonly InterfaceFacts[],
): void {
  const isOpenbsd = context.probe.system === 'openbsd'
  const found = interfaces.find(({ pfsync }) => pfsync !== undefined)
  const create = isOpenbsd
    ? "printf 'syncdev em2\\nup\\n' > /etc/hostname.pfsync0; sh /etc/netstart pfsync0"
    : 'sysrc pfsync_enable=YES pfsync_syncdev=em2; service pfsync start'
  if (found === undefined) {
    findings.warning(
      'pfsync',
      'there is no pfsync interface: connections break when the other gateway takes over',
      create,
    )
    return
  }
  const { syncDevice, peer, isInSync } = found.pfsync!
  if (!found.isUp || syncDevice === undefined) {
    findings.warning('pfsync', `${found.name} is ${found.isUp ? 'up, but has no syncdev' : 'down'}`, create)
    return
  }
  const device = interfaces.find(({ name }) => name === syncDevice)
  if (device?.isUp === false || device?.status === 'no carrier') {
    findings.warning(
      'pfsync',
      `${found.name} sends on ${syncDevice}, which ${device.isUp ? 'has no carrier' : 'is down'}`,
      `ifconfig ${syncDevice} up`,
    )
  } else if (isInSync === false)
    findings.info('pfsync', `${found.name} is still fetching the states of the other gateway`)
  else
    findings.ok(
      'pfsync',
      `${found.name} exchanges states on ${syncDevice}${peer === undefined ? '' : ` with ${peer}`}`,
    )
}

/** With rdr to the loopback any address works; a socket bound to one address must have the shared one. */
function checkListening(context: DoctorContext, findings: Findings, nodes: readonly CarpNode[]): void {
  if (context.daemon.kind !== 'status') return
  const { listen, database } = context.daemon.status
  const shared = new Set(nodes.flatMap(({ addresses }) => addresses))
  const bound = listen.map(({ address }) => address)
  const isWide = bound.some(
    (address) => ['0.0.0.0', '::', '127.0.0.1', '::1'].includes(address) || shared.has(address),
  )
  if (isWide)
    findings.ok('carp.listen', 'spamd listens where redirected connections to the shared address arrive')
  else {
    findings.warning(
      'carp.listen',
      `spamd listens on ${bound.join(', ')} only, not on a shared address (${[...shared].join(', ')})`,
      'spamd -l 127.0.0.1, or -l with the shared address',
    )
  }
  if (database !== undefined && context.daemon.status.sync === undefined) {
    findings.warning(
      'carp.sync',
      'spamd does not send what it learns to the other gateway: hosts that passed here are greylisted there',
      'start spamd on both with -y DEVICE -Y PEER, and spamlogd with -Y PEER',
    )
  }
}

function comparePeer(context: DoctorContext, findings: Findings, own: FailoverFacts): void {
  const { peer } = context
  if (peer === undefined) return
  for (const node of own.carp) {
    const other = peer.carp.find(({ vhid }) => vhid === node.vhid)
    if (other === undefined) {
      findings.error(
        'peer.carp',
        `${peer.host} has no vhid ${node.vhid}`,
        'give both gateways the same vhids',
      )
    } else if (node.state === 'MASTER' && other.state === 'MASTER') {
      findings.error(
        'peer.carp',
        `both gateways are MASTER of vhid ${node.vhid}: they do not receive each other's advertisements`,
        'pass quick proto carp in pf.conf of both, and compare pass and vhid',
      )
    } else if (node.advskew !== null && node.advskew === other.advskew) {
      findings.warning(
        'peer.carp',
        `both gateways have advskew ${node.advskew} for vhid ${node.vhid}: which one becomes master is arbitrary`,
        'give the backup a higher advskew',
      )
    } else
      findings.ok('peer.carp', `vhid ${node.vhid} is ${node.state} here and ${other.state} on ${peer.host}`)
  }
  const order = new Set(
    own.carp.flatMap((node) => {
      const other = peer.carp.find(({ vhid }) => vhid === node.vhid)
      if (other?.advskew == null || node.advskew === null || other.advskew === node.advskew) return []
      return node.advskew < other.advskew
    }),
  )
  if (order.size > 1)
    findings.warning(
      'peer.order',
      'the gateways disagree on the order of advskew: it differs between vhids',
      'give one gateway the lower advskew on all interfaces',
    )
  if (own.preempt !== null && peer.preempt !== null && own.preempt !== peer.preempt) {
    findings.warning(
      'peer.preempt',
      `net.inet.carp.preempt is ${Number(own.preempt)} here and ${Number(peer.preempt)} on ${peer.host}`,
      'sysctl net.inet.carp.preempt=1 on both gateways',
    )
  }
}

function checkLinux(context: DoctorContext, findings: Findings): void {
  const { processes } = context
  if (processes === undefined) return
  const programs = ['keepalived', 'ucarp', 'conntrackd', 'vrrpd'].filter(
    (name) => findProgram(processes, name).length > 0,
  )
  const shares = programs.filter((name) => name !== 'conntrackd')
  if (shares.length === 0) {
    if (context.peer !== undefined)
      findings.warning('failover', 'neither keepalived nor ucarp runs here', 'systemctl start keepalived')
    return
  }
  findings.ok('failover', `${shares.join(', ')} shares an address with another gateway`)
  if (!programs.includes('conntrackd')) {
    findings.info(
      'failover.states',
      'conntrackd does not run: connections break when the other gateway takes over',
      'systemctl start conntrackd',
    )
  }
  if (context.daemon.kind === 'status' && context.daemon.status.sync === undefined) {
    findings.warning(
      'failover.sync',
      'spamd does not send what it learns to the other gateway',
      `start spamd on both with -y DEVICE -Y PEER; ${startCommand(context, 'spamd', 'restart')}`,
    )
  }
}
