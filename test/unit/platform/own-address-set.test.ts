import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { OwnAddressSet } from '../../../src/platform/own-address-set.js'
import { ManualClock } from '../../support/manual-clock.js'

test('knows the addresses of this host, in canonical form and without zones', () => {
  const set = new OwnAddressSet(new ManualClock(), () => ['192.0.2.1', '2001:db8:0:0::1', 'fe80::1%eth0'])
  expect(['192.0.2.1', '2001:db8::1', 'fe80::1'].map((address) => set.has(address))).toEqual([
    true,
    true,
    true,
  ])
  expect(set.has('192.0.2.2')).toBe(false)
})

test('an address that comes later is found within ten seconds; strangers do not make it ask more often', () => {
  const clock = new ManualClock()
  let addresses = ['192.0.2.1']
  let asked = 0
  const set = new OwnAddressSet(clock, () => {
    asked += 1
    return addresses
  })
  expect(set.has('192.0.2.7')).toBe(false)
  addresses = ['192.0.2.7']
  clock.ms = 9_999
  expect(set.has('192.0.2.7')).toBe(false)
  expect(asked).toBe(1)
  clock.ms = 10_000
  expect(set.has('192.0.2.7')).toBe(true)
  // It is gone from the interface.
  expect(set.has('192.0.2.1')).toBe(false)
  expect(asked).toBe(2)
})

test('asks the system', () => {
  const [first] = Object.values(networkInterfaces()).flat()
  const set = new OwnAddressSet(new ManualClock())
  if (first !== undefined) expect(set.has(first.address.replace(/%.*$/, ''))).toBe(true)
  expect(set.has('192.0.2.254')).toBe(false)
})
