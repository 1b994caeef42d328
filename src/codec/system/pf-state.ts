/** Tables and limits as pfctl(8) of OpenBSD and FreeBSD prints them. */

/** Entries by name of table, from `pfctl -vvs Tables`. Tables of anchors are left out. */
export function parsePfTables(listing: string): Map<string, number> {
  const tables = new Map<string, number>()
  let name: string | undefined
  for (const line of listing.split('\n')) {
    const heading = /^[-a-zA-Z]{6,8}\s+(\S+)(\s+\S+)?\s*$/.exec(line)
    if (heading !== null) {
      name = heading[2] === undefined ? heading[1] : undefined
      if (name !== undefined) tables.set(name, 0)
      continue
    }
    const count = /^\s+Addresses:\s+([0-9]+)/.exec(line)?.[1]
    if (count !== undefined && name !== undefined) tables.set(name, Number(count))
  }
  return tables
}

/** The most entries of all tables together, from `pfctl -s memory`; undefined when it is not told. */
export function parsePfLimit(listing: string): number | undefined {
  const limit = /^table-entries\s+hard limit\s+([0-9]+)/m.exec(listing)?.[1]
  return limit === undefined ? undefined : Number(limit)
}
