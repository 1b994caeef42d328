import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalIp } from '../../../src/ip/address.js'
import { bytesToIp, ipToBytes, parseCidr } from '../../../src/ip/cidr.js'
import { cidrChunks, countCidrs, formatCidrs } from '../../../src/ip/cidr-text.js'
import { IpRangeCollector, type IpRangeSet, subtractSet, unionOf } from '../../../src/ip/ip-range-set.js'
import { RangeTable } from '../../../src/ip/range-table.js'

/** A small universe of consecutive addresses, laid over an edge of the real one. */
interface Universe {
  name: string
  base: bigint
  bits: 32 | 128
}
const SIZE = 64
const universes: Universe[] = [
  { name: 'from 0.0.0.0', base: 0n, bits: 32 },
  { name: 'to 255.255.255.255', base: 2n ** 32n - BigInt(SIZE), bits: 32 },
  { name: 'across 128.0.0.0', base: 2n ** 31n - 21n, bits: 32 },
  { name: 'from ::', base: 0n, bits: 128 },
  { name: 'to all ones', base: 2n ** 128n - BigInt(SIZE), bits: 128 },
  { name: 'across a 32-bit word', base: (0x20010db8n << 96n) + (5n << 32n) - 30n, bits: 128 },
  { name: 'across a 64-bit half', base: (0x20010db9n << 96n) - 17n, bits: 128 },
]

function wordsOf(value: bigint): Uint32Array {
  return Uint32Array.from([96n, 64n, 32n, 0n], (shift) => Number((value >> shift) & 0xffffffffn))
}

function textOf(value: bigint, bits: 32 | 128): string {
  const bytes = new Uint8Array(bits / 8)
  for (let index = 0; index < bytes.length; index += 1) {
    bytes[index] = Number((value >> BigInt((bytes.length - 1 - index) * 8)) & 255n)
  }
  return bytesToIp(bytes)
}

function numberOf(text: string): bigint {
  return ipToBytes(text).reduce((value, byte) => value * 256n + BigInt(byte), 0n)
}

function setOf({ base, bits }: Universe, ranges: readonly (readonly [number, number])[]): IpRangeSet {
  const collector = new IpRangeCollector()
  for (const [low, high] of ranges) {
    const first = base + BigInt(low)
    const last = base + BigInt(high)
    if (bits === 128) collector.addIpv6Range(wordsOf(first), wordsOf(last))
    else if (first === last) collector.ipv4.addAddress(Number(first))
    else collector.ipv4.addRange(Number(first), Number(last))
  }
  return collector.takeSet()
}

/** The greedy split of each run of members into the largest aligned blocks, from the low end. */
function naiveCidrs(members: ReadonlySet<number>, { base, bits }: Universe): string[] {
  const cidrs: string[] = []
  for (let index = 0; index < SIZE; ) {
    if (!members.has(index)) {
      index += 1
      continue
    }
    let size = 1
    const isBlock = (width: number) =>
      (base + BigInt(index)) % BigInt(width) === 0n &&
      Array.from({ length: width }, (_, step) => index + step).every((item) => members.has(item))
    while (isBlock(size * 2)) size *= 2
    cidrs.push(`${textOf(base + BigInt(index), bits)}/${bits - Math.log2(size)}`)
    index += size
  }
  return cidrs
}

function naiveMembers(ranges: readonly (readonly [number, number])[]): Set<number> {
  const members = new Set<number>()
  for (const [low, high] of ranges) for (let item = low; item <= high; item += 1) members.add(item)
  return members
}

function linesOf(set: IpRangeSet): string[] {
  const { ipv4, ipv6 } = formatCidrs(set)
  const text = Buffer.concat([ipv4.text, ipv6.text]).toString('latin1')
  const lines = text.split('\n')
  expect(lines.pop()).toBe('')
  expect(lines.length).toBe(ipv4.count + ipv6.count)
  expect(countCidrs(set)).toEqual({ ipv4: ipv4.count, ipv6: ipv6.count })
  let chunkText = ''
  for (const chunk of cidrChunks(set)) chunkText += Buffer.from(chunk).toString('latin1')
  expect(chunkText).toBe(text)
  return lines
}

const range = fc
  .tuple(fc.nat(SIZE - 1), fc.oneof(fc.constant(0), fc.nat(SIZE - 1)))
  .map(([low, span]): [number, number] => [low, Math.min(SIZE - 1, low + span)])
const ranges = fc.array(range, { maxLength: 12 })

describe.each(universes)('a universe $name', (universe) => {
  test('black minus white is the minimal cover of the naive difference', () => {
    fc.assert(
      fc.property(ranges, ranges, (black, white) => {
        const naive = naiveMembers(black)
        for (const item of naiveMembers(white)) naive.delete(item)
        const set = subtractSet(setOf(universe, black), setOf(universe, white))
        expect(linesOf(set)).toEqual(naiveCidrs(naive, universe))
        const table = new RangeTable(set)
        for (let item = 0; item < SIZE; item += 1) {
          expect(table.has(textOf(universe.base + BigInt(item), universe.bits))).toBe(naive.has(item))
        }
      }),
      { numRuns: 60 },
    )
  })

  test('a union holds what any of its sets holds, in any order', () => {
    fc.assert(
      fc.property(fc.array(ranges, { maxLength: 5 }), (lists) => {
        const naive = naiveMembers(lists.flat())
        const sets = lists.map((list) => setOf(universe, list))
        expect(linesOf(unionOf(sets))).toEqual(naiveCidrs(naive, universe))
        expect(linesOf(unionOf(sets.toReversed()))).toEqual(naiveCidrs(naive, universe))
        expect(linesOf(setOf(universe, lists.flat().toReversed()))).toEqual(naiveCidrs(naive, universe))
      }),
      { numRuns: 40 },
    )
  })
})

describe('the whole address space', () => {
  test('is written as two halves, never as /0', () => {
    const collector = new IpRangeCollector()
    collector.ipv4.addRange(0, 0xffffffff)
    collector.addIpv6Prefix(wordsOf(0n), 0, 0)
    expect(linesOf(collector.takeSet())).toEqual(['0.0.0.0/1', '128.0.0.0/1', '::/1', '8000::/1'])
  })

  test('without its first and last address is the longest split there is', () => {
    const all = new IpRangeCollector()
    all.ipv4.addRange(0, 0xffffffff)
    all.addIpv6Prefix(wordsOf(0n), 0, 0)
    const ends = new IpRangeCollector()
    ends.ipv4.addAddress(0)
    ends.ipv4.addAddress(0xffffffff)
    ends.addIpv6Prefix(wordsOf(0n), 0, 128)
    ends.addIpv6Prefix(wordsOf(2n ** 128n - 1n), 0, 128)
    const lines = linesOf(subtractSet(all.takeSet(), ends.takeSet()))
    expect(lines.slice(0, 62)).toEqual([
      ...Array.from({ length: 31 }, (_, bit) => `${textOf(2n ** BigInt(bit), 32)}/${32 - bit}`),
      ...Array.from(
        { length: 31 },
        (_, bit) => `${textOf(2n ** 32n - 2n ** BigInt(31 - bit), 32)}/${bit + 2}`,
      ),
    ])
    expect(lines.length).toBe(62 + 254)
  })
})

test('IPv4-mapped addresses, prefixes and ranges become IPv4', () => {
  const collector = new IpRangeCollector()
  const mapped = (value: number) => wordsOf((0xffffn << 32n) + BigInt(value))
  collector.addIpv6Prefix(mapped(0x01020304), 0, 128)
  collector.addIpv6Prefix(mapped(0x0a0102ff), 0, 120)
  collector.addIpv6Range(mapped(0xc0000200), mapped(0xc0000203))
  expect(linesOf(collector.takeSet())).toEqual(['1.2.3.4/32', '10.1.2.0/24', '192.0.2.0/30'])
})

test('random sets of both families give the text that a slow path gives', () => {
  const ipv4 = fc.tuple(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 1, max: 32 }))
  const ipv6 = fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), fc.integer({ min: 1, max: 128 }))
  fc.assert(
    fc.property(fc.array(ipv4, { maxLength: 300 }), fc.array(ipv6, { maxLength: 300 }), (fours, sixes) => {
      const collector = new IpRangeCollector()
      for (const [address, prefixLength] of fours) {
        const span = 2 ** (32 - prefixLength)
        const first = Math.floor(address / span) * span
        collector.ipv4.addRange(first, first + span - 1)
      }
      for (const [value, prefixLength] of sixes) collector.addIpv6Prefix(wordsOf(value), 0, prefixLength)
      const set = collector.takeSet()
      const lines = linesOf(set)
      const blocks = lines.map((line) => {
        const parsed = parseCidr(line)!
        expect(parsed.hadHostBits).toBe(false)
        expect(canonicalIp(parsed.address)).toBe(parsed.address)
        const size = 2n ** BigInt(parsed.bytes.length * 8 - parsed.prefixLength)
        return {
          family: parsed.family,
          first: numberOf(parsed.address),
          last: numberOf(parsed.address) + size,
        }
      })
      for (const [left, right] of blocks.slice(1).map((block, index) => [blocks[index]!, block] as const)) {
        if (left.family === right.family) expect(left.last <= right.first).toBe(true)
        else expect(left.family).toBe(4)
      }
      const table = new RangeTable(set)
      for (const [value] of sixes) {
        const text = canonicalIp(textOf(value, 128))!
        expect(table.has(text)).toBe(true)
      }
      for (const [address] of fours) expect(table.has(textOf(BigInt(address), 32))).toBe(true)
    }),
    { numRuns: 40 },
  )
})

test('another separator serves the config port', () => {
  const collector = new IpRangeCollector()
  collector.ipv4.addRange(0x01020304, 0x01020309)
  const { ipv4, ipv6 } = formatCidrs(collector.takeSet(), ';')
  expect(Buffer.from(ipv4.text).toString()).toBe('1.2.3.4/30;1.2.3.8/31;')
  expect(ipv4.count).toBe(2)
  expect(ipv6).toEqual({ text: new Uint8Array(0), count: 0 })
})

/** Groups at the edges of what is shifted and masked: a bit more or less shows. */
const EDGE_GROUPS = [0, 0, 0, 1, 0x7fff, 0x8000, 0xffff]
test('IPv6 text of sets is that of single addresses, for groups at the edges of their bits', () => {
  const group = fc.constantFrom(...EDGE_GROUPS)
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const canonical = canonicalIp(groups.map((each) => each.toString(16)).join(':'))!
      // What is IPv4-mapped becomes IPv4.
      if (!canonical.includes(':')) return
      const collector = new IpRangeCollector()
      collector.addIpv6Prefix(wordsOf(numberOf(canonical)), 0, 128)
      expect(linesOf(collector.takeSet())).toEqual([`${canonical}/128`])
    }),
    { numRuns: 3000 },
  )
})
