/**
 * Three gateways with what is shipped that share one database: a primary and its streaming standby, two real Debian clusters
 * set up by the commands of docs/guide-cluster.md, over TLS with an authority of their own. Each gateway stands in front of
 * an address of the server inside, as three MX hosts would.
 */
import { readdirSync } from 'node:fs'
import { Gateway } from './gateway.js'
import { FRIEND, NET } from './lab.js'
import { connect, Machine } from './machine.js'
import { Postfix, type Sender } from './postfix.js'
import { until } from './until.js'

/** Addresses of each gateway, and of the server inside that is reached by it. */
export const GATES = [1, 2, 3].map((n) => ({
  name: `gw-${'abc'[n - 1]}`,
  outside: { ipv4: `203.0.113.${10 + n}`, ipv6: `2001:db8:0:1::1${n}` },
  inside: { ipv4: `192.0.2.${10 + n}`, ipv6: `2001:db8:0:2::1${n}` },
  mx: { ipv4: `192.0.2.${24 + n}`, ipv6: `2001:db8:0:2::${24 + n}` },
  data: `172.20.0.1${n}`,
}))
const DB_NAMES = ['db1', 'db2'] as const
const dataAddress = (index: number): string => `172.20.0.${index + 1}`
/** Names of all three addresses: a sender takes them in any order, as it does with MX hosts of one preference. */
export const MX4 = '[mx.example.org]'
export const MX6 = '[mx6.example.org]'
/** What is in SPAMD_DB. */
export const LOCATION =
  'postgres://gateway1@db1.example.org,db2.example.org/spamd?sslmode=verify-full&sslrootcert=/etc/spamd/db-ca.crt'
const OWNER =
  'postgres://spamowner@db1.example.org/spamd?sslmode=verify-full&sslrootcert=/etc/spamd/db-ca.crt'
export const LOCAL_DB = '/var/lib/spamd/local.sqlite'
const VERSION = readdirSync('/usr/lib/postgresql').sort((one, other) => Number(other) - Number(one))[0]!
const DATA = `/var/lib/postgresql/${VERSION}/main`
const ETC = `/etc/postgresql/${VERSION}/main`

/** As in the guide: certificates of an authority of one's own. */
const AUTHORITY = `
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=database authority' -keyout ca.key -out ca.crt
  for name in db1 db2; do
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$name.example.org" -keyout "$name.key" -out "$name.csr"
    printf 'subjectAltName=DNS:%s.example.org\\n' "$name" >"$name.ext"
    openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -extfile "$name.ext" -out "$name.crt"
  done`
const HBA = `local   all    postgres                          peer
hostssl spamd  spamowner,gateway1  172.20.0.0/24     scram-sha-256
hostssl replication  replicator    172.20.0.0/24     scram-sha-256
`
const HOSTS = DB_NAMES.map((name, index) => `${dataAddress(index)} ${name}.example.org\n`).join('')

export interface ClusterLabOptions {
  senders: readonly Sender[]
  /** Words behind the shipped command line of spamd. */
  spamd: readonly string[]
}

/** See the head of the file. */
export class ClusterLab {
  readonly gateways: readonly Gateway[]
  readonly servers = DB_NAMES.map((name) => new Machine(name, { init: 'plain' }))
  readonly outside = new Machine('outside', { init: 'plain', packages: ['postfix'] })
  readonly inside = new Machine('inside', { init: 'plain', packages: ['postfix'] })
  readonly sender: Postfix
  readonly server: Postfix

  constructor({ senders, spamd }: ClusterLabOptions) {
    this.gateways = GATES.map(({ name }) => new Gateway({ spamd }, name))
    this.sender = new Postfix(this.outside, { domain: FRIEND.domain, hostname: 'mx.sender.example', senders })
    this.server = new Postfix(this.inside, {
      domain: 'example.org',
      hostname: 'mx.example.org',
      settings: ['default_process_limit = 400'],
      senders: [],
    })
  }

  get #machines(): Machine[] {
    return [this.outside, this.inside, ...this.gateways.map(({ machine }) => machine), ...this.servers]
  }

  async start(): Promise<void> {
    await Promise.all(this.#machines.map((one) => one.create()))
    this.#layCables()
    await Promise.all(this.#machines.map((one) => one.boot()))
    await this.outside.run('sh', '-c', `cat >>/etc/hosts <<END\n${mxHosts()}END`)
    await Promise.all([this.sender.start(), this.server.start(), this.#setUpServers()])
    await Promise.all(this.gateways.map((_, index) => this.#setUpGateway(index)))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#machines.map((one) => one.remove()))
  }

  /** Takes the power from a server: its cable is dead at once. */
  async cutPower(index: number): Promise<void> {
    this.servers[index]!.network('ip', 'link', 'set', 'data0', 'down')
    await this.servers[index]!.cutPower()
  }

  /** Pulls the cable by which one gateway reaches the servers, or plugs it in again. */
  setCable(index: number, state: 'up' | 'down'): void {
    this.gateways[index]!.machine.network('ip', 'link', 'set', 'data0', state)
  }

  /** Makes the standby the server to write to. */
  async promote(index: number): Promise<void> {
    await this.servers[index]!.run('pg_ctlcluster', VERSION, 'main', 'promote')
  }

  /** Runs psql as the administrator of a server. */
  sql(index: number, statement: string): Promise<string> {
    return this.servers[index]!.run('su', 'postgres', '-c', `psql -qtAc "${statement}" spamd`)
  }

  #layCables(): void {
    bridge(this.outside, 'wan', NET.outside)
    bridge(this.inside, 'lan', GATES[0]!.mx)
    bridge(this.inside, 'data')
    for (const { mx } of GATES.slice(1)) address(this.inside, 'lan', mx)
    for (const pool of NET.pools) this.outside.network('ip', 'route', 'add', 'local', pool, 'dev', 'lo')
    this.outside.network('sysctl', '-qw', 'net.ipv6.ip_nonlocal_bind=1')
    for (const [index, { outside, inside, mx, data }] of GATES.entries()) {
      const { machine } = this.gateways[index]!
      plug(this.outside, `wan${index}`, 'wan', machine, 'outside0')
      plug(this.inside, `lan${index}`, 'lan', machine, 'inside0')
      plug(this.inside, `data${index}`, 'data', machine, 'data0')
      address(machine, 'outside0', outside)
      address(machine, 'inside0', inside)
      machine.network('ip', 'address', 'add', `${data}/24`, 'dev', 'data0')
      for (const setting of ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']) {
        machine.network('sysctl', '-qw', setting)
      }
      for (const pool of NET.pools) {
        const via = pool.includes(':') ? NET.outside.ipv6 : NET.outside.ipv4
        machine.network('ip', 'route', 'add', pool, 'via', via)
      }
      // The way back is the way that it came.
      for (const [family, version] of [
        ['-4', 'ipv4'],
        ['-6', 'ipv6'],
      ] as const) {
        this.outside.network('ip', family, 'route', 'add', mx[version], 'via', outside[version])
        const table = String(100 + index)
        this.inside.network('ip', family, 'rule', 'add', 'from', mx[version], 'table', table)
        this.inside.network('ip', family, 'route', 'add', 'default', 'via', inside[version], 'table', table)
      }
    }
    for (const [index, machine] of this.servers.entries()) {
      plug(this.inside, `db${index}`, 'data', machine, 'data0')
      machine.network('ip', 'address', 'add', `${dataAddress(index)}/24`, 'dev', 'data0')
    }
  }

  /** The commands of the guide, up to two servers that follow each other. */
  async #setUpServers(): Promise<void> {
    const [primary, standby] = this.servers as [Machine, Machine]
    await primary.run('sh', '-ec', `mkdir -p /root/ca; cd /root/ca; ${AUTHORITY}`)
    for (const [index, machine] of this.servers.entries()) {
      await machine.run('sh', '-c', `cat >>/etc/hosts <<END\n${HOSTS}END`)
      await machine.run(
        'sh',
        '-ec',
        'rm -rf /etc/postgresql/*; mkdir -p /var/lib/postgresql /var/log/postgresql; chown postgres: /var/lib/postgresql',
      )
      await machine.run('pg_createcluster', VERSION, 'main')
      // As on a machine where the package has just been installed: what is written now counts from the restart on.
      if (machine === primary) await machine.run('pg_ctlcluster', VERSION, 'main', 'start')
      for (const kind of ['crt', 'key']) {
        const text = await primary.run('cat', `/root/ca/${DB_NAMES[index]}.${kind}`)
        await machine.write(`${ETC}/server.${kind}`, text, '600')
        await machine.run('chown', 'postgres:', `${ETC}/server.${kind}`)
      }
      await machine.write(`${ETC}/pg_hba.conf`, HBA)
      await machine.write(
        `${ETC}/conf.d/spamd.conf`,
        `listen_addresses = '*'\nssl = on\nssl_cert_file = '${ETC}/server.crt'\nssl_key_file = '${ETC}/server.key'\n`,
      )
    }
    await primary.run('pg_ctlcluster', VERSION, 'main', 'restart')
    for (const [words, password] of [
      ['createuser --createrole --pwprompt spamowner', 'owner'],
      ['createuser --pwprompt gateway1', 'gateway'],
      ['createuser --replication --pwprompt replicator', 'replica'],
    ] as const) {
      await typed(primary, `${password}\n${password}\n`, words)
    }
    await typed(primary, '', 'createdb --owner spamowner --encoding UTF8 --template template0 spamd')
    const copy = `PGPASSWORD=replica pg_basebackup -h db1.example.org -U replicator -D ${DATA} -R -X stream -c fast`
    await typed(standby, '', `sh -c 'rm -rf ${DATA} && ${copy}'`)
    await standby.run('pg_ctlcluster', VERSION, 'main', 'start')
  }

  async #setUpGateway(index: number): Promise<void> {
    const gateway = this.gateways[index]!
    const { machine } = gateway
    await gateway.install()
    await machine.run('sh', '-c', `cat >>/etc/hosts <<END\n${HOSTS}END`)
    await machine.write('/etc/spamd/db-ca.crt', await this.servers[0]!.run('cat', '/root/ca/ca.crt'))
    await machine.write('/root/.pgpass', '*:*:spamd:spamowner:owner\n*:*:spamd:gateway1:gateway\n', '600')
    await machine.write('/tmp/pgpass', '*:*:spamd:gateway1:gateway\n')
    await machine.run('install', '-m', '0600', '-o', '_spamd', '/tmp/pgpass', '/etc/spamd/pgpass')
    await machine.write('/etc/default/spamd', `SPAMD_DB='${LOCATION}'\nPGPASSFILE=/etc/spamd/pgpass\n`)
    if (index === 0) {
      const told = await machine.run('env', 'HOME=/root', 'spamdctl', 'init-db', '--db', OWNER)
      if (!told.includes('GRANT spamd_daemon TO NAME;')) throw new Error(`init-db says: ${told}`)
      const grant = "psql -h db1.example.org -U spamowner spamd -c 'GRANT spamd_daemon TO gateway1'"
      await machine.run('env', 'HOME=/root', 'sh', '-c', grant)
      this.#isReady()
    }
    await this.#ready
    await gateway.start()
  }

  #isReady = (): void => {}
  /** The tables are there. */
  readonly #ready = new Promise<void>((resolve) => {
    this.#isReady = resolve
  })

  /** What the database has, as spamdb lists it on a gateway. */
  entries(index = 0, location = LOCATION): Promise<string> {
    return this.gateways[index]!.machine.run('env', 'HOME=/root', 'spamdb', '--db', location)
  }

  /** Types a command on a gateway in a shell that has read its settings by the line of the guide. */
  typeOnGateway(index: number, command: string): Promise<{ code: number; stdout: string; stderr: string }> {
    const { machine } = this.gateways[index]!
    return machine.try('sh', '-c', `set -a; . /etc/default/spamd; set +a\n${command}`)
  }

  /** Waits until all gateways, or the ones that are named, say that they are alone, or that none is. */
  async awaitAlone(isAlone: boolean, timeoutMs?: number, indexes = [...GATES.keys()]): Promise<void> {
    for (const index of indexes) {
      const { machine } = this.gateways[index]!
      let told = ''
      await until(
        async () => {
          told = (await machine.try('spamdctl', 'status')).stdout
          return /^alone/m.test(told) === isAlone
        },
        () => `${machine.name} ${isAlone ? 'alone' : 'with its server'}: ${told}`,
        timeoutMs,
      )
    }
  }

  /** Addresses in a set of a gateway's packet filter, sorted. */
  async setOf(index: number, set: string): Promise<string[]> {
    const text = await this.gateways[index]!.machine.run('nft', '-j', 'list', 'set', 'inet', 'spamd', set)
    const { nftables } = JSON.parse(text) as { nftables: { set?: { elem?: unknown[] } }[] }
    return nftables
      .flatMap(({ set: one }) => one?.elem ?? [])
      .map(elementText)
      .sort()
  }
}

function elementText(element: unknown): string {
  if (typeof element === 'string') return element
  const { prefix, range, elem } = element as {
    prefix?: { addr: string; len: number }
    range?: [string, string]
    elem?: { val: unknown }
  }
  if (elem !== undefined) return elementText(elem.val)
  return prefix === undefined ? range!.join('-') : `${prefix.addr}/${prefix.len}`
}

function mxHosts(): string {
  return GATES.map(({ mx }) => `${mx.ipv4} mx.example.org\n${mx.ipv6} mx6.example.org\n`).join('')
}

/** Runs a command as the user postgres, who answers what it asks for. */
async function typed(machine: Machine, answers: string, command: string): Promise<void> {
  const { code, stderr } = await machine.feed(answers, 'su', 'postgres', '-c', command)
  if (code !== 0) throw new Error(`${machine.name}: ${command}: ${stderr}`)
}

function bridge(machine: Machine, name: string, own?: { ipv4: string; ipv6: string }): void {
  machine.network('ip', 'link', 'add', name, 'type', 'bridge', 'mcast_snooping', '0')
  machine.network('ip', 'link', 'set', name, 'up')
  if (own !== undefined) address(machine, name, own)
}

function plug(hub: Machine, port: string, bridgeName: string, machine: Machine, link: string): void {
  connect(hub, port, machine, link)
  hub.network('ip', 'link', 'set', port, 'master', bridgeName)
}

function address(machine: Machine, link: string, { ipv4, ipv6 }: { ipv4: string; ipv6: string }): void {
  machine.network('ip', 'address', 'add', `${ipv4}/24`, 'dev', link)
  machine.network('ip', 'address', 'add', `${ipv6}/64`, 'dev', link, 'nodad')
}
