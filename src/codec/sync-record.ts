/**
 * Records of version 3 of the synchronisation protocol: everything that a gateway knows about one key, with its
 * stamps. The same bytes travel in datagrams (sync-state-message.ts) and over ssh (pull-stream.ts). All numbers are
 * big-endian; docs/protocol/sync.md has the table.
 */
import { canonicalIp } from '../ip/address.js'
import { formatCidr, parseCidr } from '../ip/cidr.js'

/** See `Stamp` of domain/stamp.ts; times in milliseconds since the Epoch. */
export interface WireStamp {
  time: number
  counter: number
  node: number
}

/** Registers of an address; times in seconds since the Epoch. */
export interface WireHost {
  kind: 'host'
  ip: string
  registers: {
    reset?: WireStamp | undefined
    white?: { grant: WireStamp; stamp: WireStamp; first: number; pass: number; expire: number } | undefined
    trap?: { stamp: WireStamp; first: number; expire: number } | undefined
    hand?:
      | {
          stamp: WireStamp
          pinned: boolean
          kind: 'WHITE' | 'TRAPPED'
          expire?: number | undefined
          comment?: string | undefined
        }
      | undefined
    bcount: number
    pcount: number
  }
}

/** Sightings of a tuple, or its deletion by hand (`first` undefined). Texts hold one character per byte. */
export interface WireTuple {
  kind: 'tuple'
  tuple: { ip: string; helo: string; from: string; to: string }
  state:
    | {
        epoch?: WireStamp | undefined
        first: { time: number; node: number }
        last: { time: number; node: number }
        expire: number
        count: number
      }
    | { epoch: WireStamp; first?: undefined }
}

/** A spamtrap, or its deletion (`entry` undefined). */
export interface WireSpamtrap {
  kind: 'spamtrap'
  address: string
  stamp: WireStamp
  entry: { kind: 'SPAMTRAP'; address: string; first: number; comment?: string } | undefined
}

/** A network that a pool of senders opened, or its closing. Times in seconds since the Epoch. */
export interface WirePool {
  kind: 'pool'
  network: string
  reset: WireStamp | undefined
  entry:
    | {
        kind: 'POOL'
        ip: string
        pool: string
        first: number
        pass: number
        expire: number
        bcount: number
        pcount: number
      }
    | undefined
}

/** A release: mail that an administrator lets through. */
export interface WireRelease {
  kind: 'release'
  id: string
  stamp: WireStamp
  entry: {
    kind: 'RELEASE'
    id: string
    from?: string | undefined
    to?: string | undefined
    network?: string | undefined
    scope: 'address' | 'pool'
    first: number
    expire: number
    used: number
    author?: string | undefined
  }
}

export type SyncRecord = WireHost | WireTuple | WireSpamtrap | WirePool | WireRelease

/** Why records are refused. */
export type RecordRefusal = 'entry length' | 'address' | 'string'

/** Bytes of type, flags and length. */
export const HEAD_BYTES = 4

/** First byte of a record. */
export const RECORD_TYPE = { host: 1, tuple: 2, spamtrap: 3, pool: 4, release: 5 } as const
/** Flags: which registers an address has, and its family. */
export const HOST_FLAG = { ipv6: 1, reset: 2, white: 4, trap: 8, hand: 16 } as const
/** Flags of an administrator's decision about an address. */
export const HAND_FLAG = { pinned: 1, trapped: 2, expire: 4, comment: 8 } as const
/** Flags of a tuple. */
export const TUPLE_FLAG = { epoch: 1, deleted: 2 } as const
/** Flags of a spamtrap. */
export const SPAMTRAP_FLAG = { there: 1, comment: 2 } as const
/** Flags of the network of a pool. */
export const POOL_FLAG = { closed: 1, open: 2 } as const
/** Flags: which terms a release has. */
export const RELEASE_FLAG = { from: 1, to: 2, network: 4, author: 8, forPool: 16 } as const

/** Maximum length of a text: MAX_MAIL of grey.h without its NUL; comments have the same limit. */
export const MAX_TEXT_BYTES = 1023
/** Maximum length of the key of a tuple: an address, a network, or the name of a pool in a domain. */
export const MAX_KEY_BYTES = 300
export const MAX_TIME = 2 ** 48 - 1
export const MAX_U32 = 2 ** 32 - 1
/** Maximum length of a record: a tuple with three texts of maximum length; all others are shorter. */
export const MAX_RECORD_BYTES = HEAD_BYTES + 4 * 2 + MAX_KEY_BYTES + 3 * MAX_TEXT_BYTES + 12 + 2 * 10 + 6 + 4

/** The key of a pool: a name in lower case, optionally followed by a domain. */
const POOL_KEY = /^[a-z]+(?::[a-z0-9._-]+)?$/
/** The name of a release: letters, digits, `_` and `-`. */
const RELEASE_ID = /^[A-Za-z0-9_-]{1,64}$/
const TEXT = /^[^\u0000-\u001f\u007f\u0100-\uffff]*$/
const COMMENT = /^[^\u0000-\u001f\u007f-\u009f]*$/

/** True for an address, a network or the name of a pool. */
export function isTupleKey(key: string): boolean {
  if (key.length > MAX_KEY_BYTES) return false
  return canonicalIp(key) === key || isNetworkText(key) || POOL_KEY.test(key)
}

/** True for a network in its canonical form. */
export function isNetworkText(text: string): boolean {
  const network = parseCidr(text)
  return network !== undefined && formatCidr(network) === text
}

/** True for the name of a release. */
export function isReleaseId(id: string): boolean {
  return RELEASE_ID.test(id)
}

/** True for text without control characters, one character per byte. */
export function isWireText(text: string, maxBytes = MAX_TEXT_BYTES): boolean {
  return text.length <= maxBytes && TEXT.test(text)
}

/** True for a comment that peers accept. */
export function isWireComment(comment: string | undefined): boolean {
  return comment === undefined || (Buffer.byteLength(comment) <= MAX_TEXT_BYTES && COMMENT.test(comment))
}

/** False for a record that peers would refuse, together with everything in the same message. */
export function isSoundRecord(record: SyncRecord): boolean {
  switch (record.kind) {
    case 'host':
      return isWireComment(record.registers.hand?.comment)
    case 'tuple':
      return isSoundTuple(record.tuple)
    case 'spamtrap':
      return record.address !== '' && isWireText(record.address) && isWireComment(record.entry?.comment)
    case 'pool':
      return isNetworkText(record.network) && (record.entry === undefined || isTupleKey(record.entry.pool))
    case 'release':
      return isReleaseId(record.id) && isSoundRelease(record.entry)
  }
}

/** A tuple has a client, a sender and a recipient; its HELO may be empty. */
function isSoundTuple({ ip, helo, from, to }: WireTuple['tuple']): boolean {
  return from !== '' && to !== '' && isTupleKey(ip) && [helo, from, to].every((text) => isWireText(text))
}

/** A release has a sender or a recipient; its network, if any, must be in canonical form. */
function isSoundRelease({ from, to, network, author }: WireRelease['entry']): boolean {
  if (from === undefined && to === undefined) return false
  if (network !== undefined && !isNetworkText(network)) return false
  return [from, to].every((text) => isWireText(text ?? '')) && isWireComment(author)
}
