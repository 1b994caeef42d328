import { beforeEach, expect, test, vi } from 'vitest'
import { retryWhileBusy } from '../../../../src/daemon/store/retry-while-busy.js'
import { AppError } from '../../../../src/platform/app-error.js'

/** Pauses take no time here; each is noted. */
const pauses = vi.hoisted((): number[] => [])
vi.mock('node:timers/promises', () => ({ setTimeout: async (ms: number) => void pauses.push(ms) }))
beforeEach(() => {
  pauses.length = 0
})

const busy = () => new AppError('ERR_DB_BUSY', 'database is locked')

/** An action that fails with `failures` in turn and then succeeds. */
function failing(...failures: Error[]) {
  const left = [...failures]
  return vi.fn(async () => {
    const failure = left.shift()
    if (failure !== undefined) throw failure
    return 'done'
  })
}

test('a locked database is asked again until it answers', async () => {
  const action = failing(busy(), busy(), busy())
  expect(await retryWhileBusy(action, () => false)).toBe('done')
  expect(action).toHaveBeenCalledTimes(4)
  expect(pauses).toEqual([250, 250, 250])
})

test('one that stays locked is given up after ten seconds', async () => {
  const action = vi.fn(async () => {
    throw busy()
  })
  await expect(retryWhileBusy(action, () => false)).rejects.toThrow('database is locked')
  expect(pauses.reduce((sum, ms) => sum + ms, 0)).toBe(10_000)
})

test('another failure is told at once', async () => {
  const action = failing(new AppError('ERR_DB_FULL', 'disk full'))
  await expect(retryWhileBusy(action, () => false)).rejects.toThrow('disk full')
  expect(pauses).toEqual([])
})

test('who stops does not wait any longer', async () => {
  const action = failing(busy(), busy(), busy(), busy())
  await expect(retryWhileBusy(action, () => action.mock.calls.length === 3)).rejects.toThrow(
    'database is locked',
  )
  expect(action).toHaveBeenCalledTimes(3)
})
