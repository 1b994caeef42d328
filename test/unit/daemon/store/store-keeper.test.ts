import { expect, test } from 'vitest'
import { type KeptStore, StoreKeeper } from '../../../../src/daemon/store/store-keeper.js'
import { MemoryLogger } from '../../../support/memory-logger.js'

function kept() {
  const events: string[] = []
  let number = 0
  const keeper = new StoreKeeper<KeptStore & { number: number }>({
    logger: new MemoryLogger(),
    open: async () => {
      number += 1
      const store = { number, location: 'db', close: async () => void events.push(`closed ${store.number}`) }
      events.push(`opened ${number}`)
      return { store, isCreated: false, tellsChanges: true }
    },
  })
  return { keeper, events }
}

test('at rest the database is closed; the next use opens it again', async () => {
  const { keeper, events } = kept()
  await keeper.rest()
  expect(keeper.tellsChanges).toBe(false)
  await keeper.use(async ({ number }) => void events.push(`used ${number}`))
  expect(keeper.tellsChanges).toBe(true)
  await keeper.rest()
  expect(keeper.tellsChanges).toBe(false)
  await keeper.use(async ({ number }) => void events.push(`used ${number}`))
  await keeper.close()
  expect(events).toEqual(['opened 1', 'used 1', 'closed 1', 'opened 2', 'used 2', 'closed 2'])
  await expect(keeper.use(async () => undefined)).rejects.toMatchObject({ code: 'ERR_DB_GONE' })
})

test('a database in use is not put to rest', async () => {
  const { keeper, events } = kept()
  let finish: () => void = () => undefined
  const used = keeper.use(() => new Promise<void>((resolve) => (finish = resolve)))
  await keeper.rest()
  await expect.poll(() => events).toEqual(['opened 1'])
  finish()
  await used
  await keeper.close()
  expect(events).toEqual(['opened 1', 'closed 1'])
})
