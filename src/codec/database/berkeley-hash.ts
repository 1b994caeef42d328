/**
 * Reads the hash files of Berkeley DB 1.85, the format of OpenBSD's /var/db/spamd: every key and datum,
 * whatever the byte order and bucket size, on overflow pages and as big pairs that span pages.
 *
 * Layout. Header (260 bytes, always big-endian): magic 0x061561, version, lorder (byte order of the pages), bsize,
 * bshift, dsize, ssize, sshift, ovfl_point, last_freed, max_bucket, high_mask, low_mask, ffactor, nkeys, hdrpages,
 * h_charkey, spares[32] (32 bits each), bitmaps[32] (16 bits each). Page: 16-bit words in the order `lorder`: n, then
 * n words in pairs, then free space and free offset; keys and data grow down from the end of the page. A pair (k, d)
 * with d >= 4: key at offset k up to the previous pair's d (page end for the first), datum from d to k. d = 0: k is
 * the address of the next page of the chain. d = 1, 2, 3: the page is part of a big pair: its key continues (1), its
 * key ends here and the datum starts on the next page (2), or a key or a datum ends here (3). Source: hash.h, page.h,
 * hash_page.c and hash_bigkey.c of 4.4BSD and OpenBSD (lib/libc/db/hash).
 */

/** Random access to the file: `length` bytes at `offset`, fewer at its end. */
export interface ByteSource {
  sizeBytes: number
  read(offset: number, length: number): Uint8Array
}

export type HashFileItem =
  /** `offset` is that of the page on which the pair starts. */
  | { type: 'record'; offset: number; key: Uint8Array; data: Uint8Array; littleEndian: boolean }
  /** Unreadable data; the reader continues with the next chain. `offset` is in bytes of the file. */
  | { type: 'damage'; offset: number; reason: string }

const BERKELEY_HASH_MAGIC = 0x061561
const HEADER_BYTES = 260
const LITTLE_ENDIAN_ORDER = 1234
const BIG_ENDIAN_ORDER = 4321
const SPARES_COUNT = 32
/** Smallest bucket size that holds a page with one overflow link, and the largest that 16-bit offsets can address. */
const MIN_BUCKET_BYTES = 16
const MAX_BUCKET_BYTES = 65_536
/**
 * A key and datum of spamd stay below 4 KiB; more is damage. The limit bounds the memory that is used.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_PAIR_BYTES = 1_048_576
/** Bits of an overflow address that count pages; the rest is the split point. Source: hash.h SPLITSHIFT. */
const SPLIT_SHIFT = 11

const OVERFLOW_PAGE = 0
const PARTIAL_KEY = 1
const FULL_KEY = 2
const FULL_KEY_DATA = 3
const REAL_KEY = 4

/** True when the first bytes are those of a Berkeley DB 1.85 hash file. */
export function isBerkeleyHash(start: Uint8Array): boolean {
  return start.length >= 4 && viewOf(start).getUint32(0) === BERKELEY_HASH_MAGIC
}

/**
 * All records of a hash file in file order, with each damage at its position. Never throws, whatever the content, and
 * reads each page at most once, so work and memory are bounded by the size of the file.
 */
export function* readBerkeleyHash(source: ByteSource): Generator<HashFileItem> {
  const header = decodeHeader(source)
  if (typeof header === 'string') {
    yield { type: 'damage', offset: 0, reason: header }
    return
  }
  const reader = new PageReader(source, header)
  let recordCount = 0
  let isShort = false
  for (let bucket = 0; bucket <= header.maxBucket; bucket += 1) {
    const pageNumber = pageOfBucket(header, bucket)
    // The library does not write buckets that stayed empty: a file may end before its last bucket.
    isShort = pageNumber >= reader.pageCount
    if (isShort) break
    for (const item of readChain(reader, header, pageNumber)) {
      if (item.type === 'record') recordCount += 1
      yield item
    }
  }
  // The count is checked only for a file that ends early: deleting big pairs makes the library's own count wrong.
  if (isShort && recordCount < header.keyCount) {
    yield {
      type: 'damage',
      offset: 0,
      reason: `the header counts ${header.keyCount} records, ${recordCount} were readable`,
    }
  }
}

interface HashHeader {
  littleEndian: boolean
  bucketBytes: number
  maxBucket: number
  keyCount: number
  headerPages: number
  spares: number[]
}

function decodeHeader(source: ByteSource): HashHeader | string {
  const bytes = source.read(0, HEADER_BYTES)
  if (bytes.length < HEADER_BYTES) return `header of ${bytes.length} bytes instead of ${HEADER_BYTES}`
  const view = viewOf(bytes)
  const word = (index: number): number => view.getUint32(index * 4)
  if (word(0) !== BERKELEY_HASH_MAGIC) return 'not a Berkeley DB 1.85 hash file'
  if (word(1) !== 1 && word(1) !== 2) return `unknown version ${word(1)}`
  const order = word(2)
  if (order !== LITTLE_ENDIAN_ORDER && order !== BIG_ENDIAN_ORDER) return `unknown byte order ${order}`
  const bucketBytes = word(3)
  const isPowerOfTwo = (bucketBytes & (bucketBytes - 1)) === 0
  if (!isPowerOfTwo || bucketBytes < MIN_BUCKET_BYTES || bucketBytes > MAX_BUCKET_BYTES) {
    return `impossible bucket size ${bucketBytes}`
  }
  return {
    littleEndian: order === LITTLE_ENDIAN_ORDER,
    bucketBytes,
    maxBucket: word(10),
    keyCount: word(14),
    headerPages: word(15),
    spares: Array.from({ length: SPARES_COUNT }, (_, index) => word(17 + index)),
  }
}

/** Number of the page that starts a bucket. Source: hash.h BUCKET_TO_PAGE. */
function pageOfBucket(header: HashHeader, bucket: number): number {
  const before = bucket === 0 ? 0 : (header.spares[ceilLog2(bucket + 1) - 1] ?? 0)
  return bucket + header.headerPages + before
}

/** Number of the page at an overflow address. Source: hash.h OADDR_TO_PAGE. */
function pageOfAddress(header: HashHeader, address: number): number {
  const lastBucket = 2 ** (address >>> SPLIT_SHIFT) - 1
  return pageOfBucket(header, lastBucket) + (address & ((1 << SPLIT_SHIFT) - 1))
}

function ceilLog2(value: number): number {
  return value <= 1 ? 0 : 32 - Math.clz32(value - 1)
}

/** The words of a page; it is checked that `words[0]` pairs lie within the page. */
interface HashPage {
  offset: number
  bytes: Uint8Array
  count: number
  /** Word `index`; word 0 is the count. */
  word(index: number): number
}

class PageReader {
  readonly pageCount: number
  readonly #source: ByteSource
  readonly #header: HashHeader
  readonly #visited: Uint8Array

  constructor(source: ByteSource, header: HashHeader) {
    this.#source = source
    this.#header = header
    this.pageCount = Math.ceil(source.sizeBytes / header.bucketBytes)
    this.#visited = new Uint8Array(this.pageCount)
  }

  /** The page, or why it cannot be read. A page may be visited once: a second visit means a loop or a conflict. */
  read(pageNumber: number): HashPage | { offset: number; reason: string } {
    const { bucketBytes, littleEndian } = this.#header
    const offset = pageNumber * bucketBytes
    if (pageNumber >= this.pageCount) return { offset, reason: 'link to a page beyond the end of the file' }
    if (this.#visited[pageNumber] === 1) return { offset, reason: 'page is linked twice' }
    this.#visited[pageNumber] = 1
    const bytes = this.#source.read(offset, bucketBytes)
    if (bytes.length < bucketBytes) return { offset, reason: `page truncated after ${bytes.length} bytes` }
    const view = viewOf(bytes)
    const count = view.getUint16(0, littleEndian)
    if (count % 2 !== 0 || (count + 3) * 2 > bucketBytes) {
      return { offset, reason: `impossible number of words ${count}` }
    }
    return { offset, bytes, count, word: (index) => view.getUint16(index * 2, littleEndian) }
  }
}

/** The records of one bucket: its first page and the overflow pages linked from it. */
function* readChain(reader: PageReader, header: HashHeader, firstPage: number): Generator<HashFileItem> {
  let next: number | undefined = firstPage
  while (next !== undefined) {
    const page = reader.read(next)
    if ('reason' in page) {
      yield { type: 'damage', ...page }
      return
    }
    if (page.count > 0 && page.word(2) > OVERFLOW_PAGE && page.word(2) < REAL_KEY) {
      const pair = readBigPair(reader, header, page)
      if ('reason' in pair) {
        yield { type: 'damage', ...pair }
        return
      }
      const { littleEndian } = header
      yield { type: 'record', offset: page.offset, key: pair.key, data: pair.data, littleEndian }
      next = pair.nextPage
      continue
    }
    next = undefined
    let end = header.bucketBytes
    for (let index = 1; index < page.count; index += 2) {
      const keyOffset = page.word(index)
      const dataOffset = page.word(index + 1)
      if (dataOffset === OVERFLOW_PAGE) {
        next = pageOfAddress(header, keyOffset)
        break
      }
      if (dataOffset > keyOffset || keyOffset > end || dataOffset < (page.count + 1) * 2) {
        const reason = `impossible offsets ${keyOffset} and ${dataOffset}`
        yield { type: 'damage', offset: page.offset + index * 2, reason }
        // The link to the next page is the last pair: the pages that it leads to may still be intact.
        if (page.word(page.count) === OVERFLOW_PAGE) next = pageOfAddress(header, page.word(page.count - 1))
        break
      }
      yield {
        type: 'record',
        offset: page.offset,
        key: page.bytes.subarray(keyOffset, end),
        data: page.bytes.subarray(dataOffset, keyOffset),
        littleEndian: header.littleEndian,
      }
      end = dataOffset
    }
  }
}

interface BigPair {
  key: Uint8Array
  data: Uint8Array
  nextPage: number | undefined
}

/** A pair that spans pages, from its first page on. Source: hash_bigkey.c __big_return, collect_key, collect_data. */
// eslint-disable-next-line complexity -- one state machine over the pages of a pair
function readBigPair(
  reader: PageReader,
  header: HashHeader,
  firstPage: HashPage,
): BigPair | { offset: number; reason: string } {
  const keyParts: Uint8Array[] = []
  const dataParts: Uint8Array[] = []
  let totalBytes = 0
  let isKeyDone = false
  let page = firstPage
  for (;;) {
    const mark = page.word(2)
    const start = page.word(1)
    const isLast = mark === FULL_KEY_DATA
    if ((mark !== PARTIAL_KEY && mark !== FULL_KEY && !isLast) || start > header.bucketBytes) {
      return { offset: page.offset, reason: `impossible part of a big pair (mark ${mark}, offset ${start})` }
    }
    const part = page.bytes.subarray(start, header.bucketBytes)
    totalBytes += part.length
    if (totalBytes > MAX_PAIR_BYTES) {
      return { offset: firstPage.offset, reason: `pair of more than ${MAX_PAIR_BYTES} bytes` }
    }
    const link = page.count > 2 ? pageOfAddress(header, page.word(page.count - 1)) : undefined
    if (isKeyDone) {
      dataParts.push(part)
      if (isLast) return { key: joinParts(keyParts), data: joinParts(dataParts), nextPage: link }
    } else {
      keyParts.push(part)
      if (isLast) {
        const dataOffset = page.word(page.count)
        if (page.count < 4 || dataOffset > start) {
          return { offset: page.offset, reason: `impossible offset ${dataOffset} of a datum` }
        }
        const data = page.bytes.subarray(dataOffset, start)
        totalBytes += data.length
        dataParts.push(data)
        const hasFreeSpace = page.word(page.count + 1) > 0
        if (hasFreeSpace) return { key: joinParts(keyParts), data: joinParts(dataParts), nextPage: link }
      }
      isKeyDone = mark !== PARTIAL_KEY
    }
    if (link === undefined) return { offset: page.offset, reason: 'a big pair is incomplete' }
    const following = reader.read(link)
    if ('reason' in following) return following
    if (following.count < 2) return { offset: following.offset, reason: 'a big pair is incomplete' }
    page = following
  }
}

function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
