import { isIPv4, isIPv6 } from 'node:net'
import {
  INBOUND_PREFIXES,
  OUTBOUND_PREFIXES,
  readSighting,
  type SightingRules,
} from '../../src/app/read-sighting.js'
import { CaptureFileReader } from '../../src/codec/capture/capture-file.js'
import type { CaptureRecord } from '../../src/codec/capture/capture-record.js'
import { decodeNflog } from '../../src/codec/capture/nflog.js'
import { decodePflog } from '../../src/codec/capture/pflog.js'
import { decodeTcpPacket } from '../../src/codec/capture/tcp-packet.js'
import { canonicalIp } from '../../src/ip/address.js'
import { demand } from './demand.js'

const HOST = { indexOf: () => 2, isOwnAddress: () => true }
const RULES: SightingRules = {
  ports: [25],
  direction: 'both',
  excludedNetworks: [],
  inboundGroups: [155],
  outboundGroups: [255],
  inboundPrefixes: INBOUND_PREFIXES,
  outboundPrefixes: OUTBOUND_PREFIXES,
}
/** One input must be dealt with in this time; they take microseconds. */
const MAX_INPUT_MS = 2_000

/** Decodes bytes as every kind of record and judges them; throws for whatever must hold for any bytes and does not. */
export function checkLogRecord(bytes: Uint8Array): void {
  const startMs = performance.now()
  for (const decoded of [
    decodePflog(bytes),
    decodeNflog(bytes, 'little'),
    decodeNflog(bytes, 'big'),
    decodeTcpPacket(bytes),
  ]) {
    const reached = decoded.ok ? decoded.bytesRead : decoded.offset
    // An offset may be where bytes are missing, never a place that was read.
    demand(reached >= 0 && (!decoded.ok || reached <= bytes.length), 'a decoder reads past the end')
  }
  for (const link of [
    { linkType: 117, byteOrder: 'little' },
    { linkType: 239, byteOrder: 'little' },
    { linkType: 239, byteOrder: 'big' },
  ] as const) {
    const verdict = readSighting(bytes, link, RULES, HOST)
    if (verdict.kind !== 'sighting') continue
    demand(isIPv4(verdict.ip) || isIPv6(verdict.ip), 'a sighting has no address')
    demand(canonicalIp(verdict.ip) === verdict.ip, 'an address is not canonical')
    demand(holdsAddress(bytes, verdict.ip), 'an address does not come from the bytes')
  }
  demand(performance.now() - startMs < MAX_INPUT_MS, 'an input takes too long')
}

/** Reads bytes as a capture file, whole and cut, and every record in it. */
export function checkCaptureFile(bytes: Uint8Array, cut: number): void {
  const at = bytes.length === 0 ? 0 : cut % bytes.length
  const whole = readFile([bytes])
  const inPieces = readFile([bytes.subarray(0, at), bytes.subarray(at)])
  demand(JSON.stringify(whole) === JSON.stringify(inPieces), 'a cut changes the result')
  // The smallest record is the header of an empty one.
  demand(whole.records.length <= bytes.length / 12, 'more records come out than fit in')
  const capturedBytes = whole.records.reduce((sum, record) => sum + record.hex.length / 2, 0)
  demand(capturedBytes <= bytes.length, 'more bytes come out than go in')
}

function readFile(chunks: readonly Uint8Array[]): {
  records: { hex: string; timeSec: number }[]
  damage: unknown
} {
  const reader = new CaptureFileReader()
  const records: { hex: string; timeSec: number }[] = []
  let damage: unknown
  for (const chunk of chunks) {
    reader.push(chunk)
    let item = reader.next()
    for (; item !== undefined && item.kind === 'record'; item = reader.next()) {
      records.push(describe(item))
      checkLogRecord(item.bytes)
    }
    damage ??= item
  }
  damage ??= reader.end()
  return { records, damage }
}

function describe(record: CaptureRecord): { hex: string; timeSec: number } {
  demand(record.timeSec >= 0 && record.timeSec <= 0xffffffff, 'a time is out of range')
  demand(Number.isInteger(record.timeSec), 'a time is no whole number')
  return { hex: Buffer.from(record.bytes).toString('hex'), timeSec: record.timeSec }
}

function holdsAddress(bytes: Uint8Array, ip: string): boolean {
  if (!isIPv4(ip)) return true
  return Buffer.from(bytes).includes(Buffer.from(ip.split('.').map(Number)))
}
