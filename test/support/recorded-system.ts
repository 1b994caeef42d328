/**
 * A machine made of recorded outputs, instead of the running one. A recording is a text of sections; each begins with
 * `$ ` and the command as typed (program without folder), and `status N` and `stderr TEXT` lines say how it ended. `$
 * cat FILE` is the content of a file, `$ ps` the list of processes.
 */
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { SystemUser } from '../../src/platform/privileges.js'
import type { SystemName } from '../../src/platform/settings.js'
import {
  type CommandOutput,
  type FileFacts,
  type FileText,
  LiveSystem,
  type ProcessFacts,
  parsePs,
  type SystemProbe,
} from '../../src/platform/system-probe.js'
import { TEST_NOW } from './program-run.js'

const FOLDER = join(import.meta.dirname, '../corpus/probes')

export class RecordedSystem implements SystemProbe {
  readonly system: SystemName
  isRoot = true
  nodeVersion = 'v22.14.0'
  /** By the command as typed. */
  readonly outputs = new Map<string, CommandOutput>()
  /** Properties of files that differ from those on disk. */
  readonly files = new Map<string, FileFacts>()
  readonly users = new Map<string, SystemUser>()
  /** Free bytes on every disk. */
  freeBytes = 50 * 1024 ** 3
  /** Loopback ports that answer. */
  readonly openPorts = new Set<number>([8026])
  readonly #live = new LiveSystem()

  constructor(recording: 'openbsd' | 'freebsd' | 'pfsense' | 'linux') {
    this.system = recording === 'pfsense' ? 'freebsd' : recording
    const text = readFileSync(join(FOLDER, `${recording}.txt`), 'utf8')
    for (const section of text.split(/^\$ /m).slice(1)) {
      const lineEnd = section.indexOf('\n')
      this.set(section.slice(0, lineEnd), section.slice(lineEnd + 1))
    }
    // Files of the test belong to whoever runs it, so the daemons' user is the same.
    this.users.set('_spamd', { name: '_spamd', uid: process.getuid!(), gid: process.getgid!() })
  }

  /** Replaces the output of a command. */
  set(command: string, output: string): void {
    const status = /^status ([0-9]+)$/m.exec(output)?.[1]
    const stderr = /^stderr (.*)$/m.exec(output)?.[1]
    this.outputs.set(command, {
      kind: 'ended',
      status: Number(status ?? 0),
      stdout: output.replace(/^(?:status [0-9]+|stderr .*)\n?/gm, ''),
      stderr: stderr === undefined ? '' : `${stderr}\n`,
    })
  }

  /** Edits the output of a command. */
  edit(command: string, from: string | RegExp, to: string): void {
    const output = this.outputs.get(command)
    if (output?.kind !== 'ended') throw new Error(`${command} is not recorded`)
    const changed = output.stdout.replace(from, to)
    if (changed === output.stdout) throw new Error(`${command}: nothing to change: ${String(from)}`)
    this.outputs.set(command, { ...output, stdout: changed })
  }

  nowSec(): number {
    return TEST_NOW
  }

  run(program: string, args: readonly string[]): Promise<CommandOutput> {
    const command = [basename(program), ...args].join(' ')
    return Promise.resolve(
      this.outputs.get(command) ?? { kind: 'missing', reason: 'No such file or directory' },
    )
  }

  readFile(path: string): FileText {
    const output = this.outputs.get(`cat ${path}`)
    if (output?.kind === 'ended') {
      return output.status === 0
        ? { kind: 'text', text: output.stdout }
        : { kind: 'unreadable', reason: output.stderr.trim() }
    }
    return path.startsWith('/etc/') || path.startsWith('/proc/') || path.startsWith('/var/')
      ? { kind: 'missing' }
      : this.#live.readFile(path)
  }

  stat(path: string): FileFacts {
    return this.files.get(path) ?? this.#live.stat(path)
  }

  canRead(path: string): boolean {
    return this.files.get(path)?.kind !== 'unreadable'
  }

  diskSpace(): { freeBytes: number; totalBytes: number } {
    return { freeBytes: this.freeBytes, totalBytes: 100 * 1024 ** 3 }
  }

  findUser(name: string): Promise<SystemUser | undefined> {
    return Promise.resolve(this.users.get(name))
  }

  processes(): Promise<ProcessFacts[] | undefined> {
    const listed = this.outputs.get('ps')
    return Promise.resolve(
      listed?.kind === 'ended' && listed.status === 0 ? parsePs(listed.stdout) : undefined,
    )
  }

  answersTcp(_host: string, port: number): Promise<true | string> {
    return Promise.resolve(this.openPorts.has(port) ? true : 'Connection refused')
  }
}
