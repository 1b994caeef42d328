/**
 * Two gateways with what is shipped, between one outside and one inside: each has addresses of its own on both sides and a
 * cable to the other one for synchronisation, pulls over a real sshd, and the states of connections.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Gateway } from './gateway.js'
import { FRIEND, NET } from './lab.js'
import { CHECKOUT, connect, Machine } from './machine.js'
import { Postfix, type Sender } from './postfix.js'

const EXAMPLES = join(CHECKOUT, 'docs/examples')

/** Addresses of each gateway's own; NET.gateway and NET.gatewayInside are the shared ones. */
export const OWN = [
  {
    outside: '203.0.113.2',
    outside6: '2001:db8:0:1::2',
    inside: '192.0.2.2',
    inside6: '2001:db8:0:2::2',
    sync: '172.16.0.1',
  },
  {
    outside: '203.0.113.3',
    outside6: '2001:db8:0:1::3',
    inside: '192.0.2.3',
    inside6: '2001:db8:0:2::3',
    sync: '172.16.0.2',
  },
] as const
const LINKS = ['outside0', 'inside0', 'sync0'] as const
export const NAMES = ['gw1', 'gw2'] as const

export interface TwoGatewaysOptions {
  senders: readonly Sender[]
  /** Words behind the shipped command line of spamd, beside those of the synchronisation. */
  spamd: readonly string[]
  packages?: readonly string[]
  /** `init`: set up by `spamdctl init --peer`, and by what it prints to be done by hand; else by the shipped files. */
  setUp?: 'init'
}

/** See the head of the file. */
export class TwoGateways {
  readonly gateways: readonly [Gateway, Gateway]
  readonly outside = new Machine('outside', { init: 'plain', packages: ['postfix'] })
  readonly inside = new Machine('inside', { init: 'plain', packages: ['postfix'] })
  readonly sender: Postfix
  readonly server: Postfix
  readonly #setUp: TwoGatewaysOptions['setUp']

  constructor({ senders, spamd, packages = [], setUp }: TwoGatewaysOptions) {
    this.#setUp = setUp
    this.gateways = [0, 1].map((index) => {
      const words = ['-y', OWN[index]!.sync, '-Y', OWN[1 - index]!.sync, '--require-sync-key', ...spamd]
      return new Gateway({ spamd: words, packages: ['openssh-server', ...packages] }, NAMES[index]!)
    }) as unknown as [Gateway, Gateway]
    this.sender = new Postfix(this.outside, { domain: FRIEND.domain, hostname: 'mx.sender.example', senders })
    this.server = new Postfix(this.inside, {
      domain: 'example.org',
      hostname: 'mx.example.org',
      settings: ['default_process_limit = 400'],
      senders: [],
    })
  }

  async start(): Promise<void> {
    const machines = [this.outside, this.inside, ...this.gateways.map(({ machine }) => machine)]
    await Promise.all(machines.map((one) => one.create()))
    this.#bridge(this.outside, 'wan', NET.outside)
    this.#bridge(this.inside, 'lan', NET.inside)
    for (const [index, { machine }] of this.gateways.entries()) {
      connect(this.outside, `wan${index}`, machine, 'outside0')
      connect(this.inside, `lan${index}`, machine, 'inside0')
      this.outside.network('ip', 'link', 'set', `wan${index}`, 'master', 'wan')
      this.inside.network('ip', 'link', 'set', `lan${index}`, 'master', 'lan')
      this.#address(index)
    }
    const [one, other] = this.gateways.map(({ machine }) => machine)
    connect(one!, 'sync0', other!, 'sync0')
    for (const index of [0, 1]) this.#addressSync(index)
    this.outside.network('sysctl', '-qw', 'net.ipv6.ip_nonlocal_bind=1')
    for (const pool of NET.pools) this.outside.network('ip', 'route', 'add', 'local', pool, 'dev', 'lo')
    await Promise.all(machines.map((one) => one.boot()))
    await Promise.all([
      this.sender.start(),
      this.server.start(),
      this.#setUp === 'init' ? this.#init() : this.#install(),
    ])
  }

  /** Takes the power from a gateway: its cables are dead at once, and what it had learned of addresses is gone. */
  async cutPower(index: 0 | 1): Promise<void> {
    const { machine } = this.gateways[index]
    for (const link of LINKS) machine.network('ip', 'link', 'set', link, 'down')
    await machine.cutPower()
    for (const link of LINKS) machine.network('ip', 'address', 'flush', 'dev', link)
  }

  /** Switches it on again; its units start as at any boot. */
  async powerOn(index: 0 | 1): Promise<void> {
    const { machine } = this.gateways[index]
    for (const link of LINKS) machine.network('ip', 'link', 'set', link, 'up')
    this.#address(index)
    this.#addressSync(index)
    await machine.boot()
    await this.gateways[index].start()
  }

  #addressSync(index: number): void {
    const { machine } = this.gateways[index]!
    machine.network('ip', 'address', 'add', `${OWN[index]!.sync}/30`, 'dev', 'sync0')
  }

  /** Own addresses on both sides, and the ways to the world. */
  #address(index: number): void {
    const own = OWN[index]!
    const { machine } = this.gateways[index]!
    for (const [link, ipv4, ipv6] of [
      ['outside0', own.outside, own.outside6],
      ['inside0', own.inside, own.inside6],
    ] as const) {
      machine.network('ip', 'address', 'add', `${ipv4}/24`, 'dev', link)
      machine.network('ip', 'address', 'add', `${ipv6}/64`, 'dev', link, 'nodad')
      // The address that moves is announced to the neighbours in IPv6, too.
      machine.network('sysctl', '-qw', `net.ipv6.conf.${link}.ndisc_notify=1`)
    }
    for (const setting of ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']) {
      machine.network('sysctl', '-qw', setting)
    }
    for (const pool of NET.pools) {
      const via = pool.includes(':') ? NET.outside.ipv6 : NET.outside.ipv4
      machine.network('ip', 'route', 'replace', pool, 'via', via)
    }
  }

  /** Routes outside and inside by the shared addresses, as after a fail-over plan. */
  routeByShared(): void {
    this.routeBy(
      { outside: NET.gateway.ipv4, inside: NET.gatewayInside.ipv4 },
      { outside: NET.gateway.ipv6, inside: NET.gatewayInside.ipv6 },
    )
  }

  /** Routes outside and inside by an address of a gateway on each side. */
  routeBy(ipv4: { outside: string; inside: string }, ipv6: { outside: string; inside: string }): void {
    for (const [machine, side] of [
      [this.outside, 'outside'],
      [this.inside, 'inside'],
    ] as const) {
      machine.network('ip', '-4', 'route', 'replace', 'default', 'via', ipv4[side])
      machine.network('ip', '-6', 'route', 'replace', 'default', 'via', ipv6[side])
    }
  }

  async stop(): Promise<void> {
    const machines = [this.outside, this.inside, ...this.gateways.map(({ machine }) => machine)]
    await Promise.all(machines.map((one) => one.remove()))
  }

  #bridge(machine: Machine, name: string, { ipv4, ipv6 }: { ipv4: string; ipv6: string }): void {
    machine.network('ip', 'link', 'add', name, 'type', 'bridge', 'mcast_snooping', '0')
    machine.network('ip', 'link', 'set', name, 'up')
    machine.network('ip', 'address', 'add', `${ipv4}/24`, 'dev', name)
    machine.network('ip', 'address', 'add', `${ipv6}/64`, 'dev', name, 'nodad')
  }

  /** As docs/failover.md says in section 3: init on one, what it prints, init on the other one, what that prints. */
  async #init(): Promise<void> {
    for (const [index, { machine }] of this.gateways.entries()) {
      await this.gateways[index]!.installPrograms()
      await machine.write('/etc/nftables.conf', 'flush ruleset\ntable inet filter { }\n')
      await machine.run('sh', '-ec', SSH_OF_ROOT)
    }
    for (const [index, { machine }] of this.gateways.entries()) {
      const other = this.gateways[1 - index]!.machine
      await other.write('/tmp/root.pub', await machine.run('cat', '/root/.ssh/id_ed25519.pub'))
      await other.run('sh', '-c', 'umask 077; cat /tmp/root.pub >>/root/.ssh/authorized_keys')
    }
    const printed = [await this.#runInit(0)]
    // The first line of each copies the key, so that the other one makes none of its own.
    await this.#runByHand(0, printed[0]!.slice(0, 1))
    printed.push(await this.#runInit(1))
    for (const index of [0, 1]) await this.#runByHand(index, printed[index]!.slice(1))
  }

  /** Lines of the part "by hand". */
  async #runInit(index: number): Promise<string[]> {
    const { machine } = this.gateways[index]!
    const words = ['--outside', 'outside0', '--mail-server', NET.inside.ipv4, '--list', 'none', '--yes']
    const said = await machine.try('spamdctl', 'init', '--peer', OWN[1 - index]!.sync, ...words)
    const failed = said.stdout.match(/^failed: .*/gm)
    if (failed !== null) throw new Error(failed.join('\n'))
    const byHand = /^-- by hand\n((?:.+\n)+?)(?=done:|not needed:|$)/m.exec(said.stdout)?.[1]
    if (byHand === undefined) throw new Error(`nothing by hand: ${said.stdout}${said.stderr}`)
    return byHand.trimEnd().split('\n')
  }

  /** Types them, but for init on the other gateway, and the last one, which is to be tried when both have done theirs. */
  async #runByHand(index: number, lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      if (/spamdctl init|spamd-pull\.service/.test(line)) continue
      await this.gateways[index]!.machine.run('bash', '-o', 'pipefail', '-ec', line)
    }
  }

  /** As docs/failover.md says: the same key on both, a user for pulls on each, keys of ssh both ways. */
  async #install(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.install()))
    const [one, other] = this.gateways.map(({ machine }) => machine) as [Machine, Machine]
    await one.run('spamdctl', 'sync-key')
    const key = (await one.run('base64', '/etc/spamd/spamd.key')).trim()
    await other.write('/tmp/key', key)
    await other.run('sh', '-c', 'umask 077; base64 -d /tmp/key >/etc/spamd/spamd.key; rm /tmp/key')
    const publicKeys: string[] = []
    for (const [index, { machine }] of this.gateways.entries()) {
      await machine.write('/etc/spamd/ssh_config', readFileSync(join(EXAMPLES, 'spamd-ssh_config')))
      await machine.write('/etc/default/spamd-pull', `PEERS=${OWN[1 - index]!.sync}\n`)
      await machine.run('sh', '-ec', PREPARE_SSH)
      publicKeys.push(await machine.run('cat', '/etc/spamd/pull/key.pub'))
    }
    for (const [index, { machine }] of this.gateways.entries()) {
      const peerKey = publicKeys[1 - index]!
      await machine.write('/tmp/line', `restrict,command="spamdctl serve-pull" ${peerKey}`)
      const host = await this.gateways[1 - index]!.machine.run('cat', '/etc/ssh/ssh_host_ed25519_key.pub')
      await machine.write('/etc/spamd/pull/known_hosts', `${OWN[1 - index]!.sync} ${host}`)
      await machine.run('sh', '-ec', FINISH_SSH)
    }
    await Promise.all(this.gateways.map((gateway) => gateway.start()))
  }
}

/** Administrators log in to both from both. */
const SSH_OF_ROOT = `
  getent passwd sshd >/dev/null || useradd --system --home /run/sshd --shell /usr/sbin/nologin sshd
  mkdir -p -m 0700 /root/.ssh
  ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
  printf 'StrictHostKeyChecking no\\nLogLevel ERROR\\n' >/root/.ssh/config
  mkdir -p /etc/ssh /run/sshd
  rm -f /etc/ssh/ssh_host_*
  ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
  printf 'HostKey /etc/ssh/ssh_host_ed25519_key\\nUsePAM no\\nPasswordAuthentication no\\nPermitRootLogin yes\\nSubsystem sftp internal-sftp\\n' >/etc/ssh/sshd_lab
  systemd-run -q --unit sshd-lab -p RuntimeDirectory=sshd /usr/sbin/sshd -D -e -f /etc/ssh/sshd_lab`
const PREPARE_SSH = `
  getent passwd sshd >/dev/null || useradd --system --home /run/sshd --shell /usr/sbin/nologin sshd
  useradd --system --home /var/lib/spamd-pull --create-home --shell /bin/sh -g _spamd -p '*' _spamdpull
  install -d -o _spamd -g _spamd -m 0700 /etc/spamd/pull
  setpriv --reuid _spamd --regid _spamd --clear-groups ssh-keygen -q -t ed25519 -N '' -f /etc/spamd/pull/key
  mkdir -p /etc/ssh
  rm -f /etc/ssh/ssh_host_*
  ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key`
const FINISH_SSH = `
  install -d -o _spamdpull -m 0700 /var/lib/spamd-pull/.ssh
  install -o _spamdpull -m 0600 /tmp/line /var/lib/spamd-pull/.ssh/authorized_keys
  mkdir -p /run/sshd
  printf 'HostKey /etc/ssh/ssh_host_ed25519_key\\nUsePAM no\\nPasswordAuthentication no\\n' >/etc/ssh/sshd_lab
  systemd-run -q --unit sshd-lab -p RuntimeDirectory=sshd /usr/sbin/sshd -D -e -f /etc/ssh/sshd_lab`
