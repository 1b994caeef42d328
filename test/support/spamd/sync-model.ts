/**
 * Predicts what a receiver does with a datagram, by sync.md with its column "Do": one bad entry refuses the whole
 * message, strings are strict, an exact repeat is ignored. Written independently of src, to check it.
 */
import { createHash, createHmac } from 'node:crypto'

export interface ModelSyncEntry {
  type: 'GREY' | 'WHITE' | 'TRAPPED' | 'DELETE-WHITE' | 'DELETE-TRAPPED'
  timestamp: number
  ip: string
  expire: number
  from: string
  to: string
  helo: string
}

export interface ModelSyncResult {
  /** Length that -d shows; undefined if the message is refused before that. */
  shownBytes: number | undefined
  /** What -d shows on standard output. */
  invalidType: number | undefined
  isRepeat: boolean
  /** Seconds by which the clocks differ, if that is too much. */
  skewSec: number | undefined
  entries: ModelSyncEntry[] | undefined
}

const NOTHING: ModelSyncResult = {
  shownBytes: undefined,
  invalidType: undefined,
  isRepeat: false,
  skewSec: undefined,
  entries: undefined,
}
/** Default of --sync-max-skew. */
const MAX_SKEW_SEC = 3600

export class SyncModel {
  readonly #key: string
  readonly #seen = new Set<string>()

  /** `keyFile`: content of the key file, undefined for none. */
  constructor(keyFile: string | undefined) {
    this.#key = keyFile === undefined ? '' : createHash('sha1').update(keyFile, 'latin1').digest('hex')
  }

  receive(datagram: Buffer, nowSec: number): ModelSyncResult {
    if (datagram.length < 32 || datagram[0] !== 2 || datagram[1] !== 2) return NOTHING
    const total = datagram.readUInt16BE(2)
    if (total < 32 || total > datagram.length || datagram.length > 1408) return NOTHING
    const copy = Buffer.from(datagram.subarray(0, total))
    copy.fill(0, 8, 28)
    const mac = createHmac('sha1', this.#key).update(copy).digest('hex')
    if (mac !== datagram.toString('hex', 8, 28)) return NOTHING
    const parsed = parseEntries(datagram.subarray(32, total))
    const shown = { ...NOTHING, shownBytes: total }
    if (typeof parsed === 'number') return { ...shown, invalidType: parsed }
    if (parsed === undefined) return shown
    const skewSec = parsed
      .map(({ timestamp }) => timestamp - nowSec)
      .find((seconds) => Math.abs(seconds) > MAX_SKEW_SEC)
    if (skewSec !== undefined) return { ...shown, skewSec, entries: [] }
    const isRepeat = this.#seen.has(mac)
    this.#seen.add(mac)
    return { ...shown, isRepeat, entries: parsed }
  }
}

/** The entries, undefined for a malformed one, a number for an unknown type. */
function parseEntries(given: Buffer): ModelSyncEntry[] | number | undefined {
  const entries: ModelSyncEntry[] = []
  let rest = given
  while (rest.length > 0) {
    if (rest.length < 4) return undefined
    const type = rest.readUInt16BE(0)
    const length = rest.readUInt16BE(2)
    if (length < 4 || length > rest.length) return undefined
    const body = rest.subarray(0, length)
    rest = rest.subarray(length)
    if (type === 0) return length === 4 ? entries : undefined
    if (type > 5) return type
    const entry = type === 1 ? parseGrey(body) : parseAddress(type, body)
    if (entry === undefined) return undefined
    entries.push(entry)
  }
  return entries
}

/** Types 2 to 5; the last two are greyd's. */
const ADDRESS_TYPES = ['WHITE', 'TRAPPED', 'DELETE-WHITE', 'DELETE-TRAPPED'] as const

function parseAddress(type: number, body: Buffer): ModelSyncEntry | undefined {
  if (body.length !== 16) return undefined
  return {
    type: ADDRESS_TYPES[type - 2]!,
    timestamp: body.readUInt32BE(4),
    expire: body.readUInt32BE(8),
    ip: [...body.subarray(12)].join('.'),
    from: '',
    to: '',
    helo: '',
  }
}

function parseGrey(body: Buffer): ModelSyncEntry | undefined {
  if (body.length < 18) return undefined
  const lengths = [12, 14, 16].map((at) => body.readUInt16BE(at))
  const used = 18 + lengths.reduce((sum, length) => sum + length, 0)
  if (used > body.length || body.length - used > 15) return undefined
  let at = 18
  const texts = lengths.map((length) => {
    const text = body.toString('latin1', at, at + length)
    at += length
    return text
  })
  if (texts.some((text) => !/^[^\0-\x1f\x7f]{0,1023}\0$/.test(text))) return undefined
  const [from = '', to = '', helo = ''] = texts.map((text) => text.slice(0, -1))
  if (from === '' || to === '') return undefined
  const timestamp = body.readUInt32BE(4)
  return { type: 'GREY', timestamp, ip: [...body.subarray(8, 12)].join('.'), expire: 0, from, to, helo }
}

/** The message of one event as the original sends it. */
export function modelMessage(
  keyFile: string | undefined,
  counter: number,
  timestamp: number,
  event: { ip: string; trapExpire: number } | { ip: string; from: string; to: string; helo: string },
): Buffer {
  const key = keyFile === undefined ? '' : createHash('sha1').update(keyFile, 'latin1').digest('hex')
  const ip = Buffer.from(event.ip.split('.').map(Number))
  const u32 = (value: number): Buffer => Buffer.from((value >>> 0).toString(16).padStart(8, '0'), 'hex')
  const u16 = (value: number): Buffer => u32(value).subarray(2)
  let entry: Buffer
  if ('trapExpire' in event) {
    entry = Buffer.concat([u16(3), u16(16), u32(timestamp), u32(event.trapExpire), ip])
  } else {
    const texts = [event.from, event.to, event.helo].map((text) => Buffer.from(`${text}\0`, 'latin1'))
    const used = 18 + texts.reduce((sum, text) => sum + text.length, 0)
    const length = Math.ceil(used / 16) * 16
    entry = Buffer.concat([
      u16(1),
      u16(length),
      u32(timestamp),
      ip,
      ...texts.map((text) => u16(text.length)),
      ...texts,
      Buffer.alloc(length - used),
    ])
  }
  const total = 32 + entry.length + 4
  const message = Buffer.concat([
    Buffer.from([2, 2]),
    u16(total),
    u32(counter),
    Buffer.alloc(24),
    entry,
    Buffer.from('00000004', 'hex'),
  ])
  createHmac('sha1', key).update(message).digest().copy(message, 8)
  return message
}
