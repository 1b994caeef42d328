import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeSyncMessage, type SyncEntry, syncKeyOf } from '../../../../src/codec/sync-message.js'
import { MemoryDebugOutput } from '../../../../src/daemon/debug-output.js'
import { ReplayMemory } from '../../../../src/daemon/sync/replay-memory.js'
import { SyncGate, type SyncGateOptions } from '../../../../src/daemon/sync/sync-gate.js'
import { parseCidr } from '../../../../src/ip/cidr.js'
import { ManualClock } from '../../../support/manual-clock.js'

const KEY = syncKeyOf(Buffer.from('key'))
const NOW = 1_700_000_000
const white = (part: Partial<SyncEntry> = {}): SyncEntry =>
  ({ type: 'WHITE', timestamp: NOW, ip: '192.0.2.1', expire: NOW + 9999, ...part }) as SyncEntry
const message = (counter = 0, entry = white()) => encodeSyncMessage(counter, entry, KEY)!

function gated(options: Partial<SyncGateOptions> = {}) {
  const clock = new ManualClock(NOW)
  const debug = new MemoryDebugOutput()
  const gate = new SyncGate({
    key: () => KEY,
    ownAddress: undefined,
    peers: [],
    maxSkewSec: 3600,
    checksReplay: true,
    clock,
    debug,
    ...options,
  })
  return { gate, clock, shown: () => debug.lines.map(({ line }) => line) }
}

describe('believed', () => {
  test('a good message, whoever sends it', () => {
    const { gate, shown } = gated()
    expect(gate.admit(message(), '203.0.113.9')).toEqual([white()])
    expect(shown()).toEqual(['203.0.113.9(sync): received packet of 52 bytes'])
    expect(gate.counters).toEqual({ received: 1, accepted: 1, refused: {} })
  })
  test('the same event in a new message', () => {
    const { gate } = gated()
    gate.admit(message(0), '192.0.2.2')
    expect(gate.admit(message(1), '192.0.2.2')).toBeDefined()
  })
  test('clocks that differ by an hour', () => {
    const { gate } = gated()
    expect(gate.admit(message(0, white({ timestamp: NOW + 3600 })), '192.0.2.2')).toBeDefined()
    expect(gate.admit(message(1, white({ timestamp: NOW - 3600 })), '192.0.2.2')).toBeDefined()
  })
  test('with the tests switched off: any clock, any repeat', () => {
    const { gate } = gated({ maxSkewSec: 0, checksReplay: false })
    const old = message(0, white({ timestamp: 5 }))
    expect(gate.admit(old, '192.0.2.2')).toBeDefined()
    expect(gate.admit(old, '192.0.2.2')).toBeDefined()
  })
})

describe('not believed', () => {
  test('own packets, silently', () => {
    const { gate, shown } = gated({ ownAddress: '10.0.0.1' })
    expect(gate.admit(message(), '10.0.0.1')).toBeUndefined()
    expect(shown()).toEqual([])
    expect(gate.counters).toEqual({ received: 0, accepted: 0, refused: { own: 1 } })
  })
  test('an empty datagram, silently', () => {
    const { gate, shown } = gated()
    expect(gate.admit(new Uint8Array(0), '192.0.2.2')).toBeUndefined()
    expect(shown()).toEqual([])
  })
  test('senders outside of --sync-peers', () => {
    const { gate } = gated({ peers: [parseCidr('10.0.0.0/24')!, parseCidr('10.0.1.1')!] })
    expect(
      ['10.0.0.77', '10.0.1.1', '10.0.1.2'].map(
        (peer, index) => gate.admit(message(index), peer) !== undefined,
      ),
    ).toEqual([true, true, false])
    expect(gate.counters.refused).toEqual({ stranger: 1 })
  })
  test.each([3601, -3601])('clocks that differ by %s seconds', (skewSec) => {
    const { gate, shown } = gated()
    expect(gate.admit(message(0, white({ timestamp: NOW + skewSec })), '192.0.2.2')).toBeUndefined()
    expect(gate.counters.refused).toEqual({ clock: 1 })
    expect(shown()[1]).toBe(`192.0.2.2(sync): ignored, the clocks differ by ${skewSec} seconds`)
  })
  test('an exact repeat, within an hour and just before the clocks refuse it', () => {
    const { gate, clock } = gated()
    gate.admit(message(), '192.0.2.2')
    expect(gate.admit(message(), '192.0.2.3')).toBeUndefined()
    clock.advance(3600)
    expect(gate.admit(message(), '192.0.2.2')).toBeUndefined()
    clock.advance(1)
    expect(gate.admit(message(), '192.0.2.2')).toBeUndefined()
    expect(gate.counters.refused).toEqual({ repeated: 2, clock: 1 })
  })
  test('a wrong key', () => {
    const { gate, shown } = gated({ key: () => syncKeyOf(Buffer.from('other')) })
    expect(gate.admit(message(), '192.0.2.2')).toBeUndefined()
    expect(shown()).toEqual(['192.0.2.2(sync): truncated or invalid packet'])
    expect(gate.counters.refused).toEqual({ hmac: 1 })
  })
  test('a forged repeat does not use up the memory: the HMAC is checked first', () => {
    const { gate } = gated()
    const forged = Buffer.from(message())
    forged[40] = forged[40]! ^ 1
    gate.admit(forged, '192.0.2.2')
    expect(gate.admit(message(), '192.0.2.2')).toBeDefined()
  })
})

describe('the memory of repeats', () => {
  const macOf = (index: number) => {
    const mac = Buffer.alloc(20)
    mac.writeUInt32BE((index * 2_654_435_761) >>> 0, 0)
    mac.writeUInt32BE(index, 4)
    return mac
  }
  test('is bounded: in a flood the last messages are remembered', () => {
    const memory = new ReplayMemory({ windowMs: 1000, nowMs: 0, capacity: 100 })
    for (let index = 0; index < 1000; index += 1) expect(memory.sawBefore(macOf(index), 0)).toBe(false)
    for (let index = 900; index < 1000; index += 1) expect(memory.sawBefore(macOf(index), 0)).toBe(true)
    expect(memory.sawBefore(macOf(0), 0)).toBe(false)
  })
  test('forgets what is older than twice the window', () => {
    const memory = new ReplayMemory({ windowMs: 1000, nowMs: 0, capacity: 100 })
    memory.sawBefore(macOf(1), 0)
    expect(memory.sawBefore(macOf(1), 999)).toBe(true)
    expect(memory.sawBefore(macOf(2), 1000)).toBe(false)
    expect(memory.sawBefore(macOf(1), 1999)).toBe(true)
    expect(memory.sawBefore(macOf(3), 2000)).toBe(false)
    expect(memory.sawBefore(macOf(1), 2000)).toBe(false)
  })
  test('agrees with a set while that is small', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { maxLength: 300 }), (macs) => {
        const memory = new ReplayMemory({ windowMs: 1000, nowMs: 0, capacity: 300 })
        const seen = new Set<string>()
        for (const mac of macs) {
          // A slot of zeros is an empty one, so its pair is kept as another.
          const name = Buffer.from(mac).toString('hex').replace(/0{8}$/, '00000001')
          expect(memory.sawBefore(mac, 0)).toBe(seen.has(name))
          seen.add(name)
        }
      }),
    )
  })
})
