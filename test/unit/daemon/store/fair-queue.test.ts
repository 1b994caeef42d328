import { describe, expect, test } from 'vitest'
import { FairQueue, type FairQueueOptions } from '../../../../src/daemon/store/fair-queue.js'

interface Item {
  /** `network.client.number` */
  name: string
  second: number
  bytes: number
}

function queueOf(options: Partial<FairQueueOptions<Item>> = {}) {
  const queue = new FairQueue<Item>({
    limits: { maxCount: 1_000, maxBytes: 1_000_000 },
    maxBatch: 100,
    sourceOf: ({ name }) => ({ network: name.split('.')[0]!, client: name.split('.')[1]! }),
    sizeOf: ({ bytes }) => bytes,
    groupOf: ({ second }) => second,
    ...options,
  })
  const push = (name: string, second = 0, bytes = 1) =>
    queue.push({ name, second, bytes }).map((item) => item.name)
  const next = () => queue.nextBatch().map(({ name }) => name)
  const take = () => {
    const names = next()
    queue.remove()
    return names
  }
  return { queue, push, next, take }
}

describe('turns', () => {
  test('networks take turns, and clients within a network; each client keeps its order', () => {
    const { push, take } = queueOf()
    for (const name of ['a.x.1', 'a.x.2', 'a.x.3', 'a.y.1', 'a.y.2', 'b.z.1', 'b.z.2', 'c.w.1']) push(name)
    expect(take()).toEqual(['a.x.1', 'b.z.1', 'c.w.1', 'a.y.1', 'b.z.2', 'a.x.2', 'a.y.2', 'a.x.3'])
  })
  test('who comes behind a flood is in the next batch', () => {
    const { push, take } = queueOf({ maxBatch: 10 })
    for (let index = 0; index < 500; index += 1) push(`flood.${index % 200}.${index}`)
    push('good.a.1')
    push('good.b.1')
    expect(take()).toContain('good.a.1')
    push('other.a.1')
    expect(take()).toContain('other.a.1')
  })
  test('a batch that was cut short goes on with those that were not served', () => {
    const { push, take } = queueOf({ maxBatch: 2 })
    for (const name of ['a.x.1', 'a.x.2', 'b.x.1', 'c.x.1']) push(name)
    expect([take(), take(), take()]).toEqual([['a.x.1', 'b.x.1'], ['c.x.1', 'a.x.2'], []])
  })
  test('items that weigh more fill a batch sooner; the last one may exceed it', () => {
    const { push, take } = queueOf({ maxBatch: 5, weightOf: ({ bytes }) => bytes })
    for (const [name, bytes] of Object.entries({ 'a.x.1': 4, 'b.x.1': 3, 'a.x.2': 1, 'b.x.2': 5 })) {
      push(name, 0, bytes)
    }
    expect([take(), take()]).toEqual([
      ['a.x.1', 'b.x.1'],
      ['a.x.2', 'b.x.2'],
    ])
  })
  test('items of one batch are of one second, and no second starves', () => {
    const { push, take } = queueOf({ maxBatch: 3 })
    for (let index = 0; index < 9; index += 1) push(`a.x.${index}`, 1)
    push('b.x.0', 2)
    push('c.x.0', 1)
    expect(take()).toEqual(['a.x.0', 'c.x.0', 'a.x.1'])
    expect(take()).toEqual(['b.x.0'])
    expect(take()).toEqual(['a.x.2', 'a.x.3', 'a.x.4'])
  })
  test('clients of another second are passed over once in a batch, not for each of its items', () => {
    let lookCount = 0
    const groupOf = ({ second }: Item): number => {
      lookCount += 1
      return second
    }
    const { push, next } = queueOf({
      limits: { maxCount: 10_000, maxBytes: 10_000 },
      groupOf,
      maxBatch: 1000,
    })
    push('a.first.0', 1)
    for (let index = 0; index < 2000; index += 1) push(`a.later${index}.0`, 2)
    for (let index = 0; index < 1000; index += 1) push(`a.same${index}.0`, 1)
    expect(next()).toHaveLength(1000)
    expect(lookCount).toBeLessThan(10_000)
  })
  test('a batch stays the same until it is removed', () => {
    const { queue, push, next } = queueOf()
    push('a.x.1')
    expect(next()).toEqual(['a.x.1'])
    push('b.x.1')
    expect([next(), queue.length]).toEqual([['a.x.1'], 2])
    queue.remove()
    expect([next(), queue.length]).toEqual([['b.x.1'], 1])
  })
})

describe('limits', () => {
  test('the largest client of the largest network pays, with its newest', () => {
    const { push, take } = queueOf({ limits: { maxCount: 5, maxBytes: 1_000_000 } })
    for (const name of ['a.x.1', 'a.x.2', 'a.y.1', 'b.z.1', 'b.z.2']) push(name)
    expect(push('c.w.1')).toEqual(['a.x.2'])
    // a and b are alike now; a third one is smaller.
    const [dropped] = push('d.w.1')
    expect(['a.y.1', 'a.x.1', 'b.z.2']).toContain(dropped)
    expect(take()).toHaveLength(5)
  })
  test('a source that is itself the largest loses what it brings', () => {
    const { push } = queueOf({ limits: { maxCount: 3, maxBytes: 1_000_000 } })
    for (const name of ['a.x.1', 'a.x.2', 'b.x.1']) push(name)
    expect(push('a.x.3')).toEqual(['a.x.3'])
  })
  test('bytes are bounded, those of the batch that is being written included, but one item always fits', () => {
    const { queue, push, next } = queueOf({ limits: { maxCount: 100, maxBytes: 10 } })
    expect(push('a.x.1', 0, 20)).toEqual([])
    next()
    expect(push('b.x.1', 0, 1)).toEqual(['b.x.1'])
    queue.remove()
    expect(push('b.x.1', 0, 6)).toEqual([])
    expect(push('b.x.2', 0, 4)).toEqual([])
    expect(push('c.x.1', 0, 1)).toEqual(['b.x.2'])
  })
  test('what is being written is never pushed out', () => {
    const { queue, push, next } = queueOf({ limits: { maxCount: 1, maxBytes: 1_000_000 } })
    push('a.x.1')
    next()
    expect(push('b.x.1')).toEqual(['b.x.1'])
    expect([next(), [...queue.items()].length]).toEqual([['a.x.1'], 1])
  })
  test('through any pushes and batches the sums hold and the largest pays', () => {
    let state = 7
    const random = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return state % below
    }
    const { queue, push, take } = queueOf({ maxBatch: 7, limits: { maxCount: 40, maxBytes: 1_000_000 } })
    const waiting = new Map<string, number>()
    const change = (name: string, step: number) => {
      const network = name.split('.')[0]!
      waiting.set(network, (waiting.get(network) ?? 0) + step)
    }
    for (let round = 0; round < 5_000; round += 1) {
      if (random(10) === 0) {
        for (const name of take()) change(name, -1)
      } else {
        const name = `n${random(6)}.c${random(3)}.${round}`
        change(name, 1)
        for (const dropped of push(name, random(2))) {
          expect(waiting.get(dropped.split('.')[0]!)).toBe(Math.max(...waiting.values()))
          change(dropped, -1)
        }
      }
      const total = [...waiting.values()].reduce((sum, count) => sum + count, 0)
      expect([queue.length, [...queue.items()].length]).toEqual([total, total])
    }
  })
})
