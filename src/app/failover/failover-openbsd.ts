/** CARP and pfsync on OpenBSD. Source: carp(4), pfsync(4), hostname.if(5), sysctl.conf(5) of OpenBSD 7. */
import { parseCidr } from '../../ip/cidr.js'
import type { PlannedFile } from '../init/planned-file.js'
import { carpFiles } from './failover-bsd.js'
import type { SharedAddress } from './failover-description.js'
import { type NodePlan, type PlanInput, pullSteps } from './node-plan.js'

/** hostname.carpN, hostname.pfsync0, sysctl.conf, and the rules that pass both protocols. */
export function openbsdPlan(input: PlanInput): NodePlan {
  const { plan, node, passphrase, pulls } = input
  const carps: PlannedFile[] = plan.shared.map((shared, index) => ({
    path: `/etc/hostname.carp${index}`,
    purpose: `shared address ${shared.address} on ${shared.interfaceName}`,
    mode: 0o640,
    content: { kind: 'whole', text: carpLines(shared, node.advskew, passphrase) },
  }))
  return {
    files: [
      ...carps,
      {
        path: `/etc/hostname.pfsync0`,
        purpose: 'packet filter states for the other node',
        mode: 0o640,
        content: { kind: 'whole', text: `syncdev ${plan.syncInterface}\nup\n` },
      },
      ...carpFiles(input, 'include these rules'),
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
