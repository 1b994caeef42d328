/** Many changes that are alike as one value: deciding and storing each separately would cost more than its row. */
import type { HostChange } from './change.js'
import type { HostEntry } from './entry.js'
import type { RepeatedAddition } from './manual-host.js'
import type { Stamp } from './stamp.js'

/** Changes of different addresses of one kind. */
export interface AlikeChanges {
  ips: readonly string[]
  /** The change of one of them; others differ in the address, in what they had on record, and in the stamp: consecutive. */
  first: HostChange
  /** What changes in a record, and which addresses have one, in the order of `ips`; undefined if none has. */
  again: RecordChange | undefined
  /** See `Draft.changedSec`. */
  changedSec: number
}

/** What changes in a record instead; the others get the entry of `first`. */
export interface RecordChange extends RepeatedAddition {
  isKnown: readonly boolean[]
  /** The grant of the WHITE entry stays; otherwise the change is one too. */
  keepsGrant: boolean
}

/** What such a change depends on. */
export interface KnownHost {
  kind: HostEntry['kind']
  expire: number
  comment: string | null
  /** See `latestMark`. */
  latest: Stamp | undefined
  /** Nothing is on record beyond a stamp and a grant, and the grant can stay beside a later stamp of this database. */
  hasGrantOnly: boolean
}
