/** How a list that was processed and sent before is recognised. */
import type { TableContent } from '../../firewall/backend.js'
import { type ConfiguredList, isDownloaded } from './configured-list.js'
import type { SettledSource } from './settled-source.js'

/**
 * A digest of all that the config line of a black list is made of: message, sources and options of the list and of the
 * white lists behind it, the content of each, `protection` (see `protectionKey`), and `version`, since another one may
 * read a list in another way. Undefined when some content is not known.
 */
export function listKey(
  group: readonly ConfiguredList[],
  settled: ReadonlyMap<ConfiguredList, SettledSource>,
  version: string,
  protection: string | undefined,
): string | undefined {
  const parts: unknown[] = [version]
  if (group[0] !== undefined && isDownloaded(group[0])) {
    if (protection === undefined) return undefined
    parts.push(protection)
  }
  for (const list of group) {
    const digest = settled.get(list)?.digest
    if (digest === undefined || (list.colour === 'black' && list.message === undefined)) return undefined
    parts.push(list.source, list.message, digest)
  }
  return digestOf([Buffer.from(JSON.stringify(parts))])
}

/** All that is taken out of every downloaded black list; undefined when the content of some list is not known. */
export function protectionKey(
  lists: readonly ConfiguredList[],
  settled: ReadonlyMap<ConfiguredList, SettledSource>,
  ownAddresses: readonly string[],
): string | undefined {
  const parts: unknown[] = [[...ownAddresses].sort()]
  for (const list of lists) {
    if (!list.isNever) continue
    const digest = settled.get(list)?.digest
    if (digest === undefined) return undefined
    parts.push(list.source, digest)
  }
  return JSON.stringify(parts)
}

/** Each black list of `all` with the white lists after it, by name; names that appear twice are left out. */
export function groupsByName(lists: readonly ConfiguredList[]): Map<string, ConfiguredList[]> {
  const groups = new Map<string, ConfiguredList[]>()
  const repeated = new Set<string>()
  let group: ConfiguredList[] | undefined
  for (const list of lists) {
    if (list.colour !== 'black') group?.push(list)
    else {
      if (groups.has(list.name)) repeated.add(list.name)
      group = [list]
      groups.set(list.name, group)
    }
  }
  for (const name of repeated) groups.delete(name)
  return groups
}

/** SHA-256 of the pieces, one after the other. */
function digestOf(pieces: Iterable<Uint8Array>): string {
  const { createHash } = process.getBuiltinModule('node:crypto')
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return hash.digest('hex')
}

/** The digest of a table as it is written. */
export function tableDigest({ ipv4, ipv6 }: TableContent): string {
  return digestOf([ipv4.text, ipv6.text])
}

/** The same of a table as it is read, when it is read in the order in which it is written. */
export function linesDigest(lines: readonly string[]): string {
  return digestOf([Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1')])
}
