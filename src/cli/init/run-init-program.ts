/** The steps of `spamdctl init`: detect, ask, show, write after confirmation, run after confirmation. */
import { detectSystem, SYSTEMS, type System } from '../../app/init/detect-system.js'
import { prepareInit, runCommands, writeFiles } from '../../app/init/run-init.js'
import { AppError } from '../../platform/app-error.js'
import { OptionProblem, type OptionValues } from '../option-reader.js'
import { type Ask, collectAnswers } from './ask-init.js'
import { renderCommandEnd, renderPreparedInit } from './render-init.js'

/** What the program needs from the machine. */
export interface InitParts {
  write: (text: string) => void
  writeError: (text: string) => void
  /** undefined without a terminal. */
  ask: Ask | undefined
  findDefaultInterface: () => Promise<string | undefined>
  /** The address of this machine from which a host is reached. */
  findLocalAddress: (peer: string) => Promise<string | undefined>
}

/** The result: `ready` also when there was nothing to do. */
export type InitEnd = 'ready' | 'files-only' | 'dry-run' | 'declined' | 'failed'

/** Runs init. Errors as in `prepareInit`, `collectAnswers` and `writeFiles`. */
export async function runInit(options: OptionValues, parts: InitParts): Promise<InitEnd> {
  const root = options.last('root') ?? '/'
  const system = await systemOf(options.last('os'), root)
  const isUnattended = options.has('yes') || options.has('dry-run')
  const ask = isUnattended ? undefined : parts.ask
  const defaultInterface = root === '/' ? await parts.findDefaultInterface() : undefined
  const answers = await collectAnswers(options, system, defaultInterface, ask)
  const prepared = await prepareInit(root, system, answers, parts.findLocalAddress)
  parts.write(renderPreparedInit(prepared))
  if (options.has('dry-run')) return 'dry-run'

  const changed = prepared.steps.filter(({ action }) => action !== 'keep')
  if (changed.length > 0) {
    if (!(await isAgreed(options, parts, `write these ${changed.length} files?`))) return 'declined'
    await writeFiles(root, prepared.steps)
  }
  if (root !== '/') return 'files-only'
  if (!(await isAgreed(options, parts, `run these ${prepared.plan.commands.length} commands?`)))
    return 'files-only'
  const isDone = await runCommands(prepared.plan.commands, (end) => parts.write(renderCommandEnd(end)))
  return isDone ? 'ready' : 'failed'
}

async function systemOf(name: string | undefined, root: string): Promise<System> {
  if (name !== undefined) {
    const known = SYSTEMS.find((system) => system === name)
    if (known === undefined) throw new OptionProblem(`os: must be one of ${SYSTEMS.join(', ')}: ${name}`)
    return known
  }
  const found = await detectSystem(root)
  if (found === undefined) {
    throw new AppError('ERR_INIT_SYSTEM', 'cannot tell which system this is', {
      hint: `name it with --os: ${SYSTEMS.join(', ')}`,
    })
  }
  return found
}

async function isAgreed(options: OptionValues, parts: InitParts, question: string): Promise<boolean> {
  if (options.has('yes')) return true
  if (parts.ask === undefined) {
    parts.writeError('spamdctl: nothing was written: there is no terminal to ask for confirmation on\n')
    parts.writeError('spamdctl: hint: use --yes to go ahead, or --dry-run to only show the changes\n')
    return false
  }
  return /^y(es)?$/i.test(await parts.ask(`${question} [y/N] `))
}
