/**
 * The narrow interface to the packet filter. Back ends: `pf` (pfctl), `nft` (nftables), `ipset`, `none`. A
 * list is passed on stdin, never in argv, and contains only canonical prefixes written by our own code.
 */
export type FirewallName = 'pf' | 'nft' | 'ipset' | 'none'

/** Block-listed networks (`spamd`) may overlap ranges; white-listed hosts (`spamd-white`) are single addresses. */
export interface TableSpec {
  name: string
  /** `networks`: CIDR blocks (an nft set needs `interval`); `hosts`: single addresses only. */
  content: 'networks' | 'hosts'
}

/**
 * Content of a table: canonical CIDR text, one per line, LF-terminated, sorted, disjoint, masked; hosts with
 * their /32 or /128. Bytes, because a table can hold millions of entries.
 */
export interface TableContent {
  ipv4: { text: Uint8Array; count: number }
  ipv6: { text: Uint8Array; count: number }
}

/** A few entries more, or fewer. */
export type TableChange = 'add' | 'delete'

export interface TableLimits {
  /** Maximum number of entries of all tables together; undefined when there is no limit. */
  maxEntries: number | undefined
  /**
   * Maximum number of addresses in one replace request (FreeBSD net.pf.request_maxcount); undefined when
   * there is none.
   */
  maxRequest: number | undefined
}

/**
 * Errors: `AppError` with `ERR_FIREWALL_CONTENT` (the content violates `TableContent`; nothing was run),
 * `_MISSING` (no such program), `_DENIED`, `_LIMIT` (would not fit), `_TIMEOUT`, `_FAILED`; the table keeps
 * its old content.
 */
export interface Firewall {
  readonly name: FirewallName
  /** Replaces the whole table in one step; the packet filter never sees it half filled. */
  replaceTable(table: TableSpec, content: TableContent): Promise<void>
  /**
   * Adds or deletes some entries in one step, whether or not they exist; the table need not exist. Cheap if
   * the packet filter supports it. After an error the content is unknown: replace the table.
   */
  changeTable(table: TableSpec, change: TableChange, content: TableContent): Promise<void>
  /** Number of entries if the packet filter knows it without listing them, else undefined. */
  countTable(table: TableSpec): Promise<number | undefined>
  /** Canonical CIDR text of every entry, ascending, IPv4 first; undefined when the table does not exist. */
  readTable(table: TableSpec): Promise<string[] | undefined>
  /**
   * Reports when our tables are gone, flushed by someone who loads rules, until the returned function is
   * called. Never called by a packet filter that cannot detect this; `countTable` or a comparison then shows
   * it.
   */
  watchLoss(onLost: () => void): () => void
  /**
   * How often the packet filter was seen changed by another program since the first call, whatever was changed; undefined
   * or absent if that cannot be told.
   */
  changesByOthers?(): Promise<number | undefined>
  limits(): Promise<TableLimits>
  /** One line for people: which program and table system is used. */
  describe(): string
}
