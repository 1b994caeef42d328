/** Tables and limits as pfctl(8) of OpenBSD and FreeBSD prints them. */

/** Number of entries by table name, from `pfctl -vvs Tables`, without tables of anchors. */
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

/** Maximum number of entries of all tables together, from `pfctl -s memory`; undefined if not shown. */
export function parsePfLimit(listing: string): number | undefined {
  const limit = /^table-entries\s+hard limit\s+([0-9]+)/m.exec(listing)?.[1]
  return limit === undefined ? undefined : Number(limit)
}
