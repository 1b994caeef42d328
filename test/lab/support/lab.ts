/**
 * The small lab: outside with networks of many addresses, the gateway, and inside the mail server; real Postfix on both
 * ends. IPv4 and IPv6 are routed, nothing is translated: the mail server has public addresses.
 */
import { Gateway, type GatewayOptions } from './gateway.js'
import { connect, Machine } from './machine.js'
import { Postfix, type Sender } from './postfix.js'

/** The addresses of the lab. All of the pools are the outside machine's own. */
export const NET = {
  gateway: { ipv4: '203.0.113.1', ipv6: '2001:db8:0:1::1' },
  gatewayInside: { ipv4: '192.0.2.1', ipv6: '2001:db8:0:2::1' },
  outside: { ipv4: '203.0.113.9', ipv6: '2001:db8:0:1::9' },
  inside: { ipv4: '192.0.2.25', ipv6: '2001:db8:0:2::25' },
  // The last two are not of the special-use space, which is cut out of every block list.
  pools: ['198.51.100.0/24', '100.64.0.0/16', '2001:db8:100::/48', '44.128.0.0/16', '2a00:db8::/32'],
} as const

/** The server inside, as Postfix writes it. */
export const MX4 = `[${NET.inside.ipv4}]`
export const MX6 = `[ipv6:${NET.inside.ipv6}]`
/** A server outside that a local user writes to. */
export const FRIEND = { domain: 'friend.example', ipv4: '198.51.100.80', ipv6: '2001:db8:100::80' } as const

export interface LabOptions extends GatewayOptions {
  senders: readonly Sender[]
  /** Lines of main.cf for the senders. */
  senderSettings?: readonly string[]
  /** A gateway that is set up in another way than by hand. */
  gateway?: Gateway
  /** Packages of scripts/setup-lab.sh that the outside machine has beside Postfix. */
  outsidePackages?: readonly string[]
  /** What is to be done on the gateway when all is installed and nothing is started. */
  beforeStart?: (machine: Machine) => Promise<unknown>
}

/** See the head of the file. */
export class Lab {
  readonly gateway: Gateway
  readonly outside: Machine
  readonly inside = new Machine('inside', { init: 'plain', packages: ['postfix'] })
  /** The queue of the senders; it delivers the mail for FRIEND, too. */
  readonly sender: Postfix
  /** The server of example.org. */
  readonly server: Postfix

  readonly #beforeStart: LabOptions['beforeStart']

  constructor(options: LabOptions) {
    // Postfix last: its sendmail is the one that tests call.
    const packages = [...(options.outsidePackages ?? []), 'postfix']
    this.outside = new Machine('outside', { init: 'plain', packages })
    this.#beforeStart = options.beforeStart
    this.gateway = options.gateway ?? new Gateway(options)
    this.sender = new Postfix(this.outside, {
      domain: FRIEND.domain,
      hostname: 'mx.sender.example',
      senders: options.senders,
      settings: options.senderSettings ?? [],
    })
    this.server = new Postfix(this.inside, {
      domain: 'example.org',
      hostname: 'mx.example.org',
      // It shall not be what is measured.
      settings: ['default_process_limit = 400'],
      senders: [
        {
          domain: 'example.org',
          address: NET.inside.ipv4,
          helo: 'mx.example.org',
          server: `[${FRIEND.ipv4}]`,
        },
        {
          domain: 'six.example.org',
          address: NET.inside.ipv6,
          helo: 'mx.example.org',
          server: `[ipv6:${FRIEND.ipv6}]`,
        },
      ],
    })
  }

  /** Everything up and ready. */
  async start(): Promise<void> {
    const { machine } = this.gateway
    const machines = [this.outside, machine, this.inside]
    await Promise.all(machines.map((one) => one.create()))
    connect(this.outside, 'wan0', machine, 'outside0')
    connect(machine, 'inside0', this.inside, 'lan0')
    address(this.outside, 'wan0', NET.outside)
    address(machine, 'outside0', NET.gateway)
    address(machine, 'inside0', NET.gatewayInside)
    address(this.inside, 'lan0', NET.inside)
    for (const setting of ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']) {
      machine.network('sysctl', '-qw', setting)
    }
    this.outside.network('sysctl', '-qw', 'net.ipv6.ip_nonlocal_bind=1')
    route(this.outside, 'default', NET.gateway)
    route(this.inside, 'default', NET.gatewayInside)
    for (const pool of NET.pools) {
      this.outside.network('ip', 'route', 'add', 'local', pool, 'dev', 'lo')
      const via = pool.includes(':') ? NET.outside.ipv6 : NET.outside.ipv4
      machine.network('ip', 'route', 'add', pool, 'via', via)
    }
    await Promise.all(machines.map((one) => one.boot()))
    await Promise.all([this.#startGateway(), this.sender.start(), this.server.start()])
  }

  async #startGateway(): Promise<void> {
    await this.gateway.install()
    await this.#beforeStart?.(this.gateway.machine)
    await this.gateway.start()
  }

  /** Takes the whole lab away. */
  async stop(): Promise<void> {
    await Promise.all([this.outside, this.gateway.machine, this.inside].map((one) => one.remove()))
  }
}

function address(machine: Machine, link: string, { ipv4, ipv6 }: { ipv4: string; ipv6: string }): void {
  machine.network('ip', 'address', 'add', `${ipv4}/24`, 'dev', link)
  machine.network('ip', 'address', 'add', `${ipv6}/64`, 'dev', link, 'nodad')
}

function route(machine: Machine, target: string, { ipv4, ipv6 }: { ipv4: string; ipv6: string }): void {
  machine.network('ip', '-4', 'route', 'add', target, 'via', ipv4)
  machine.network('ip', '-6', 'route', 'add', target, 'via', ipv6)
}
