/** From processed sources to what spamd and the firewall receive. Pure. */
import { EMPTY_SET, type IpRangeSet, isEmptySet, subtractSet, unionOf } from '../../ip/ip-range-set.js'

/** One list of `all`, in its place: what became of it. */
export interface ListPart {
  name: string
  /** `unknown`: its record cannot be read, so it may have been either. */
  colour: 'black' | 'white' | 'unknown'
  /** Undefined when there is nothing to use, not even a last good copy. */
  set: IpRangeSet | undefined
  /** Why a black list cannot be sent although its addresses are known (its message is missing). */
  isUnsendable: boolean
  /** Accepted lines; undefined when there is no content. */
  entries: number | undefined
  /** The list comes from a server. */
  isDownloaded: boolean
  /** Its addresses are removed from every downloaded black list. */
  isNever: boolean
  /** It is a white list of the black list before it. */
  isException: boolean
}

/**
 * The addresses that are removed from downloaded black lists, and the `:never:` lists that could not be
 * fetched.
 */
export interface Protection {
  set: IpRangeSet
  failed: string[]
}

/** A black list with its exceptions removed. */
export interface CombinedList {
  name: string
  /** Undefined when the list must stay as last loaded. */
  set: IpRangeSet | undefined
  /** Names of the lists that failed, of this black list and its exceptions; empty when `set` is there. */
  heldBy: string[]
  /** Its white lists, if they leave nothing of it; else empty. */
  emptiedBy: string[]
  /** `set` is absent because the stored config line, with this SHA-256, says the same. */
  unchangedLine?: string | undefined
}

/**
 * Applies each white list to the black list before it. A black list that failed, or one of whose exceptions
 * failed, is held: without its exceptions it would block hosts that must not be blocked. White lists before
 * the first black list have no effect. Protected addresses are removed from every downloaded black list,
 * which is held as well when a `:never:` list failed.
 */
export function combineLists(parts: readonly ListPart[], protection: Protection): CombinedList[] {
  const combined: CombinedList[] = []
  for (const group of groupByBlackList(parts)) {
    const [black, ...exceptions] = group
    const heldBy = group
      .filter((part) => part.set === undefined || part.isUnsendable || part.colour === 'unknown')
      .map((part) => part.name)
    if (black!.isDownloaded) heldBy.push(...protection.failed.filter((name) => !heldBy.includes(name)))
    if (heldBy.length > 0) {
      combined.push({ name: black!.name, set: undefined, heldBy, emptiedBy: [] })
      continue
    }
    const all = black!.set!
    const rest = subtractSet(all, unionOf(exceptions.map((part) => part.set ?? EMPTY_SET)))
    const isEmptied = isEmptySet(rest) && !isEmptySet(all)
    const emptiedBy = isEmptied ? exceptions.map((part) => part.name) : []
    const set = black!.isDownloaded ? subtractSet(rest, protection.set) : rest
    combined.push({ name: black!.name, set, heldBy, emptiedBy })
  }
  return combined
}

function groupByBlackList(parts: readonly ListPart[]): ListPart[][] {
  const groups: ListPart[][] = []
  for (const part of parts) {
    if (part.colour === 'black') groups.push([part])
    else if (part.isException) groups.at(-1)?.push(part)
  }
  return groups
}
