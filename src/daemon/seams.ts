/**
 * The interfaces between the parts of spamd: the SMTP side uses the greylister, the block lists and the
 * packet filter only through these, so that each can be tested with a substitute.
 */
import type { HostEntry, Tuple, WireText } from '../domain/entry.js'
import type { TupleAttempt } from '../domain/requests.js'
import type { Network } from '../ip/cidr.js'

/** What becomes of a network of clients that may pass together. */
export type PoolState = 'open' | 'closed'

/** A block list that holds a client. */
export interface BlockListMatch {
  listName: string
  /** Message text as stored by the config line (between its quotes, not yet expanded). */
  message: WireText
}

/** The block lists in memory, greytrap included. */
export interface BlockListLookup {
  /** All lists that contain the canonical address, in the order in which lists were first received. */
  match(ip: string): readonly BlockListMatch[]
  /** True when a list holds an address of the network. */
  overlaps(network: Network): boolean
}

/** One RCPT of a client that is on no block list: both sender and recipient are non-empty. */
export interface GreylistedRecipient {
  clientIp: string
  /** Local address of the accepted connection: what -M is compared with. */
  destinationIp: string
  helo: WireText
  from: WireText
  to: WireText
  /**
   * Everything after the colon of RCPT: a path may contain blanks, where `to` ends; undefined: `to` is all.
   */
  toArgument?: WireText
}

/** The greylister as the SMTP side sees it. */
export interface GreylistSink {
  /**
   * Takes one recipient. Resolves when the tuple is stored (so that a 451 is only sent for a tuple on
   * record), and never rejects: a failing store is logged and the attempt kept for a retry.
   */
  submit(recipient: GreylistedRecipient): Promise<void>
}

/** An attempt that is on record. */
export interface RecordedAttempt {
  attempt: TupleAttempt
  /** When it was made, seconds since the Epoch. */
  atSec: number
  /** A key of it was seen before, so that it could have passed. */
  isRepeated: boolean
}

/** DNS checks of greylisted clients, off the reply path; never fails and never waits. */
export interface SenderCheckSink {
  /** False while a list keeps the address waiting, or it is not known yet whether one does. */
  mayPromote(ip: string): boolean
  /** An attempt was recorded, and did not end in a trap. */
  noteRecorded(recorded: RecordedAttempt): void
  /** A tuple has waited, and only `mayPromote` keeps it from passing. */
  recheck(tuple: Tuple): void
}

/** Reports local events to the sync peers; never fails and never waits. */
export interface SyncAnnouncer {
  /** A local tuple was handled without a trap. `ip` is the client, also when tuples are keyed by network. */
  announceGrey(tuple: { ip: string; helo: WireText; from: WireText; to: WireText }): void
  /** What an address is now, as it is on record: `expire` in seconds since the Epoch, 0 if pinned; undefined: nothing. */
  announceHost(ip: string, entry: Pick<HostEntry, 'kind' | 'expire'> | undefined): void
}
