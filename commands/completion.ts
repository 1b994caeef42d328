import { BaseCommand } from '../src/cli/base-command.js'
import { bashCompletion } from '../src/cli/completion/bash-completion.js'
import { completionCommands } from '../src/cli/completion/completion-tables.js'
import { fishCompletion } from '../src/cli/completion/fish-completion.js'
import { zshCompletion } from '../src/cli/completion/zsh-completion.js'
import { EXIT } from '../src/cli/report-error.js'
import { usageLine } from '../src/cli/usage-line.js'

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }

/** `spamdctl completion`: completions of all five programs for a shell. Manual: docs/man/spamdctl.8. */
export default class Completion extends BaseCommand {
  static override summary = 'print command line completions for bash, zsh or fish'
  static override usage = usageLine('completion', [], 'bash|zsh|fish')
  static override examples = [
    {
      description: 'completions for every user of bash',
      command: 'spamdctl completion bash > /etc/bash_completion.d/spamdctl',
    },
    {
      description: 'completions for zsh',
      command: 'spamdctl completion zsh > /usr/local/share/zsh/site-functions/_spamdctl',
    },
    {
      description: 'completions for fish',
      command: 'spamdctl completion fish > /etc/fish/completions/spamdctl.fish',
    },
  ]

  async run(): Promise<void> {
    const words = this.parseWords([], `spamdctl ${Completion.usage}`, { min: 1, max: 1 })
    if (words === undefined) return
    const shell = words.operands[0]!
    if (!Object.hasOwn(SHELLS, shell)) {
      process.stderr.write(`spamdctl: no completions for this shell\nusage: spamdctl ${Completion.usage}\n`)
      process.exitCode = EXIT.usage
      return
    }
    process.stdout.write(SHELLS[shell as keyof typeof SHELLS](completionCommands(this.config.commands)))
  }
}
