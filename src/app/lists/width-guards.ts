/**
 * Guards against lists that suddenly contain far too much: a mistake in a public list must not block half the
 * world. They apply to downloads; for local files and commands the findings are only reported. Figures:
 * docs/protocol/list-formats.md.
 */
import type { ListNote, ListSummary, WideItem } from '../../codec/lists/list-lines.js'
import { MAX_WIDE_ITEMS } from '../../codec/lists/list-lines.js'
import { isRemote } from '../../feeds/feed.js'
import { EMPTY_SET, type IpRangeSet, isEmptySet, subtractSet } from '../../ip/ip-range-set.js'
import { countAddresses, intersectSet, overlaps } from '../../ip/set-size.js'
import { assignedIpv6Space, setOfCidrs, specialUseSpace } from '../../ip/special-use.js'
import type { Refusal } from './list-guards.js'
import type { ListSource } from './list-source.js'

/** An item of more IPv4 addresses than /8 is refused, and of more IPv6 addresses than /19. */
const MAX_ITEM = { ipv4: 2 ** 24, ipv6: 2 ** (128 - 19) }
/** In a list of unassigned space: what the registries have not given out yet comes in blocks of up to /12. */
const MAX_UNASSIGNED_ITEM = 2 ** (128 - 12)
/** 1/16 of IPv4. */
const MAX_TOTAL_IPV4 = 2 ** 28
/** Only growth beyond so many addresses is judged. */
const GROWTH_FLOOR = 10_000
const GROWTH_LIMIT = 10

/** How large a list is, without special-use space. */
export interface ListSize {
  /** Addresses. */
  ipv4: number
  /** Ranges, since IPv6 networks are as large as their makers like. */
  ipv6: number
}

/** The size of a list, for its copy and for comparison with it. */
export function sizeOf(summary: ListSummary): ListSize {
  const set = publicPart(summary.set)
  return { ipv4: countAddresses(set).ipv4, ipv6: set.ipv6.length }
}

/**
 * The summary as it goes into force: a downloaded black list without special-use space, with a note. For local black
 * lists and commands the notes only.
 */
export function withoutSpecialUse(source: ListSource, summary: ListSummary): ListSummary {
  const special = specialUseSpace()
  const notes = [...summary.notes]
  const wide = summary.wideItems.filter(({ set }) => isWide(subtractSet(set, special), MAX_ITEM.ipv6))
  if (wide.length > 0) notes.push(noteOf('wide', wide.length, wide[0]!.line))
  if (source.colour === 'white') return { ...summary, notes }
  if (!overlaps(summary.set, special)) return { ...summary, notes }
  const found = intersectSet(summary.set, special)
  const isCut = isRemote(source.method)
  notes.push(
    noteOf(isCut ? 'special-use-cut' : 'special-use', found.ipv4.length + found.ipv6.length, undefined),
  )
  return { ...summary, notes, set: isCut ? subtractSet(summary.set, special) : summary.set }
}

/**
 * The reason to refuse a download that is too wide or has grown too much, or undefined. What the last good copy of the
 * same source holds already is no reason: `previous` gives it, undefined when there is none.
 */
export async function findWidthRefusal(
  source: ListSource,
  summary: ListSummary,
  previousSize: ListSize | undefined,
  previous: () => Promise<ListSummary | undefined>,
): Promise<Refusal | undefined> {
  if (!isRemote(source.method) || source.isWideOk) return undefined
  const set = publicPart(summary.set)
  if (findReason(set, summary.wideItems, EMPTY_SET, previousSize) === undefined) return undefined
  // Rarely needed, so the copy is read only now.
  const copy = await previous()
  const size = previousSize ?? (copy && sizeOf(copy))
  const reason = findReason(set, summary.wideItems, copy?.set ?? EMPTY_SET, size)
  if (reason === undefined) return undefined
  const hint = `add :wide_ok: to ${source.name}, or run once with --accept-growth, if that is right`
  return { reason, hint }
}

function findReason(
  set: IpRangeSet,
  wideItems: readonly WideItem[],
  known: IpRangeSet,
  previousSize: ListSize | undefined,
): string | undefined {
  if (wideItems.length === MAX_WIDE_ITEMS) return `the list has ${MAX_WIDE_ITEMS} items wider than /8 or more`
  const isOfUnassigned = isListOfUnassigned(wideItems)
  const limit = isOfUnassigned ? MAX_UNASSIGNED_ITEM : MAX_ITEM.ipv6
  for (const { line, excerpt, set: item } of wideItems) {
    const rest = subtractSet(subtractSet(item, specialUseSpace()), known)
    const judged = isOfUnassigned ? intersectIpv6(rest, assignedIpv6Space()) : rest
    if (!isWide(judged, limit)) continue
    return `line ${line} is wider than ${rest.ipv4.length > 0 ? '/8' : '/19'}: ${excerpt}`
  }
  const size = { ipv4: countAddresses(set).ipv4, ipv6: set.ipv6.length }
  if (size.ipv4 > MAX_TOTAL_IPV4 && countAddresses(subtractSet(set, known)).ipv4 > MAX_TOTAL_IPV4) {
    return `the list covers ${size.ipv4} addresses, more than 1/16 of IPv4`
  }
  if (previousSize === undefined) return undefined
  for (const [family, unit] of [
    ['ipv4', 'IPv4 addresses'],
    ['ipv6', 'IPv6 ranges'],
  ] as const) {
    const before = previousSize[family]
    if (before === 0 || size[family] <= GROWTH_FLOOR || size[family] < before * GROWTH_LIMIT) continue
    return `the list has grown from ${before} to ${size[family]} ${unit}`
  }
  return undefined
}

function publicPart(set: IpRangeSet): IpRangeSet {
  return overlaps(set, specialUseSpace()) ? subtractSet(set, specialUseSpace()) : set
}

function isWide(set: IpRangeSet, maxIpv6: number): boolean {
  const { ipv4, ipv6 } = countAddresses(set)
  return ipv4 > MAX_ITEM.ipv4 || ipv6 > maxIpv6
}

/** True for a list of unassigned IPv6 space: it names the upper three quarters, which nobody else would. */
function isListOfUnassigned(wideItems: readonly WideItem[]): boolean {
  let rest = setOfCidrs(['4000::/2', '8000::/1'])
  for (const { set } of wideItems) rest = subtractSet(rest, set)
  return isEmptySet(rest)
}

function intersectIpv6(set: IpRangeSet, right: IpRangeSet): IpRangeSet {
  return { ipv4: set.ipv4, ipv6: intersectSet(set, right).ipv6 }
}

const NOTE_MESSAGES = {
  wide: 'items wider than /8, or /19 in IPv6',
  'special-use': 'ranges of private or reserved addresses, from which no mail comes',
  'special-use-cut': 'ranges of private or reserved addresses were removed',
}

function noteOf(kind: keyof typeof NOTE_MESSAGES, count: number, firstLine: number | undefined): ListNote {
  return { kind, count, firstLine, message: NOTE_MESSAGES[kind] }
}
