/** A complete machine for spamd-setup in a temporary folder: configuration, state, spamd's port and pf's table. */
import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runSetupProgram, type SetupProgramParts } from '../../../src/cli/setup/setup-main.js'
import { ManualClock } from '../manual-clock.js'
import { type ConfigListener, startConfigListener } from './config-listener.js'

const STAND_IN = join(import.meta.dirname, '..', 'pfctl-stand-in.js')

export interface SetupRun {
  rc: number
  stdout: string
  stderr: string
  /** Config lines that this run sent. */
  sent: string[]
}

export class SetupScene {
  readonly dir: string
  readonly listener: ConfigListener
  readonly clock = new ManualClock()
  readonly pausesMs: number[] = []

  private constructor(dir: string, listener: ConfigListener) {
    this.dir = dir
    this.listener = listener
  }

  static async create(options: { hasSpamd?: boolean } = {}): Promise<SetupScene> {
    const dir = await mkdtemp(join(tmpdir(), 'spamd-setup-'))
    await chmod(dir, 0o755)
    return new SetupScene(dir, await startConfigListener(options.hasSpamd ?? true))
  }

  get stateDir(): string {
    return join(this.dir, 'state')
  }

  path(name: string): string {
    return join(this.dir, name)
  }

  async write(name: string, content: string | Uint8Array): Promise<string> {
    await writeFile(this.path(name), content)
    return this.path(name)
  }

  /** Writes spamd.conf with one entry per list, in the order of `all`. `file` may contain colons. */
  async configure(
    lists: { name: string; white?: boolean; method?: string; file: string; more?: string; msg?: string }[],
  ): Promise<void> {
    const records = lists.map(({ name, white, method, file, more, msg }) => {
      const colour = white === true ? 'white' : `black:msg="${msg ?? 'SPAM %A'}"`
      const location = file.replaceAll(':', '\\c')
      return `${name}:${colour}:method=${method ?? 'file'}:file=${location}:${more ?? ''}\n`
    })
    await this.write('spamd.conf', `all:${lists.map(({ name }) => name).join(':')}:\n${records.join('')}`)
  }

  /** Runs spamd-setup with these arguments. */
  async run(argv: string[] = [], changes: Partial<SetupProgramParts> = {}): Promise<SetupRun> {
    let stdout = ''
    let stderr = ''
    process.env.PFCTL_CALLS = this.path('pfctl-calls')
    process.env.PFCTL_STATE = this.path('pfctl-state')
    const sentBefore = this.listener.connections.length
    const rc = await runSetupProgram(argv, {
      writeOut: (bytes) => {
        stdout += Buffer.from(bytes).toString('latin1')
      },
      writeError: (text) => {
        stderr += text
      },
      terminal: undefined,
      clock: this.clock,
      sleep: async (durationMs) => {
        this.pausesMs.push(durationMs)
      },
      random: () => 0,
      showHelp: async () => undefined,
      goToBackground: async () => undefined,
      ownAddresses: async () => [],
      ...changes,
      environment: {
        SPAMD_CONF: this.path('spamd.conf'),
        SPAMD_STATE_DIR: this.stateDir,
        SPAMD_CFG_PORT: String(this.listener.port),
        SPAMD_FIREWALL: 'pf',
        SPAMD_PFCTL: STAND_IN,
        PATH: process.env.PATH,
        ...changes.environment,
      },
    })
    return { rc, stdout, stderr, sent: this.listener.connections.slice(sentBefore) }
  }

  /** The content of pf's table `spamd`, or undefined if there is no such table. */
  table(): string[] | undefined {
    try {
      const state = JSON.parse(readFileSync(this.path('pfctl-state'), 'utf8')) as {
        tables?: Record<string, string[] | { entries: string[] }>
      }
      const table = state.tables?.spamd
      return (Array.isArray(table) ? table : table?.entries)?.map((entry) => entry.trim())
    } catch {
      return undefined
    }
  }

  /** Edits pf's table `spamd` by hand. */
  async setTable(entries: string[]): Promise<void> {
    const state = JSON.parse(readFileSync(this.path('pfctl-state'), 'utf8')) as {
      tables: Record<string, unknown>
    }
    state.tables.spamd = entries
    await this.write('pfctl-state', JSON.stringify(state))
  }

  /** The content of the state folder for a list. */
  stateFile(name: string): Promise<Buffer> {
    return readFile(join(this.stateDir, name))
  }

  async close(): Promise<void> {
    await this.listener.close()
    await rm(this.dir, { recursive: true, force: true })
  }
}
