/** Against a look at every address of small networks, in the order of texts; test/unit/db has the same at random. */
import { describe, expect, test } from 'vitest'
import { isInNetwork, parseCidr } from '../../../src/ip/cidr.js'
import { textRangesOf } from '../../../src/ip/text-ranges.js'

const rangesOf = (network: string) => textRangesOf(parseCidr(network)!)
const pairsOf = (network: string) => rangesOf(network).ranges.map(({ low, high }) => [low, high])

describe('IPv4: nothing but the network', () => {
  test.each([
    ['10.0.0.0/8', [['10.', '10/']]],
    ['192.0.2.0/24', [['192.0.2.', '192.0.2/']]],
    ['192.0.2.7/32', [['192.0.2.7', '192.0.2.70']]],
    ['192.0.2.6/31', [['192.0.2.6', '192.0.2.60'], ['192.0.2.7', '192.0.2.70']]],
    ['192.0.2.8/31', [['192.0.2.8', '192.0.2.80'], ['192.0.2.9', '192.0.2.90']]],
    ['192.0.8.0/23', [['192.0.8.', '192.0.8/'], ['192.0.9.', '192.0.9/']]],
    ['10.98.0.0/15', [['10.98.', '10.98/'], ['10.99.', '10.99/']]],
  ])('%s', (network, ranges) => {
    expect(rangesOf(network).isExact).toBe(true)
    expect(pairsOf(network)).toEqual(ranges)
  }) // biome-ignore format: a line each

  test.each([1, 4, 7, 8, 9, 15, 16, 17, 23])('a /%i holds what is in it and nothing beside it', (length) => {
    const network = parseCidr(`64.128.0.0/${length}`)!
    const { ranges } = textRangesOf(network)
    for (let first = 0; first < 256; first += 1) {
      for (const second of [0, 1, 12, 127, 128, 129, 130, 255]) {
        for (const third of [0, 1, 2, 128]) {
          const text = `${first}.${second}.${third}.7`
          const isHeld = ranges.some(({ low, high }) => low <= text && text < high)
          if (isHeld !== isInNetwork(text, network)) expect.fail(`${text} and /${length}`)
        }
      }
    }
  })
})

describe('IPv6', () => {
  test.each([
    ['2001:db8:1:2::/64', true, [['2001:db8:1:2:', '2001:db8:1:2;']]],
    ['2001:db8::/32', true, [['2001:db8:', '2001:db8;']]],
    ['2001:db8::7/128', true, [['2001:db8::7', '2001:db8::70']]],
    // From the first group of zeros on, in both of its forms.
    ['2001:db8::/64', false, [['2001:db8:0:', '2001:db8:0;'], ['2001:db8::', '2001:db8:;']]],
    // A group that is split: its values with one digit, two, three, four.
    ['2001:db8::/36', false, [['2001:db8:0', '2001:db8:fg']]],
    ['2001:db8:10::/44', false, [['2001:db8:10', '2001:db8:1fg']]],
    ['2001:db8:f000::/36', false, [['2001:db8:f000', '2001:db8:ffffg']]],
    ['::/0', false, [['', 'g']]],
    ['0.0.0.0/0', false, [['', 'g']]],
  ] as [string, boolean, string[][]][])('%s', (network, isExact, ranges) => {
    expect(rangesOf(network).isExact).toBe(isExact)
    expect(pairsOf(network)).toEqual(ranges)
  }) // biome-ignore format: a line each

  test.each([33, 36, 40, 44, 45, 46, 47])('every group of a /%i is held', (length) => {
    const network = parseCidr(`2001:db8:1230::/${length}`)!
    const { ranges } = textRangesOf(network)
    const size = 2 ** (48 - length)
    const lowest = 0x1230 - (0x1230 % size)
    for (let group = lowest; group < lowest + size; group += Math.ceil(size / 500)) {
      for (const rest of ['1:2:3:4:5', ':', ':9']) {
        const text = parseCidr(`2001:db8:${group.toString(16)}:${rest}`)!.address
        const isHeld = ranges.some(({ low, high }) => low <= text && text < high)
        if (!isHeld) expect.fail(`${text} in /${length}`)
      }
    }
  })
})
