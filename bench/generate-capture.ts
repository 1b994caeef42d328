/**
 * Writes a pflog capture as OpenBSD would: the same for the same seed. spamlogd ignores half of the records (other
 * ports, blocked, not TCP, replies); the rest come from `addresses` different peers, one in ten IPv6.
 *
 * As a program: `npx tsx bench/generate-capture.ts FILE [RECORDS [ADDRESSES [SEED]]]`.
 */

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { pathToFileURL } from 'node:url'
import { LINK_TYPE_PFLOG } from '../src/codec/capture/pflog.js'
import { TCP_ACK, TCP_SYN, type TcpPacket } from '../src/codec/capture/tcp-packet.js'
import { encodePcapFileHeader, encodePcapRecord } from '../test/support/capture/encode-pcap-file.js'
import { encodePflog, PFLOG_LAYOUTS } from '../test/support/capture/encode-pflog.js'
import { encodeTcpPacket } from '../test/support/capture/encode-tcp-packet.js'

export interface CaptureShape {
  records: number
  addresses: number
  seed: number
}

const START_SEC = 1_700_000_000
const BATCH_RECORDS = 5_000
const HOST4 = Uint8Array.of(198, 51, 100, 25)
const HOST6 = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x25)

export async function generateCapture(path: string, shape: CaptureShape): Promise<void> {
  const random = makeRandom(shape.seed)
  const file = createWriteStream(path)
  file.write(encodePcapFileHeader({ linkType: LINK_TYPE_PFLOG }))
  for (let made = 0; made < shape.records; made += BATCH_RECORDS) {
    const batch: Uint8Array[] = []
    for (let index = made; index < Math.min(made + BATCH_RECORDS, shape.records); index += 1) {
      batch.push(
        encodePcapRecord(
          makeRecord(random, index % 2 === 0, peerOf(index, shape.addresses)),
          START_SEC + Math.floor(index / 300),
        ),
      )
    }
    if (!file.write(Buffer.concat(batch))) await once(file, 'drain')
  }
  file.end()
  await finished(file)
}

/** All peers come equally often, in no order. */
function peerOf(index: number, addresses: number): number {
  return (Math.floor(index / 2) * 7_919) % addresses
}

function makeRecord(random: (below: number) => number, isOurs: boolean, peer: number): Uint8Array {
  const isIpv6 = peer % 10 === 0
  const packet: TcpPacket = {
    family: isIpv6 ? 6 : 4,
    source: isIpv6 ? ipv6Peer(peer) : ipv4Peer(peer),
    destination: isIpv6 ? HOST6 : HOST4,
    sourcePort: 1024 + random(60_000),
    destinationPort: 25,
    flags: TCP_SYN,
  }
  let action = 0
  if (!isOurs) {
    const kind = random(4)
    if (kind === 0) packet.destinationPort = 443
    else if (kind === 1) packet.flags = TCP_SYN | TCP_ACK
    else if (kind === 2) packet.flags = TCP_ACK
    else action = 1
  }
  const fields = { af: isIpv6 ? 24 : 2, action, direction: 'in' as const, ifname: 'em0' }
  return encodePflog(fields, PFLOG_LAYOUTS.openbsd, encodeTcpPacket(packet))
}

/** Addresses spread over the address space, like those of real peers: a bijection of the number. */
function ipv4Peer(peer: number): Uint8Array {
  const value = Math.imul(peer + 1, 2_654_435_761) >>> 0
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
}

function ipv6Peer(peer: number): Uint8Array {
  const value = Math.imul(peer + 1, 2_654_435_761) >>> 0
  return Uint8Array.of(
    0x2a,
    value >>> 24,
    (value >>> 16) & 255,
    (value >>> 8) & 255,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    value & 255,
    1,
  )
}

function makeRandom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [path = '', records = '1000000', addresses = '200000', seed = '1'] = process.argv.slice(2)
  await generateCapture(path, { records: Number(records), addresses: Number(addresses), seed: Number(seed) })
}
