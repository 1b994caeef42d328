import { describe, expect, test } from 'vitest'
import {
  decodeTcpPacket,
  MAX_EXTENSION_HEADERS,
  TCP_ACK,
  TCP_SYN,
} from '../../../../src/codec/capture/tcp-packet.js'
import { bytesToIp } from '../../../../src/ip/cidr.js'
import { mailSyn } from '../../../support/log-records.js'

const IPV4 = mailSyn('192.0.2.1', '198.51.100.25')
const IPV6 = mailSyn('2001:db8::1', '2001:db8::25')
const extension = (header: number, bytes = 8) => ({ header, body: new Uint8Array(bytes) })
const withFragment = (offsetWord: number) => {
  const body = new Uint8Array(8)
  new DataView(body.buffer).setUint16(2, offsetWord)
  return mailSyn('2001:db8::1', '2001:db8::25', {}, { extensions: [{ header: 44, body }] })
}

describe('decodeTcpPacket', () => {
  test('reads addresses, ports and flags of IPv4, after anything before it', () => {
    const shifted = Buffer.concat([Buffer.alloc(5, 0xff), IPV4])
    const result = decodeTcpPacket(shifted, 5)
    expect(
      result.ok && {
        ...result.value,
        source: bytesToIp(result.value.source),
        destination: bytesToIp(result.value.destination),
      },
    ).toEqual({
      family: 4,
      source: '192.0.2.1',
      destination: '198.51.100.25',
      sourcePort: 40_000,
      destinationPort: 25,
      flags: TCP_SYN,
    })
  })

  test('reads a SYN of RFC 791 and RFC 8200 bytes written by hand', () => {
    const ipv4 = Buffer.from(
      '450000280001000040060000c0000201c63364199c40001900000001000000005002200000000000',
      'hex',
    )
    const result = decodeTcpPacket(ipv4)
    expect(
      result.ok && [bytesToIp(result.value.source), result.value.destinationPort, result.bytesRead],
    ).toEqual(['192.0.2.1', 25, 34])
    const ipv6 = Buffer.from(
      `6000000000140640${'20010db8000000000000000000000001'}${'20010db8000000000000000000000025'}9c400019000000010000000050122000`,
      'hex',
    )
    const six = decodeTcpPacket(ipv6)
    expect(six.ok && [bytesToIp(six.value.destination), six.value.flags]).toEqual([
      '2001:db8::25',
      TCP_SYN | TCP_ACK,
    ])
  })

  test.each<[string, Uint8Array]>([
    ['IPv4 options', mailSyn('192.0.2.1', '192.0.2.2', {}, { ipv4Options: Uint8Array.of(1, 1, 1, 1) })],
    ['the most IPv4 options', mailSyn('192.0.2.1', '192.0.2.2', {}, { ipv4Options: new Uint8Array(40) })],
    [
      'hop-by-hop, routing and destination options',
      mailSyn('::1', '::2', {}, { extensions: [extension(0), extension(43, 24), extension(60, 16)] }),
    ],
    ['a first fragment', withFragment(1)],
    [
      'as many extension headers as allowed',
      mailSyn('::1', '::2', {}, { extensions: new Array(MAX_EXTENSION_HEADERS).fill(extension(60)) }),
    ],
  ])('finds the TCP header behind %s', (_name, bytes) => {
    const result = decodeTcpPacket(bytes)
    expect(result.ok && result.value.destinationPort).toBe(25)
  })

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'truncated'],
    ['another version', Uint8Array.of(0x50, 0, 0, 0), 'not-ip'],
    ['a header length below 20', Uint8Array.of(0x44, ...IPV4.subarray(1)), 'bad-header'],
    ['a later IPv4 fragment', mailSyn('192.0.2.1', '192.0.2.2', {}, { fragmentOffset: 1 }), 'fragment'],
    ['a later IPv6 fragment', withFragment(8), 'fragment'],
    ['UDP', Buffer.concat([IPV4.subarray(0, 9), Uint8Array.of(17), IPV4.subarray(10)]), 'not-tcp'],
    ['ICMPv6', Buffer.concat([IPV6.subarray(0, 6), Uint8Array.of(58), IPV6.subarray(7)]), 'not-tcp'],
    [
      'one extension header too many',
      mailSyn('::1', '::2', {}, { extensions: new Array(MAX_EXTENSION_HEADERS + 1).fill(extension(60)) }),
      'too-many-headers',
    ],
    [
      'an extension header that leads past the end',
      Buffer.concat([
        mailSyn('::1', '::2', {}, { extensions: [extension(0)] }).subarray(0, 41),
        Uint8Array.of(255),
        new Uint8Array(30),
      ]),
      'truncated',
    ],
  ])('refuses %s', (_name, bytes, reason) => {
    expect(decodeTcpPacket(bytes)).toMatchObject({ ok: false, reason })
  })

  test('do not more fragments matter, nor the length fields', () => {
    const packet = Uint8Array.from(IPV4)
    packet[6] = 0x20
    packet[2] = 0xff
    expect(decodeTcpPacket(packet).ok).toBe(true)
  })

  test.each([
    ['IPv4', IPV4, 34],
    ['IPv6', IPV6, 54],
  ])(
    'every prefix of an %s packet that lacks the flags is refused, a longer one is enough',
    (_name, bytes, needed) => {
      for (let length = 0; length < bytes.length; length += 1) {
        expect(decodeTcpPacket(bytes.subarray(0, length)).ok).toBe(length >= needed)
      }
    },
  )
})
