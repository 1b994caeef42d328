/**
 * Sorts lines by a number in bounded memory: runs of lines, each sorted in typed arrays and put aside in chunks, which are
 * then merged. SQLite's own sorter takes two to three times as long, since every row passes singly through it and then
 * through a temporary table.
 */
import { CHUNK_LINES, type Run, RunMerger, storeChunk } from './run-merger.js'
import { ScratchFile } from './scratch-file.js'

/** Sizes; tests use small ones. */
export interface SorterSizes {
  /** Bytes of lines that are sorted at once. */
  runBytes: number
  /** Bytes of lines, about, that are put aside at once. */
  chunkBytes: number
  /** Bytes that are put aside without a file. */
  memoryBytes: number
}

/** A run should fit into the processor's cache, since its lines are read at random. */
const USUAL_SIZES: SorterSizes = {
  runBytes: 4 * 1024 * 1024,
  chunkBytes: 64 * 1024,
  memoryBytes: 16 * 1024 * 1024,
}
/** Bytes of lines, about, that are handed out at once. */
const OUT_BYTES = 256 * 1024
/** Lines of a run. */
const RUN_LINES = 1 << 17
/** Place of a line without a key, after all others. */
const LAST = 0xff_ff_ff_ff
/** Which half of 64 bits comes first in memory: 0 for the lower one. */
const LOW_HALF = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1

/** Lines in the order of their keys; equal keys keep the order in which they were added. */
export class LineSorter {
  readonly #sizes: SorterSizes
  readonly #limit: number
  readonly #file: ScratchFile
  /** The bytes of this run, then a chunk of sorted lines: copying within one array is fastest. */
  #arena = new Uint8Array(0)
  #usedBytes = 0
  #longestLine = 0
  #count = 0
  readonly #keys = new Float64Array(RUN_LINES)
  readonly #starts = new Uint32Array(RUN_LINES)
  readonly #ends = new Uint32Array(RUN_LINES)
  readonly #runs: Run[] = []

  /** `limit`: how many lines are wanted. */
  constructor(limit: number | undefined, sizes: SorterSizes = USUAL_SIZES) {
    this.#limit = limit ?? Number.POSITIVE_INFINITY
    this.#sizes = sizes
    this.#file = new ScratchFile(sizes.memoryBytes)
  }

  /** Adds bytes in which `addLine` then marks `lineCount` lines, at most RUN_LINES. */
  addBytes(bytes: Uint8Array, lineCount: number): void {
    const isFull =
      this.#usedBytes + bytes.length > this.#sizes.runBytes || this.#count + lineCount > RUN_LINES
    if (isFull) this.#endRun()
    this.#reserve(this.#usedBytes + bytes.length)
    this.#arena.set(bytes, this.#usedBytes)
    this.#usedBytes += bytes.length
  }

  /**
   * A line that ends `fromEnd` bytes before the end of the bytes added last; `key` is an integer, or Infinity for a line
   * after all others.
   */
  addLine(key: number, fromEnd: number, length: number): void {
    const end = this.#usedBytes - fromEnd
    this.#keys[this.#count] = key
    this.#starts[this.#count] = end - length
    this.#ends[this.#count] = end
    this.#count += 1
    if (length > this.#longestLine) this.#longestLine = length
  }

  /** All lines in order, in chunks, which belong to the caller. Nothing can be added any more. */
  *sorted(): Generator<Uint8Array> {
    this.#endRun()
    this.#arena = new Uint8Array(0)
    const outBytes = Math.max(OUT_BYTES, this.#longestLine)
    const merger = new RunMerger(this.#file, this.#runs, { outBytes, limit: this.#limit })
    for (let lines = merger.next(); lines.length > 0; lines = merger.next()) yield lines
  }

  close(): void {
    this.#file.close()
  }

  #reserve(byteCount: number): void {
    if (byteCount <= this.#arena.length) return
    const { runBytes, chunkBytes } = this.#sizes
    const arena = new Uint8Array(Math.max(byteCount, runBytes + chunkBytes))
    arena.set(this.#arena.subarray(0, this.#usedBytes))
    this.#arena = arena
  }

  #endRun(): void {
    if (this.#count === 0) return
    const chunkStart = this.#usedBytes
    const chunkEnd = chunkStart + Math.max(this.#sizes.chunkBytes, this.#longestLine)
    this.#reserve(chunkEnd)
    const arena = this.#arena
    const order = orderOf(this.#keys.subarray(0, this.#count))
    const run: Run = { chunks: [], largestBytes: 0 }
    const keys = new Float64Array(CHUNK_LINES)
    const ends = new Uint32Array(CHUNK_LINES)
    let at = chunkStart
    let lineCount = 0
    const store = (): void =>
      storeChunk(this.#file, run, {
        keys: keys.subarray(0, lineCount),
        ends: ends.subarray(0, lineCount),
        lines: arena.subarray(chunkStart, at),
      })
    const wantedCount = Math.min(this.#count, this.#limit)
    for (let index = 0; index < wantedCount; index += 1) {
      const place = order[index]!
      const start = this.#starts[place]!
      const end = this.#ends[place]!
      if (at + end - start > chunkEnd || lineCount === CHUNK_LINES) {
        store()
        at = chunkStart
        lineCount = 0
      }
      arena.copyWithin(at, start, end)
      at += end - start
      keys[lineCount] = this.#keys[place]!
      ends[lineCount] = at - chunkStart
      lineCount += 1
    }
    if (lineCount > 0) store()
    this.#runs.push(run)
    this.#count = 0
    this.#usedBytes = 0
  }
}

/**
 * The places of keys (integers or Infinity) in ascending order, equal ones as they are.
 * @internal A test sorts numbers that no listing has.
 */
export function orderOf(keys: Float64Array): Uint32Array {
  const { length } = keys
  const order = new Uint32Array(length)
  let lowest = Number.POSITIVE_INFINITY
  let highest = Number.NEGATIVE_INFINITY
  for (let index = 0; index < length; index += 1) {
    const key = keys[index]!
    order[index] = index
    if (key === Number.POSITIVE_INFINITY) continue
    if (key < lowest) lowest = key
    if (key > highest) highest = key
  }
  if (highest - lowest >= LAST) {
    return order.sort((one, other) =>
      keys[one]! < keys[other]! ? -1 : keys[one]! > keys[other]! ? 1 : one - other,
    )
  }
  // Key and place as one number of 64 bits are sorted without a comparison in JavaScript.
  const pairs = new BigUint64Array(length)
  const halves = new Uint32Array(pairs.buffer)
  for (let index = 0; index < length; index += 1) {
    const key = keys[index]!
    halves[2 * index + LOW_HALF] = index
    halves[2 * index + 1 - LOW_HALF] = key === Number.POSITIVE_INFINITY ? LAST : key - lowest
  }
  pairs.sort()
  for (let index = 0; index < length; index += 1) order[index] = halves[2 * index + LOW_HALF]!
  return order
}
