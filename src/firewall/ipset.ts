/**
 * Sets of ipset(8), for iptables and for machines where nftables loads large sets too slowly. A new set is filled
 * and swapped in, so the old content stays until the new one is complete.
 */
import { AppError } from '../platform/app-error.js'
import type { Firewall, TableChange, TableContent, TableLimits, TableSpec } from './backend.js'
import { type FirewallTool, runFirewallTool, toolFailure, withContext } from './firewall-tool.js'
import { familySetNames } from './nft-script.js'
import { sortPrefixes, splitLines } from './prefix-lines.js'
import { checkTable, checkTableName, FAMILIES } from './table-content.js'

/** ipset's own default; a smaller limit would only surprise administrators who add entries by hand. */
const LEAST_MAXELEM = 65_536

const LF = 0x0a

/** See the head of the file. There are no `limits`. */
export class IpsetFirewall implements Firewall {
  readonly name = 'ipset'
  readonly #tool: FirewallTool
  #fillCount = 0

  constructor(tool: FirewallTool) {
    this.#tool = tool
  }

  async replaceTable(table: TableSpec, content: TableContent): Promise<void> {
    checkTable(table, content)
    // Different for every call, so that two at once do not fill the same set.
    this.#fillCount += 1
    const mark = `${(process.pid % 36 ** 4).toString(36)}${(this.#fillCount % 36).toString(36)}`
    const filling = { ipv4: `${table.name}:${mark}`, ipv6: `${table.name}6:${mark}` }
    try {
      const missing = await this.#checkSets(table)
      const script = restoreScript(table, content, filling, missing)
      const result = await runFirewallTool(this.#tool, ['restore', '-exist'], script)
      if (result.exitCode !== 0) {
        await this.#destroy(filling)
        throw toolFailure(this.#tool, result, hintFor(result.stderrTail))
      }
    } catch (error) {
      throw withContext(error, `cannot replace ipset ${table.name}`)
    }
  }

  async changeTable(table: TableSpec, change: TableChange, content: TableContent): Promise<void> {
    checkTable(table, content)
    try {
      // -exist: adding an existing entry, deleting a missing one, and creating an existing set are not
      // errors.
      const script = changeScript(table, change, content)
      const result = await runFirewallTool(this.#tool, ['restore', '-exist'], script)
      if (result.exitCode !== 0) throw toolFailure(this.#tool, result, hintFor(result.stderrTail))
    } catch (error) {
      throw withContext(error, `cannot change ipset ${table.name}`)
    }
  }

  /** Not every kernel maintains the count in the header of a set; the content is listed at each scan. */
  async countTable(): Promise<undefined> {
    return undefined
  }

  watchLoss(): () => void {
    return () => undefined
  }

  async readTable(table: TableSpec): Promise<string[] | undefined> {
    checkTableName(table)
    const names = familySetNames(table)
    try {
      const ipv4 = await this.#readSet(names.ipv4, '/32')
      const ipv6 = await this.#readSet(names.ipv6, '/128')
      if (ipv4 === undefined && ipv6 === undefined) return undefined
      return sortPrefixes([...(ipv4 ?? []), ...(ipv6 ?? [])])
    } catch (error) {
      throw withContext(error, `cannot read ipset ${table.name}`)
    }
  }

  /** Every set is created as large as its content requires. */
  async limits(): Promise<TableLimits> {
    return { maxEntries: undefined, maxRequest: undefined }
  }

  describe(): string {
    return `ipset sets through ${this.#tool.program}`
  }

  async #readSet(setName: string, hostLength: string): Promise<string[] | undefined> {
    const result = await runFirewallTool(this.#tool, ['save', setName])
    if (result.exitCode === 0) {
      const prefixes: string[] = []
      for (const line of splitLines(result.stdout)) {
        const [verb, , address = ''] = line.split(' ')
        if (verb === 'add') prefixes.push(address.includes('/') ? address : `${address}${hostLength}`)
      }
      return prefixes
    }
    // eslint-disable-next-line no-restricted-syntax -- ipset ends with status 1 for everything; its texts are not translated
    if (result.stderrTail.includes('does not exist')) return undefined
    throw toolFailure(this.#tool, result)
  }

  /**
   * Families whose set does not exist. Throws when one of ours cannot be swapped with the existing one,
   * before the other family is changed.
   */
  async #checkSets(table: TableSpec): Promise<ReadonlySet<IpFamilyName>> {
    const result = await runFirewallTool(this.#tool, ['list', '-t'])
    if (result.exitCode !== 0) throw toolFailure(this.#tool, result, hintFor(result.stderrTail))
    const kinds = parseTerseList(result.stdout.toString('latin1'))
    const names = familySetNames(table)
    const missing = new Set<IpFamilyName>()
    for (const family of FAMILIES) {
      const found = kinds.get(names[family])
      const wanted = setKind(table, family)
      if (found === undefined) missing.add(family)
      else if (found !== wanted) {
        throw new AppError('ERR_FIREWALL_FAILED', `set ${names[family]} exists as ${found}, not ${wanted}`, {
          hint: `destroy it, or rename it: ipset rename ${names[family]} NAME`,
        })
      }
    }
    return missing
  }

  /** Sets left behind by a failed call; some may not have been created. */
  async #destroy(filling: { ipv4: string; ipv6: string }): Promise<void> {
    for (const family of FAMILIES) await runFirewallTool(this.#tool, ['destroy', filling[family]])
  }
}

type IpFamilyName = (typeof FAMILIES)[number]

/** Type and family of a set as `create` takes them. */
function setKind(table: TableSpec, family: IpFamilyName): string {
  const type = table.content === 'networks' ? 'hash:net' : 'hash:ip'
  return `${type} family ${family === 'ipv4' ? 'inet' : 'inet6'}`
}

/** Set names with their `setKind` in the output of `ipset list -t`. */
function parseTerseList(listing: string): Map<string, string> {
  const kinds = new Map<string, string>()
  for (const block of listing.split('\n\n')) {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? ''
    const family = /family \S+/.exec(field('Header'))?.[0] ?? ''
    kinds.set(field('Name'), `${field('Type')} ${family}`.trim())
  }
  return kinds
}

/** For ipset(8) restore: the swaps come last, when both families are complete. */
function* restoreScript(
  table: TableSpec,
  content: TableContent,
  filling: Readonly<Record<IpFamilyName, string>>,
  missing: ReadonlySet<IpFamilyName>,
): Generator<Uint8Array> {
  const names = familySetNames(table)
  for (const family of FAMILIES) {
    const { text, count } = content[family]
    const kind = setKind(table, family)
    const size = `maxelem ${Math.max(LEAST_MAXELEM, count)}`
    yield Buffer.from(`create ${filling[family]} ${kind} ${size}\nflush ${filling[family]}\n`)
    yield addLines(filling[family], text, count)
    // Created empty, so that there is something to swap with. An existing one is left unchanged.
    if (missing.has(family)) yield Buffer.from(`create ${names[family]} ${kind}\n`)
  }
  for (const family of FAMILIES) yield Buffer.from(`swap ${filling[family]} ${names[family]}\n`)
  for (const family of FAMILIES) yield Buffer.from(`destroy ${filling[family]}\n`)
}

function* changeScript(table: TableSpec, change: TableChange, content: TableContent): Generator<Uint8Array> {
  const names = familySetNames(table)
  for (const family of FAMILIES) {
    const { text, count } = content[family]
    if (count === 0) continue
    if (change === 'add') yield Buffer.from(`create ${names[family]} ${setKind(table, family)}\n`)
    yield prefixLines(`${change === 'add' ? 'add' : 'del'} ${names[family]} `, text, count)
  }
}

function addLines(setName: string, lines: Uint8Array, count: number): Uint8Array {
  return prefixLines(`add ${setName} `, lines, count)
}

/** The lines with the same words before each. */
function prefixLines(words: string, lines: Uint8Array, count: number): Uint8Array {
  const verb = Buffer.from(words)
  const text = new Uint8Array(lines.length + count * verb.length)
  let length = 0
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf(LF, start) + 1
    text.set(verb, length)
    text.set(lines.subarray(start, end), length + verb.length)
    length += verb.length + end - start
    start = end
  }
  return text
}

function hintFor(stderrTail: string): string | undefined {
  // eslint-disable-next-line no-restricted-syntax -- ipset ends with status 1 for everything
  return stderrTail.includes('Operation not permitted') ? 'ipset needs root or CAP_NET_ADMIN' : undefined
}
