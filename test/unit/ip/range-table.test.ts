/** Whether a set of ranges holds an address of a network, beside a look at every address. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatCidr, isInNetwork, networkOf, parseCidr } from '../../../src/ip/cidr.js'
import { RangeTable } from '../../../src/ip/range-table.js'
import { setOfCidrs } from '../../../src/ip/special-use.js'

test.each([
  { name: 'IPv4', address: (n: number) => `192.0.2.${n}`, bits: 32 },
  { name: 'IPv6', address: (n: number) => `2001:db8:0:${n === 0 ? '0' : '1'}::${n.toString(16)}`, bits: 128 },
])('$name: overlaps() agrees with has() of each address', ({ address, bits }) => {
  const network = fc
    .tuple(fc.nat({ max: 63 }), fc.integer({ min: bits - 6, max: bits }))
    .map(([n, length]) => formatCidr(networkOf(address(n), length)))
  fc.assert(
    fc.property(fc.array(network, { maxLength: 6 }), network, (held, asked) => {
      const table = new RangeTable(setOfCidrs(held))
      const parsed = parseCidr(asked)!
      const heldNetworks = held.map((text) => parseCidr(text)!)
      const isHeld = Array.from({ length: 64 }, (_, n) => address(n)).some(
        (ip) => isInNetwork(ip, parsed) && table.has(ip),
      )
      // An address that is none of the sixty-four may be held too: networks that hold one another tell.
      const isNested = heldNetworks.some(
        (one) => isInNetwork(one.address, parsed) || isInNetwork(parsed.address, one),
      )
      expect(table.overlaps(parsed)).toBe(isHeld || isNested)
    }),
  )
})

test('ends of the address space, and the other family', () => {
  const table = new RangeTable(
    setOfCidrs(['255.255.255.255/32', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128']),
  )
  const overlaps = (text: string): boolean => table.overlaps(parseCidr(text)!)
  expect(['0.0.0.0/0', '255.255.255.0/24', '::/0', 'ffff::/16'].map(overlaps)).toEqual([
    true,
    true,
    true,
    true,
  ])
  expect(['0.0.0.0/1', '255.255.254.0/24', '::/1', '2001:db8::/32'].map(overlaps)).toEqual([
    false,
    false,
    false,
    false,
  ])
  expect(new RangeTable(setOfCidrs([])).overlaps(parseCidr('::/0')!)).toBe(false)
})
