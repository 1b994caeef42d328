/**
 * pfSense writes its own configuration from its web pages: the plan lists what to enter there. Source:
 * pfSense 2.7 and later.
 */
import { type NodePlan, type PlanInput, pullSteps } from './node-plan.js'

/** Steps on the pages of pfSense; no file of its own is written. The passphrase is named by its file. */
export function pfsensePlan(input: PlanInput): NodePlan {
  const { plan, node, peer, pulls } = input
  const addresses = plan.shared.flatMap(({ interfaceName, vhid, address, address6 }) =>
    [address, ...(address6 === undefined ? [] : [address6])].map(
      (one) =>
        `Firewall > Virtual IPs > Add: type CARP, interface ${interfaceName}, address ${one}, VHID group ${vhid}, skew ${node.advskew}, password from ${plan.passphraseFile}`,
    ),
  )
  return {
    files: pulls.files,
    steps: [
      ...pullSteps(input),
      ...addresses,
      `System > High Avail. Sync: synchronize states on, interface ${plan.syncInterface}, peer ${peer.syncAddress.split('/')[0]}`,
      `Firewall > Rules > ${plan.syncInterface}: pass protocol PFSYNC, and UDP port 8025 from ${peer.syncAddress.split('/')[0]} (spamd)`,
      node.preempt
        ? 'nothing to do for preempt: pfSense sets net.inet.carp.preempt=1'
        : 'System > Advanced > System Tunables: net.inet.carp.preempt 0',
      'Status > CARP: one node says MASTER, the other BACKUP',
    ],
  }
}
