import { expect, test } from 'vitest'
import { OutboundLimit } from '../../../../src/daemon/spamlogd/outbound-limit.js'
import { ManualClock } from '../../../support/manual-clock.js'

const address = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`

function countAccepted(limit: OutboundLimit, source: string, count: number): number {
  let accepted = 0
  for (let index = 0; index < count; index += 1) if (limit.accepts(source, address(index))) accepted += 1
  return accepted
}

test('one source whitelists so many addresses a minute, another is not touched', () => {
  const clock = new ManualClock()
  const limit = new OutboundLimit(600, clock)
  expect(countAccepted(limit, '192.0.2.66', 2_000)).toBe(600)
  expect(countAccepted(limit, '192.0.2.25', 500)).toBe(500)
  clock.advance(59)
  expect(limit.accepts('192.0.2.66', '198.51.100.1')).toBe(false)
  clock.advance(1)
  expect(limit.accepts('192.0.2.66', '198.51.100.1')).toBe(true)
})

test('an address that was named before counts on, however often', () => {
  const limit = new OutboundLimit(1, new ManualClock())
  for (let count = 0; count < 5; count += 1) expect(limit.accepts('192.0.2.25', '198.51.100.1')).toBe(true)
  expect(limit.accepts('192.0.2.25', '198.51.100.2')).toBe(false)
})

test('forged sources beyond those that are counted share one number', () => {
  const limit = new OutboundLimit(3, new ManualClock())
  for (let index = 0; index < 4_096; index += 1)
    expect(limit.accepts(`fd00::${index}`, address(index))).toBe(true)
  const beyond = Array.from({ length: 20 }, (_, index) => limit.accepts(`fd01::${index}`, address(index)))
  expect(beyond.filter(Boolean)).toHaveLength(3)
})

test('no limit', () => {
  expect(countAccepted(new OutboundLimit(Infinity, new ManualClock()), '192.0.2.66', 5_000)).toBe(5_000)
})
