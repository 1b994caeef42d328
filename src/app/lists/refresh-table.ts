/** The packet filter's table of blocked networks in a run of spamd-setup. */
import type { Firewall } from '../../firewall/backend.js'
import { countCidrs } from '../../ip/cidr-text.js'
import { EMPTY_SET, type IpRangeSet } from '../../ip/ip-range-set.js'
import type { UnixSec } from '../../platform/clock.js'
import type { CombinedList } from './combine-lists.js'
import type { Problem } from './configured-list.js'
import { countChange } from './count-change.js'
import type { LoadedLists } from './loaded-lists.js'
import type { TableReport } from './refresh-report.js'

/**
 * How long the table keeps its content from before our first run while a list has never been fetched: long
 * enough to repair the list, short enough that no host is blocked forever by outdated content.
 */
const FOREIGN_CONTENT_SEC = 7 * 86_400

/** From this many networks on nft takes seconds. Measured: docs/man/spamd-setup.8, PACKET FILTERS. */
const LARGE_NFT_SET = 200_000

/** What the run lends to its table. */
export interface RefreshTableParts {
  /** Undefined without -b. */
  firewall: Firewall | undefined
  isDryRun: boolean
  wantsChanges: boolean
  /** The networks go to a file as well. */
  hasOutput: boolean
  startedSec: UnixSec
  openLoaded(): Promise<LoadedLists>
  /** The result of an action, or undefined after telling why it failed. */
  attempt<Result>(action: () => Promise<Result>): Promise<Result | undefined>
  tell(problem: Problem): void
}

/** The table in one run: `isAsGiven` first, then `asGiven` or `load`. */
export class RefreshTable {
  readonly #parts: RefreshTableParts

  constructor(parts: RefreshTableParts) {
    this.#parts = parts
  }

  /** True when every list is unchanged and the table contains what was loaded for them. */
  async isAsGiven(
    combined: readonly CombinedList[],
    { keepsVanished }: { keepsVanished: boolean },
  ): Promise<boolean> {
    const { firewall, isDryRun, hasOutput } = this.#parts
    if (isDryRun || hasOutput || combined.length === 0) return false
    if (combined.some((list) => list.unchangedLine === undefined)) return false
    // Without a table nobody needs the sets.
    if (firewall === undefined) return true
    const { index } = await this.#parts.openLoaded()
    const isSame =
      !keepsVanished &&
      index.wasComplete &&
      index.tableDigest !== undefined &&
      index.names.length === combined.length &&
      index.toClear.length === 0
    if (!isSame) return false
    const { isBlockedTableAsGiven } = await import('./refresh-firewall.js')
    return (await this.#parts.attempt(() => isBlockedTableAsGiven(firewall, index.tableDigest!))) ?? false
  }

  /** The report of a table that was left as it is. */
  asGiven(): TableReport | undefined {
    const { firewall } = this.#parts
    if (firewall === undefined) return undefined
    return { firewall: firewall.describe(), outcome: 'as wanted', cidrs: undefined, change: undefined }
  }

  /** Loads the union of all lists; a configuration without any black list leaves the table alone. */
  async load(union: IpRangeSet, { hasLists }: { hasLists: boolean }): Promise<TableReport | undefined> {
    const { firewall, isDryRun, wantsChanges } = this.#parts
    if (firewall === undefined) return undefined
    const { readBlockedTable, replaceBlockedTable } = await import('./refresh-firewall.js')
    const report = { firewall: firewall.describe(), cidrs: countCidrs(union), change: undefined }
    // Such a configuration says nothing about the table.
    if (!hasLists) return { ...report, outcome: 'left alone' }
    if (isDryRun) {
      if (!wantsChanges) return { ...report, outcome: 'left alone' }
      const present = await this.#parts.attempt(() => readBlockedTable(firewall))
      return { ...report, outcome: 'left alone', change: countChange(present ?? EMPTY_SET, union) }
    }
    // Until then the table may contain what another program loaded for a list that we could never fetch.
    const { wasComplete, firstRunSec = this.#parts.startedSec } = (await this.#parts.openLoaded()).index
    // The clock may have been ahead during the first run.
    const sinceFirstSec = Math.abs(this.#parts.startedSec - firstRunSec)
    const keepsPresent = !wasComplete && sinceFirstSec < FOREIGN_CONTENT_SEC
    const loaded = await this.#parts.openLoaded()
    const result = await this.#parts.attempt(() =>
      replaceBlockedTable(firewall, union, { keepsPresent, lastDigest: loaded.index.tableDigest }),
    )
    if (result === undefined) return { ...report, outcome: 'failed' }
    const cidrs = countCidrs(result.set)
    const tableCount = cidrs.ipv4 + cidrs.ipv6
    this.#tellOfLargeSet(firewall, tableCount, loaded.index.tableCount)
    await this.#parts.attempt(() =>
      loaded.writeIndex({ ...loaded.index, tableDigest: result.digest, tableCount }),
    )
    return { ...report, outcome: result.outcome, cidrs }
  }

  /** Prints a warning when a table becomes too large for nft, but not at every later run. */
  #tellOfLargeSet(firewall: Firewall, count: number, countBefore = 0): void {
    if (firewall.name !== 'nft' || count < LARGE_NFT_SET || countBefore >= LARGE_NFT_SET) return
    this.#parts.tell({
      message: `warning: nft is slow with ${count} networks and uses more than 1 kB of memory per network`,
      hint: '--firewall ipset (SPAMD_FIREWALL) loads 500,000 in 2 seconds where nft takes 26',
      isError: false,
    })
  }
}
