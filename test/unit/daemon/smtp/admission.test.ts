import { describe, expect, test } from 'vitest'
import { Admission, type AdmissionOptions } from '../../../../src/daemon/smtp/admission.js'
import { parseCidr } from '../../../../src/ip/cidr.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryLogger } from '../../../support/memory-logger.js'

function setUp(options: Partial<AdmissionOptions> = {}) {
  const clock = new ManualClock()
  const logger = new MemoryLogger()
  const counters = {
    accepted: 0,
    blackAccepted: 0,
    refusedFull: 0,
    refusedPerIp: 0,
    refusedPerNetwork: 0,
    refusedProxy: 0,
    acceptPauses: 0,
    timedOut: 0,
    overlong: 0,
    recipients: 0,
  }
  const admission = new Admission({
    maxConnections: 800,
    maxPerIp: undefined,
    proxyPeers: [],
    counters,
    clock,
    logger,
    ...options,
  })
  /** How many of these clients get in. */
  const enterAll = (ips: Iterable<string>) => {
    let count = 0
    for (const ip of ips) if (admission.enter(ip)) count += 1
    return count
  }
  const lines = () => logger.lines.map(({ level, message }) => `${level} ${message}`)
  return { admission, clock, counters, enterAll, lines }
}

const times = (count: number, ip: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => ip(index))

describe('shares', () => {
  test.each([
    [800, 50],
    [801, 51],
    [100, 10],
    [6000, 375],
  ])('of -c %i one address gets %i', (maxConnections, share) => {
    const { enterAll, counters } = setUp({ maxConnections })
    expect(enterAll(times(share + 3, () => '192.0.2.1'))).toBe(share)
    expect(counters.refusedPerIp).toBe(3)
    expect(enterAll(['192.0.2.2'])).toBe(1)
  })
  test('all addresses of a /64 share with each other, those of the next do not', () => {
    const { enterAll, lines } = setUp({ maxPerIp: 3 })
    expect(enterAll(times(9, (index) => `2001:db8::${index + 1}`))).toBe(3)
    expect(enterAll(['2001:db8:0:1::1', '2001:db8:1::1'])).toBe(2)
    expect(lines()).toEqual(['notice 2001:db8::4: refused: 2001:db8::/64 already has 3'])
  })
  test('a /24 gets half of all connections', () => {
    const { enterAll, counters, lines } = setUp({ maxConnections: 100 })
    expect(enterAll(times(200, (index) => `192.0.2.${index}`))).toBe(50)
    expect(counters).toMatchObject({ refusedPerIp: 0, refusedPerNetwork: 150 })
    expect(enterAll(times(40, (index) => `198.51.100.${index}`))).toBe(40)
    expect(lines()[0]).toBe('notice 192.0.2.50: refused: 192.0.2.0/24 already has 50')
  })
  test('who leaves makes room, and nothing is kept of him', () => {
    const { admission, enterAll } = setUp({ maxPerIp: 2, maxConnections: 10 })
    for (let round = 0; round < 100; round += 1) {
      expect(enterAll(['192.0.2.1', '192.0.2.1', '192.0.2.1'])).toBe(2)
      admission.leave('192.0.2.1')
      admission.leave('192.0.2.1')
    }
    expect(admission.openCount).toBe(0)
  })
  test('loopback is exempt from the default, not from a number that was given', () => {
    expect(setUp().enterAll(times(700, () => '127.0.0.1'))).toBe(700)
    expect(setUp().enterAll(times(700, () => '::1'))).toBe(700)
    expect(setUp({ maxPerIp: 2 }).enterAll(times(9, () => '127.0.0.1'))).toBe(2)
  })
  test('balancers are exempt from both', () => {
    const proxyPeers = [parseCidr('198.51.100.0/28')!]
    for (const maxPerIp of [undefined, 2]) {
      const { admission, enterAll } = setUp({ proxyPeers, maxPerIp })
      expect(enterAll(times(700, () => '198.51.100.7'))).toBe(700)
      expect(enterAll(times(60, () => '198.51.100.16'))).toBe(maxPerIp ?? 50)
      for (let count = 0; count < 700; count += 1) admission.leave('198.51.100.7')
      expect(admission.openCount).toBe(maxPerIp ?? 50)
    }
  })
})

describe('crowding', () => {
  const clients = (count: number) => times(count, (index) => `10.${index >> 8}.${index & 255}.1`)
  test('is told when it begins and when it ends, with those that were turned away', () => {
    const { admission, clock, counters, enterAll, lines } = setUp({ maxConnections: 100 })
    expect(enterAll(clients(94))).toBe(94)
    expect([admission.isCrowded(), lines()]).toEqual([false, []])
    enterAll(['192.0.2.1'])
    expect([admission.isCrowded(), lines()]).toEqual([
      true,
      ['warning crowded: 95 of 100 connections are in use'],
    ])
    enterAll(times(5, () => '192.0.2.1'))
    for (let count = 0; count < 1_200; count += 1) expect(admission.isFull('203.0.113.9', 0)).toBe(true)
    clock.advance(30)
    for (const ip of clients(9)) admission.leave(ip)
    expect(lines()).toHaveLength(2)
    admission.leave('10.0.9.1')
    expect(lines()).toEqual([
      'warning crowded: 95 of 100 connections are in use',
      'notice 203.0.113.9: refused: all 100 connections are in use',
      'notice no longer crowded after 30 seconds: 90 of 100 connections are in use, 1200 clients were refused',
    ])
    expect(counters.refusedFull).toBe(1_200)
  })
  test('connections that are no clients yet take slots as well', () => {
    const { admission } = setUp({ maxConnections: 10 })
    expect([admission.isFull('192.0.2.1', 9), admission.isFull('192.0.2.1', 10)]).toEqual([false, true])
  })
})
