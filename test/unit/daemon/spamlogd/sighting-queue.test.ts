import { describe, expect, test } from 'vitest'
import { SightingQueue } from '../../../../src/daemon/spamlogd/sighting-queue.js'
import { sortAddresses } from '../../../../src/daemon/spamlogd/sort-addresses.js'

/** So many different addresses, not in their order. */
const addresses = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => {
    const place = (n * 7919) % count
    return `10.${place >> 16}.${(place >> 8) & 255}.${place & 255}`
  })

function sorted(ips: readonly string[]): { result: string[]; pauseCount: number } {
  const steps = sortAddresses(ips)
  let pauseCount = 0
  for (;;) {
    const step = steps.next()
    if (step.done === true) return { result: step.value, pauseCount }
    pauseCount += 1
  }
}

describe('addresses in the order of the database', () => {
  test.each([
    ['few', addresses(100)],
    ['many', addresses(30_001)],
    ['many that begin alike', addresses(5_000).map((ip) => `2001:db8::${ip}`)],
    ['many times the same', [...Array<string>(3_000).fill('192.0.2.1'), '192.0.2.0']],
  ])('%s', (_, ips) => {
    expect(sorted(ips).result).toEqual(ips.toSorted())
  })

  test('between two pauses no more than a few thousand are touched', () => {
    expect(sorted(addresses(100)).pauseCount).toBe(0)
    expect(sorted(addresses(60_000)).pauseCount).toBeGreaterThanOrEqual(60)
  })
})

describe('what waits for the database', () => {
  const open = (maxAddresses = 100_000) =>
    new SightingQueue({ maxBatch: 1_000, maxAddresses, keepsArrivals: false })
  async function drained(
    queue: SightingQueue,
    meanwhile: (batchNumber: number) => void = () => undefined,
  ): Promise<{ ip: string; count: number }[][]> {
    const batches: { ip: string; count: number }[][] = []
    while (queue.length > 0) {
      const batch = await queue.nextBatch()
      batches.push([...batch.sightings])
      meanwhile(batches.length)
      queue.remove(batch)
    }
    return batches
  }

  test.each([
    ['few: as they came', 4_999, (ips: string[]) => ips],
    ['many: in order', 5_000, (ips: string[]) => ips.toSorted()],
  ])('%s, each once and none in two batches', async (_, count, order) => {
    const queue = open()
    const ips = addresses(count)
    for (const ip of ips) queue.add(ip, undefined)
    queue.add(ips[7]!, undefined)
    expect(queue.length).toBe(count)
    const batches = await drained(queue)
    expect(batches.map((batch) => batch.length)).toEqual([1_000, 1_000, 1_000, 1_000, count - 4_000])
    expect(batches.flat().map(({ ip }) => ip)).toEqual(order(ips))
    expect(batches.flat().filter(({ count }) => count !== 1)).toEqual([{ ip: ips[7], count: 2 }])
  })

  test('what comes during a write of many is written after them, and only what was written goes', async () => {
    const queue = open()
    const ips = addresses(5_000)
    for (const ip of ips) queue.add(ip, undefined)
    const first = ips.toSorted()[0]!
    const batches = await drained(queue, (number) => {
      if (number > 1) return
      queue.add(first, undefined)
      queue.add(first, undefined)
      queue.add('192.0.2.1', undefined)
    })
    expect(batches).toHaveLength(6)
    expect(batches[0]![0]).toEqual({ ip: first, count: 1 })
    expect(batches[5]).toEqual([
      { ip: first, count: 2 },
      { ip: '192.0.2.1', count: 1 },
    ])
  })

  test('beyond the limit the oldest go, with all their sightings, also during a write', async () => {
    const queue = open(3)
    expect([1, 2, 3].map((n) => queue.add(`192.0.2.${n}`, 100))).toEqual([0, 0, 0])
    expect([queue.add('192.0.2.1', 100), queue.isFull]).toEqual([0, true])
    const batch = await queue.nextBatch()
    expect(queue.add('192.0.2.4', 200)).toBe(2)
    queue.remove(batch)
    expect(queue.length).toBe(1)
    const { timeSec, sightings } = await queue.nextBatch()
    expect([timeSec, sightings]).toEqual([200, [{ ip: '192.0.2.4', count: 1 }]])
  })

  test('a time whose addresses were all pushed out is no batch', async () => {
    const queue = open(1)
    queue.add('192.0.2.1', 100)
    queue.add('192.0.2.2', 200)
    expect((await queue.nextBatch()).timeSec).toBe(200)
  })
})
