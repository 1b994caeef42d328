/** Mail that was told to come back, put together from its tries: same sender, same recipient. */
import type { WireText } from './entry.js'

/** One mail. Times are seconds since the Epoch. */
export interface DeferredMail {
  /** As they stand in tuples. */
  from: WireText
  to: WireText
  /** Deferred tries that are known of. */
  tries: number
  firstSec: number
  lastSec: number
  /** When an address or a network became WHITE by this mail, the last time; undefined: not yet. */
  passedSec: number | undefined
  /** Number of addresses that it came from; of very many at least so many. */
  addressCount: number
  /** Those addresses with their HELO, of very many not all. */
  clients: { ip: string; helo: WireText }[]
}

/** What is asked for. */
export interface DeferredQuery {
  /** Tries from then on, seconds since the Epoch. */
  sinceSec: number
  /** Only mail from so many addresses or more. */
  minAddresses: number
  /** Only so many mails, those from the most addresses. */
  limit: number
}

/** The mails found; `isCut` when there were more. */
export interface DeferredMails {
  mails: DeferredMail[]
  isCut: boolean
}
