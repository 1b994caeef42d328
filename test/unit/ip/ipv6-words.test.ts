/** Every operation on four words against the same with one large integer; words of all bits or none are frequent. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  addBlockSize,
  clearHostBits,
  compareWords,
  copyWords,
  hasHostBits,
  isNextWords,
  largestIpv6Block,
  nextWords,
  previousWords,
  setHostBits,
} from '../../../src/ip/ipv6-words.js'

const TOP = 1n << 128n
const RUNS = { numRuns: 400 }
/** Where the address stands among others. */
const AT = 4

const word = fc.oneof(
  fc.constantFrom(0, 1, 0xffffffff, 0xfffffffe, 0x80000000),
  fc.nat({ max: 0xffffffff }).map((value) => value >>> 0),
)
const address = fc
  .tuple(word, word, word, word)
  .map((words) => words.reduce((sum, value) => (sum << 32n) | BigInt(value), 0n))
const prefixLength = fc.nat({ max: 128 })

/** The address between two others, which must stay as they are. */
function wordsOf(value: bigint): Uint32Array {
  const words = new Uint32Array(12).fill(7)
  for (let index = 0; index < 4; index += 1)
    words[AT + index] = Number((value >> BigInt(32 * (3 - index))) & 0xffffffffn)
  return words
}

function addressOf(words: Uint32Array): bigint {
  expect([...words.subarray(0, AT), ...words.subarray(AT + 4)]).toEqual(Array(8).fill(7))
  return words.subarray(AT, AT + 4).reduce((sum, value) => (sum << 32n) | BigInt(value), 0n)
}

const hostMask = (length: number) => (1n << BigInt(128 - length)) - 1n

test('addresses are compared and copied', () => {
  fc.assert(
    fc.property(address, address, (a, b) => {
      expect(compareWords(wordsOf(a), AT, wordsOf(b), AT)).toBe(a < b ? -1 : a > b ? 1 : 0)
      expect(compareWords(wordsOf(a), AT, wordsOf(a), AT)).toBe(0)
      const to = wordsOf(b)
      copyWords(wordsOf(a), AT, to, AT)
      expect(addressOf(to)).toBe(a)
    }),
    RUNS,
  )
})

test('the address after one, up to the last', () => {
  fc.assert(
    fc.property(address, (a) => {
      const to = wordsOf(5n)
      expect(nextWords(wordsOf(a), AT, to, AT)).toBe(a + 1n < TOP)
      expect(addressOf(to)).toBe((a + 1n) % TOP)
    }),
    RUNS,
  )
})

test.each([1n << 32n, 1n << 64n, 1n << 96n, 0x2001n << 112n])(
  'the address before %d, where every word borrows',
  (a) => {
    const to = wordsOf(5n)
    previousWords(wordsOf(a), AT, to, AT)
    expect(addressOf(to)).toBe(a - 1n)
  },
)

test('the address before one', () => {
  fc.assert(
    fc.property(
      address.filter((a) => a > 0n),
      (a) => {
        const to = wordsOf(5n)
        previousWords(wordsOf(a), AT, to, AT)
        expect(addressOf(to)).toBe(a - 1n)
      },
    ),
    RUNS,
  )
})

test('whether one is right after another', () => {
  fc.assert(
    fc.property(address, address, (a, b) => {
      expect(isNextWords(wordsOf(a), AT, wordsOf(b), AT)).toBe(b === a + 1n)
      // The address after the last is none.
      expect(isNextWords(wordsOf(a), AT, wordsOf((a + 1n) % TOP), AT)).toBe(a + 1n < TOP)
    }),
    RUNS,
  )
})

test('bits behind a prefix are cleared, set and found', () => {
  fc.assert(
    fc.property(address, prefixLength, (a, length) => {
      const words = wordsOf(a)
      expect(hasHostBits(words, AT, length)).toBe((a & hostMask(length)) !== 0n)
      setHostBits(words, AT, length)
      expect(addressOf(words)).toBe(a | hostMask(length))
      clearHostBits(words, AT, length)
      expect(addressOf(words)).toBe(a & ~hostMask(length))
      expect(hasHostBits(words, AT, length)).toBe(false)
    }),
    RUNS,
  )
})

test('a block is added, up to the end of all addresses', () => {
  fc.assert(
    fc.property(address, fc.integer({ min: 1, max: 128 }), (a, length) => {
      const words = wordsOf(a)
      const sum = a + (1n << BigInt(128 - length))
      expect(addBlockSize(words, AT, length)).toBe(sum < TOP)
      expect(addressOf(words)).toBe(sum % TOP)
    }),
    RUNS,
  )
  expect(addBlockSize(wordsOf(0n), AT, 0)).toBe(false)
})

test('the largest block from one address that does not go beyond another', () => {
  fc.assert(
    fc.property(address, prefixLength, fc.constantFrom(-1n, 0n, 1n), address, (a, length, more, b) => {
      const first = a & ~hostMask(length)
      for (const last of [first | hostMask(length), (first | hostMask(length)) + more, b]) {
        if (last < first || last >= TOP) continue
        let wanted = 128
        while (wanted > 0 && (first & hostMask(wanted - 1)) === 0n && (first | hostMask(wanted - 1)) <= last)
          wanted -= 1
        expect(largestIpv6Block(wordsOf(first), AT, wordsOf(last), AT)).toBe(wanted)
      }
    }),
    RUNS,
  )
})
