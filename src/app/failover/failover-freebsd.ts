/** CARP and pfsync on FreeBSD 10 and later. Source: carp(4), pfsync(4), rc.conf(5) of FreeBSD 14 and 15. */
import type { WantedLine } from '../init/planned-file.js'
import { PULL_VARIABLE } from '../init/pull-setup.js'
import { carpFiles, sharedInterfaces } from './failover-bsd.js'
import { type NodePlan, type PlanInput, pullSteps } from './node-plan.js'

/** rc.conf with the shared addresses as aliases, loader.conf, sysctl.conf, and the rules. */
export function freebsdPlan(input: PlanInput): NodePlan {
  const { plan, node, peer, passphrase, present, pulls } = input
  const rcConf = present('/etc/rc.conf') ?? ''
  const nextAlias = new Map<string, number>()
  const aliasLine = (interfaceName: string, family: string, address: string, vhid: number): WantedLine => {
    const number = nextAlias.get(interfaceName) ?? firstFreeAlias(rcConf, interfaceName)
    nextAlias.set(interfaceName, number + 1)
    const value = `${family} ${address} vhid ${vhid} advskew ${node.advskew} pass ${passphrase}`
    return {
      text: `ifconfig_${interfaceName}_alias${number}="${value}"`,
      isThere: (line) => line.startsWith(`ifconfig_${interfaceName}_alias`) && line.includes(`"${value}"`),
    }
  }
  const lines = plan.shared.flatMap(({ interfaceName, vhid, address, address6 }) => [
    aliasLine(interfaceName, 'inet', address, vhid),
    ...(address6 === undefined ? [] : [aliasLine(interfaceName, 'inet6', address6, vhid)]),
  ])
  const interfaces = sharedInterfaces(input)
  return {
    files: [
      {
        path: '/etc/rc.conf',
        purpose: 'shared addresses and pfsync',
        mode: 0o644,
        content: {
          kind: 'lines',
          ifMissing: '',
          lines: [
            ...lines,
            variable('pfsync_enable', 'YES'),
            variable('pfsync_syncdev', plan.syncInterface),
            variable('pfsync_syncpeer', peer.syncAddress.split('/')[0]!),
            PULL_VARIABLE,
          ],
        },
      },
      {
        path: '/boot/loader.conf',
        purpose: 'load the CARP module',
        mode: 0o644,
        content: { kind: 'lines', ifMissing: '', lines: [variable('carp_load', 'YES')] },
      },
      ...carpFiles(input, 'include these rules, before the other filter rules'),
      ...pulls.files,
    ],
    steps: [
      ...pullSteps(input),
      'kldload -n carp pfsync',
      `sysctl net.inet.carp.preempt=${node.preempt ? 1 : 0}`,
      'pfctl -nf /etc/pf.conf && pfctl -f /etc/pf.conf',
      `service netif restart ${interfaces.join(' ')} && service routing restart && service pfsync start`,
      `ifconfig ${interfaces[0]}                   # "carp: MASTER vhid ${plan.shared[0]!.vhid}" here, BACKUP on the other node`,
    ],
  }
}

function variable(name: string, value: string): WantedLine {
  const text = `${name}="${value}"`
  return { text, isThere: (line) => line.replace(/#.*/, '').trim().replaceAll("'", '"') === text }
}

function firstFreeAlias(rcConf: string, interfaceName: string): number {
  let number = 0
  while (rcConf.split('\n').some((line) => line.startsWith(`ifconfig_${interfaceName}_alias${number}=`)))
    number += 1
  return number
}
