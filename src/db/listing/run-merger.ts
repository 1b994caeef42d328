import type { ScratchFile } from './scratch-file.js'

/** Lines of a chunk, at most. */
export const CHUNK_LINES = 2048
const KEY_BYTES = Float64Array.BYTES_PER_ELEMENT
const END_BYTES = Uint32Array.BYTES_PER_ELEMENT

/** Where a chunk of a sorted run was put aside: the keys of its lines, where each ends, and the lines. */
interface Chunk {
  position: number
  lineCount: number
  byteCount: number
}

/** A sorted run of lines, put aside in chunks. */
export interface Run {
  chunks: Chunk[]
  /** Size of its largest chunk. */
  largestBytes: number
}

/** Puts a chunk aside, as the next of its run; `ends` counts from the start of the lines. */
export function storeChunk(
  file: ScratchFile,
  run: Run,
  { keys, ends, lines }: { keys: Float64Array; ends: Uint32Array; lines: Uint8Array },
): void {
  const lineCount = keys.length
  const parts = [bytesOf(keys), bytesOf(ends), lines]
  const byteCount = parts.reduce((sum, part) => sum + part.length, 0)
  run.chunks.push({ position: file.append(parts), lineCount, byteCount })
  run.largestBytes = Math.max(run.largestBytes, byteCount)
}

function bytesOf(numbers: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)
}

const NO_KEYS = new Float64Array(0)
const NO_ENDS = new Uint32Array(0)

/** How far a run was read: its present chunk, in memory. */
interface Cursor {
  chunks: readonly Chunk[]
  nextChunk: number
  /** Its place in the arena. */
  slot: number
  keys: Float64Array
  ends: Uint32Array
  lineCount: number
  line: number
  /** Where the lines of the chunk begin in the arena, and where the next one does. */
  linesStart: number
  lineStart: number
}

/** Merges sorted runs; of equal keys, those of earlier runs come first. */
export class RunMerger {
  readonly #file: ScratchFile
  readonly #cursors: readonly Cursor[]
  readonly #outBytes: number
  #left: number
  /** A chunk of each run, then the lines that are handed out: copying within one array is fastest. */
  readonly #arena: Uint8Array
  readonly #outStart: number
  /** The next key of each run. */
  readonly #heads: Float64Array
  /** Runs that have lines left, as a heap; the first one has the next line. */
  readonly #heap: number[] = []

  /** `outBytes`: bytes handed out at once, at least those of the longest line. */
  constructor(
    file: ScratchFile,
    runs: readonly Run[],
    { outBytes, limit }: { outBytes: number; limit: number },
  ) {
    this.#file = file
    this.#outBytes = outBytes
    this.#left = limit
    let slot = 0
    this.#cursors = runs.map(({ chunks, largestBytes }) => {
      const place = slot
      slot += Math.ceil(largestBytes / KEY_BYTES) * KEY_BYTES
      const nothing = { keys: NO_KEYS, ends: NO_ENDS, lineCount: 0, line: 0, linesStart: 0, lineStart: 0 }
      return { chunks, nextChunk: 0, slot: place, ...nothing }
    })
    this.#outStart = slot
    this.#arena = new Uint8Array(slot + outBytes)
    this.#heads = new Float64Array(runs.length)
    for (const [run, cursor] of this.#cursors.entries()) {
      if (!this.#load(cursor)) continue
      this.#heads[run] = cursor.keys[0]!
      this.#heap.push(run)
    }
    this.#heap.sort((one, other) => (this.#isBefore(one, other) ? -1 : 1))
  }

  /** The next lines; empty at the end. */
  next(): Uint8Array {
    const arena = this.#arena
    const heap = this.#heap
    let at = this.#outStart
    const limit = at + this.#outBytes
    while (heap.length > 0 && this.#left > 0) {
      const run = heap[0]!
      const cursor = this.#cursors[run]!
      const start = cursor.lineStart
      const end = cursor.linesStart + cursor.ends[cursor.line]!
      if (at + end - start > limit) break
      arena.copyWithin(at, start, end)
      at += end - start
      cursor.lineStart = end
      cursor.line += 1
      this.#left -= 1
      if (cursor.line < cursor.lineCount || this.#load(cursor)) {
        this.#heads[run] = cursor.keys[cursor.line]!
        this.#sink(run)
      } else {
        const last = heap.pop()!
        if (heap.length > 0) this.#sink(last)
      }
    }
    return arena.slice(this.#outStart, at)
  }

  /** Replaces the first run of the heap, and moves the new one to its place. */
  #sink(run: number): void {
    const heap = this.#heap
    const { length } = heap
    let hole = 0
    for (let child = 1; child < length; child = 2 * hole + 1) {
      if (child + 1 < length && this.#isBefore(heap[child + 1]!, heap[child]!)) child += 1
      if (!this.#isBefore(heap[child]!, run)) break
      heap[hole] = heap[child]!
      hole = child
    }
    heap[hole] = run
  }

  #isBefore(one: number, other: number): boolean {
    const left = this.#heads[one]!
    const right = this.#heads[other]!
    return left < right || (left === right && one < other)
  }

  /** Reads the next chunk of a run; false at its end. */
  #load(cursor: Cursor): boolean {
    const chunk = cursor.chunks[cursor.nextChunk]
    if (chunk === undefined) return false
    const { position, lineCount, byteCount } = chunk
    const { slot } = cursor
    this.#file.read(position, this.#arena.subarray(slot, slot + byteCount))
    cursor.keys = new Float64Array(this.#arena.buffer, slot, lineCount)
    cursor.ends = new Uint32Array(this.#arena.buffer, slot + lineCount * KEY_BYTES, lineCount)
    cursor.lineCount = lineCount
    cursor.line = 0
    cursor.linesStart = slot + lineCount * (KEY_BYTES + END_BYTES)
    cursor.lineStart = cursor.linesStart
    cursor.nextChunk += 1
    return true
  }
}
