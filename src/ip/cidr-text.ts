import type { IpRangeSet } from './ip-range-set.js'
import { Ipv4CidrWriter } from './ipv4-cidr-writer.js'
import { Ipv6CidrWriter } from './ipv6-cidr-writer.js'

/** Size of the pieces in which a large set is written: few system calls, and small compared with the set. */
const CHUNK_BYTES = 512 * 1024
/** The first piece is short, so that a writer has run once before its loop is compiled. */
const FIRST_CHUNK_BYTES = 2048

/** CIDR blocks as text, with how many there are. */
export interface CidrText {
  text: Uint8Array
  count: number
}

/** What the writers of both families do: fill one buffer after the other with whole blocks. */
interface CidrWriter {
  /** Writes as many blocks as fit, and returns the number of bytes written; 0 when none is left. */
  fill(target: Uint8Array): number
  /** Blocks written so far. */
  readonly count: number
  /** Space that is sufficient for `blocks` blocks. */
  bytesFor(blocks: number): number
}

/**
 * The fewest CIDR blocks that cover a set exactly, ascending, each followed by `separator` (one ASCII byte, a
 * line feed by default); empty text for no address. A prefix length of 0 is never written, because no reader
 * of our output accepts it: the whole address space is written as its two halves.
 */
export function formatCidrs(set: IpRangeSet, separator = '\n'): { ipv4: CidrText; ipv6: CidrText } {
  const blocks = countCidrs(set)
  const separatorByte = separator.charCodeAt(0)
  return {
    ipv4: writeAll(new Ipv4CidrWriter(set.ipv4, separatorByte), blocks.ipv4),
    ipv6: writeAll(new Ipv6CidrWriter(set.ipv6, separatorByte), blocks.ipv6),
  }
}

/**
 * The text of `formatCidrs`, IPv4 before IPv6, in pieces of up to half a megabyte that end after a separator.
 * A piece is overwritten by the next one: use it before asking for more.
 */
export function* cidrChunks(set: IpRangeSet, separator = '\n'): Generator<Uint8Array> {
  const separatorByte = separator.charCodeAt(0)
  const buffer = new Uint8Array(CHUNK_BYTES)
  for (const writer of [
    new Ipv4CidrWriter(set.ipv4, separatorByte),
    new Ipv6CidrWriter(set.ipv6, separatorByte),
  ]) {
    let lengthBytes = writer.fill(buffer.subarray(0, FIRST_CHUNK_BYTES))
    while (lengthBytes > 0) {
      yield buffer.subarray(0, lengthBytes)
      lengthBytes = writer.fill(buffer)
    }
  }
}

/** How many CIDR blocks `formatCidrs` writes for each family. */
export function countCidrs(set: IpRangeSet): { ipv4: number; ipv6: number } {
  return {
    ipv4: new Ipv4CidrWriter(set.ipv4, 0).countBlocks(),
    ipv6: new Ipv6CidrWriter(set.ipv6, 0).countBlocks(),
  }
}

function writeAll(writer: CidrWriter, blocks: number): CidrText {
  const buffer = new Uint8Array(writer.bytesFor(blocks))
  const lengthBytes = writer.fill(buffer)
  return { text: buffer.subarray(0, lengthBytes), count: writer.count }
}
