/**
 * Tables of pf(4) through pfctl(8), on OpenBSD and FreeBSD. Success is exit status 0; texts are only shown.
 * Source: pfctl(8); the facts about limits, requests and dangerous input come from the sources of OpenBSD and
 * FreeBSD and were observed with OpenBSD's pfctl.
 */
import { isIP } from 'node:net'
import { formatIpv6, parseIpv6Groups } from '../ip/address.js'
import { AppError } from '../platform/app-error.js'
import type { Firewall, TableChange, TableContent, TableLimits, TableSpec } from './backend.js'
import { type FirewallTool, lastWords, runFirewallTool, toolFailure, withContext } from './firewall-tool.js'
import { cutIntoPortions, missingFrom } from './prefix-lines.js'
import { replaceTask } from './replace-failure.js'
import { checkTable, checkTableName } from './table-content.js'

/**
 * Initial size of pfctl's buffer for addresses, which doubles until all fit. Source: pfctl_radix.c, buf_grow.
 */
const PFCTL_BUFFER_START = 64

export interface PfOptions {
  /** sysctl(8) on FreeBSD, whose kernel limits the size of a request; absent elsewhere. */
  sysctl?: FirewallTool
  /** Receives notices about what worked but should be fixed, one line without program name. */
  onNotice?: (message: string) => void
}

/** See the head of the file. Notices go to `onNotice`, each text only once until another one appears. */
export class PfFirewall implements Firewall {
  readonly name = 'pf'
  readonly #tool: FirewallTool
  readonly #options: PfOptions
  #lastNotice = ''

  constructor(tool: FirewallTool, options: PfOptions = {}) {
    this.#tool = tool
    this.#options = options
  }

  async replaceTable(table: TableSpec, content: TableContent): Promise<void> {
    checkTable(table, content)
    const parts = [withoutHost(content.ipv4.text, '0.0.0.0/32\n'), withoutHost(content.ipv6.text, '::/128\n')]
    const entryCount = content.ipv4.count + content.ipv6.count
    try {
      const limits = await this.limits()
      this.#checkRoom(entryCount, limits)
      if (limits.maxRequest !== undefined && replaceRequestSize(entryCount) > limits.maxRequest) {
        await this.#replaceInPortions(table, parts, entryCount, limits.maxRequest)
      } else {
        await this.#change(table, 'replace', parts, entryCount)
      }
    } catch (error) {
      throw withContext(error, replaceTask(table.name))
    }
  }

  async changeTable(table: TableSpec, change: TableChange, content: TableContent): Promise<void> {
    checkTable(table, content)
    const parts = [withoutHost(content.ipv4.text, '0.0.0.0/32\n'), withoutHost(content.ipv6.text, '::/128\n')]
    try {
      await this.#change(table, change, parts, content.ipv4.count + content.ipv6.count)
    } catch (error) {
      throw withContext(error, `cannot ${change === 'add' ? 'add to' : 'delete from'} table ${table.name}`)
    }
  }

  /** `Addresses:` in `pfctl -vvsTables`, which the kernel maintains. */
  async countTable(table: TableSpec): Promise<number | undefined> {
    checkTableName(table)
    const result = await runFirewallTool(this.#tool, ['-q', '-vvsTables'])
    if (result.exitCode !== 0) return undefined
    return parseTableCount(result.stdout.toString('latin1'), table.name)
  }

  watchLoss(): () => void {
    return () => undefined
  }

  async readTable(table: TableSpec): Promise<string[] | undefined> {
    checkTableName(table)
    try {
      const result = await runFirewallTool(this.#tool, ['-q', '-t', table.name, '-T', 'show'])
      if (result.exitCode === 0) return parseShow(result.stdout.toString('latin1'))
      // A missing table and an unreadable device differ only in their texts, so ask again.
      const tables = await runFirewallTool(this.#tool, ['-q', '-sT'])
      if (tables.exitCode === 0 && !tables.stdout.toString('latin1').split('\n').includes(table.name))
        return undefined
      throw toolFailure(this.#tool, result, hintFor(result.stderrTail))
    } catch (error) {
      throw withContext(error, `cannot read table ${table.name}`)
    }
  }

  /** Limits that cannot be read count as none: the change itself will then fail with the reason. */
  async limits(): Promise<TableLimits> {
    const memory = await runFirewallTool(this.#tool, ['-sm'])
    const maxEntries =
      memory.exitCode === 0
        ? /^table-entries\s+hard limit\s+([0-9]+)$/m.exec(memory.stdout.toString('latin1'))?.[1]
        : undefined
    return {
      maxEntries: maxEntries === undefined ? undefined : Number(maxEntries),
      maxRequest: await this.#maxRequest(),
    }
  }

  describe(): string {
    return `pf tables through ${this.#tool.program}`
  }

  async #maxRequest(): Promise<number | undefined> {
    const sysctl = this.#options.sysctl
    if (sysctl === undefined) return undefined
    const result = await runFirewallTool(sysctl, ['-n', 'net.pf.request_maxcount'])
    const text = result.stdout.toString('latin1').trim()
    return result.exitCode === 0 && /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined
  }

  #checkRoom(entryCount: number, { maxEntries }: TableLimits): void {
    if (maxEntries === undefined || entryCount <= maxEntries) return
    throw new AppError(
      'ERR_FIREWALL_LIMIT',
      `${entryCount} entries exceed pf's limit of ${maxEntries} table entries; the old content is kept`,
      { hint: limitHint(entryCount, maxEntries) },
    )
  }

  async #change(
    table: TableSpec,
    command: 'replace' | 'add' | 'delete',
    parts: readonly Uint8Array[],
    entryCount: number,
  ): Promise<void> {
    const result = await runFirewallTool(
      this.#tool,
      ['-q', '-t', table.name, '-T', command, '-f', '-'],
      parts,
    )
    if (result.exitCode === 0) {
      // It succeeded; anything it still prints, such as a table of the same name in an anchor, is for the
      // administrator.
      if (result.stderrTail.trim() !== '')
        this.#notice(`${this.#tool.program}: ${lastWords(result.stderrTail)}`)
      return
    }
    // eslint-disable-next-line no-restricted-syntax -- pfctl ends with status 1 for everything
    const isMemoryShort = /cannot allocate memory/i.test(result.stderrTail)
    const hint = isMemoryShort
      ? limitHint(entryCount, (await this.limits()).maxEntries)
      : hintFor(result.stderrTail)
    const failure = toolFailure(this.#tool, result, hint)
    throw isMemoryShort
      ? new AppError('ERR_FIREWALL_LIMIT', failure.message, { hint: failure.hint, cause: failure })
      : failure
  }

  /** The daemon loads a table every minute: the same message is logged once. */
  #notice(text: string): void {
    if (text === this.#lastNotice) return
    this.#lastNotice = text
    this.#options.onNotice?.(text)
  }

  /**
   * For a kernel that refuses such a large replace: first adds new entries, then deletes removed ones, so
   * that no wanted address is missing in between. After an error the table contains at least its previous
   * entries.
   */
  async #replaceInPortions(
    table: TableSpec,
    parts: readonly Uint8Array[],
    entryCount: number,
    maxRequest: number,
  ): Promise<void> {
    this.#notice(
      `table ${table.name} is loaded in parts: ${entryCount} entries are more than one request may replace; ` +
        `put net.pf.request_maxcount=${replaceRequestSize(entryCount)} into /boot/loader.conf to load it in one step`,
    )
    const before = await this.readTable(table)
    for (const portion of cutIntoPortions(parts, maxRequest)) {
      await this.#change(table, 'add', [portion], entryCount)
    }
    for (const portion of cutIntoPortions([missingFrom(before ?? [], parts)], maxRequest)) {
      await this.#change(table, 'delete', [portion], entryCount)
    }
  }
}

const ROOT_HINT = 'pfctl needs root, and the pf device /dev/pf'

/** Only errors about a missing privilege, or about the device, can be fixed by running as root. */
function hintFor(stderrTail: string): string | undefined {
  // eslint-disable-next-line no-restricted-syntax -- pfctl ends with status 1 for everything
  return /permission denied|operation not permitted|\/dev\/pf/i.test(stderrTail) ? ROOT_HINT : undefined
}

/**
 * Replacing needs space for the old and the new entries at once. The limit applies to the entries of all
 * tables, and those of the others are below the current limit: this much plus twice ours is sufficient.
 */
function limitHint(entryCount: number, limitInForce = 0): string {
  const roundedTo = 10_000
  const limit = Math.ceil((limitInForce + entryCount * 2) / roundedTo) * roundedTo
  return `add "set limit table-entries ${limit}" to pf.conf and load it with pfctl -f`
}

/** Number of entries that such a replace requests from the kernel: the capacity of pfctl's buffer. */
function replaceRequestSize(entryCount: number): number {
  let capacity = PFCTL_BUFFER_START
  while (capacity < entryCount) capacity *= 2
  return capacity
}

/**
 * pf accepts the all-zeros host but never stores it (its key is a sentinel of the kernel's tree): leave it
 * out.
 */
function withoutHost(text: Uint8Array, hostLine: string): Uint8Array {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength)
  const lineFeed = 0x0a
  for (let at = bytes.indexOf(hostLine); at >= 0; at = bytes.indexOf(hostLine, at + 1)) {
    if (at > 0 && bytes[at - 1] !== lineFeed) continue
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + hostLine.length)])
  }
  return text
}

/**
 * The number of addresses in a table; 0 for a missing table. Source: pfctl(8), print_tstats of pfctl_table.c.
 */
function parseTableCount(listing: string, name: string): number | undefined {
  const lines = listing.split('\n')
  const start = lines.findIndex((line) => /^\S+\t(\S+)$/.exec(line)?.[1] === name)
  if (start < 0) return 0
  const count = /^\tAddresses:\s+([0-9]+)$/.exec(lines[start + 1] ?? '')?.[1]
  return count === undefined ? undefined : Number(count)
}

/** Lines of `-T show`: two blanks, `!` or a blank, the address, `/len` unless it is a host. */
function parseShow(listing: string): string[] {
  const entries: string[] = []
  for (const line of listing.split('\n')) {
    const [, sign = '', address = '', length] = /^ {2}([ !])([0-9a-f.:]+)(\/[0-9]{1,3})?$/i.exec(line) ?? []
    const family = isIP(address)
    if (family === 0) continue
    // Not folded: in pf an IPv4-mapped entry is IPv6 and matches no IPv4 packet.
    const canonical = family === 4 ? address : formatIpv6(parseIpv6Groups(address))
    entries.push(`${sign.trim()}${canonical}${length ?? (family === 4 ? '/32' : '/128')}`)
  }
  return entries
}
