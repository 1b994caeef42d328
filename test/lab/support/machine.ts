/**
 * One machine of the lab: a root of its own over this system, its own processes, network and disk, on which a real
 * systemd runs the shipped units, or real mail servers run. It leaves nothing behind, even when the tests are killed.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { until } from './until.js'

const BOOT_SCRIPT = fileURLToPath(new URL('./boot-machine.sh', import.meta.url))
/** This checkout, which every machine sees as /usr/lib/spamdctl. */
export const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url))
const LAB_PACKAGES = join(CHECKOUT, '.lab')
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' }
/** A helper that ends with the tests, however these end. */
const BOUND = ['--pdeathsig', 'KILL']

export interface MachineOptions {
  /** Packages of scripts/setup-lab.sh whose files the machine has. */
  packages?: readonly string[]
  /** What its first process is. */
  init: 'systemd' | 'plain'
  /** Root of another system that it is laid over, programs included, in place of this one and the checkout. */
  base?: string
}

/** What a program printed and how it ended. */
export interface Ended {
  stdout: string
  stderr: string
  code: number
}

/** See the head of the file. */
export class Machine {
  readonly name: string
  readonly #options: MachineOptions
  readonly #scratch = mkdtempSync(join(tmpdir(), 'spamd-lab-'))
  #keeper: ChildProcess | undefined
  #boot: ChildProcess | undefined
  #initPid = 0
  #console = ''

  constructor(name: string, options: MachineOptions) {
    this.name = `lab-${name}-${process.pid}`
    this.#options = options
  }

  /** Makes the disk and the network namespace, which outlast a reboot. */
  async create(): Promise<void> {
    const script =
      'mount -t tmpfs -o mode=755,size=2g lab "$1" && ip link set lo up && echo ready && exec cat'
    this.#keeper = spawn(
      'setpriv',
      [
        ...BOUND,
        'unshare',
        '--net',
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-c',
        script,
        'sh',
        this.#scratch,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    )
    await once(this.#keeper.stdout!, 'data')
  }

  /** Switches the machine on; resolves when its first process runs. */
  async boot(): Promise<void> {
    const hasSystemd = existsSync(join(this.#options.base ?? '/', 'lib/systemd/systemd'))
    const systemd = hasSystemd ? [] : ['systemd']
    const layers = [...(this.#options.packages ?? []), ...(this.#options.init === 'systemd' ? systemd : [])]
    const packages = layers.map((name) => join(LAB_PACKAGES, name))
    const words = ['enter', this.name, this.#scratch, CHECKOUT, this.#options.init, ...packages]
    this.#boot = spawn(
      'setpriv',
      [...BOUND, 'nsenter', '-t', String(this.#keeper!.pid), '-n', '-m', 'sh', BOOT_SCRIPT, ...words],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...(this.#options.base !== undefined && { LAB_BASE: this.#options.base }) },
      },
    )
    for (const stream of [this.#boot.stdout!, this.#boot.stderr!]) {
      stream.on('data', (piece: Buffer) => {
        this.#console += piece.toString('latin1')
      })
    }
    const wanted = this.#options.init === 'systemd' ? 'systemd' : 'sh'
    await until(
      async () => this.#findInit(wanted),
      () => `the first process of ${this.name}: ${this.#console}`,
    )
    if (this.#options.init === 'systemd') {
      await until(
        async () => /running|degraded/.test((await this.try('systemctl', 'is-system-running')).stdout),
        () => `systemd of ${this.name}: ${this.#console}`,
      )
    }
  }

  #findInit(wanted: string): boolean {
    // The boot script became unshare(1), whose only child is process 1 of the machine.
    const { pid, exitCode } = this.#boot!
    if (exitCode !== null) throw new Error(`${this.name} did not boot: ${this.#console}`)
    try {
      const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
      if (child === '') return false
      const isUp = readFileSync(`/proc/${child}/comm`, 'utf8').trim() === wanted
      this.#initPid = Number(child)
      return wanted === 'sh' ? this.#console.includes('up\n') : isUp
    } catch {
      return false
    }
  }

  /** Switches it off without warning, as a power failure does; disk and cables stay. */
  async cutPower(): Promise<void> {
    const boot = this.#boot
    if (boot === undefined || boot.exitCode !== null || boot.signalCode !== null) return
    const ended = once(boot, 'exit')
    process.kill(this.#initPid, 'SIGKILL')
    await ended
    this.#boot = undefined
    // What the kernel forgets at a reboot.
    this.#inKeeper('nft', 'flush', 'ruleset')
  }

  get isOn(): boolean {
    return this.#boot !== undefined
  }

  /** Writes a file on its disk while it is switched off; the folder must be there. */
  writeToDisk(path: string, text: string): void {
    const words = ['-t', this.networkPid, '-m', 'sh', '-c', 'cat >"$1"', 'sh']
    execFileSync('nsenter', [...words, join(this.#scratch, 'upper', path)], { input: text })
  }

  /** Takes it away with everything that was its own. */
  async remove(): Promise<void> {
    if (this.#keeper === undefined) return
    await this.cutPower()
    const ended = once(this.#keeper, 'exit')
    this.#keeper.stdin!.end()
    await ended
    rmSync(this.#scratch, { recursive: true, force: true })
    for (const folder of ['/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd']) {
      const own = join(folder, this.name)
      if (existsSync(own)) {
        execFile('find', [own, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'], () => {})
      }
    }
  }

  /** Runs ip(8) and the like in the network of the machine, whether it is on or not. */
  network(program: string, ...args: string[]): string {
    return this.#inKeeper(program, ...args)
  }

  /** The process whose network namespace is the machine's. */
  get networkPid(): string {
    return String(this.#keeper!.pid)
  }

  #inKeeper(program: string, ...args: string[]): string {
    return execFileSync('nsenter', ['-t', this.networkPid, '-n', program, ...args], {
      stdio: 'pipe',
      encoding: 'utf8',
    })
  }

  #enter(program: string, args: readonly string[]): string[] {
    return ['-t', String(this.#initPid), '-a', '-r', '-w', program, ...args]
  }

  /** Runs a program on the machine and resolves with its standard output; rejects when it fails. */
  async run(program: string, ...args: string[]): Promise<string> {
    const ended = await this.try(program, ...args)
    if (ended.code !== 0) {
      throw new Error(`${this.name}: ${program} ${args.join(' ')}: ${ended.stderr || ended.stdout}`)
    }
    return ended.stdout
  }

  /** Runs a program on the machine; resolves whatever comes of it. */
  async try(program: string, ...args: string[]): Promise<Ended> {
    return this.feed('', program, ...args)
  }

  /** As `try`, with something to read on standard input. */
  async feed(input: string | Buffer, program: string, ...args: string[]): Promise<Ended> {
    const running = promisify(execFile)('nsenter', this.#enter(program, args), {
      env: ENVIRONMENT,
      maxBuffer: 1 << 28,
    })
    running.child.stdin!.on('error', () => {})
    running.child.stdin!.end(input)
    try {
      return { ...(await running), code: 0 }
    } catch (error) {
      const failed = error as { stdout: string; stderr: string; code?: number | string }
      return { stdout: failed.stdout, stderr: failed.stderr, code: Number(failed.code ?? -1) }
    }
  }

  /** Starts a program that stays; the machine's end is its end. */
  spawn(program: string, ...args: string[]): ChildProcess {
    return spawn('setpriv', [...BOUND, 'nsenter', ...this.#enter(program, args)], {
      env: ENVIRONMENT,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
  }

  /** Writes a file on the machine, with the folders to it. */
  async write(path: string, text: string | Buffer, mode = '644'): Promise<void> {
    const script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
    const { code, stderr } = await this.feed(text, 'sh', '-c', script, 'sh', path, mode)
    if (code !== 0) throw new Error(`${this.name}: cannot write ${path}: ${stderr}`)
  }
}

/** Lays a cable between two machines. */
export function connect(one: Machine, oneLink: string, other: Machine, otherLink: string): void {
  one.network(
    'ip',
    'link',
    'add',
    oneLink,
    'type',
    'veth',
    'peer',
    'name',
    otherLink,
    'netns',
    other.networkPid,
  )
  for (const [machine, link] of [
    [one, oneLink],
    [other, otherLink],
  ] as const) {
    machine.network('ip', 'link', 'set', link, 'up')
  }
}

/** Why machines cannot be made here, or undefined; told by one line, for the stories that are skipped then. */
export function whyNoLab(...packages: string[]): string | undefined {
  const reason = findReason(packages)
  if (reason !== undefined) process.stderr.write(`test/lab: STORY SKIPPED: ${reason}\n`)
  return reason
}

function findReason(packages: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'the lab needs Linux'
  if (process.getuid?.() !== 0) return 'the lab needs root'
  const absent = packages.filter((name) => !existsSync(join(LAB_PACKAGES, name, '.complete')))
  if (absent.length > 0)
    return `${absent.join(', ')} not there: run scripts/setup-lab.sh${absent.includes('postfix') ? '' : ' all'}`
  if (!existsSync('/lib/systemd/systemd') && !existsSync(join(LAB_PACKAGES, 'systemd'))) return 'no systemd'
  const trial = `
    mount -t tmpfs trial /mnt && mkdir /mnt/u /mnt/w /mnt/m &&
    mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/m &&
    nft add table inet trial && nft add chain inet trial c '{ type nat hook prerouting priority 0; }'`
  try {
    const namespaces = ['--net', '--mount', '--pid', '--uts', '--ipc', '--cgroup', '--fork']
    execFileSync('unshare', [...namespaces, '--propagation', 'private', 'sh', '-ec', trial], {
      stdio: 'pipe',
    })
    return undefined
  } catch (error) {
    return `namespaces are not permitted here: ${String((error as { stderr?: Buffer }).stderr ?? error).trim()}`
  }
}
