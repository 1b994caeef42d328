/** `spamdb` from arguments to exit code: run by both bin/spamdb.js and `spamdctl spamdb`. */

import { actorOf } from '../../app/actor.js'
import type { KeyFailure } from '../../app/database/edit-entries.js'
import { editEntries, planEdits } from '../../app/database/edit-entries.js'
import { isStoreFailure, isWritableEmptyFile, useDatabase } from '../../app/database/open-database.js'
import { toWireText } from '../../app/wire-text.js'
import { formatSpamdbLine } from '../../codec/database/spamdb-text.js'
import { escapeControl } from '../../codec/escape.js'
import type { Change } from '../../domain/change.js'
import { ENTRY_KINDS, type Entry, type EntryKey, type WireText } from '../../domain/entry.js'
import type { EntryQuery } from '../../domain/query.js'
import type { Clock } from '../../platform/clock.js'
import { type Environment, resolveDbPath } from '../../platform/settings.js'
import { formatFailure } from '../report-error.js'
import { describeKeyFailure, hintForMisplacedOption, type UnreadableKey } from './entry-key-messages.js'
import type { HumanSetting } from './entry-renderers.js'
import { parseSpamdbArguments, type SpamdbRequest } from './spamdb-request.js'
import { UsefulInput } from './useful-input.js'

/** What a program needs from its process, so that tests can run it in theirs. */
export interface SpamdbParts {
  /** Writes results; returns when they are accepted. */
  writeOut(bytes: Uint8Array): void
  /** Writes messages, whole lines. */
  writeError(text: string): void
  stdin: AsyncIterable<Uint8Array>
  environment: Environment
  clock: Clock
  /** Prints the help; loads oclif only then. */
  showHelp(): Promise<void>
  /** Columns of the terminal behind `writeOut`; undefined or missing when there is none. */
  terminalWidth?(): number | undefined
  /** Asks on the terminal; undefined when there is none. */
  ask?: ((question: string) => Promise<string>) | undefined
  /**
   * Opens the connection to the gateways given with -Y; the returned function is called with every stored
   * change, and `finish` once at the end. A failed send is a warning, never an error.
   */
  openAnnouncer?(targets: readonly string[]): Promise<{
    announce(changes: readonly Change[]): void | Promise<void>
    finish(): Promise<void>
  }>
}

/** Exit codes for wrong usage and failures, and for adding without keys. Source: spamdb.c of OpenBSD. */
const EXIT_FAILURE = 1
const EXIT_NO_KEYS = 2
/** An address without `@` after -T ends the original with errx(-1). */
const EXIT_BAD_TRAP = 255
/** Exit codes are bytes: more failures must not wrap around to 0. */
const MAX_EXIT = 255

/** Nothing here needs root once the database is open. */
const FOR_GOOD = { isForGood: true }

type DatabaseUse = Parameters<typeof useDatabase<number>>[2]
type EditCall = Extract<SpamdbRequest, { type: 'edit' }>
type DeleteCall = Extract<SpamdbRequest, { type: 'delete' }>
type ShowCall = Extract<SpamdbRequest, { type: 'show' }>
type ListCall = Extract<SpamdbRequest, { type: 'list' }>

/** Runs spamdb with the arguments after its name; returns the exit code. Never throws for a user's error. */
export async function runSpamdb(argv: readonly string[], parts: SpamdbParts): Promise<number> {
  try {
    const request = parseSpamdbArguments(argv)
    switch (request.type) {
      case 'help':
        await parts.showHelp()
        return 0
      case 'version': {
        const { programVersion } = await import('../../platform/program-version.js')
        parts.writeOut(Buffer.from(`spamdb (spamdctl) ${programVersion()}\n`))
        return 0
      }
      case 'edit':
        return await runEdit(request, parts)
      case 'show':
        return await runShow(request, parts)
      case 'delete':
        return await runDelete(request, parts)
      case 'list':
        return await runList(request, parts)
    }
  } catch (error) {
    const text = formatFailure('spamdb', error)
    if (text === undefined) throw error
    parts.writeError(text)
    return EXIT_FAILURE
  }
}

async function runEdit(call: EditCall, parts: SpamdbParts): Promise<number> {
  const dbPath = resolveDbPath(call.dbPath, parts.environment)
  const now = parts.clock.nowSec()
  const reporter = new FailureReporter(parts, call)
  const refusal = findRefusal(call, now)
  if (refusal !== undefined && isWritableEmptyFile(dbPath)) return refuse(refusal, parts)
  const edit: DatabaseUse = async (store, asCaller) => {
    if (refusal !== undefined) return refuse(refusal, parts)
    const announcer =
      call.syncTargets.length === 0 || call.isDryRun
        ? undefined
        : // The synchronisation key may belong to root.
          await asCaller(() => openAnnouncer(call.syncTargets, parts))
    try {
      const input = new UsefulInput(readKeys(call.keys, parts), { isFromInput: call.keys.includes('-') })
      const onFailure = (failure: KeyFailure): void => {
        reporter.report(failure)
        input.noteFailure(failure)
      }
      const batches = input.read()
      let result: Awaited<ReturnType<typeof editEntries>>
      if (call.isDryRun) {
        const { openDryRun } = await import('../../app/database/dry-run.js')
        const print = (line: WireText): void => parts.writeOut(Buffer.from(`${line}\n`, 'latin1'))
        result = await editEntries(openDryRun(store, now, print), batches, call.edit, now, onFailure)
      } else {
        result = await editEntries(
          store,
          batches,
          call.edit,
          now,
          onFailure,
          announcer?.announce,
          actorOf(parts.environment),
        )
      }
      if (result.keyCount === 0) {
        complain(parts, NO_KEYS)
        return EXIT_NO_KEYS
      }
      if (input.isStopped) complain(parts, `stopped: none of ${result.keyCount} lines was a key`)
      return result.isStoppedByBadAddress ? EXIT_BAD_TRAP : Math.min(result.failureCount, MAX_EXIT)
    } finally {
      await announcer?.finish()
    }
  }
  const rights = call.syncTargets.length === 0 ? FOR_GOOD : {}
  return await useDatabase(dbPath, call.isDryRun ? 'read' : 'write', edit, rights)
}

async function runDelete(call: DeleteCall, parts: SpamdbParts): Promise<number> {
  const { deleteByFilter } = await import('./delete-by-filter.js')
  const now = parts.clock.nowSec()
  const deletion = { ...call, query: queryOf(call.filter, now) }
  const run: DatabaseUse = async (store, asCaller) => {
    if (call.syncTargets.length === 0 || call.isDryRun)
      return await deleteByFilter(store, deletion, parts, now)
    const announcer = await asCaller(() => openAnnouncer(call.syncTargets, parts))
    try {
      return await deleteByFilter(store, deletion, parts, now, announcer.announce)
    } finally {
      await announcer.finish()
    }
  }
  const rights = call.syncTargets.length === 0 ? FOR_GOOD : {}
  return await useDatabase(
    resolveDbPath(call.dbPath, parts.environment),
    call.isDryRun ? 'read' : 'write',
    run,
    rights,
  )
}

/** The query with its times made absolute. */
function queryOf({ query, expiresWithinSec, olderThanSec }: DeleteCall['filter'], now: number): EntryQuery {
  if (expiresWithinSec !== undefined) query.expiresBy = now + expiresWithinSec
  if (olderThanSec !== undefined) query.createdBefore = now - olderThanSec
  return query
}

async function openAnnouncer(
  targets: readonly string[],
  parts: SpamdbParts,
): ReturnType<NonNullable<SpamdbParts['openAnnouncer']>> {
  if (parts.openAnnouncer !== undefined) return await parts.openAnnouncer(targets)
  complain(
    parts,
    'warning: changes are not sent to other gateways: this program cannot open sockets for them',
  )
  return { announce: () => undefined, finish: () => Promise.resolve() }
}

const NO_KEYS = 'no addresses specified'

/** Why a call changes nothing, whatever the database contains. */
interface Refusal {
  messages: string[]
  hint: string | undefined
  exitCode: number
}

function refuse({ messages, hint, exitCode }: Refusal, parts: SpamdbParts): number {
  for (const message of messages) complain(parts, message)
  if (hint !== undefined) complain(parts, `hint: ${hint}`)
  return exitCode
}

/** The refusal of a call, if any, in the original's order of checks and with its texts. */
function findRefusal(call: EditCall, now: number): Refusal | undefined {
  const refusal = (message: string, exitCode: number, hint?: string): Refusal => ({
    messages: [message],
    hint,
    exitCode,
  })
  if (call.edit.operation === 'add' && call.edit.kind === 'GREY') {
    return refusal('cannot add GREY entries', EXIT_NO_KEYS)
  }
  const firstKey = call.keys.find((key) => key !== '')
  if (firstKey === undefined) return refusal(NO_KEYS, EXIT_NO_KEYS)
  if (call.misplacedOptions.size > 0) return refusalOfMisplaced(call, now)
  if (firstKey === '-') return undefined
  const first = planEdits([toWireText(firstKey)], call.edit, now).slots[0]!
  if (typeof first === 'number' || first.reason !== 'not-email') return undefined
  const { message, hint } = describeKeyFailure(first)
  return refusal(message, EXIT_BAD_TRAP, hint)
}

/** The original's messages for keys that fail by themselves, including options: nothing is changed then. */
function refusalOfMisplaced({ edit, keys, misplacedOptions }: EditCall, now: number): Refusal {
  const messages: string[] = []
  for (const word of keys) {
    if (word === '' || word === '-') continue
    const key = toWireText(word)
    const slot = planEdits([key], edit, now).slots[0]!
    if (typeof slot !== 'number') messages.push(describeKeyFailure(slot).message)
    else if (misplacedOptions.has(word)) {
      messages.push(
        describeKeyFailure({ reason: edit.kind === 'SPAMTRAP' ? 'not-email' : 'no-entry', key }).message,
      )
    } else continue
    if (edit.operation === 'add' && edit.kind === 'SPAMTRAP') break
  }
  return {
    messages,
    hint: 'nothing was changed; put options before the keys',
    exitCode:
      edit.operation === 'add' && edit.kind === 'SPAMTRAP'
        ? EXIT_BAD_TRAP
        : Math.min(messages.length, MAX_EXIT),
  }
}

function humanSetting(parts: SpamdbParts): HumanSetting {
  return { nowSec: parts.clock.nowSec(), width: parts.terminalWidth?.() }
}

async function runShow(call: ShowCall, parts: SpamdbParts): Promise<number> {
  const { parseTypedKey } = await import('../../app/database/typed-key.js')
  const rendering =
    call.format === 'classic'
      ? undefined
      : (await import('./entry-renderers.js')).openRenderer(call.format, humanSetting(parts))
  const render = (entry: Entry): string => rendering?.render(entry) ?? `${formatSpamdbLine(entry)}\n`
  const write = (text = ''): void => {
    if (text !== '') parts.writeOut(Buffer.from(text, 'latin1'))
  }
  const show: DatabaseUse = async (store) => {
    const reporter = new FailureReporter(parts, call)
    write(rendering?.start())
    // An entry that cannot be read is reported and counts as missing, and the next key is tried.
    const lookUp = async (key: EntryKey): Promise<Entry | undefined> => {
      try {
        return await store.get(key)
      } catch (error) {
        if (!isStoreFailure(error)) throw error
        reporter.report({ reason: 'unreadable', error })
        return undefined
      }
    }
    let missCount = 0
    let keyCount = 0
    let hasMisplacedOption = false
    for await (const batch of readKeys(call.keys, parts)) {
      let text = ''
      for (const key of batch) {
        keyCount += 1
        const entryKey = key === '' ? undefined : parseTypedKey(key)
        const entry = entryKey && (await lookUp(entryKey))
        if (entry !== undefined) text += render(entry)
        else {
          missCount += 1
          hasMisplacedOption ||= hintForMisplacedOption(key) !== undefined
        }
      }
      write(text)
    }
    write(rendering?.end())
    if (hasMisplacedOption && !call.hasLiteralKeys) complain(parts, `hint: ${hintForMisplacedOption('-a')}`)
    return keyCount === 0 ? 1 : Math.min(missCount, MAX_EXIT)
  }
  return await useDatabase(resolveDbPath(call.dbPath, parts.environment), 'read', show, FOR_GOOD)
}

async function runList(call: ListCall, parts: SpamdbParts): Promise<number> {
  const now = parts.clock.nowSec()
  const query = queryOf(call.filter, now)
  // Programs see everything that is on record; the line format of the original has no place for pools.
  const isForPrograms = call.format === 'json' || call.format === 'ndjson'
  const isOfAllKinds = query.kinds === undefined
  if (isForPrograms && query.kinds === undefined) query.kinds = ENTRY_KINDS
  // Loaded first: a user who may read the database need not be allowed to read the programs.
  const renderers =
    call.isCount || call.format !== 'classic' ? await import('./entry-renderers.js') : undefined
  const list: DatabaseUse = async (store) => {
    if (renderers === undefined) {
      for await (const chunk of store.listText(query)) parts.writeOut(chunk)
    } else if (call.isCount) {
      parts.writeOut(Buffer.from(renderers.renderCounts(call.format, await store.count(query)), 'latin1'))
    } else if (call.format !== 'human' && call.format !== 'classic') {
      const releases = isForPrograms && isOfAllKinds ? await renderers.shownReleases(store, query, now) : []
      for await (const lines of renderers.renderLines(call.format, store, query, releases)) {
        parts.writeOut(lines)
      }
    } else {
      for await (const lines of renderers.renderHuman(store, query, humanSetting(parts))) {
        parts.writeOut(lines)
      }
    }
    return 0
  }
  return await useDatabase(resolveDbPath(call.dbPath, parts.environment), 'read', list, FOR_GOOD)
}

/**
 * The keys as wire text: the arguments in one batch, or with `-` the lines of standard input as they arrive.
 */
async function* readKeys(words: readonly string[], parts: SpamdbParts): AsyncGenerator<WireText[]> {
  let batch: WireText[] = []
  for (const word of words) {
    if (word !== '-') {
      batch.push(toWireText(word))
      continue
    }
    if (batch.length > 0) yield batch
    batch = []
    const { readKeyLines } = await import('../../app/database/key-lines.js')
    yield* readKeyLines(parts.stdin)
  }
  if (batch.length > 0) yield batch
}

/** Prints failures in order and each hint once, so that many wrong keys stay readable. */
class FailureReporter {
  readonly #parts: SpamdbParts
  readonly #hasLiteralKeys: boolean
  readonly #shownHints = new Set<string>()

  constructor(parts: SpamdbParts, { hasLiteralKeys }: { hasLiteralKeys: boolean }) {
    this.#parts = parts
    this.#hasLiteralKeys = hasLiteralKeys
  }

  report(failure: KeyFailure | UnreadableKey): void {
    const { message, hint } = describeKeyFailure(failure)
    complain(this.#parts, message)
    if (hint === undefined || this.#shownHints.has(hint)) return
    if (this.#hasLiteralKeys && hint === hintForMisplacedOption('-a')) return
    this.#shownHints.add(hint)
    complain(this.#parts, `hint: ${hint}`)
  }
}

function complain(parts: SpamdbParts, text: string): void {
  parts.writeError(`spamdb: ${escapeControl(text)}\n`)
}
