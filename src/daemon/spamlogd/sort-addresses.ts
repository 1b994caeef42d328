/** Addresses that one call of sort() may take: a few milliseconds. */
const MAX_SORTED_AT_ONCE = 2_000
/** Characters by which larger lists are split first. */
const PREFIX_CHARS = 4
/** Addresses between two steps of the splitting. */
const STEP_ADDRESSES = 1_000

/**
 * Sorts address text by code unit in small steps (see `runInSlices`): neighbours in the database are then
 * written together, which makes a large batch several times cheaper. Every yield is a place to pause.
 */
export function* sortAddresses(
  ips: readonly string[],
  prefixChars = PREFIX_CHARS,
): Generator<undefined, string[]> {
  const isLongest = ips.every((ip) => ip.length <= prefixChars - PREFIX_CHARS)
  if (ips.length <= MAX_SORTED_AT_ONCE || isLongest) return ips.toSorted()
  const byPrefix = new Map<string, string[]>()
  for (const [index, ip] of ips.entries()) {
    const prefix = ip.slice(0, prefixChars)
    const list = byPrefix.get(prefix)
    if (list === undefined) byPrefix.set(prefix, [ip])
    else list.push(ip)
    if (index % STEP_ADDRESSES === 0) yield
  }
  const sorted: string[] = []
  for (const prefix of [...byPrefix.keys()].sort()) {
    for (const ip of yield* sortAddresses(byPrefix.get(prefix)!, prefixChars + PREFIX_CHARS)) sorted.push(ip)
    yield
  }
  return sorted
}
