/** The text that nft(8) reads to replace sets in one transaction, and the JSON in which it lists them. */
import { isIP } from 'node:net'
import { formatIpv6, ipv4ToNumber, parseIpv6Groups } from '../ip/address.js'
import { formatCidrs } from '../ip/cidr-text.js'
import { IpRangeCollector } from '../ip/ip-range-set.js'
import type { TableChange, TableContent, TableSpec } from './backend.js'
import { splitLines } from './prefix-lines.js'
import { FAMILIES } from './table-content.js'

/** Table that contains our sets; the administrator's rules refer to the sets from within it. */
export const NFT_TABLE = 'inet spamd'

const LF = 0x0a
const SLASH = 0x2f
const COMMA = 0x2c

/** Set names of a table: IPv4 under its own name, IPv6 with a `6` appended. */
export function familySetNames(table: TableSpec): { ipv4: string; ipv6: string } {
  return { ipv4: table.name, ipv6: `${table.name}6` }
}

/**
 * A transaction that creates missing table and sets and replaces their whole content. One `add element` with
 * a single list for each set: nft reads many short statements at half the speed. Sets of single addresses
 * have no `interval` flag, because every later call of nft reads all interval sets.
 */
export function* nftReplaceScript(table: TableSpec, content: TableContent): Generator<Uint8Array> {
  const names = familySetNames(table)
  yield makeSets(table)
  yield Buffer.from(`flush set ${NFT_TABLE} ${names.ipv4}\nflush set ${NFT_TABLE} ${names.ipv6}\n`)
  yield* elements('add', table, content)
}

/**
 * A transaction that adds or deletes elements, whether or not they exist. nft refuses to delete a missing
 * element, and only newer versions support `destroy`: elements to delete are added first.
 */
export function* nftChangeScript(
  table: TableSpec,
  change: TableChange,
  content: TableContent,
): Generator<Uint8Array> {
  yield makeSets(table)
  yield* elements('add', table, content)
  if (change === 'delete') yield* elements('delete', table, content)
}

function makeSets(table: TableSpec): Uint8Array {
  const names = familySetNames(table)
  const flags = table.content === 'networks' ? ' flags interval;' : ''
  return Buffer.from(
    `add table ${NFT_TABLE}\n` +
      `add set ${NFT_TABLE} ${names.ipv4} { type ipv4_addr;${flags} }\n` +
      `add set ${NFT_TABLE} ${names.ipv6} { type ipv6_addr;${flags} }\n`,
  )
}

function* elements(verb: TableChange, table: TableSpec, content: TableContent): Generator<Uint8Array> {
  const names = familySetNames(table)
  for (const family of FAMILIES) {
    const { text, count } = content[family]
    if (count === 0) continue
    yield Buffer.from(`${verb} element ${NFT_TABLE} ${names[family]} { `)
    yield table.content === 'networks' ? joinWithCommas(text) : joinHosts(text)
    yield Buffer.from(' }\n')
  }
}

/** `a/1\nb/2\n` as `a/1,b/2`. */
function joinWithCommas(lines: Uint8Array): Uint8Array {
  const joined = Uint8Array.prototype.slice.call(lines, 0, lines.length - 1)
  for (let index = 0; index < joined.length; index += 1) if (joined[index] === LF) joined[index] = COMMA
  return joined
}

/** `a/32\nb/32\n` as `a,b`: a set without intervals accepts no prefixes. */
function joinHosts(lines: Uint8Array): Uint8Array {
  const joined = new Uint8Array(lines.length)
  let length = 0
  let isLength = false
  for (const byte of lines) {
    if (byte === SLASH) isLength = true
    else if (byte === LF) {
      isLength = false
      joined[length] = COMMA
      length += 1
    } else if (!isLength) {
      joined[length] = byte
      length += 1
    }
  }
  return joined.subarray(0, length - 1)
}

/**
 * Canonical prefixes of the elements in `nft -j list set`: addresses, prefixes, ranges, and any of them with
 * attributes such as a time-out. Other elements are ignored: our sets have none.
 */
export function parseNftElements(json: string): string[] {
  const prefixes: string[] = []
  const { nftables = [] } = JSON.parse(json) as { nftables?: { set?: { elem?: unknown[] } }[] }
  for (const { set } of nftables) for (const element of set?.elem ?? []) pushElement(prefixes, element)
  return prefixes
}

/** True if nft says that a set or table is not there. */
export function saysMissing(stderrTail: string): boolean {
  // eslint-disable-next-line no-restricted-syntax -- nft ends with status 1 for everything; this is strerror(ENOENT) in the C locale
  return stderrTail.includes('No such file or directory')
}

interface NftElement {
  prefix?: { addr?: string; len?: number }
  range?: [string, string]
  elem?: { val?: unknown }
}

function pushElement(prefixes: string[], element: unknown): void {
  if (typeof element === 'string') {
    if (isIP(element) !== 0) prefixes.push(`${canonicalText(element)}/${isIP(element) === 4 ? 32 : 128}`)
    return
  }
  if (typeof element !== 'object' || element === null) return
  const { prefix, range, elem } = element as NftElement
  if (elem !== undefined) pushElement(prefixes, elem.val)
  else if (prefix?.addr !== undefined && isIP(prefix.addr) !== 0 && prefix.len !== undefined) {
    prefixes.push(`${canonicalText(prefix.addr)}/${prefix.len}`)
  } else if (range !== undefined) {
    for (const cidr of rangePrefixes(range[0], range[1])) prefixes.push(cidr)
  }
}

function rangePrefixes(first: string, last: string): string[] {
  const collector = new IpRangeCollector()
  if (isIP(first) === 4 && isIP(last) === 4) {
    collector.ipv4.addRange(ipv4ToNumber(first), ipv4ToNumber(last))
  } else if (isIP(first) === 6 && isIP(last) === 6) {
    collector.addIpv6Range(ipv6Words(first), ipv6Words(last))
  }
  const { ipv4, ipv6 } = formatCidrs(collector.takeSet())
  return [...splitLines(ipv4.text), ...splitLines(ipv6.text)]
}

function ipv6Words(text: string): Uint32Array {
  const groups = parseIpv6Groups(text)
  return Uint32Array.from([0, 2, 4, 6], (index) => groups[index]! * 65536 + groups[index + 1]!)
}

function canonicalText(address: string): string {
  return isIP(address) === 4 ? address : formatIpv6(parseIpv6Groups(address))
}
