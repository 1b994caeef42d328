/** What the plans of OpenBSD and FreeBSD share: preemption, and the rules that pass CARP, pfsync and synchronisation. */
import type { PlannedFile } from '../init/planned-file.js'
import type { PlanInput } from './node-plan.js'

/** The interfaces that have shared addresses, each once. */
export function sharedInterfaces({ plan }: PlanInput): string[] {
  return [...new Set(plan.shared.map(({ interfaceName }) => interfaceName))]
}

/** sysctl.conf, the rules, and the line of pf.conf that includes them; `includePurpose` says where it belongs. */
export function carpFiles(input: PlanInput, includePurpose: string): PlannedFile[] {
  const { plan, node, peer } = input
  return [
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
      content: {
        kind: 'whole',
        text: pfRules(plan.syncInterface, sharedInterfaces(input), peer.syncAddress),
      },
    },
    {
      path: '/etc/pf.conf',
      purpose: includePurpose,
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
  ]
}

/** States of these protocols stay on the node that has them. */
function pfRules(syncInterface: string, interfaces: readonly string[], peerAddress: string): string {
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
function sysctlLine(name: string, value: 0 | 1): { text: string; isThere: (line: string) => boolean } {
  const text = `${name}=${value}`
  return { text, isThere: (line) => line.replace(/#.*/, '').trim() === text }
}
