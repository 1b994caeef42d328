import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeSyncMessage, type SyncEntry, syncKeyOf } from '../../../../src/codec/sync-message.js'
import { ReplayFile } from '../../../../src/daemon/sync/replay-file.js'
import { ReplayMemory } from '../../../../src/daemon/sync/replay-memory.js'
import { SyncGate, type SyncGateOptions } from '../../../../src/daemon/sync/sync-gate.js'
import { parseCidr } from '../../../../src/ip/cidr.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryDebugOutput } from '../../../support/memory-debug-output.js'

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
    expect(shown()[1]).toBe(`192.0.2.2(sync): ignored: the clocks differ by ${skewSec} seconds`)
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

test.each(Array.from({ length: 20 }, (_, index) => index))(
  'each byte of the HMAC counts: byte %i',
  (index) => {
    for (const bit of [0x01, 0x80]) {
      const { gate } = gated()
      const forged = Buffer.from(message())
      forged[8 + index] = forged[8 + index]! ^ bit
      expect(gate.admit(forged, '192.0.2.2')).toBeUndefined()
      expect(gate.counters.refused).toEqual({ hmac: 1 })
    }
  },
)

describe('over a restart', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'replay-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))
  /** A gate of a daemon that has just started; the one before it was killed: nothing was closed. */
  function restarted(options: Partial<SyncGateOptions> = {}) {
    const troubles: string[] = []
    const replayFile = new ReplayFile({
      path: join(folder, 'seen'),
      onTrouble: (line) => void troubles.push(line),
    })
    return { ...gated({ replayFile, ...options }), troubles }
  }
  test('what was taken before is refused after, what is new is taken', () => {
    const first = restarted().gate
    for (let counter = 0; counter < 50; counter += 1) first.admit(message(counter), '192.0.2.2')
    const second = restarted().gate
    for (let counter = 0; counter < 50; counter += 1) {
      expect(second.admit(message(counter), '192.0.2.2')).toBeUndefined()
    }
    expect(second.counters.refused).toEqual({ repeated: 50 })
    expect(second.admit(message(50), '192.0.2.2')).toBeDefined()
    expect(restarted().gate.admit(message(50), '192.0.2.2')).toBeUndefined()
  })
  test('through turns of the tables, and with as much room as without a restart', () => {
    for (let counter = 0; counter < 350; counter += 1) {
      expect(restarted({ replayCapacity: 100 }).gate.admit(message(counter), '192.0.2.2')).toBeDefined()
    }
    expect(statSync(join(folder, 'seen')).size).toBeLessThanOrEqual(1616)
    expect(statSync(join(folder, 'seen.old')).size).toBe(1616)
    const { gate } = restarted({ replayCapacity: 100 })
    for (let counter = 250; counter < 350; counter += 1) {
      expect(gate.admit(message(counter), '192.0.2.2')).toBeUndefined()
    }
  })
  test('a record that was cut by a crash costs itself only', () => {
    restarted().gate.admit(message(1), '192.0.2.2')
    writeFileSync(join(folder, 'seen'), Buffer.alloc(3), { flag: 'a' })
    const second = restarted().gate
    expect(second.admit(message(1), '192.0.2.2')).toBeUndefined()
    for (const counter of [2, 3]) expect(second.admit(message(counter), '192.0.2.2')).toBeDefined()
    const third = restarted().gate
    for (const counter of [2, 3]) expect(third.admit(message(counter), '192.0.2.2')).toBeUndefined()
  })
  test('a file that cannot be used is told once, and messages are taken', () => {
    writeFileSync(join(folder, 'victim'), 'untouched')
    symlinkSync(join(folder, 'victim'), join(folder, 'seen'))
    const { gate, troubles } = restarted()
    expect(gate.admit(message(1), '192.0.2.2')).toBeDefined()
    expect(gate.admit(message(2), '192.0.2.2')).toBeDefined()
    expect(troubles).toHaveLength(1)
    expect(troubles[0]).toContain('repeats of sync messages may be accepted after a restart')
    expect(readFileSync(join(folder, 'victim'), 'utf8')).toBe('untouched')
  })
})

describe('after the clock went back', () => {
  let folder: string
  let seen: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'replay-'))
    seen = join(folder, 'seen')
  })
  afterEach(() => rmSync(folder, { recursive: true }))
  const HOUR = 3600

  /** A gate with its clock at `nowSec`; `pass` lets time pass, with a new message every ten minutes. */
  function started(nowSec: number) {
    const floors: number[] = []
    const replayFile = new ReplayFile({ path: seen, onTrouble: (line) => expect.fail(line) })
    const { gate, clock } = gated({ replayFile, onFloor: (floorSec) => void floors.push(floorSec) })
    clock.sec = nowSec
    let counter = 1000
    const fresh = (): boolean => {
      counter += 1
      return gate.admit(message(counter, white({ timestamp: clock.nowSec() })), '192.0.2.2') !== undefined
    }
    const pass = (sec: number): boolean[] =>
      Array.from({ length: sec / 600 }, () => {
        clock.advance(600)
        return fresh()
      })
    return { gate, clock, floors, fresh, pass }
  }

  test.each([1, HOUR, 3 * HOUR, 24 * HOUR, 366 * 24 * HOUR])(
    'by %i seconds: no repeat is ever taken, and on a right clock every new message is',
    (stepSec) => {
      const { gate, clock, pass, floors } = started(NOW)
      const old = message(7, white({ timestamp: NOW }))
      expect(gate.admit(old, '192.0.2.2')).toBeDefined()
      clock.sec = NOW - stepSec
      for (let waitedSec = 0; waitedSec < stepSec + 2 * HOUR && waitedSec < 60 * HOUR; waitedSec += 600) {
        pass(600)
        expect(gate.admit(old, '192.0.2.2')).toBeUndefined()
      }
      // The year has passed at once.
      clock.sec = NOW + 600
      expect(gate.admit(old, '192.0.2.2')).toBeUndefined()
      expect(pass(6 * HOUR)).toEqual(Array(36).fill(true))
      expect(floors.length).toBeLessThanOrEqual(1)
    },
  )

  test('over restarts, by a day', () => {
    const old = message(7, white({ timestamp: NOW }))
    expect(started(NOW).gate.admit(old, '192.0.2.2')).toBeDefined()
    expect(started(NOW - 24 * HOUR).pass(10 * HOUR)).toContain(true)
    // At most four hours after the restart what the clock went back behind is forgotten.
    const last = started(NOW - 600)
    expect(last.gate.admit(old, '192.0.2.2')).toBeUndefined()
    expect(last.gate.counters.refused).toEqual({ clock: 1 })
    expect(last.floors).toEqual([NOW])
  })

  test('spamdctl accept-clock takes messages again, also over a restart', () => {
    const first = started(NOW)
    first.fresh()
    expect(first.gate.acceptClock()).toBe(false)
    first.clock.sec = NOW - 24 * HOUR
    expect(first.pass(6 * HOUR).at(-1)).toBe(false)
    expect(first.floors).toEqual([NOW])
    expect(first.gate.acceptClock()).toBe(true)
    expect(first.gate.acceptClock()).toBe(false)
    expect(first.fresh()).toBe(true)
    expect(started(NOW - 18 * HOUR + 60).fresh()).toBe(true)
  })

  test('no floor without a limit of the clocks', () => {
    const { gate, clock } = gated({ maxSkewSec: 0 })
    for (let counter = 0; counter < 12; counter += 1) {
      clock.advance(HOUR)
      expect(gate.admit(message(counter, white({ timestamp: NOW - counter })), '192.0.2.2')).toBeDefined()
    }
  })

  test('a flood of good messages, on a right clock, leaves no floor above what is on time', () => {
    const { gate } = gated({ replayCapacity: 10 })
    for (let counter = 0; counter < 100; counter += 1) {
      const sentSec = NOW + (counter % 2 === 0 ? 1800 : -1800)
      expect(gate.admit(message(counter, white({ timestamp: sentSec })), '192.0.2.2')).toBeDefined()
    }
  })

  test('a file of another form is begun anew', () => {
    writeFileSync(seen, Buffer.alloc(40, 0x41))
    const { fresh } = started(NOW)
    expect(fresh()).toBe(true)
    expect(statSync(seen).size).toBe(32)
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
    for (let index = 0; index < 1000; index += 1) expect(memory.judge(macOf(index), 0, 0)).toBe('new')
    for (let index = 900; index < 1000; index += 1) expect(memory.judge(macOf(index), 0, 0)).toBe('repeated')
    expect(memory.judge(macOf(0), 0, 0)).toBe('new')
  })
  test('forgets what is older than twice the window', () => {
    const memory = new ReplayMemory({ windowMs: 1000, nowMs: 0, capacity: 100 })
    memory.judge(macOf(1), 0, 0)
    expect(memory.judge(macOf(1), 0, 999)).toBe('repeated')
    expect(memory.judge(macOf(2), 0, 1000)).toBe('new')
    expect(memory.judge(macOf(1), 0, 1999)).toBe('repeated')
    expect(memory.judge(macOf(3), 0, 2000)).toBe('new')
    expect(memory.judge(macOf(1), 0, 2000)).toBe('new')
  })
  test('half of a MAC is not enough to be taken for a repeat', () => {
    const memory = new ReplayMemory({ windowMs: 1000, nowMs: 0, capacity: 100 })
    const mac = Buffer.from('0102030405060708', 'hex')
    expect(memory.judge(mac, 0, 0)).toBe('new')
    for (let index = 0; index < 8; index += 1) {
      const other = Buffer.from(mac)
      other[index] = other[index]! ^ 0x40
      expect(memory.judge(other, 0, 0)).toBe('new')
    }
    expect(memory.judge(mac, 0, 0)).toBe('repeated')
  })
  test('agrees with a set while that is small', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { maxLength: 300 }), (macs) => {
        const memory = new ReplayMemory({ windowMs: 1000, nowMs: 0, capacity: 300 })
        const seen = new Set<string>()
        for (const mac of macs) {
          // A slot of zeros is an empty one, so its pair is kept as another.
          const name = Buffer.from(mac).toString('hex').replace(/0{8}$/, '00000001')
          expect(memory.judge(mac, 0, 0)).toBe(seen.has(name) ? 'repeated' : 'new')
          seen.add(name)
        }
      }),
    )
  })
})
