import { expect, test } from 'vitest'
import { canonicalPaddedIp } from '../../../src/ip/padded-address.js'

test.each([
  ['10.1.1.1', '10.1.1.1'],
  ['010.1.1.1', '10.1.1.1'],
  ['001.002.003.004', '1.2.3.4'],
  ['000.0.00.0', '0.0.0.0'],
  ['0000000255.1.1.1', '255.1.1.1'],
  ['::ffff:192.000.002.001', '192.0.2.1'],
  ['2001:DB8:0::1', '2001:db8::1'],
  ['::0001.2.3.4', '::102:304'],
])('%s is %s', (text, canonical) => {
  expect(canonicalPaddedIp(text)).toBe(canonical)
})

test.each([
  '',
  '10.1',
  '0256.1.1.1',
  '1.2.3.4/32',
  '1.2.3.4.',
  '0x7f.1.1.1',
  ' 1.2.3.4',
  '1.2.3.4\n',
  '1..2.3',
  // Behind colons the first number is read as hexadecimal digits first, at most four.
  '::00001.2.3.4',
])('%j is no address', (text) => {
  expect(canonicalPaddedIp(text)).toBeUndefined()
})
