import type { TableSpec } from '../../firewall/backend.js'

/** The table of block-listed networks, for blacklist-only mode. Source: spamd-setup(8), -b. */
export const BLOCKED_TABLE: TableSpec = { name: 'spamd', content: 'networks' }
