/** What programs request for entries, and the outcome. */
import type { EntryKey, Tuple, WireText } from './entry.js'
import type { PoolKey } from './pool-key.js'
import type { Release } from './release.js'

/** One change by an administrator. `ip` is canonical, `address` normalised; see database.md section 6. */
export type ManualEdit =
  | { operation: 'add'; kind: 'WHITE' | 'TRAPPED'; ip: string; options?: AddOptions }
  | { operation: 'add'; kind: 'SPAMTRAP'; address: WireText; options?: AddOptions }
  | { operation: 'delete'; key: EntryKey }
  /** Oldest GREY tuple of an address, or all of them. */
  | { operation: 'delete-tuples'; ip: string; all: boolean }

export interface AddOptions {
  /** Leave an existing entry of any kind with that key unchanged. */
  ifMissing?: boolean
  /** Removal time instead of the kind's default, seconds since the Epoch; 0 pins the entry. */
  expire?: number
  comment?: string
}

/** `missing`: nothing to delete. `skipped`: `ifMissing` found an entry. */
export type EditOutcome = 'added' | 'updated' | 'deleted' | 'missing' | 'skipped'

/** An address seen by the log watcher, and how often since the last batch. */
export interface Sighting {
  ip: string
  count: number
}

/** How the log watcher records; life time in seconds. */
export interface SightingOptions {
  whiteExpireSec: number
  /** A TRAPPED address that is seen becomes WHITE. */
  untrap: boolean
}

export type SightingOutcome =
  /** `expire` of the WHITE entry as it is on record, 0 if pinned. */
  { result: 'added' | 'refreshed' | 'untrapped'; expire: number } | { result: 'left-trapped' }

/** Settings of the greylister that affect tuples; all lifetimes in seconds. */
export interface GreyPolicy {
  passSec: number
  greyExpireSec: number
  whiteExpireSec: number
  trapExpireSec: number
  /** Oldest tuples of one address are evicted beyond this number. */
  maxTuplesPerAddress: number
  /** Beyond this number tuples are evicted, those of the source with the most first. */
  maxTuples: number
  /** The same for the bytes of all HELOs, senders and recipients; 1 GiB when undefined. */
  maxTupleBytes?: number | undefined
  /** Time that the network of a pool stays open after a completed retry; a week when undefined. */
  poolExpireSec?: number | undefined
  /** Learn-only mode: every client that retries passes for a day, regardless of greylisting. */
  isLearning?: boolean | undefined
}

/** A key by which an attempt is identified besides its exact tuple. */
export interface PoolAttempt {
  key: PoolKey
  /** False when an address in the network that this attempt would open is on a block list. */
  mayOpen: boolean
}

/** One RCPT of a greylisted client, local or received from a sync peer. */
export interface TupleAttempt {
  /** The exact key of the original; `tuple.ip` is the client. */
  tuple: Tuple
  /** Further keys of this attempt. */
  pools?: readonly PoolAttempt[]
  /** True when no address in the /24 or /64 around the client is on a block list. */
  mayOpenAround?: boolean
  /** Canonical client address: what is whitelisted or trapped. */
  clientIp: string
  /** Recipient as normalised for the trap test (greylisting.md section 3). */
  trapKey: WireText
  /** Further texts under which a spamtrap for the same recipient may be stored. */
  otherTrapKeys?: readonly WireText[]
  /** The recipient's domain is not allowed: trap. */
  isDomainTrap: boolean
  /** The low-priority MX was tried first: trap, unless the tuple is known already. */
  isLowPriorityMx: boolean
  /** False while the client is on a block list: the tuple is counted but never promoted. */
  mayPromote: boolean
}

/** What DNS told about an attempt after its reply. */
export interface AttemptFinding {
  /** The attempt as it was recorded; `mayPromote` is false while a list says that it must keep waiting. */
  attempt: TupleAttempt
  /** SPF passes for this domain, in lower case. */
  spfPass?:
    | {
        domain: string
        /**
         * The record contains the address itself: a pass by `ptr`, `exists` or a macro does not count for
         * other mail.
         */
        isOfDomain: boolean
      }
    | undefined
  /** SPF says that the client must not send for the domain, and that is a trap. */
  isSpfFail?: boolean | undefined
  /** The client is on an allow list. */
  isAllowListed?: boolean | undefined
}

export interface TupleOutcome {
  result: 'new' | 'repeated' | 'promoted' | 'trapped' | 'trapped-mx' | 'trapped-spf'
  /** The address got an entry, WHITE or TRAPPED, where it had none, or one that -M replaced. */
  isNewHost: boolean
  /** Tuples evicted to stay within the limits. */
  evictedCount: number
  /** For a trap: `expire` of the TRAPPED entry as it is on record, 0 if pinned. */
  trapExpire?: number
  /** For a promotion: seconds since the first attempt. */
  waitedSec?: number
  /** Networks that were opened or extended. */
  opened?: string[]
  /** Networks that were closed because the address is TRAPPED now. */
  closed?: string[]
}

/** What a scan decided for one slice. Each change is checked again against the current entry. */
export interface ScanChanges {
  /** Entries whose `expire` has come: deleted if still expired at `now`. */
  expired: EntryKey[]
  /** Tuples to promote: WHITE entry made from the tuple, tuple removed, unless the address is TRAPPED. */
  promoted: Tuple[]
  /** WHITE addresses found on a block list: deleted unless pinned. */
  blocked: string[]
  /** Passed tuples of addresses on a block list: deleted if they have still passed. */
  blockedTuples: Tuple[]
  /** Networks of pools that contain a TRAPPED or block-listed address: closed. */
  closedPools?: string[]
}

/** A change received from a sync peer, whose address is `peer`; deletions are greyd's types 4 and 5. */
export type SyncChange = (
  | { type: 'WHITE' | 'TRAPPED'; ip: string; expire: number }
  | { type: 'delete'; ip: string }
) & { peer?: string }

/** `created`: a new entry; `applied`: an existing one was changed or deleted. */
export type SyncOutcome = 'created' | 'applied' | 'ignored'

export interface UpsertCounts {
  added: number
  updated: number
  skipped: number
}

/** A release is made under a new name, or ends before its time. */
export type ReleaseEdit = { operation: 'make'; release: Release } | { operation: 'cancel'; id: string }

/** `refused`: the name is taken, or too many are in force. `missing`, `ended`: there is nothing to cancel. */
export type ReleaseOutcome = 'made' | 'refused' | 'cancelled' | 'missing' | 'ended'
