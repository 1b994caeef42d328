/**
 * Where the parts of spamd meet: the SMTP side knows the greylister, the block lists and the packet
 * filter only through these, so that each can be tested with a stand-in.
 */
import type { WireText } from '../domain/entry.js'

/** A block list that holds a client. */
export interface BlockListMatch {
  listName: string
  /** Message text as stored by the config line (between its quotes, not yet expanded). */
  message: WireText
}

/** The block lists in memory, greytrap included. */
export interface BlockListLookup {
  /** All lists that hold the canonical address, in the order in which lists were first received. */
  match(ip: string): readonly BlockListMatch[]
}

/** One RCPT of a client that is on no block list: both sender and recipient are non-empty. */
export interface GreylistedRecipient {
  clientIp: string
  /** Local address of the accepted connection: what -M is compared with. */
  destinationIp: string
  helo: WireText
  from: WireText
  to: WireText
}

/** The greylister as the SMTP side sees it. */
export interface GreylistSink {
  /**
   * Takes one recipient. Resolves when the tuple is stored (so that a 451 is only sent for a tuple on
   * record), and never rejects: a failing store is logged and the attempt kept for a retry.
   */
  submit(recipient: GreylistedRecipient): Promise<void>
}
