import { expect, test } from 'vitest'
import { ForeignChanges } from '../../../src/firewall/foreign-changes.js'

const DONE = { exitCode: 0 }

function counted() {
  const ruleset: { generation: number | undefined } = { generation: 7 }
  const foreign = new ForeignChanges(() => ruleset.generation)
  const change = (): typeof DONE => {
    ruleset.generation! += 1
    return DONE
  }
  return { ruleset, foreign, change }
}

test('changes of others are counted, however many lie between two looks', () => {
  const { foreign, change } = counted()
  expect([foreign.count(), foreign.count()]).toEqual([0, 0])
  change()
  expect([foreign.count(), foreign.count()]).toEqual([1, 1])
  change()
  change()
  expect(foreign.count()).toBe(2)
})

test('own transactions are not, one after the other, at once, failed or without effect', async () => {
  const { foreign, change } = counted()
  await foreign.duringOwn(async () => change())
  expect(foreign.count()).toBe(0)
  const failed = foreign.duringOwn(() => Promise.reject(new Error('refused')))
  await expect(failed).rejects.toThrow('refused')
  expect(foreign.count()).toBe(0)
  let finish: () => void = () => undefined
  const slow = foreign.duringOwn(() => new Promise<typeof DONE>((resolve) => (finish = () => resolve(DONE))))
  await foreign.duringOwn(async () => change())
  expect(foreign.count()).toBe(0)
  change()
  finish()
  await slow
  expect(foreign.count()).toBe(0)
  await foreign.duringOwn(async () => DONE)
  expect(foreign.count()).toBe(0)
})

test('what others change before, during and after one of ours is counted', async () => {
  const { foreign, change } = counted()
  expect(foreign.count()).toBe(0)
  change()
  await foreign.duringOwn(async () => change())
  expect(foreign.count()).toBe(1)
  await foreign.duringOwn(async () => {
    change()
    return change()
  })
  expect(foreign.count()).toBe(2)
  change()
  expect(foreign.count()).toBe(3)
})

test('what others change while one of ours is refused is counted', async () => {
  const { foreign, change } = counted()
  expect(foreign.count()).toBe(0)
  await foreign.duringOwn(async () => {
    change()
    return { exitCode: 1 }
  })
  expect(foreign.count()).toBe(1)
})

test('a generation that starts again is a change; one that cannot be read tells nothing', () => {
  const { ruleset, foreign } = counted()
  expect(foreign.count()).toBe(0)
  ruleset.generation = 1
  expect(foreign.count()).toBe(1)
  ruleset.generation = undefined
  expect(foreign.count()).toBeUndefined()
})
