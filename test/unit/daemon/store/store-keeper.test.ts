import { describe, expect, test } from 'vitest'
import { type KeptStore, StoreKeeper } from '../../../../src/daemon/store/store-keeper.js'
import { AppError } from '../../../../src/platform/app-error.js'
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

describe('a database that is of no use any more', () => {
  function opened(failOpening: () => boolean = () => false) {
    const events: string[] = []
    const logger = new MemoryLogger()
    let number = 0
    const keeper = new StoreKeeper<KeptStore & { number: number }>({
      logger,
      open: async () => {
        if (failOpening()) throw new AppError('ERR_DB_OPEN', 'no')
        number += 1
        const own = number
        return {
          store: {
            number: own,
            location: 'db',
            close: async () => {
              events.push(`closed ${own}`)
              if (own === 1) throw new Error('it is gone')
            },
          },
          isCreated: own === 2,
        }
      },
    })
    const lines = () => logger.lines.map(({ level, message }) => `${level} ${message}`)
    return { keeper, events, lines }
  }

  test.each(['ERR_DB_GONE', 'ERR_DB_CORRUPT', 'ERR_DB_IO', 'ERR_DB_OPEN'] as const)(
    '%s: it is closed, and opened again by the next use',
    async (code) => {
      const { keeper, events, lines } = opened()
      const error = new AppError(code, 'it was replaced')
      await expect(keeper.use(() => Promise.reject(error))).rejects.toBe(error)
      expect([keeper.generation, keeper.isFresh]).toEqual([1, false])
      expect(await keeper.use(async ({ number }) => number)).toBe(2)
      expect([keeper.generation, keeper.isFresh]).toEqual([2, true])
      expect(events).toEqual(['closed 1'])
      expect(lines()).toEqual([
        'warning db: it was replaced: reopening it',
        'info db: closing failed (it is gone)',
      ])
    },
  )

  test('a second use that fails on the old one leaves the new one open', async () => {
    const { keeper, events, lines } = opened()
    const gone = new AppError('ERR_DB_GONE', 'gone')
    let failLater: () => void = () => undefined
    const late = keeper.use(() => new Promise((_resolve, reject) => (failLater = () => reject(gone))))
    await keeper.use(() => Promise.reject(gone)).catch(() => undefined)
    expect(await keeper.use(async ({ number }) => number)).toBe(2)
    failLater()
    await expect(late).rejects.toBe(gone)
    expect(await keeper.use(async ({ number }) => number)).toBe(2)
    expect(events).toEqual(['closed 1'])
    expect(lines()).toHaveLength(2)
  })

  test('a lock, and a fault of whoever uses it, are no reason', async () => {
    const { keeper, events } = opened()
    for (const error of [new AppError('ERR_DB_BUSY', 'locked'), new Error('mine')])
      await expect(keeper.use(() => Promise.reject(error))).rejects.toBe(error)
    expect(await keeper.use(async ({ number }) => number)).toBe(1)
    expect(events).toEqual([])
  })

  test('one that cannot be opened is tried again by the next use', async () => {
    let isFailing = true
    const { keeper } = opened(() => isFailing)
    await expect(keeper.use(async () => undefined)).rejects.toMatchObject({ code: 'ERR_DB_OPEN' })
    expect(keeper.generation).toBe(0)
    isFailing = false
    expect(await keeper.use(async ({ number }) => number)).toBe(1)
  })
})
