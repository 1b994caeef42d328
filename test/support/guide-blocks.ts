/**
 * Runs the commands of the guides as they are printed. A `console` block contains commands after `$ ` and their
 * output; `…` matches any text in a line, and a line with only `…` any lines. A block that cannot run here is
 * preceded by a comment that begins with `not run:` and says why.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

/** One command of a guide. */
export interface GuideCommand {
  line: number
  command: string
  /** Lines that it prints according to the guide. */
  output: string[]
}

/** A fenced block: its commands, or why it is not run. */
export interface GuideBlock {
  line: number
  language: string
  notRun: string | undefined
  commands: GuideCommand[]
}

/** All fenced blocks of a page. */
export function guideBlocks(text: string): GuideBlock[] {
  const blocks: GuideBlock[] = []
  const lines = text.split('\n')
  let notRun: string | undefined
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index]!
    const comment = /^<!-- not run: (.+) -->$/.exec(line)
    if (comment !== null) notRun = comment[1]
    const fence = /^```(\w*)$/.exec(line)
    if (fence === null) {
      if (line.trim() !== '' && comment === null) notRun = undefined
      continue
    }
    const block: GuideBlock = { line: index + 1, language: fence[1]!, notRun, commands: [] }
    notRun = undefined
    index += 1
    for (; lines[index] !== undefined && lines[index] !== '```'; index += 1) {
      let content = lines[index]!
      if (!content.startsWith('$ ')) {
        block.commands.at(-1)?.output.push(content)
        continue
      }
      const at = index + 1
      while (content.endsWith('\\')) {
        index += 1
        content += `\n${lines[index]}`
      }
      block.commands.push({ line: at, command: content.slice(2), output: [] })
    }
    blocks.push(block)
  }
  return blocks
}

/** A folder in which the commands of one guide run, with the programs in PATH and nothing else of ours. */
export class GuideScratch {
  readonly folder = mkdtempSync(join(tmpdir(), 'spamd-guide-'))
  readonly #environment: Record<string, string>

  constructor() {
    chmodSync(this.folder, 0o755)
    const bin = join(this.folder, '.bin')
    mkdirSync(bin)
    for (const name of ['spamdctl', 'spamdb', 'spamlogd', 'spamd-setup', 'spamd']) {
      symlinkSync(join(ROOT, `bin/${name}.js`), join(bin, name))
    }
    cpSync(join(ROOT, 'docs/examples'), join(this.folder, 'examples'), { recursive: true })
    this.#environment = {
      PATH: `${bin}:${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
      HOME: this.folder,
      TZ: 'UTC',
      LANG: 'C.UTF-8',
      COLUMNS: '80',
      SPAMD_DB: join(this.folder, 'db/spamd.sqlite'),
      SPAMD_CONF: join(this.folder, 'spamd.conf'),
      SPAMD_STATE_DIR: join(this.folder, 'lists'),
      SPAMD_KEY: join(this.folder, 'spamd.key'),
      SPAMD_CONTROL_SOCKET: join(this.folder, 'spamd.sock'),
      SPAMD_ALLOWEDDOMAINS: join(this.folder, 'spamd.alloweddomains'),
      SPAMD_FIREWALL: 'none',
      SPAMD_USER: userInfo().username,
      SPAMD_FEED_USER: userInfo().username,
    }
  }

  /** The output of a command, standard error included. */
  run(command: string): string[] {
    const { stdout } = spawnSync('bash', ['-c', `exec 2>&1; ${command}`], {
      cwd: this.folder,
      env: this.#environment,
      encoding: 'utf8',
    })
    const text = stdout.replaceAll(this.folder, '/home/admin').replace(/\n$/, '')
    return text === '' ? [] : text.split('\n').map((line) => line.trimEnd())
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A pattern for the whole output, made from the expected lines. */
export function outputPattern(lines: readonly string[]): RegExp {
  const parts = lines.map((line) =>
    line === '…'
      ? '(?:.*\\n)*?'
      : `${line
          .trimEnd()
          .split('…')
          .map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
          .join('.*')}\\n`,
  )
  return new RegExp(`^${parts.join('')}$`)
}
