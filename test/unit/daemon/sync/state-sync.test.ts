import { describe, expect, test } from 'vitest'
import { encodeRecord } from '../../../../src/codec/encode-sync-record.js'
import {
  encodeStateMessage,
  stateKeyOf,
  USUAL_RECORD_BYTES,
} from '../../../../src/codec/sync-state-message.js'
import { StateGate } from '../../../../src/daemon/sync/state-gate.js'
import { StateSender } from '../../../../src/daemon/sync/state-sender.js'
import { parseCidr } from '../../../../src/ip/cidr.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { attemptOf, NOW, POLICY, Scratch } from '../../../support/scratch-database.js'
import { type Flying, Gateway, knowledgeOf } from '../../../support/sync/gateways.js'

const scratch = new Scratch()
const KEY = stateKeyOf(Buffer.from('key'))

async function pair(skewSec = 0) {
  const flying: Flying[] = []
  const one = new Gateway(0, await scratch.store(), NOW, [1], flying)
  const other = new Gateway(1, await scratch.store(), NOW + skewSec, [0], flying)
  for (const gateway of [one, other]) await gateway.start()
  const gateways = [one, other]
  /** Both look at their journals and everything arrives, until nothing is said any more. */
  const run = async (): Promise<void> => {
    do {
      for (const { from, to, bytes } of flying.splice(0)) await gateways[to]!.take(from, bytes)
      await one.look()
      await other.look()
    } while (flying.length > 0)
  }
  await run()
  return { one, other, flying, run }
}

const white = (ip: string) => ({ operation: 'add', kind: 'WHITE', ip }) as const

describe('two gateways', () => {
  test('find one another by their heartbeats and then tell all that changes', async () => {
    const { one, other, run } = await pair()
    await one.store.edit([white('2001:db8::7'), { operation: 'add', kind: 'SPAMTRAP', address: 'a@b' }], NOW)
    await other.store.recordAttempts([attemptOf('192.0.2.9')], POLICY, NOW)
    await run()
    expect(await knowledgeOf(other.store)).toEqual(await knowledgeOf(one.store))
    expect(other.counters).toMatchObject({ applied: 2, gaps: 0 })
  })

  test('send nothing that came from the other one', async () => {
    const { one, other, run, flying } = await pair()
    await one.store.edit([white('192.0.2.1')], NOW)
    await run()
    await other.look()
    for (const { bytes } of flying) expect(bytes).toHaveLength(64)
  })

  test('notice what was lost, also the last of all, and mend it by a pull of what is missing', async () => {
    const { one, other, run, flying } = await pair()
    await one.store.edit([white('192.0.2.1')], NOW)
    await one.look()
    flying.length = 0
    await run()
    other.check()
    expect(other.counters.gaps).toBe(0)
    one.clock.advance(10)
    other.clock.advance(10)
    await run()
    other.check()
    other.clock.advance(4)
    other.check()
    expect(other.counters.gaps).toBe(1)
    expect(other.missed).toEqual([1])
    expect(other.peers[0]).toMatchObject({ missingCount: 1, missingSinceSec: NOW + 14 })
    expect(await other.pull(one, true)).toMatchObject({ isWhole: false, read: 1, changed: 1 })
    await other.refresh()
    other.check()
    expect(other.peers[0]).toMatchObject({ missingCount: 0, missingSinceSec: undefined })
  })

  test('know after a restart what they had missed before it', async () => {
    const { one, other, run, flying } = await pair()
    await one.store.edit([white('192.0.2.1')], NOW)
    await one.look()
    flying.length = 0
    await other.start()
    await one.start()
    await run()
    other.check()
    other.clock.advance(4)
    other.check()
    expect(other.peers[0]?.missingCount).toBe(1)
  })

  test('tell after a restart what changed while they were down', async () => {
    const { one, other, run } = await pair()
    // Each start takes message numbers of its own, which the other one has not seen.
    for (let start = 1; start <= 3; start += 1) {
      const ip = `192.0.2.${start}`
      await one.store.edit([white(ip)], NOW)
      await one.start()
      await run()
      expect(await other.store.get({ kind: 'host', ip })).toBeDefined()
    }
    expect(other.refused).toEqual({})
  })

  test('put as many records into a message as it may hold', async () => {
    const { one, other, run, flying } = await pair()
    const ips = Array.from({ length: 300 }, (_, n) => `192.0.${n >> 8}.${n & 255}`)
    await one.store.edit(ips.map(white), NOW)
    await one.look()
    const lengths = flying.map(({ bytes }) => bytes.length - 64)
    const perRecord = lengths.reduce((sum, length) => sum + length, 0) / ips.length
    expect(Math.max(...lengths)).toBeLessThanOrEqual(USUAL_RECORD_BYTES)
    // All but the last are full.
    expect(Math.min(...lengths.slice(0, -1))).toBeGreaterThan(USUAL_RECORD_BYTES - 2 * perRecord)
    await run()
    expect(await knowledgeOf(other.store)).toEqual(await knowledgeOf(one.store))
  })

  test('take no message twice, also after a restart', async () => {
    const { one, other, run, flying } = await pair()
    await one.store.edit([white('192.0.2.1')], NOW)
    await one.look()
    const [{ bytes } = { bytes: new Uint8Array() }] = flying
    await run()
    await other.take(0, bytes)
    expect(other.refused).toMatchObject({ repeated: 1 })
    await other.start()
    await other.take(0, bytes)
    expect(other.refused).toMatchObject({ repeated: 2 })
  })

  test('pass over an import that no message can tell: the other one knows that it missed something', async () => {
    const { one, other, run } = await pair()
    const entries = Array.from({ length: 20_001 }, (_, n) => ({
      ...{ kind: 'WHITE' as const, ip: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` },
      ...{ first: NOW, pass: NOW, expire: NOW + 999, bcount: 1, pcount: 0 },
    }))
    await one.store.upsertAll([entries], { ifMissing: false, now: NOW })
    await one.store.edit([white('192.0.2.1')], NOW)
    await run()
    expect(await other.store.get({ kind: 'host', ip: '192.0.2.1' })).toBeDefined()
    other.check()
    other.clock.advance(4)
    other.check()
    expect(other.missed).toEqual([1])
    expect(await other.pull(one, true)).toMatchObject({ isWhole: true, read: 20_002, changed: 20_001 })
    expect(await other.pull(one, true)).toMatchObject({ isWhole: false, read: 0 })
  })

  test('go on with everything else when an import brought what no message may hold', async () => {
    const { one, other, run } = await pair()
    const times = { first: NOW, pass: NOW + 14_400, expire: NOW + 14_400, bcount: 1, pcount: 0 }
    const tuple = { kind: 'GREY', ip: '192.0.2.3', helo: 'h', from: '', to: '<a@b>', ...times } as const
    await one.store.upsert([tuple], { ifMissing: false, now: NOW })
    await one.store.edit([white('192.0.2.1')], NOW)
    await run()
    expect(await other.store.get({ kind: 'host', ip: '192.0.2.1' })).toMatchObject({ kind: 'WHITE' })
    other.clock.advance(10)
    other.check()
    expect(other.peers[0]).toMatchObject({ missingCount: 0 })
    expect(await other.pull(one, false)).toMatchObject({ isWhole: true, read: 1 })
  })

  test('refuse what is more than five minutes ahead and get it by a pull once it is not', async () => {
    const { one, other, run } = await pair(-400)
    await one.store.edit([white('192.0.2.1')], NOW)
    await run()
    expect(other.counters).toMatchObject({ applied: 0, ahead: 1 })
    expect(await other.pull(one, true)).toMatchObject({ ahead: 1, changed: 0 })
    other.clock.advance(200)
    expect(await other.pull(one, true)).toMatchObject({ ahead: 0, changed: 1 })
  })

  test('a clock that stood a year ahead: what changes after stamps follow it again reaches the others', async () => {
    const { one, other, run } = await pair()
    const year = 365 * 86_400
    await one.store.edit([white('192.0.2.1')], NOW + year)
    await one.store.edit([white('192.0.2.2')], NOW + 1)
    await run()
    expect(other.counters).toMatchObject({ applied: 0, ahead: 0 })
    expect(await one.store.stampsAhead('stay', NOW + 1)).toBe(year - 1)
    expect(await one.store.stampsAhead('follow', NOW + 1)).toBe(year - 1)
    expect(await one.store.stampsAhead('stay', NOW + 1)).toBe(0)
    expect(await one.store.stampsAhead('follow', NOW + 1)).toBe(0)
    await one.store.edit([white('192.0.2.3')], NOW + 1)
    await run()
    expect(await other.store.get({ kind: 'host', ip: '192.0.2.3' })).toBeDefined()
    // Also what was changed while it was ahead, and before stamps followed the clock again.
    for (const ip of ['192.0.2.1', '192.0.2.2'])
      expect(await other.store.get({ kind: 'host', ip })).toMatchObject({ kind: 'WHITE' })
    other.clock.advance(10)
    other.check()
    other.clock.advance(4)
    other.check()
    expect(other.missed).toEqual([])
    expect(await other.pull(one, true)).toMatchObject({ ahead: 0, read: 0 })
    expect(await other.pull(one, false)).toMatchObject({ ahead: 0, read: 3 })
    await one.store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.1' }], NOW + 1)
    await run()
    expect(await other.store.get({ kind: 'host', ip: '192.0.2.1' })).toMatchObject({ kind: 'TRAPPED' })
  })

  test('a clock that is behind keeps everything back, also from a pull, until it is right again', async () => {
    const { one, other, run } = await pair()
    await one.store.edit([white('192.0.2.1')], NOW)
    await run()
    const day = 86_400
    // Beyond the time for which a start waits for others.
    for (const { clock } of [one, other]) clock.advance(31)
    await run()
    one.clock.step(-day)
    await one.store.edit([white('192.0.2.2')], NOW + 31 - day)
    await run()
    expect(await other.store.get({ kind: 'host', ip: '192.0.2.2' })).toBeUndefined()
    expect(await other.pull(one, false)).toMatchObject({ ahead: 0, changed: 1 })
    one.clock.step(day)
    await one.store.edit([white('192.0.2.3')], NOW + 31)
    for (const { clock } of [one, other]) clock.advance(10)
    await run()
    other.check()
    other.clock.advance(4)
    other.check()
    expect(other.missed).toEqual([])
    expect(await knowledgeOf(other.store)).toEqual(await knowledgeOf(one.store))
  })

  test.each([1, -1])(
    'a gateway that was heard while our clock was wrong counts as silent: %i year',
    async (sign) => {
      const { one, other, run, flying } = await pair()
      for (const { clock } of [one, other]) clock.sec += sign * 365 * 86_400
      one.clock.advance(10)
      other.clock.advance(10)
      await run()
      expect(other.peers[0]).toMatchObject({ lastSec: other.clock.nowSec() })
      for (const { clock } of [one, other]) clock.sec -= sign * 365 * 86_400
      flying.length = 0
      await other.store.edit([white('192.0.2.7')], NOW)
      await other.look()
      // As to gateways that speak another version: nothing but that we are here.
      for (const { bytes } of flying) expect(bytes).toHaveLength(64)
      await run()
      for (const { clock } of [one, other]) clock.advance(10)
      await run()
      expect(await one.store.get({ kind: 'host', ip: '192.0.2.7' })).toBeDefined()
    },
  )

  test('a database that was not in step for longer than deletions are kept is not merged', async () => {
    const { one, other } = await pair()
    await one.store.edit([white('192.0.2.1')], NOW)
    await other.pull(one, false)
    for (const { clock } of [one, other]) clock.advance(37 * 86_400)
    await expect(other.pull(one, false)).rejects.toMatchObject({ code: 'ERR_PULL_OLD' })
  })
})

describe('the gate of version 3', () => {
  const record = encodeRecord({ kind: 'host', ip: '192.0.2.1', registers: { bcount: 0, pcount: 0 } })!
  const header = { node: 5, clockMs: NOW * 1000, from: 0, upTo: 1, isTellingAll: true }
  const gateWith = (changes: Partial<ConstructorParameters<typeof StateGate>[0]> = {}) => {
    const counters = { received: 0, accepted: 0, refused: {} }
    const options = {
      key: () => KEY,
      node: () => 9,
      peers: [],
      maxSkewSec: 3600,
      clock: new ManualClock(NOW),
    }
    return { gate: new StateGate({ ...options, counters, ...changes }), counters }
  }
  const message = (number: number, changes = {}) =>
    encodeStateMessage({ ...header, number, ...changes }, [record], KEY)

  test('takes numbers that overtake one another within its window, each once', () => {
    const { gate, counters } = gateWith()
    for (const number of [2000, 1998, 1999, 3000, 2500, 1977]) {
      expect(gate.admit(message(number), '198.51.100.1')).toBeDefined()
    }
    for (const number of [2000, 1999, 3000, 1976, 1])
      expect(gate.admit(message(number), '198.51.100.1')).toBeUndefined()
    expect(counters).toEqual({ received: 11, accepted: 6, refused: { repeated: 5 } })
  })

  test('takes nothing of before a restart, also once something newer came', () => {
    const { gate } = gateWith()
    gate.setFloor(5, 1000)
    expect(gate.admit(message(1001), '198.51.100.1')).toBeDefined()
    for (const number of [1000, 990, 500]) expect(gate.admit(message(number), '198.51.100.1')).toBeUndefined()
  })

  test.each<[string, Parameters<typeof gateWith>[0], object]>([
    ['own', { node: () => 5 }, { own: 1 }],
    ['stranger', { peers: [parseCidr('203.0.113.0/24')!] }, { stranger: 1 }],
    ['clock', { clock: new ManualClock(NOW + 3601) }, { clock: 1 }],
    ['hmac', { key: () => stateKeyOf(Buffer.from('other')) }, { hmac: 1 }],
    ['version', { key: () => undefined }, { version: 1 }],
  ])('refuses and counts: %s', (_, changes, refused) => {
    const { gate, counters } = gateWith(changes)
    expect(gate.admit(message(1), '198.51.100.1')).toBeUndefined()
    expect(counters.refused).toEqual(refused)
  })
})

test('what is undone is told to gateways of version 2 once', async () => {
  const store = await scratch.store()
  const clock = new ManualClock(NOW)
  const told: string[] = []
  const sender = new StateSender({
    useStore: (action) => action(store),
    clock,
    key: () => KEY,
    hasListeners: () => false,
    send: () => undefined,
    onRows: async (rows) => void told.push(...rows.map(({ rule }) => rule)),
    onTrouble: (error) => {
      throw error
    },
  })
  await sender.look()
  await store.edit([white('192.0.2.1')], NOW)
  for (let look = 0; look < 5; look += 1) await sender.look()
  clock.advance(31)
  for (let look = 0; look < 5; look += 1) await sender.look()
  expect(told).toEqual(['manual'])
})

test('what could not be told to gateways of version 2 is told again', async () => {
  const store = await scratch.store()
  const told: string[] = []
  let isFailing = false
  const sender = new StateSender({
    useStore: (action) => action(store),
    clock: new ManualClock(NOW),
    key: () => KEY,
    hasListeners: () => false,
    send: () => undefined,
    onRows: async (rows) => {
      if (isFailing) throw new Error('the database is locked')
      told.push(...rows.map(({ rule }) => rule))
    },
    onTrouble: () => undefined,
  })
  await sender.look()
  isFailing = true
  await store.edit([white('192.0.2.1')], NOW)
  await sender.look()
  isFailing = false
  await sender.look()
  await sender.look()
  expect(told).toEqual(['manual'])
})
