/**
 * A run of spamd-setup: fetch every source, remove the white lists, then send the result to spamd and to the
 * firewall. Nothing is changed until every list has been processed.
 */
import { join } from 'node:path'
import { formatUtcTime } from '../../codec/utc-time.js'
import { ListStore } from '../../feeds/list-store.js'
import type { Firewall } from '../../firewall/backend.js'
import { EMPTY_SET, type IpRangeSet, unionOf } from '../../ip/ip-range-set.js'
import { AppError } from '../../platform/app-error.js'
import type { Clock, UnixSec } from '../../platform/clock.js'
import { type CombinedList, combineLists, type ListPart } from './combine-lists.js'
import { type Configuration, type ConfiguredList, isDownloaded, type Problem } from './configured-list.js'
import type { ConfigTarget } from './deliver-lists.js'
import { describeFailure, describeShrinking, describeStoreFailure } from './describe-failure.js'
import type { LoadedLists } from './loaded-lists.js'
import { describeEmptied, describeProtected, protectionOf } from './protected-addresses.js'
import type {
  CombinedReport,
  ListReport,
  ListToClear,
  RefreshObserver,
  RefreshReport,
} from './refresh-report.js'
import { RefreshTable } from './refresh-table.js'
import { settleAll } from './settle-all.js'
import type { ListFetcher, SettleOptions } from './settle-options.js'
import { loadSettled } from './settle-source.js'
import type { SettledSource } from './settled-source.js'
import { type OutputFormat, type OutputWriter, writeListOutput } from './write-list-output.js'

const LOCK_NAME = 'run.lock'

export interface RefreshOptions {
  configuration: Configuration
  stateDir: string
  /** Changes nothing: no copy, no note, no list, no table. */
  isDryRun: boolean
  /** With `isDryRun`: what would change is counted. */
  wantsChanges: boolean
  /** Only problems are reported: unchanged content is not read. */
  isQuiet: boolean
  /** Networks are counted although nothing is sent, which takes a while with millions. */
  wantsCounts: boolean
  /** The table of blocked networks is loaded too; undefined: it is not. */
  firewall: Firewall | undefined
  target: ConfigTarget
  isForced: boolean
  isOffline: boolean
  canShrink: boolean
  canGrow: boolean
  output: { target: string | OutputWriter; format: OutputFormat } | undefined
  /** Fills an unused state folder from the one of an earlier version. Rejects with the system's error. */
  takeOver?: (() => Promise<void>) | undefined
  /** How long to wait for another run. */
  waitMs: number
}

export interface RefreshParts {
  clock: Clock
  fetcher: ListFetcher
  observer: RefreshObserver
  sleep(durationMs: number): Promise<void>
  /** The addresses of this host and its default gateways. */
  ownAddresses(): Promise<readonly string[]>
  /** Of the package. */
  version(): string
}

/**
 * Runs once. Throws `AppError` when it could not start (another run is in progress, the state folder is
 * unusable).
 */
export async function refreshLists(options: RefreshOptions, parts: RefreshParts): Promise<RefreshReport> {
  const store = new ListStore(options.stateDir)
  if (options.isDryRun) return new Run(options, parts, store).execute()
  store.prepare()
  // Loaded only where it is needed: a dry run stays light.
  const { acquireRunLock } = await import('../../db/file/run-lock.js')
  const lock = await acquireRunLock(join(options.stateDir, LOCK_NAME), {
    waitMs: options.waitMs,
    holder: `process ${process.pid}, since ${formatUtcTime(parts.clock.nowSec())}`,
    sleep: parts.sleep,
  })
  try {
    store.removeLeftovers()
    await options.takeOver?.()
    return await new Run(options, parts, store).execute()
  } finally {
    lock.release()
  }
}

class Run {
  readonly #options: RefreshOptions
  readonly #parts: RefreshParts
  readonly #store: ListStore
  #loaded: LoadedLists | undefined
  readonly #startedSec: UnixSec
  readonly #problems: Problem[] = []
  /** Of what each list is made, by its name. */
  readonly #keys = new Map<string, string>()
  readonly #table: RefreshTable

  constructor(options: RefreshOptions, parts: RefreshParts, store: ListStore) {
    this.#options = options
    this.#parts = parts
    this.#store = store
    this.#startedSec = parts.clock.nowSec()
    const { firewall, isDryRun, wantsChanges, output } = options
    this.#table = new RefreshTable({
      firewall,
      isDryRun,
      wantsChanges,
      hasOutput: output !== undefined,
      startedSec: this.#startedSec,
      openLoaded: () => this.#openLoaded(),
      attempt: (action) => this.#attempt(action),
      tell: (problem) => this.#tell(problem),
    })
  }

  async execute(): Promise<RefreshReport> {
    const { configuration, isDryRun, output } = this.#options
    for (const problem of configuration.problems) this.#tell(problem)
    if (!configuration.isUsable) return this.#report({})

    const settled = await settleAll(configuration.lists, this.#settleOptions())
    const ownAddresses = await this.#ownAddresses()
    const unchanged = await this.#unchangedLines(settled, ownAddresses)
    await this.#loadChanged(settled, unchanged)
    const lists = this.#reportLists(settled)
    const parts = configuration.lists.map((list) => partOf(list, settled.get(list)))
    const protection = protectionOf(parts, ownAddresses)
    const combined = combineLists(parts, protection).map((list) => {
      const unchangedLine = unchanged.get(list.name)
      return unchangedLine === undefined
        ? list
        : { name: list.name, set: undefined, heldBy: [], emptiedBy: [], unchangedLine }
    })
    // Everything about unchanged lists has been reported, and what they are compared with may not have been read.
    const changedParts = parts.filter(({ name }) => !unchanged.has(name))
    await this.#tellNews('protected', describeProtected(changedParts, protection))
    for (const problem of describeEmptied(parts, combined)) this.#tell(problem)
    // A name in `all` without a usable record may be the new or misspelt name of a list that seems to have
    // been removed.
    const keepsVanished = configuration.lists.some(({ colour }) => colour === 'unknown')
    const isTableAsGiven = await this.#table.isAsGiven(combined, { keepsVanished })
    const effective = isTableAsGiven ? [] : await this.#effectiveSets(combined)
    const isComplete = !keepsVanished && (isTableAsGiven || effective.length === combined.length)
    if (keepsVanished) effective.push(...(await this.#vanishedSets(combined)))
    let sent: CombinedReport[]
    let cleared: string[] = []
    let toClear: ListToClear[] = []
    if (isDryRun) {
      const { previewClearing, previewLists } = await import('./preview-lists.js')
      const { wantsChanges, wantsCounts } = this.#options
      const openLoaded = () => this.#openLoaded()
      const parts = { wantsChanges, wantsCounts, keepsVanished, openLoaded }
      sent = await previewLists(combined, parts)
      if (wantsChanges && configuration.lists.length > 0) toClear = await previewClearing(combined, parts)
    } else if (configuration.lists.length === 0) {
      // More likely a mistake in spamd.conf than the intention to unblock every host.
      sent = []
    } else {
      const messages = new Map(configuration.lists.map((list) => [list.name, list.message ?? '']))
      const { sendLists } = await import('./send-lists.js')
      ;({ sent, cleared } = await sendLists(combined, messages, {
        target: this.#options.target,
        loaded: await this.#openLoaded(),
        keys: this.#keys,
        isComplete,
        keepsVanished,
        nowSec: this.#startedSec,
        onProblem: (problem) => this.#tell(problem),
      }))
    }
    const union = unionOf(effective.map(({ set }) => set))
    const hasLists = combined.length + cleared.length + toClear.length > 0
    const table = isTableAsGiven ? this.#table.asGiven() : await this.#table.load(union, { hasLists })
    if (output !== undefined) {
      await this.#attempt(() => writeListOutput(output.target, output.format, union, effective))
    }
    return this.#report({ lists, combined: sent, cleared, toClear, table })
  }

  /** Reports long-lasting conditions only when they are new. */
  async #tellNews(topic: string, problems: ReadonlyMap<string, Problem | undefined>): Promise<void> {
    if (problems.size === 0) return
    const { stateDir, isDryRun } = this.#options
    const { findNews } = await import('./told-once.js')
    const named = [...problems].map(([name, problem]) => [`${topic} ${name}`, problem] as const)
    const messages = new Map(named.map(([name, problem]) => [name, problem?.message]))
    const news = await findNews(stateDir, messages, { isReadOnly: isDryRun })
    for (const [name, problem] of named) if (problem !== undefined && news.has(name)) this.#tell(problem)
  }

  /** The addresses of this host, if a list could contain them. */
  async #ownAddresses(): Promise<readonly string[]> {
    const { lists } = this.#options.configuration
    return lists.some(isDownloadedBlack) ? this.#parts.ownAddresses() : []
  }

  #settleOptions(): SettleOptions {
    const { isDryRun, isForced, isOffline, canShrink, canGrow, isQuiet } = this.#options
    return {
      store: this.#store,
      fetcher: this.#parts.fetcher,
      nowSec: this.#startedSec,
      isForced,
      isOffline,
      canShrink,
      canGrow,
      isReadOnly: isDryRun,
      isLazy: isQuiet && !isDryRun,
      onProgress: (source, receivedBytes) => this.#parts.observer.onProgress(source, receivedBytes),
    }
  }

  #reportLists(settled: ReadonlyMap<ConfiguredList, SettledSource>): ListReport[] {
    const reports: ListReport[] = []
    let blackList: string | undefined
    for (const list of this.#options.configuration.lists) {
      const result = settled.get(list)
      if (list.colour === 'black') blackList = list.name
      const heldList = list.colour === 'black' ? undefined : blackList
      const problems = [...list.problems]
      if (result !== undefined) {
        for (const problem of [
          describeFailure(result, this.#startedSec, heldList),
          describeStoreFailure(result),
          describeShrinking(result),
        ]) {
          if (problem !== undefined) problems.push(problem)
        }
      }
      const report = reportOf(list, result, problems)
      this.#problems.push(...problems)
      this.#parts.observer.onList(report)
      reports.push(report)
    }
    return reports
  }

  /** What is in force of each list after the run: the new addresses, or for a held list the ones it had. */
  async #effectiveSets(combined: readonly CombinedList[]): Promise<{ name: string; set: IpRangeSet }[]> {
    const effective: { name: string; set: IpRangeSet }[] = []
    const { firewall, output } = this.#options
    const isUnionNeeded = firewall !== undefined || output !== undefined
    for (const list of combined) {
      // An unchanged list is known to be there; what it holds matters to the union only.
      const isKnown = list.unchangedLine !== undefined && !isUnionNeeded
      const set = list.set ?? (isKnown ? EMPTY_SET : await (await this.#openLoaded()).readSet(list.name))
      if (set !== undefined) effective.push({ name: list.name, set })
    }
    return effective
  }

  /** What was loaded from lists that spamd.conf no longer names. */
  async #vanishedSets(combined: readonly CombinedList[]): Promise<{ name: string; set: IpRangeSet }[]> {
    const loaded = await this.#openLoaded()
    const vanished: { name: string; set: IpRangeSet }[] = []
    for (const name of loaded.index.names) {
      if (combined.some((list) => list.name === name)) continue
      const set = await loaded.readSet(name)
      if (set !== undefined) vanished.push({ name, set })
    }
    return vanished
  }

  /** The record of what was sent before, and the code for it, only when needed: a dry run may do without. */
  async #openLoaded(): Promise<LoadedLists> {
    if (this.#loaded === undefined) {
      const { LoadedLists } = await import('./loaded-lists.js')
      const loaded = new LoadedLists(this.#options.stateDir)
      await loaded.open()
      this.#loaded = loaded
    }
    return this.#loaded
  }

  /** SHA-256 of the stored config line of each list whose inputs are the same as in the run that stored it. */
  async #unchangedLines(
    settled: ReadonlyMap<ConfiguredList, SettledSource>,
    ownAddresses: readonly string[],
  ): Promise<Map<string, string>> {
    const unchanged = new Map<string, string>()
    const { isDryRun, isQuiet, configuration } = this.#options
    if (isDryRun) return unchanged
    const { groupsByName, listKey, protectionKey } = await import('./list-key.js')
    const protection = protectionKey(configuration.lists, settled, ownAddresses)
    const loaded = await this.#openLoaded()
    for (const [name, group] of groupsByName(configuration.lists)) {
      const key = listKey(group, settled, this.#parts.version(), protection)
      if (key === undefined) continue
      this.#keys.set(name, key)
      const line = isQuiet ? await loaded.lineOf(name, key) : undefined
      if (line !== undefined) unchanged.set(name, line)
    }
    return unchanged
  }

  /** Reads the copies of lists whose content is needed after all. */
  async #loadChanged(
    settled: Map<ConfiguredList, SettledSource>,
    unchanged: ReadonlyMap<string, string>,
  ): Promise<void> {
    const loadedByName = new Map<string, SettledSource>()
    const { lists } = this.#options.configuration
    const isNeverNeeded = lists.some((list) => isDownloadedBlack(list) && !unchanged.has(list.name))
    let black: string | undefined
    for (const list of lists) {
      if (list.colour === 'black') black = list.name
      const source = settled.get(list)
      const isNeeded = list.isNever ? isNeverNeeded : black === undefined
      if (source === undefined || (!isNeeded && (black === undefined || unchanged.has(black)))) continue
      const whole = loadedByName.get(list.name) ?? (await loadSettled(source, this.#settleOptions()))
      loadedByName.set(list.name, whole)
      settled.set(list, whole)
    }
  }

  /** The result of an action, or undefined after telling why it failed. */
  async #attempt<Result>(action: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await action()
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      this.#tell({ message: error.message, hint: error.hint, isError: true })
      return undefined
    }
  }

  #tell(problem: Problem): void {
    this.#problems.push(problem)
    this.#parts.observer.onProblem(problem)
  }

  #report(results: Partial<RefreshReport>): RefreshReport {
    return {
      lists: [],
      combined: [],
      cleared: [],
      toClear: [],
      table: undefined,
      ...results,
      problems: this.#problems,
      startedSec: this.#startedSec,
      exitCode: this.#problems.some((problem) => problem.isError) ? 1 : 0,
    }
  }
}

function reportOf(
  { name, colour, source }: ConfiguredList,
  result: SettledSource | undefined,
  problems: Problem[],
): ListReport {
  const { status = 'failed', wasAsked = false, summary, currentSec, failure } = result ?? {}
  const { accepted, unknown = 0, firstUnknown, notes = [] } = summary ?? {}
  return {
    name,
    colour,
    source,
    status,
    wasAsked,
    entries: accepted,
    unknownLines: unknown,
    firstUnknown,
    notes,
    currentSec,
    failure,
    problems,
  }
}

function isDownloadedBlack(list: ConfiguredList): boolean {
  return list.colour === 'black' && isDownloaded(list)
}

function partOf(list: ConfiguredList, result: SettledSource | undefined): ListPart {
  return {
    name: list.name,
    colour: list.colour,
    set: result?.summary?.set,
    entries: result?.summary?.accepted,
    isUnsendable: list.colour === 'black' && list.message === undefined,
    isDownloaded: isDownloaded(list),
    isNever: list.isNever,
    isException: list.isException,
  }
}
