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
  /** What the lists that are made anew are made of, by name; see `listKey`. */
  keys: ReadonlyMap<string, string>
  /** The addresses of every list are known, if only from an earlier run. */
  isComplete: boolean
  /** Lists that were loaded before and are not named now stay loaded. */
  keepsVanished: boolean
  /** Start of the run. */
  nowSec: UnixSec
  onProblem(problem: Problem): void
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
  const { loaded, target, onProblem } = options
  let isReachable = true
  let hadConnection = false
  const unsent: string[] = []
  /** True when spamd need not be told (again): it got the line, or it is not there and so holds no list. */
  const send = async (
    name: string,
    line: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    isClear: boolean,
  ): Promise<boolean> => {
    if (!isReachable) {
      unsent.push(name)
      return false
    }
    try {
      await sendConfigLine(target, line)
      hadConnection = true
      return true
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      if (isClear && isSpamdAbsent(error)) return true
      const hasNoConnection = error.code === 'ERR_SPAMD_CONNECT'
      if (hasNoConnection) unsent.push(name)
      else hadConnection = true
      isReachable = error.code === 'ERR_SPAMD_REFUSED'
      const about = hasNoConnection ? '' : `${toDisplayText(name)}: `
      onProblem({ message: `${about}${error.message}`, hint: error.hint, isError: true })
      return false
    }
  }
  const record = async (action: () => Promise<void>): Promise<void> => {
    try {
      await action()
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      onProblem({ message: error.message, hint: error.hint, isError: true })
    }
  }

  const sent: CombinedReport[] = []
  const names: string[] = []
  const lines: Record<string, StoredLine> = { ...loaded.index.lines }
  for (const { name, set, heldBy, unchangedLine } of combined) {
    const isKnown = loaded.index.names.includes(name)
    if (isKnown && !names.includes(name)) names.push(name)
    if (unchangedLine !== undefined) {
      const isSent = await send(name, loaded.readLine(name), false)
      sent.push({ name, heldBy, cidrs: undefined, change: undefined, outcome: isSent ? 'sent' : 'not sent' })
      continue
    }
    if (set === undefined) {
      sent.push({ name, heldBy, cidrs: undefined, change: undefined, outcome: 'held' })
      continue
    }
    const report = { name, heldBy, cidrs: countCidrs(set), change: undefined }
    if (!isConfigListName(name)) {
      onProblem({
        message: `list name ${toDisplayText(name)} cannot be sent to spamd`,
        hint: 'a name cannot contain a semicolon or line end',
        isError: true,
      })
      sent.push({ ...report, outcome: 'not sent' })
      continue
    }
    const isClear = isEmptySet(set)
    const line = { name, message: messages.get(name) ?? '', set }
    const isSent = await send(name, configLineChunks(line), isClear)
    const key = options.keys.get(name)
    delete lines[name]
    await record(async () => {
      const sha256 = await loaded.writeLine(name, configLineChunks(line))
      if (key !== undefined) lines[name] = { key, sha256 }
    })
    if (!names.includes(name)) names.push(name)
    sent.push({ ...report, outcome: !isSent ? 'not sent' : isClear ? 'cleared' : 'sent' })
  }

  const cleared: string[] = []
  const toClear: string[] = []
  if (options.keepsVanished) {
    const known = new Set(names)
    names.push(...loaded.index.names.filter((name) => !known.has(name)))
  }
  const named = new Set(combined.map(({ name }) => name))
  for (const name of vanishedLists(loaded.index, named, options)) {
    if (await send(name, [encodeClearLine(name)], true)) cleared.push(name)
    else toClear.push(name)
  }
  // Without any connection nothing was sent, which that one error says.
  if (hadConnection && unsent.length > 0) {
    onProblem({ message: `not sent to spamd: ${unsent.map(toDisplayText).join(', ')}`, isError: true })
  }
  const firstRunSec = loaded.index.firstRunSec ?? options.nowSec
  const wasComplete = loaded.index.wasComplete || options.isComplete
  for (const name of Object.keys(lines)) if (!names.includes(name)) delete lines[name]
  const { tableDigest, tableCount } = loaded.index
  await record(() =>
    loaded.writeIndex({ names, toClear, wasComplete, firstRunSec, lines, tableDigest, tableCount }),
  )
  return { sent, cleared }
}
