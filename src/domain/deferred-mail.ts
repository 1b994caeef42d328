/** Deferred mail, reconstructed from its tries: same sender, same recipient. */
import type { WireText } from './entry.js'

/** One mail. Times are seconds since the Epoch. */
export interface DeferredMail {
  /** As stored in tuples. */
  from: WireText
  to: WireText
  /** Known deferred tries. */
  tries: number
  firstSec: number
  lastSec: number
  /** The last time an address or a network became WHITE by this mail; undefined: not yet. */
  passedSec: number | undefined
  /** Number of addresses it came from; a lower bound if there are very many. */
  addressCount: number
  /** Those addresses with their HELO; not all if there are very many. */
  clients: { ip: string; helo: WireText }[]
}

/** The request. */
export interface DeferredQuery {
  /** Tries from then on, seconds since the Epoch. */
  sinceSec: number
  /** Only mail from at least this many addresses. */
  minAddresses: number
  /** At most this many mails, those from the most addresses. */
  limit: number
}

/** The mails found; `isCut` when there were more. */
export interface DeferredMails {
  mails: DeferredMail[]
  isCut: boolean
}
