/** What "spamdctl failover plan" prints for the two gateways of the lab, and who of them has the shared addresses. */
import { NET } from './lab.js'
import { NAMES, OWN, type TwoGateways } from './two-gateways.js'
import { until } from './until.js'

function planFor(program: 'ucarp' | 'keepalived'): string {
  const nodes = NAMES.map(
    (name, index) =>
      `[[node]]\nname = "${name}"\nadvskew = ${index * 100}\nsync-address = "${OWN[index]!.sync}/30"\n`,
  )
  const own = (side: 'outside' | 'inside'): string => `own = ["${OWN[0][side]}", "${OWN[1][side]}"]`
  return `system = "linux"
program = "${program}"
outside = "outside0"
sync-interface = "sync0"
passphrase-file = "/etc/spamd/carp.pass"

${nodes.join('\n')}
[[shared]]
interface = "outside0"
vhid = 1
address = "${NET.gateway.ipv4}/24"
address6 = "${NET.gateway.ipv6}/64"
${own('outside')}

[[shared]]
interface = "inside0"
vhid = 2
address = "${NET.gatewayInside.ipv4}/24"
address6 = "${NET.gatewayInside.ipv6}/64"
${own('inside')}
`
}

/** Units of the plan that speak for the shared addresses. */
export const FAILOVER_UNITS = {
  ucarp: ['ucarp-outside0-1.service', 'ucarp-inside0-2.service'],
  keepalived: ['keepalived.service'],
} as const

/** Writes what the plan prints for a gateway where it says; what is as wanted stays. */
export async function installPlan(
  lab: TwoGateways,
  index: 0 | 1,
  program: 'ucarp' | 'keepalived',
): Promise<void> {
  const { machine } = lab.gateways[index]
  await machine.write('/etc/spamd/carp.pass', 'lab-passphrase\n', '600')
  await machine.write('/tmp/plan.toml', planFor(program))
  const words = ['failover', 'plan', '/tmp/plan.toml', '--node', NAMES[index], '--json', '--show-passphrase']
  const plan = JSON.parse(await machine.run('spamdctl', ...words)) as {
    nodes: { name: string; files: { path: string; text?: string; mode: string }[] }[]
  }
  const { files } = plan.nodes.find(({ name }) => name === NAMES[index])!
  for (const { path, text, mode } of files) {
    if (text !== undefined) await machine.write(path, text, mode)
  }
  await machine.run('sh', '-c', 'mkdir -p /var/lock /run/lock; systemctl daemon-reload')
}

/** True when a gateway has all four shared addresses. */
export async function isMaster(lab: TwoGateways, index: 0 | 1): Promise<boolean> {
  const { stdout } = await lab.gateways[index].machine.try('ip', '-o', 'address', 'show')
  const shared = [NET.gateway, NET.gatewayInside].flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])
  return shared.every((address) => stdout.includes(` ${address}/`))
}

/** Waits until a gateway has them. */
export async function awaitMaster(lab: TwoGateways, index: 0 | 1): Promise<void> {
  await until(
    () => isMaster(lab, index),
    () => `${NAMES[index]} as master`,
  )
}
