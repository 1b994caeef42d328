/** The first and the last address of every block, and those beside it. */
import { expect, test } from 'vitest'
import { isInsideAddress } from '../../../src/feeds/inside-address.js'

test.each([
  ['0.0.0.0', '0.255.255.255', undefined, '1.0.0.0'],
  ['10.0.0.0', '10.255.255.255', '9.255.255.255', '11.0.0.0'],
  ['100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
  ['127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
  ['169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
  ['172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
  ['192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
  ['224.0.0.0', '255.255.255.255', '223.255.255.255', undefined],
  ['::', '::1', undefined, '::2:0:0'],
  ['fc00::', 'fdff:ffff::ffff', 'fbff:ffff::ffff', undefined],
  ['fe80::', 'feff:ffff::ffff', 'fe7f:ffff::ffff', undefined],
  ['ff00::', 'ffff:ffff::ffff', undefined, undefined],
])('%s to %s', (first, last, before, after) => {
  expect([first, last].map(isInsideAddress)).toEqual([true, true])
  for (const outside of [before, after])
    if (outside !== undefined) expect(isInsideAddress(outside)).toBe(false)
})

test.each([
  [true, '::ffff:10.1.2.3'],
  [true, '::ffff:192.168.255.1'],
  [false, '::ffff:192.169.0.1'],
  [false, '::ffff:8.8.8.8'],
  [true, '::10.1.2.3'],
  [false, '::8.8.8.8'],
  [true, '64:ff9b::172.16.0.1'],
  [false, '64:ff9b::172.32.0.1'],
  [false, '64:ff9c::172.16.0.1'],
  [true, '2002:a9fe:101::'],
  [true, '2002:7f00:1::1:2:3'],
  [false, '2002:808:808::a00:1'],
  [false, '2003:a00:1::'],
  [true, 'fe80::1%eth0'],
  [false, 'lists.example'],
  [false, ''],
])('within IPv6, and what is no address: %s: %s', (isInside, address) => {
  expect(isInsideAddress(address)).toBe(isInside)
})
