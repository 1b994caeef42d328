/** Sets of nftables through nft(8): table `inet spamd`, for each of our tables a set per family. */
import { AppError } from '../platform/app-error.js'
import type { Firewall, TableChange, TableContent, TableLimits, TableSpec } from './backend.js'
import { type FirewallTool, runFirewallTool, ToolError, toolFailure, withContext } from './firewall-tool.js'
import { ForeignChanges, type ReadGeneration } from './foreign-changes.js'
import {
  familySetNames,
  NFT_TABLE,
  nftChangeScript,
  nftReplaceScript,
  parseNftElements,
  saysMissing,
} from './nft-script.js'
import { sortPrefixes } from './prefix-lines.js'
import { checkTable, checkTableName } from './table-content.js'
import { watchNftTable } from './watch-nft.js'

/** See the head of the file. One call of nft per change: every call reads all interval sets. */
export class NftFirewall implements Firewall {
  readonly name = 'nft'
  readonly #tool: FirewallTool
  readonly #foreign: ForeignChanges

  /** Without `readGeneration` nft is run every two seconds to see whether its table exists. */
  constructor(tool: FirewallTool, readGeneration: ReadGeneration = () => undefined) {
    this.#tool = tool
    this.#foreign = new ForeignChanges(readGeneration)
  }

  async replaceTable(table: TableSpec, content: TableContent): Promise<void> {
    checkTable(table, content)
    await this.#load(table, 'replace', nftReplaceScript(table, content))
  }

  async changeTable(table: TableSpec, change: TableChange, content: TableContent): Promise<void> {
    checkTable(table, content)
    await this.#load(table, 'change', nftChangeScript(table, change, content))
  }

  /** nft counts by listing. */
  async countTable(): Promise<undefined> {
    return undefined
  }

  /** Detects that a table was removed by `flush ruleset`, even if the same rules recreate it. */
  watchLoss(onLost: () => void): () => void {
    return watchNftTable(this.#tool, onLost, this.#foreign)
  }

  async changesByOthers(): Promise<number | undefined> {
    return this.#foreign.count()
  }

  async readTable(table: TableSpec): Promise<string[] | undefined> {
    checkTableName(table)
    const names = familySetNames(table)
    try {
      const ipv4 = await this.#readSet(names.ipv4)
      const ipv6 = await this.#readSet(names.ipv6)
      if (ipv4 === undefined && ipv6 === undefined) return undefined
      return sortPrefixes([...(ipv4 ?? []), ...(ipv6 ?? [])])
    } catch (error) {
      throw withContext(error, `cannot read set ${table.name} of nftables table ${NFT_TABLE}`)
    }
  }

  /** nftables has no limit on the size of a set beyond memory. */
  async limits(): Promise<TableLimits> {
    return { maxEntries: undefined, maxRequest: undefined }
  }

  describe(): string {
    return `nftables sets in table ${NFT_TABLE} through ${this.#tool.program}`
  }

  async #load(table: TableSpec, verb: string, script: Iterable<Uint8Array>): Promise<void> {
    try {
      const result = await this.#foreign.duringOwn(() => runFirewallTool(this.#tool, ['-f', '-'], script))
      if (result.exitCode !== 0) throw this.#failure(table, toolFailure(this.#tool, result))
    } catch (error) {
      const hinted =
        error instanceof AppError && error.hint === undefined ? this.#failure(table, error) : error
      throw withContext(hinted, `cannot ${verb} set ${table.name} of nftables table ${NFT_TABLE}`)
    }
  }

  async #readSet(setName: string): Promise<string[] | undefined> {
    const result = await runFirewallTool(this.#tool, ['-j', 'list', 'set', ...NFT_TABLE.split(' '), setName])
    if (result.exitCode === 0) return parseNftElements(result.stdout.toString('latin1'))
    if (saysMissing(result.stderrTail)) return undefined
    throw this.#failure({ name: setName, content: 'networks' }, toolFailure(this.#tool, result))
  }

  #failure(table: TableSpec, failure: AppError): AppError {
    const hint = hintFor(table, failure)
    return hint === undefined
      ? failure
      : new AppError(failure.code, failure.message, { hint, cause: failure })
  }
}

const SAYS_NO_MEMORY = /Cannot allocate memory|No buffer space/
const SAYS_DENIED = /Operation not permitted/
const SAYS_OTHER_SET = /File exists|add 'flags interval'/

/* eslint-disable no-restricted-syntax -- nft ends with status 1 for everything: its words in the C locale are all it tells */
function hintFor(table: TableSpec, failure: AppError): string | undefined {
  const { errno } = failure
  const { said, signal } = failure instanceof ToolError ? failure : { said: '', signal: null }
  // The kernel kills what takes too much memory.
  if (signal === 'SIGKILL' || errno === 'ENOMEM' || errno === 'ENOBUFS' || SAYS_NO_MEMORY.test(said)) {
    return 'nft needs more than 1 kB of memory per network of a large set; --firewall ipset (SPAMD_FIREWALL) needs a fifth of that'
  }
  if (errno === 'EPERM' || SAYS_DENIED.test(said)) return 'nft needs root or CAP_NET_ADMIN'
  if (SAYS_OTHER_SET.test(said)) {
    const flags = table.content === 'networks' ? '"flags interval"' : 'no flags'
    const names = familySetNames(table)
    return `a set of that name exists with another type or flags; spamd needs ${names.ipv4} (ipv4_addr) and ${names.ipv6} (ipv6_addr) with ${flags}`
  }
  return undefined
}
/* eslint-enable no-restricted-syntax */
