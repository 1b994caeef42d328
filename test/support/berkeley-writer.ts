/**
 * Writes Berkeley DB 1.85 hash files as the library does (hash.h, hash_page.c, hash_bigkey.c), for any byte order and
 * bucket size, so that the reader is tested with more layouts than the genuine files have.
 */
export interface WriterOptions {
  bucketBytes: number
  littleEndian: boolean
  /** Number of buckets; records are distributed in turn. */
  bucketCount: number
}

export interface Pair {
  key: Buffer
  data: Buffer
}

/** Bytes reserved in every page: n, free space, free offset. Source: page.h. */
const META_WORDS = 3
const OVERFLOW_PAIR_BYTES = 4
/** Space that a part of a big pair leaves for its pair and an overflow link. Source: hash.h BIGOVERHEAD. */
const BIG_OVERHEAD_BYTES = 8
const MAX_OVERFLOW_PER_SPLIT = 2047

class Page {
  readonly bytes: Buffer
  private readonly littleEndian: boolean
  constructor(bucketBytes: number, littleEndian: boolean) {
    this.bytes = Buffer.alloc(bucketBytes)
    this.littleEndian = littleEndian
    this.setFree(bucketBytes)
  }
  get(index: number): number {
    return this.littleEndian ? this.bytes.readUInt16LE(index * 2) : this.bytes.readUInt16BE(index * 2)
  }
  set(index: number, value: number): void {
    if (this.littleEndian) this.bytes.writeUInt16LE(value & 0xffff, index * 2)
    else this.bytes.writeUInt16BE(value & 0xffff, index * 2)
  }
  get count(): number {
    return this.get(0)
  }
  get freeBytes(): number {
    return this.get(this.count + 1)
  }
  get offset(): number {
    return this.get(this.count + 2) || this.bytes.length
  }
  setFree(offset: number): void {
    this.set(this.count + 1, offset - (this.count + META_WORDS) * 2)
    this.set(this.count + 2, offset)
  }
  push(first: number, second: number, offset: number): void {
    const count = this.count
    this.set(count + 1, first)
    this.set(count + 2, second)
    this.set(0, count + 2)
    this.setFree(offset)
  }
  put(offset: number, bytes: Buffer): void {
    bytes.copy(this.bytes, offset)
  }
}

/**
 * The leading pairs that certainly fit: as in the library, a file has at most 2,047 overflow pages for each of its
 * split points.
 */
export function pairsThatFit(
  pairs: readonly Pair[],
  { bucketBytes, bucketCount }: WriterOptions,
): readonly Pair[] {
  // A page of a chain holds less than its size: its own words, a pair and a link need space.
  const roomBytes = bucketBytes - (META_WORDS * 2 + BIG_OVERHEAD_BYTES + OVERFLOW_PAIR_BYTES)
  let pagesLeft = MAX_OVERFLOW_PER_SPLIT * (splitCountOf(bucketCount) + 1)
  const end = pairs.findIndex(({ key, data }) => {
    pagesLeft -= Math.ceil(key.length / roomBytes) + Math.ceil(data.length / roomBytes) + 2
    return pagesLeft < 0
  })
  return end === -1 ? pairs : pairs.slice(0, end)
}

/** Splits after which a file has this number of buckets. */
function splitCountOf(bucketCount: number): number {
  return bucketCount === 1 ? 0 : 32 - Math.clz32(bucketCount - 1)
}

export function writeBerkeleyHash(pairs: readonly Pair[], options: WriterOptions): Buffer {
  const { bucketBytes, littleEndian, bucketCount } = options
  const splitCount = splitCountOf(bucketCount)
  const buckets = Array.from({ length: bucketCount }, () => new Page(bucketBytes, littleEndian))
  const overflow: Page[][] = Array.from({ length: splitCount + 1 }, () => [])
  let turn = 0
  /** A new overflow page, at the split points in turn so that all parts of the address are used. */
  const addOverflow = (page: Page): Page => {
    for (let tries = 0; tries <= splitCount; tries += 1) {
      turn = (turn + 1) % (splitCount + 1)
      const pages = overflow[turn]!
      if (pages.length >= MAX_OVERFLOW_PER_SPLIT) continue
      const added = new Page(bucketBytes, littleEndian)
      pages.push(added)
      page.push((turn << 11) | pages.length, 0, page.offset)
      return added
    }
    throw new Error('too many overflow pages')
  }
  for (const [index, pair] of pairs.entries()) {
    let page = buckets[index % bucketCount]!
    for (;;) {
      const isBigPart = page.count > 0 && page.get(2) > 0 && page.get(2) < 4
      const isLinked = page.count > 0 && page.get(page.count) === 0
      const isBigLinked = isBigPart && page.count > 2
      if (!isLinked && !isBigLinked) break
      const address = page.get(page.count - 1)
      page = overflow[address >> 11]![(address & 2047) - 1]!
    }
    const pairBytes = pair.key.length + pair.data.length + 4
    const isBigPart = page.count > 0 && page.get(2) < 4
    if (isBigPart || page.freeBytes < pairBytes + OVERFLOW_PAIR_BYTES) page = addOverflow(page)
    if (page.freeBytes >= pairBytes + OVERFLOW_PAIR_BYTES) {
      const keyOffset = page.offset - pair.key.length
      const dataOffset = keyOffset - pair.data.length
      page.put(keyOffset, pair.key)
      page.put(dataOffset, pair.data)
      page.push(keyOffset, dataOffset, dataOffset)
    } else {
      insertBig(page, pair, addOverflow)
    }
  }
  return assemble(buckets, overflow, pairs.length, options)
}

/** Source: hash_bigkey.c, __big_insert. */
function insertBig(firstPage: Page, pair: Pair, addOverflow: (page: Page) => Page): void {
  let page = firstPage
  let key = pair.key
  let data = pair.data
  while (key.length > 0) {
    const moved = Math.min(page.freeBytes - BIG_OVERHEAD_BYTES, key.length)
    const offset = page.offset - moved
    page.put(offset, key.subarray(0, moved))
    key = key.subarray(moved)
    page.push(offset, 1, offset)
    const next = addOverflow(page)
    if (key.length === 0) {
      const space = page.freeBytes
      const part = Math.min(space, data.length)
      if (space > 0 && !(space === data.length && data.length === pair.data.length)) {
        const dataOffset = offset - part
        page.put(dataOffset, data.subarray(0, part))
        data = data.subarray(part)
        const count = page.count
        page.set(count, dataOffset)
        page.set(count - 2, 3)
        page.set(count + 1, space - part)
        page.set(count + 2, dataOffset)
      } else page.set(page.count - 2, 2)
    }
    page = next
  }
  while (data.length > 0) {
    let moved = Math.min(page.freeBytes - BIG_OVERHEAD_BYTES, data.length)
    if (moved === data.length && data.length === pair.data.length) moved -= 1
    const offset = page.offset - moved
    page.put(offset, data.subarray(0, moved))
    data = data.subarray(moved)
    page.push(offset, data.length > 0 ? 2 : 3, offset)
    if (data.length > 0) page = addOverflow(page)
  }
}

function assemble(
  buckets: readonly Page[],
  overflow: readonly (readonly Page[])[],
  keyCount: number,
  { bucketBytes, littleEndian }: WriterOptions,
): Buffer {
  const headerPages = Math.ceil(260 / bucketBytes)
  const spares: number[] = []
  let total = 0
  for (let split = 0; split < 32; split += 1) {
    total += overflow[split]?.length ?? 0
    spares.push(total)
  }
  const header = Buffer.alloc(headerPages * bucketBytes)
  const words = [
    0x061561,
    2,
    littleEndian ? 1234 : 4321,
    bucketBytes,
    Math.log2(bucketBytes),
    256,
    256,
    8,
    overflow.length - 1,
    0,
    buckets.length - 1,
    0,
    0,
    8,
    keyCount,
    headerPages,
    0,
    ...spares,
  ]
  for (const [index, word] of words.entries()) header.writeUInt32BE(word, index * 4)
  const pages: Buffer[] = [header]
  // Overflow pages of split point s follow bucket 2^s - 1; a file ends after its last page.
  for (let bucket = 0; bucket < 2 ** (overflow.length - 1); bucket += 1) {
    pages.push(buckets[bucket]?.bytes ?? Buffer.alloc(bucketBytes))
    const split = Math.log2(bucket + 1)
    if (Number.isInteger(split)) for (const page of overflow[split] ?? []) pages.push(page.bytes)
  }
  return Buffer.concat(pages)
}
