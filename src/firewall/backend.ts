/**
 * The narrow door to the packet filter. Back ends: `pf` (pfctl), `nft` (nftables), `ipset`, `none`.
 * A list travels on stdin, never in argv, and holds only canonical prefixes made by our own code.
 */
export type FirewallName = 'pf' | 'nft' | 'ipset' | 'none'

/** Block-listed networks (`spamd`) may overlap ranges; white-listed hosts (`spamd-white`) are single addresses. */
export interface TableSpec {
  name: string
  /** `networks`: CIDR blocks (an nft set needs `interval`); `hosts`: single addresses only. */
  content: 'networks' | 'hosts'
}

/**
 * Content of a table: canonical CIDR text, one a line, LF-terminated, sorted, disjoint, masked; hosts with
 * their /32 or /128. Bytes, because a table can hold millions of entries.
 */
export interface TableContent {
  ipv4: { text: Uint8Array; count: number }
  ipv6: { text: Uint8Array; count: number }
}

/** A few entries more, or fewer. */
export type TableChange = 'add' | 'delete'

export interface TableLimits {
  /** Most entries all tables may hold together; undefined when there is no limit. */
  maxEntries: number | undefined
  /** Most addresses of one replace request (FreeBSD net.pf.request_maxcount); undefined when none. */
  maxRequest: number | undefined
}

/**
 * Errors: `AppError` with `ERR_FIREWALL_CONTENT` (the content is not what `TableContent` says; nothing was
 * run), `_MISSING` (no such program), `_DENIED`, `_LIMIT` (would not fit), `_TIMEOUT`, `_FAILED`; the table
 * keeps its old content.
 */
export interface Firewall {
  readonly name: FirewallName
  /** Replaces the whole table in one step; readers of the table never see it half filled. */
  replaceTable(table: TableSpec, content: TableContent): Promise<void>
  /**
   * Adds or deletes some entries in one step, whatever of them is there already; the table need not exist. Cheap where
   * the packet filter does that cheaply. An error says nothing about the content: replace the table then.
   */
  changeTable(table: TableSpec, change: TableChange, content: TableContent): Promise<void>
  /** Number of entries when the packet filter tells it without listing them, else undefined. */
  countTable(table: TableSpec): Promise<number | undefined>
  /** Canonical CIDR text of every entry, ascending, IPv4 first; undefined when the table does not exist. */
  readTable(table: TableSpec): Promise<string[] | undefined>
  /**
   * Tells when tables that are ours are gone, flushed by whoever loads rules, until the returned function is called. Never
   * called by a packet filter that cannot tell; `countTable` or a comparison shows it then.
   */
  watchLoss(onLost: () => void): () => void
  limits(): Promise<TableLimits>
  /** One line for people: which program and table system is used. */
  describe(): string
}
