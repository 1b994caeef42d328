/** The gateway: a machine with the shipped configuration as it stands, run by a real systemd. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CHECKOUT, Machine } from './machine.js'
import { until } from './until.js'

const EXAMPLES = join(CHECKOUT, 'docs/examples')
/** Units of the system that would change what all machines share, or only take time. */
const MASKED = [
  ...['systemd-sysctl.service', 'systemd-modules-load.service', 'systemd-remount-fs.service'],
  ...['systemd-udevd.service', 'systemd-udev-trigger.service', 'systemd-timesyncd.service'],
  ...['systemd-logind.service', 'systemd-update-utmp.service', 'systemd-journal-flush.service'],
]

export interface GatewayOptions {
  /** Packages of scripts/setup-lab.sh beside what is shipped. */
  packages?: readonly string[]
  /** Rules of docs/examples. */
  rules?: string
  /** Words behind the shipped command line of spamd. */
  spamd?: readonly string[]
  /** Words behind the shipped command line of spamlogd. */
  spamlogd?: readonly string[]
  /** The units to enable, beside those of the packet filter. */
  units?: readonly string[]
  /** Root of another system, programs included. */
  base?: string
}

/** See the head of the file. */
export class Gateway {
  readonly machine: Machine
  readonly #options: GatewayOptions

  constructor(options: GatewayOptions = {}, name = 'gateway') {
    const { packages = [], base } = options
    this.machine = new Machine(name, { init: 'systemd', packages, ...(base !== undefined && { base }) })
    this.#options = options
  }

  /** Makes the programs callable, on a system that has nothing else of ours. */
  async installPrograms(): Promise<void> {
    const { machine } = this
    await this.maskUnits()
    for (const program of ['spamd', 'spamdb', 'spamlogd', 'spamd-setup', 'spamdctl']) {
      await machine.run('ln', '-sf', `/usr/lib/spamdctl/bin/${program}.js`, `/usr/bin/${program}`)
    }
    // A Node that is not of the system is in a folder that machines do not have.
    const found = await machine.try('node', '--version')
    if (found.stdout.trim() !== process.version) {
      await machine.write('/usr/bin/node', readFileSync(process.execPath), '755')
    }
  }

  /** Keeps the system from changing what all machines share. */
  async maskUnits(): Promise<void> {
    for (const unit of MASKED) {
      await this.machine.run('ln', '-sf', '/dev/null', `/etc/systemd/system/${unit}`)
    }
  }

  /** Installs what is shipped, in the places that the shipped files name, and starts nothing. */
  async install(): Promise<void> {
    const { machine } = this
    await this.installPrograms()
    await machine.run('mkdir', '-p', '/etc/spamd')
    const rules = this.#options.rules ?? 'nftables.conf'
    await machine.write('/etc/spamd/nftables.conf', readFileSync(join(EXAMPLES, rules)))
    // That of Debian, in short.
    await machine.write('/etc/nftables.conf', 'flush ruleset\ntable inet filter { }\n')
    await machine.write('/etc/spamd/tproxy-routes', readFileSync(join(EXAMPLES, 'tproxy-routes')), '755')
    const folder = join(EXAMPLES, 'systemd')
    const units = readdirSync(folder).filter((name) => /\.(service|socket|timer|path)$/.test(name))
    // spamd-setup becomes the second one by itself.
    const users = new Set<string>(['_spamd', '_spamdfeed'])
    for (const unit of units) {
      const text = readFileSync(join(folder, unit), 'utf8')
      await machine.write(`/etc/systemd/system/${unit}`, text)
      for (const [, user] of text.matchAll(/^User=(\S+)/gm)) users.add(user!)
    }
    for (const user of users) {
      const script =
        'getent passwd "$1" >/dev/null || useradd --system --home /nonexistent --shell /usr/sbin/nologin "$1"'
      await machine.run('sh', '-c', script, 'sh', user)
    }
    // With TPROXY the drop-in that is shipped holds the command line.
    const isTransparent = rules === 'nftables-tproxy.conf'
    await this.addWords(
      'spamd.service',
      this.#options.spamd ?? [],
      isTransparent ? 'spamd-tproxy.conf' : undefined,
    )
    await this.addWords('spamlogd.service', this.#options.spamlogd ?? [])
    await machine.run('systemctl', 'daemon-reload')
    await machine.run('systemctl', 'enable', '-q', 'nftables.service', ...this.#units)
  }

  get #units(): readonly string[] {
    return this.#options.units ?? ['spamd.service', 'spamlogd.service', 'spamd-rules.service']
  }

  /** Lets a unit run its shipped command line with further words behind it. */
  async addWords(unit: string, words: readonly string[], dropIn?: string): Promise<void> {
    const text = readFileSync(join(EXAMPLES, 'systemd', dropIn ?? unit), 'utf8')
    if (dropIn !== undefined) await this.machine.write(`/etc/systemd/system/${unit}.d/${dropIn}`, text)
    if (words.length === 0) return
    const shipped = /^ExecStart=(.+(?:\\\n.*)*)$/m.exec(text)![1]!
    await this.machine.write(
      `/etc/systemd/system/${unit}.d/zz-lab.conf`,
      `[Service]\nExecStart=\nExecStart=${shipped} ${words.join(' ')}\n`,
    )
  }

  /** Starts packet filter and daemons as at boot, and waits until they are ready. */
  async start(): Promise<void> {
    const { machine } = this
    const { code, stderr } = await machine.try('systemctl', 'start', 'nftables.service', ...this.#units)
    if (code !== 0) {
      const journal = await machine.try('journalctl', '--no-pager', '-o', 'cat')
      throw new Error(`${stderr}\n${journal.stdout}`)
    }
  }

  /** What spamdb(8) lists. */
  entries(...args: string[]): Promise<string> {
    return this.machine.run('spamdb', ...args)
  }

  /** Waits until spamdb lists an entry. */
  async awaitEntry(text: string | RegExp, timeoutMs?: number): Promise<void> {
    let listing = ''
    await until(
      async () => {
        listing = await this.entries()
        return typeof text === 'string' ? listing.includes(text) : text.test(listing)
      },
      () => `${String(text)} in the database: ${listing}`,
      timeoutMs,
    )
  }

  /** Waits until spamdb no longer lists an entry. */
  async awaitNoEntry(text: string): Promise<void> {
    await until(
      async () => !(await this.entries()).includes(text),
      () => `${text} is still in the database`,
    )
  }

  /** What a unit has logged. */
  journal(unit: string): Promise<string> {
    return this.machine.run('journalctl', '--no-pager', '-o', 'cat', '-u', unit)
  }

  /** Whether an address is in a set of the packet filter. */
  async isInSet(set: string, address: string): Promise<boolean> {
    const { code } = await this.machine.try('nft', 'get', 'element', 'inet', 'spamd', set, `{ ${address} }`)
    return code === 0
  }

  async awaitInSet(set: string, address: string, timeoutMs?: number): Promise<void> {
    await until(
      () => this.isInSet(set, address),
      () => `${address} in set ${set}`,
      timeoutMs,
    )
  }
}
