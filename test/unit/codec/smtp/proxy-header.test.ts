import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeProxyHeader,
  MAX_PROXY_V1_BYTES,
  MAX_PROXY_V2_REST_BYTES,
} from '../../../../src/codec/smtp/proxy-header.js'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const text = (line: string): Buffer => Buffer.from(line, 'latin1')
const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(''), 'hex')
const endpoints = (sourceIp: string, destinationIp: string) => ({
  sourceIp,
  destinationIp,
  sourcePort: 56324,
  destinationPort: 25,
})

/** Example of section 2.1 of the protocol's text, with documentation addresses. */
const V1 = 'PROXY TCP4 192.0.2.1 192.0.2.9 56324 25\r\n'
const V2_INET = hex(SIGNATURE, '21', '11', '000c', 'c0000201', 'c0000209', 'dc04', '0019')
const V2_INET6 = hex(
  SIGNATURE,
  '21',
  '21',
  '0027',
  '20010db8000000000000000000000001',
  '20010db8000000000000000000000009',
  'dc04',
  '0019',
  '040000',
)

describe('complete headers', () => {
  const cases: { name: string; bytes: Buffer; want: unknown }[] = [
    { name: 'version 1, IPv4', bytes: text(V1), want: endpoints('192.0.2.1', '192.0.2.9') },
    {
      name: 'version 1, IPv6',
      bytes: text('PROXY TCP6 2001:DB8::1 2001:db8:0::9 56324 25\r\n'),
      want: endpoints('2001:db8::1', '2001:db8::9'),
    },
    { name: 'version 2, IPv4', bytes: V2_INET, want: endpoints('192.0.2.1', '192.0.2.9') },
    { name: 'version 2, IPv6, with a TLV', bytes: V2_INET6, want: endpoints('2001:db8::1', '2001:db8::9') },
    { name: 'version 2, LOCAL', bytes: hex(SIGNATURE, '20', '00', '0000'), want: undefined },
    { name: 'version 1, UNKNOWN', bytes: text('PROXY UNKNOWN\r\n'), want: undefined },
    {
      name: 'version 1, UNKNOWN with addresses, which are to be ignored',
      bytes: text('PROXY UNKNOWN 2001:db8::1 2001:db8::9 65535 65535\r\n'),
      want: undefined,
    },
    { name: 'version 2, no address family', bytes: hex(SIGNATURE, '21', '00', '0000'), want: undefined },
    {
      name: 'version 2, IPv4-mapped IPv6 folds to IPv4',
      bytes: hex(
        SIGNATURE,
        '21',
        '21',
        '0024',
        `${'0'.repeat(20)}ffffc0000201`,
        `${'0'.repeat(20)}ffffc0000209`,
        'dc040019',
      ),
      want: endpoints('192.0.2.1', '192.0.2.9'),
    },
  ]
  test.each(cases)('$name', ({ bytes, want }) => {
    expect(decodeProxyHeader(bytes)).toEqual({ status: 'done', endpoints: want, bytesRead: bytes.length })
    const behind = Buffer.concat([bytes, text('EHLO x\r\n')])
    expect(decodeProxyHeader(behind)).toEqual({ status: 'done', endpoints: want, bytesRead: bytes.length })
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeProxyHeader(bytes.subarray(0, length))).toEqual({ status: 'more' })
    }
  })
})

describe('bad headers', () => {
  const cases: [string, Buffer][] = [
    ['no PROXY header', text('EHLO x\r\n')],
    ['malformed PROXY line', text('PROXY UDP4 192.0.2.1 192.0.2.9 1 2\r\n')],
    ['malformed PROXY line', text('PROXY TCP4 192.0.2.1 192.0.2.9 1\r\n')],
    ['malformed PROXY line', text('PROXY TCP4  192.0.2.1 192.0.2.9 1 2\r\n')],
    ['bad address in PROXY line', text('PROXY TCP4 192.0.2.01 192.0.2.9 1 2\r\n')],
    ['bad address in PROXY line', text('PROXY TCP4 2001:db8::1 192.0.2.9 1 2\r\n')],
    ['bad address in PROXY line', text('PROXY TCP6 192.0.2.1 192.0.2.9 1 2\r\n')],
    ['bad address in PROXY line', text('PROXY TCP4 192.0.2.1 192.0.2.9 65536 2\r\n')],
    ['bad address in PROXY line', text('PROXY TCP4 192.0.2.1 192.0.2.9 01 2\r\n')],
    ['bad address in PROXY line', text('PROXY TCP6 fe80::1%em0 2001:db8::9 1 2\r\n')],
    ['PROXY line without CR', text('PROXY TCP4 192.0.2.1 192.0.2.9 1 2\n')],
    ['PROXY line too long', text(`PROXY TCP4 ${'1'.repeat(MAX_PROXY_V1_BYTES)}`)],
    ['bad PROXY version', hex(SIGNATURE, '31', '11', '000c')],
    ['bad PROXY version', hex(SIGNATURE, '22', '11', '000c')],
    ['unsupported PROXY address family', hex(SIGNATURE, '21', '31', '0000')],
    ['unsupported PROXY address family', hex(SIGNATURE, '21', '11', '0004', 'c0000201')],
    [
      'PROXY header too long',
      hex(SIGNATURE, '21', '11', (MAX_PROXY_V2_REST_BYTES + 1).toString(16).padStart(4, '0')),
    ],
  ]
  test.each(cases)('%s: %s', (reason, bytes) => {
    expect(decodeProxyHeader(bytes)).toEqual({ status: 'bad', reason })
  })
})

test('any bytes give an answer within the bytes', () => {
  const start = fc.constantFrom(
    Buffer.alloc(0),
    text('PROXY '),
    text('PROXY TCP4 '),
    hex(SIGNATURE),
    hex(SIGNATURE, '2111'),
  )
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (prefix, rest) => {
      const bytes = Buffer.concat([prefix, rest])
      const result = decodeProxyHeader(bytes)
      if (result.status === 'done') expect(result.bytesRead).toBeLessThanOrEqual(bytes.length)
      if (result.status === 'more') expect(bytes.length).toBeLessThan(16 + MAX_PROXY_V2_REST_BYTES)
    }),
    { numRuns: 2000 },
  )
})
