import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { LineSorter, orderOf, type SorterSizes } from '../../../../src/db/listing/line-sorter.js'
import { ScratchFile } from '../../../../src/db/listing/scratch-file.js'

interface Line {
  key: number
  text: string
}

/** Adds lines in pieces of several, with something between the lines that is not part of any. */
function sort(lines: readonly Line[], limit: number | undefined, sizes: SorterSizes, pieceLines = 3): string {
  const sorter = new LineSorter(limit, sizes)
  try {
    for (let at = 0; at < lines.length; at += pieceLines) {
      const piece = lines.slice(at, at + pieceLines)
      const bytes = Buffer.from(piece.map(({ text }) => `-${text}`).join(''), 'latin1')
      sorter.addBytes(bytes, piece.length)
      let left = bytes.length
      for (const { key, text } of piece) {
        left -= text.length + 1
        sorter.addLine(key, left, text.length)
      }
    }
    return [...sorter.sorted()].map((chunk) => Buffer.from(chunk).toString('latin1')).join('')
  } finally {
    sorter.close()
  }
}

function wanted(lines: readonly Line[], limit = lines.length): string {
  return lines
    .toSorted((one, other) => (one.key === other.key ? 0 : one.key < other.key ? -1 : 1))
    .slice(0, limit)
    .map(({ text }) => text)
    .join('')
}

const key = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -2, max: 3 }) },
  fc.integer({ min: 1_700_000_000, max: 1_700_003_600 }),
  fc.constant(Number.POSITIVE_INFINITY),
)
const farKey = fc.oneof(key, fc.constantFrom(2 ** 32 - 1, 2 ** 32, -(2 ** 33), Number.MAX_SAFE_INTEGER))
const texts = fc.string({ unit: fc.constantFrom('a', 'b', '\xe9', '\n'), minLength: 1, maxLength: 60 })
const sizes = fc.record({
  runBytes: fc.integer({ min: 1, max: 400 }),
  chunkBytes: fc.integer({ min: 1, max: 100 }),
  memoryBytes: fc.integer({ min: 0, max: 1000 }),
})

describe('lines in runs, put aside and merged, are those of one sort that keeps ties', () => {
  test.each([
    ['keys that are near each other', key],
    ['keys that 32 bits do not hold', farKey],
  ])('%s', (_, keys) => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ key: keys, text: texts }), { maxLength: 60 }),
        fc.option(fc.integer({ min: 0, max: 70 }), { nil: undefined }),
        sizes,
        (lines, limit, small) => {
          expect(sort(lines, limit, small)).toBe(wanted(lines, limit))
        },
      ),
      { numRuns: 100 },
    )
  })

  test('many lines in the usual sizes of chunks', () => {
    const lines = Array.from({ length: 12_000 }, (_, n) => ({ key: (n * 7919) % 997, text: `${n};` }))
    const small = { runBytes: 30_000, chunkBytes: 64 * 1024, memoryBytes: 20_000 }
    expect(sort(lines, undefined, small, 500)).toBe(wanted(lines))
    expect(sort(lines, 5000, { ...small, runBytes: 1 << 20 }, 2000)).toBe(wanted(lines, 5000))
  })

  test('the place of a key that is the highest of 32 bits is not that of a missing one', () => {
    const keys = Float64Array.of(Number.POSITIVE_INFINITY, 2 ** 32 - 1, 0, Number.POSITIVE_INFINITY, 0)
    expect([...orderOf(keys)]).toEqual([2, 4, 1, 0, 3])
    expect([...orderOf(keys.map((one) => (one === 2 ** 32 - 1 ? one - 1 : one)))]).toEqual([2, 4, 1, 0, 3])
  })
})

describe('what is put aside', () => {
  const folder = mkdtempSync(join(tmpdir(), 'scratch-file-'))
  afterEach(() => {
    vi.unstubAllEnvs()
  })

  test('is read again, also beyond memory, from a file that nobody else sees', () => {
    vi.stubEnv('SQLITE_TMPDIR', folder)
    const file = new ScratchFile(10)
    const positions = ['abc', 'defg', 'hijklm', 'n'].map((text) =>
      file.append([Buffer.from(text.slice(0, 1)), Buffer.from(text.slice(1))]),
    )
    expect(readdirSync(folder)).toEqual([])
    const read = (index: number, length: number): string => {
      const target = new Uint8Array(length)
      file.read(positions[index]!, target)
      return Buffer.from(target).toString()
    }
    expect([read(3, 1), read(0, 3), read(2, 6), read(1, 4)]).toEqual(['n', 'abc', 'hijklm', 'defg'])
    file.close()
    file.close()
    rmSync(folder, { recursive: true })
  })

  test('goes to the next folder when one cannot be written, and not to any while it fits into memory', () => {
    vi.stubEnv('SQLITE_TMPDIR', join(folder, 'missing'))
    const file = new ScratchFile(0)
    const target = new Uint8Array(2)
    file.read(file.append([Buffer.from('ab')]), target)
    expect(Buffer.from(target).toString()).toBe('ab')
    file.close()
  })
})
