/** CARP and pfsync on OpenBSD. Source: carp(4), pfsync(4), hostname.if(5), sysctl.conf(5) of OpenBSD 7. */
import { parseCidr } from '../../ip/cidr.js'
import type { PlannedFile } from '../init/planned-file.js'
import type { SharedAddress } from './failover-description.js'
import { type NodePlan, type PlanInput, pullSteps } from './node-plan.js'

/** hostname.carpN, hostname.pfsync0, sysctl.conf, and the rules that pass both protocols. */
export function openbsdPlan(input: PlanInput): NodePlan {
  const { plan, node, peer, passphrase, pulls } = input
  const carps: PlannedFile[] = plan.shared.map((shared, index) => ({
    path: `/etc/hostname.carp${index}`,
    purpose: `shared address ${shared.address} on ${shared.interfaceName}`,
    mode: 0o640,
    content: { kind: 'whole', text: carpLines(shared, node.advskew, passphrase) },
  }))
  const interfaces = [...new Set(plan.shared.map(({ interfaceName }) => interfaceName))]
  return {
    files: [
      ...carps,
      {
        path: `/etc/hostname.pfsync0`,
        purpose: 'packet filter states for the other node',
        mode: 0o640,
        content: { kind: 'whole', text: `syncdev ${plan.syncInterface}\nup\n` },
      },
      {
        path: '/etc/sysctl.conf',
        purpose: 'take over all shared addresses together, and give them back together',
        mode: 0o644,
        content: {
          kind: 'lines',
          ifMissing: '',
          lines: [sysctlLine('net.inet.carp.preempt', node.preempt ? 1 : 0)],
        },
      },
      {
        path: '/etc/pf.carp.conf',
        purpose: "rules that pass CARP, pfsync and spamd's synchronisation",
        mode: 0o600,
        content: { kind: 'whole', text: pfRules(plan.syncInterface, interfaces, peer.syncAddress) },
      },
      {
        path: '/etc/pf.conf',
        purpose: 'include these rules',
        mode: 0o600,
        content: {
          kind: 'lines',
          ifMissing: '',
          lines: [
            {
              text: 'include "/etc/pf.carp.conf"',
              isThere: (line) => /^\s*include\s+"\/etc\/pf\.carp\.conf"/.test(line),
            },
          ],
        },
      },
      ...pulls.files,
    ],
    steps: [
      ...pullSteps(input),
      'pfctl -nf /etc/pf.conf && pfctl -f /etc/pf.conf',
      `sysctl net.inet.carp.preempt=${node.preempt ? 1 : 0}`,
      `sh /etc/netstart pfsync0 ${plan.shared.map((_, index) => `carp${index}`).join(' ')}`,
      'ifconfig carp                  # one node says MASTER, the other BACKUP',
    ],
  }
}

function carpLines(
  { interfaceName, vhid, address, address6 }: SharedAddress,
  advskew: number,
  passphrase: string,
): string {
  const { netmask, broadcast } = ipv4Parts(address)
  const plain = address.split('/')[0]
  const first = `inet ${plain} ${netmask} ${broadcast} vhid ${vhid} carpdev ${interfaceName} pass ${passphrase} advskew ${advskew}\n`
  if (address6 === undefined) return first
  const [plain6, length6] = address6.split('/')
  return `${first}inet6 ${plain6} ${length6}\n`
}

function ipv4Parts(address: string): { netmask: string; broadcast: string } {
  const { prefixLength, bytes } = parseCidr(address)!
  const mask = prefixLength === 0 ? 0 : (0xff_ff_ff_ff << (32 - prefixLength)) >>> 0
  const maskBytes = [24, 16, 8, 0].map((shift) => (mask >>> shift) & 0xff)
  return {
    netmask: maskBytes.join('.'),
    broadcast: maskBytes.map((byte, index) => (bytes[index]! | (~byte & 0xff)) >>> 0).join('.'),
  }
}

/** The rules that both BSDs share; states of these protocols stay on the node that has them. */
export function pfRules(syncInterface: string, interfaces: readonly string[], peerAddress: string): string {
  const peer = peerAddress.split('/')[0]
  return [
    '# Written by "spamdctl failover plan".',
    `pass quick on ${syncInterface} proto pfsync keep state (no-sync)`,
    `pass quick on { ${interfaces.join(' ')} } proto carp keep state (no-sync)`,
    '# spamd sends the other node what it learns.',
    `pass quick on ${syncInterface} inet proto udp from ${peer} to (${syncInterface}) port 8025 keep state (no-sync)`,
    `pass out quick on ${syncInterface} inet proto udp from (${syncInterface}) to ${peer} port 8025 keep state (no-sync)`,
    '',
  ].join('\n')
}

/** A line of sysctl.conf(5); an existing line with another value shows in the diff. */
export function sysctlLine(name: string, value: 0 | 1): { text: string; isThere: (line: string) => boolean } {
  const text = `${name}=${value}`
  return { text, isThere: (line) => line.replace(/#.*/, '').trim() === text }
}
