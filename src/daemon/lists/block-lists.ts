/**
 * The block lists in memory, in the order in which their names were first received, including the
 * greylister's trap list. A list is built completely before it replaces the old one, so that a lookup never
 * sees half of one.
 */
import { type ConfigLine, MAX_NAME_BYTES } from '../../codec/config-line/config-line-decoder.js'
import type { PrefixColumns } from '../../codec/config-line/config-prefixes.js'
import { escapeControl } from '../../codec/escape.js'
import type { WireText } from '../../domain/entry.js'
import { formatIpv4, formatIpv6 } from '../../ip/address.js'
import type { Network } from '../../ip/cidr.js'
import { EMPTY_SET, type IpRangeSet } from '../../ip/ip-range-set.js'
import { WORDS_PER_ADDRESS } from '../../ip/ipv6-words.js'
import { setOfPrefixes } from '../../ip/prefix-ranges.js'
import { RangeTable } from '../../ip/range-table.js'
import type { Logger } from '../../platform/log.js'
import type { DebugOutput } from '../debug-output.js'
import type { BlockListLookup, BlockListMatch } from '../seams.js'

/** Name of the list of trapped hosts. Source: spamd(8), "GREYTRAPPING". */
const TRAP_LIST_NAME = 'spamd-greytrap'
/** Message of that list as in a config line: it ends in a backslash and an n. Source: spamd's grey.c. */
const TRAP_LIST_MESSAGE = 'Your address %A has mailed to spamtraps here\\n'
/**
 * Maximum number of lists: each is searched for every client; the largest collections have a hundred.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_LISTS = 4096

/** Result of one config line: the answer of the Unix socket. */
export type ConfigOutcome =
  | { result: 'added' | 'replaced'; name: WireText; entryCount: number }
  | { result: 'cleared'; name: WireText; isKnown: boolean }
  | { result: 'refused'; name: WireText; reason: string }

/** One list as statistics show it. */
export interface BlockListSummary {
  name: WireText
  /** Prefixes as received, overlaps included. */
  entryCount: number
}

interface LoadedList extends BlockListMatch {
  table: RangeTable
  entryCount: number
}

export class BlockLists implements BlockListLookup {
  readonly #lists: LoadedList[] = []
  /** What changed on the trap list since the scan that made it began: true is on it. */
  #revision = 0
  #trapChanges = new Map<string, boolean>()
  /** Of those, what changed since the current scan began. */
  #trapChangesDuringScan = new Map<string, boolean>()
  readonly #logger: Logger
  readonly #debug: DebugOutput | undefined

  constructor(options: { logger: Logger; debug?: DebugOutput | undefined }) {
    this.#logger = options.logger
    this.#debug = options.debug
  }

  match(ip: string): readonly BlockListMatch[] {
    const matches: BlockListMatch[] = []
    for (const { listName, message, table } of this.#lists) {
      const isIn = (listName === TRAP_LIST_NAME ? this.#trapChanges.get(ip) : undefined) ?? table.has(ip)
      if (isIn) matches.push({ listName, message })
    }
    return matches
  }

  /**
   * Incremented with each change of a list other than the trap list: a host that was not listed before may be
   * now.
   */
  get revision(): number {
    return this.#revision
  }

  overlaps(network: Network): boolean {
    return this.#lists.some(({ table }) => table.overlaps(network))
  }

  /** A scan begins: later calls of `noteTrap` may be missing in its trap list. */
  beginTrapScan(): void {
    this.#trapChangesDuringScan = new Map()
  }

  /** Adds an address to the trap list, or removes it, until the next scan provides the whole list. */
  noteTrap(ip: string, state: 'trapped' | 'free'): void {
    this.#noteTrap(ip, state === 'trapped')
  }

  #noteTrap(ip: string, isTrapped: boolean): void {
    this.#trapChanges.set(ip, isTrapped)
    this.#trapChangesDuringScan.set(ip, isTrapped)
    const known = this.#find(TRAP_LIST_NAME)
    if (!isTrapped) return
    if (known === undefined) this.#replace(TRAP_LIST_NAME, TRAP_LIST_MESSAGE, EMPTY_SET, 0)
    else known.message = TRAP_LIST_MESSAGE
  }

  /** Replaces the trap list by that of a whole scan, with the changes since it began. */
  replaceTrapList(set: IpRangeSet, entryCount: number): void {
    this.#trapChanges = this.#trapChangesDuringScan
    this.#trapChangesDuringScan = new Map()
    this.replaceSet(TRAP_LIST_NAME, TRAP_LIST_MESSAGE, set, entryCount)
    for (const [ip, isTrapped] of this.#trapChanges) this.#noteTrap(ip, isTrapped)
  }

  /**
   * True when a list other than the trap list contains the address. The trap list is ignored because it is
   * built from the database: an address that was made WHITE by hand is no longer TRAPPED there.
   */
  isListed(ip: string): boolean {
    return this.#lists.some(({ listName, table }) => listName !== TRAP_LIST_NAME && table.has(ip))
  }

  summaries(): BlockListSummary[] {
    return this.#lists.map(({ listName, entryCount }) => ({ name: listName, entryCount }))
  }

  /**
   * Applies a config line and reports it in the log and, with -d, on standard output as the original does.
   * `set` contains the addresses of the line if they were sorted before: a million takes longer than clients
   * should wait.
   */
  apply(line: ConfigLine, set?: IpRangeSet): ConfigOutcome {
    switch (line.kind) {
      case 'clear':
        return this.#clear(line.name)
      case 'bad-structure':
        return this.#refuse(line.name, line.reason, line.debugTexts)
      case 'bad-address':
        this.#announce(line.name, line.entryCount)
        this.#showPrefixes(line.ipv4)
        this.#showPrefixes(line.ipv6)
        return this.#refuse(line.name, line.reason, line.debugTexts)
      case 'replace': {
        this.#announce(line.name, line.entryCount)
        this.#showPrefixes(line.ipv4)
        this.#showPrefixes(line.ipv6)
        const addresses = set ?? setOfPrefixes(line.ipv4, line.ipv6)
        return this.#replace(line.name, line.message, addresses, line.entryCount)
      }
    }
  }

  /** Puts a list in place whole. `entryCount` is what statistics and -d show. */
  replaceSet(name: WireText, message: WireText, set: IpRangeSet, entryCount: number): ConfigOutcome {
    if (entryCount === 0) return this.#clear(name)
    this.#announce(name, entryCount)
    return this.#replace(name, message, set, entryCount)
  }

  #replace(name: WireText, message: WireText, set: IpRangeSet, entryCount: number): ConfigOutcome {
    if (name !== TRAP_LIST_NAME) this.#revision += 1
    const known = this.#find(name)
    const table = new RangeTable(set)
    if (known !== undefined) {
      Object.assign(known, { message, table, entryCount })
      return { result: 'replaced', name, entryCount }
    }
    if (this.#lists.length === MAX_LISTS) return this.#refuse(name, `more than ${MAX_LISTS} lists`, [])
    this.#lists.push({ listName: name, message, table, entryCount })
    return { result: 'added', name, entryCount }
  }

  #clear(name: WireText): ConfigOutcome {
    if (name !== TRAP_LIST_NAME) this.#revision += 1
    const known = this.#find(name)
    if (known === undefined) return { result: 'cleared', name, isKnown: false }
    this.#debug?.out(`clearing list ${escapeControl(name)}`)
    Object.assign(known, { message: '', table: new RangeTable(EMPTY_SET), entryCount: 0 })
    return { result: 'cleared', name, isKnown: true }
  }

  #refuse(name: WireText, reason: string, debugTexts: readonly string[]): ConfigOutcome {
    for (const text of debugTexts) this.#debug?.out(escapeControl(text))
    const shownName = escapeControl(name.slice(0, MAX_NAME_BYTES))
    const kept = this.#find(name) === undefined ? '' : ', the list is unchanged'
    this.#logger.log('warning', `bad config line for list "${shownName}": ${escapeControl(reason)}${kept}`, {
      event: 'config-refused',
      list: shownName,
      reason,
    })
    return { result: 'refused', name, reason }
  }

  #announce(name: WireText, entryCount: number): void {
    const shown = escapeControl(name)
    this.#debug?.out(
      this.#find(name) === undefined
        ? `adding list ${shown}; ${entryCount} entries`
        : `replacing list ${shown}; ${entryCount} new entries`,
    )
  }

  #showPrefixes(columns: PrefixColumns): void {
    if (this.#debug === undefined) return
    const groups = new Uint16Array(WORDS_PER_ADDRESS * 2)
    for (let index = 0; index < columns.count; index += 1) {
      let address: string
      if (columns.family === 4) address = formatIpv4(columns.words[index]!)
      else {
        for (let word = 0; word < WORDS_PER_ADDRESS; word += 1) {
          const value = columns.words[index * WORDS_PER_ADDRESS + word]!
          groups[word * 2] = value >>> 16
          groups[word * 2 + 1] = value & 0xffff
        }
        address = formatIpv6(groups)
      }
      this.#debug.out(`added ${address}/${columns.prefixLengths[index]!}`)
    }
  }

  #find(name: WireText): LoadedList | undefined {
    return this.#lists.find(({ listName }) => listName === name)
  }
}
