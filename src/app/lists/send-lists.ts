import { encodeClearLine, isConfigListName } from '../../codec/config-line/config-line.js'
import { configLineChunks } from '../../codec/config-line/config-line-chunks.js'
import { countCidrs } from '../../ip/cidr-text.js'
import { isEmptySet } from '../../ip/ip-range-set.js'
import { AppError } from '../../platform/app-error.js'
import type { UnixSec } from '../../platform/clock.js'
import { toDisplayText } from '../wire-text.js'
import type { CombinedList } from './combine-lists.js'
import type { Problem } from './configured-list.js'
import { type ConfigTarget, isSpamdAbsent, sendConfigLine } from './deliver-lists.js'
import { type LoadedLists, type StoredLine, vanishedLists } from './loaded-lists.js'
import type { CombinedReport } from './refresh-report.js'

/** Where lists are sent, and what is known of those loaded before. */
export interface SendOptions {
  target: ConfigTarget
  loaded: LoadedLists
  /** The inputs of the lists that are rebuilt, by name; see `listKey`. */
  keys: ReadonlyMap<string, string>
  /** The addresses of every list are known, if only from an earlier run. */
  isComplete: boolean
  /** Lists that were loaded before and are not named now stay loaded. */
  keepsVanished: boolean
  /** Start of the run. */
  nowSec: UnixSec
  onProblem(problem: Problem): void
}

/** Sends lines to spamd until it cannot be reached, and reports problems. */
class LineSender {
  readonly #options: Pick<SendOptions, 'target' | 'onProblem'>
  #isReachable = true
  #hadConnection = false
  readonly #unsent: string[] = []

  constructor(options: Pick<SendOptions, 'target' | 'onProblem'>) {
    this.#options = options
  }

  /**
   * Sends the line of a list; false if spamd did not get it. A line that clears a list also counts as sent if no spamd is
   * there, since then it has no list.
   */
  async send(
    name: string,
    line: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    use: 'fill' | 'clear',
  ): Promise<boolean> {
    if (!this.#isReachable) {
      this.#unsent.push(name)
      return false
    }
    const { target, onProblem } = this.#options
    try {
      await sendConfigLine(target, line)
      this.#hadConnection = true
      return true
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      if (use === 'clear' && isSpamdAbsent(error)) return true
      const hasNoConnection = error.code === 'ERR_SPAMD_CONNECT'
      if (hasNoConnection) this.#unsent.push(name)
      else this.#hadConnection = true
      this.#isReachable = error.code === 'ERR_SPAMD_REFUSED'
      const about = hasNoConnection ? '' : `${toDisplayText(name)}: `
      onProblem({ message: `${about}${error.message}`, hint: error.hint, isError: true })
      return false
    }
  }

  /** Reports the lists that were not sent. Without any connection nothing was, which that one error says. */
  reportUnsent(): void {
    if (!this.#hadConnection || this.#unsent.length === 0) return
    const names = this.#unsent.map(toDisplayText).join(', ')
    this.#options.onProblem({ message: `not sent to spamd: ${names}`, isError: true })
  }
}

/** What is recorded of the lists that spamd has. */
interface KnownLists {
  names: string[]
  lines: Record<string, StoredLine>
}

/**
 * Sends every available list to spamd, in order, clears those removed from spamd.conf, and records this. If
 * spamd cannot be reached, this is reported once, with the lists that it did not get, and the record is
 * updated anyway: our spamd reads it at startup.
 */
export async function sendLists(
  combined: readonly CombinedList[],
  messages: ReadonlyMap<string, string>,
  options: SendOptions,
): Promise<{ sent: CombinedReport[]; cleared: string[] }> {
  const { loaded, onProblem } = options
  const sender = new LineSender(options)
  const known: KnownLists = { names: [], lines: { ...loaded.index.lines } }
  const sent: CombinedReport[] = []
  for (const list of combined) {
    sent.push(await sendList(list, messages.get(list.name) ?? '', { options, sender, known }))
  }
  const { names, lines } = known

  const cleared: string[] = []
  const toClear: string[] = []
  if (options.keepsVanished) {
    const sentNames = new Set(names)
    names.push(...loaded.index.names.filter((name) => !sentNames.has(name)))
  }
  const named = new Set(combined.map(({ name }) => name))
  for (const name of vanishedLists(loaded.index, named, options)) {
    if (await sender.send(name, [encodeClearLine(name)], 'clear')) cleared.push(name)
    else toClear.push(name)
  }
  sender.reportUnsent()
  const firstRunSec = loaded.index.firstRunSec ?? options.nowSec
  const wasComplete = loaded.index.wasComplete || options.isComplete
  for (const name of Object.keys(lines)) if (!names.includes(name)) delete lines[name]
  const { tableDigest, tableCount } = loaded.index
  await record(onProblem, () =>
    loaded.writeIndex({ names, toClear, wasComplete, firstRunSec, lines, tableDigest, tableCount }),
  )
  return { sent, cleared }
}

/** Sends one list, unless its content is unknown, and records its line. */
async function sendList(
  { name, set, heldBy, unchangedLine }: CombinedList,
  message: string,
  { options, sender, known }: { options: SendOptions; sender: LineSender; known: KnownLists },
): Promise<CombinedReport> {
  const { loaded, onProblem } = options
  const { names, lines } = known
  const note = (): void => {
    if (!names.includes(name)) names.push(name)
  }
  if (loaded.index.names.includes(name)) note()
  const held = { name, heldBy, cidrs: undefined, change: undefined }
  if (unchangedLine !== undefined) {
    const isSent = await sender.send(name, loaded.readLine(name), 'fill')
    return { ...held, outcome: isSent ? 'sent' : 'not sent' }
  }
  if (set === undefined) return { ...held, outcome: 'held' }
  const report = { ...held, cidrs: countCidrs(set) }
  if (!isConfigListName(name)) {
    onProblem({
      message: `list name ${toDisplayText(name)} cannot be sent to spamd`,
      hint: 'a name cannot contain a semicolon or line end',
      isError: true,
    })
    return { ...report, outcome: 'not sent' }
  }
  const use = isEmptySet(set) ? 'clear' : 'fill'
  const line = { name, message, set }
  const isSent = await sender.send(name, configLineChunks(line), use)
  const key = options.keys.get(name)
  delete lines[name]
  await record(onProblem, async () => {
    const sha256 = await loaded.writeLine(name, configLineChunks(line))
    if (key !== undefined) lines[name] = { key, sha256 }
  })
  note()
  if (!isSent) return { ...report, outcome: 'not sent' }
  return { ...report, outcome: use === 'clear' ? 'cleared' : 'sent' }
}

/** Runs an action on the record; a failure is reported. */
async function record(onProblem: SendOptions['onProblem'], action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    onProblem({ message: error.message, hint: error.hint, isError: true })
  }
}
