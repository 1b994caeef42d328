import type { EntryKind } from './entry.js'

/** Fields that a listing can be sorted by; entries of kinds without the field come last. */
export const SORT_FIELDS = [
  'ip',
  'kind',
  'first',
  'pass',
  'expire',
  'bcount',
  'pcount',
  'from',
  'to',
  'helo',
] as const
export type SortField = (typeof SORT_FIELDS)[number]

/** Which entries a listing shows; every given condition must hold. Times are seconds since the Epoch. */
export interface EntryQuery {
  kinds?: readonly EntryKind[]
  /** Entries of this one address (of this network, for tuples that are keyed by one), as it is stored. */
  ip?: string
  /** Canonical address with prefix length, `192.0.2.0/24`: entries whose address is inside. */
  network?: string
  /** Suffix (`example.org`) or glob with `*` and `?`, case-insensitive, of the field without angle brackets. */
  from?: string
  to?: string
  helo?: string
  /** Entries that expire at or before this time; pinned entries and spamtraps never do. */
  expiresBy?: number
  /** Entries created before this time. */
  createdBefore?: number
  sort?: SortField
  /** The largest first; entries without the field still come last. */
  isDescending?: boolean
  limit?: number
}
