/** Records of pflog(4) of each system, as src/codec/capture/pflog.ts reads them. */
import { PF_PASS, type PflogDirection, type PflogRecord } from '../../../src/codec/capture/pflog.js'

/** By number: PF_INOUT, PF_IN, PF_OUT, PF_FWD. */
const DIRECTIONS: readonly PflogDirection[] = ['both', 'in', 'out', 'forward']
const LONG_HEADER_LENGTH = 61
const OPENBSD_HEADER_LENGTH = 100
const SHORT_DIRECTION_OFFSET = 44
const LONG_DIRECTION_OFFSET = 60
const TRANSLATED_FAMILY_OFFSET = 62

/** How a header is written: its length byte, and its size with padding. */
export interface PflogLayout {
  length: number
  headerBytes: number
}

/** Layouts of the systems, by name. */
export const PFLOG_LAYOUTS = {
  openbsd: { length: 100, headerBytes: 100 },
  freebsd12: { length: 61, headerBytes: 64 },
  freebsd2021: { length: 68, headerBytes: 68 },
  freebsd14: { length: 69, headerBytes: 72 },
  old: { length: 45, headerBytes: 48 },
} as const satisfies Record<string, PflogLayout>

/** The fields that a writer chooses; the rest follows from the layout. */
export type PflogFields = Partial<Omit<PflogRecord, 'length' | 'packetOffset' | 'direction'>> & {
  direction: PflogDirection
}

/** A record in the given layout, followed by the packet. Names are truncated to 15 characters. */
export function encodePflog(fields: PflogFields, layout: PflogLayout, packet: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(layout.headerBytes + packet.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = layout.length
  bytes[1] = fields.af ?? 2
  bytes[2] = fields.action ?? PF_PASS
  bytes[3] = fields.reason ?? 0
  setText(bytes, 4, fields.ifname ?? 'em0')
  setText(bytes, 20, fields.ruleset ?? '')
  view.setUint32(36, fields.rulenr ?? 0)
  view.setUint32(40, fields.subrulenr ?? 0xffffffff)
  const directionNumber = DIRECTIONS.indexOf(fields.direction)
  bytes[layout.length >= LONG_HEADER_LENGTH ? LONG_DIRECTION_OFFSET : SHORT_DIRECTION_OFFSET] =
    directionNumber === -1 ? 255 : directionNumber
  if (layout.length >= OPENBSD_HEADER_LENGTH) bytes[TRANSLATED_FAMILY_OFFSET] = fields.af ?? 2
  bytes.set(packet, layout.headerBytes)
  return bytes
}

function setText(bytes: Uint8Array, offset: number, text: string): void {
  for (let index = 0; index < Math.min(text.length, 15); index += 1) {
    bytes[offset + index] = text.charCodeAt(index)
  }
}
