/**
 * The records of OpenBSD's /var/db/spamd: key text and one struct, in the byte order of the host that wrote it.
 *
 *   32 bytes: int64 first, int64 pass, int64 expire, int32 bcount, int32 pcount
 *   20 bytes: int32 first, int32 pass, int32 expire, int32 bcount, int32 pcount (obsolete)
 *
 * Source: struct gdata of grey.h of spamd, in both forms.
 */
import { canonicalPaddedIp } from '../../ip/padded-address.js'
import type { EntryLine } from './spamdb-text.js'

const RECORD_BYTES = 32
const OLD_RECORD_BYTES = 20
/** `pcount` of the kinds other than WHITE. */
const PCOUNT_TRAPPED = -1
const PCOUNT_SPAMTRAP = -2

/** Key and data as stored; `littleEndian`: the byte order of the machine that wrote them. */
interface RawRecord {
  key: Uint8Array
  data: Uint8Array
  littleEndian: boolean
}

export type DecodedRecord = { ok: true; entry: EntryLine } | { ok: false; reason: string }

/**
 * One record as an entry: canonical IP addresses, wire text as latin-1, spamtraps as stored, times limited to +-(2^53
 * - 1).
 */
export function decodeBerkeleyRecord({ key, data, littleEndian }: RawRecord): DecodedRecord {
  const counts = decodeCounts(data, littleEndian)
  if (counts === undefined) return bad(`a record of ${data.length} bytes instead of 32 or 20`)
  const [ip = '', ...parts] = latin1Of(key).split('\n')
  if (parts.length > 0) {
    if (parts.length === 1) return bad('a grey key without sender and recipient')
    const hasHelo = parts.length > 2
    const address = canonicalPaddedIp(ip)
    if (address === undefined) return bad('a grey key that does not begin with an ip address')
    return {
      ok: true,
      entry: {
        kind: 'GREY',
        ip: address,
        helo: hasHelo ? parts[0]! : '',
        from: parts[hasHelo ? 1 : 0]!,
        to: parts.slice(hasHelo ? 2 : 1).join('\n'),
        ...counts,
      },
    }
  }
  if (counts.pcount === PCOUNT_SPAMTRAP) {
    if (!ip.includes('@')) return bad('a spamtrap that is not an e-mail address')
    return { ok: true, entry: { kind: 'SPAMTRAP', address: ip, first: counts.first } }
  }
  const address = canonicalPaddedIp(ip)
  if (address === undefined) return bad('a key that is not an ip address')
  const kind = counts.pcount === PCOUNT_TRAPPED ? 'TRAPPED' : 'WHITE'
  return { ok: true, entry: { kind, ip: address, ...counts } }
}

interface Counts {
  first: number
  pass: number
  expire: number
  bcount: number
  pcount: number
}

function decodeCounts(data: Uint8Array, littleEndian: boolean): Counts | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  if (data.length === RECORD_BYTES) {
    return {
      first: toSafeNumber(view.getBigInt64(0, littleEndian)),
      pass: toSafeNumber(view.getBigInt64(8, littleEndian)),
      expire: toSafeNumber(view.getBigInt64(16, littleEndian)),
      bcount: view.getInt32(24, littleEndian),
      pcount: view.getInt32(28, littleEndian),
    }
  }
  if (data.length !== OLD_RECORD_BYTES) return undefined
  return {
    first: view.getInt32(0, littleEndian),
    pass: view.getInt32(4, littleEndian),
    expire: view.getInt32(8, littleEndian),
    bcount: view.getInt32(12, littleEndian),
    pcount: view.getInt32(16, littleEndian),
  }
}

function toSafeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER
  return Number(value)
}

/** One character for one byte. */
function latin1Of(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

function bad(reason: string): DecodedRecord {
  return { ok: false, reason }
}
