import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { acquireRunLock } from '../../../src/db/file/run-lock.js'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-lock-'))
})
afterEach(() => rm(folder, { recursive: true }))

const never = () => Promise.reject(new Error('must not wait'))

test('a second holder is refused at once, with the name of the first', async () => {
  const path = join(folder, 'lock')
  const lock = await acquireRunLock(path, { waitMs: 0, holder: 'process 12', sleep: never })
  await expect(acquireRunLock(path, { waitMs: 0, holder: 'process 13', sleep: never })).rejects.toMatchObject(
    {
      code: 'ERR_LOCK_BUSY',
      message: 'another run is in progress: process 12',
    },
  )
  lock.release()
  const again = await acquireRunLock(path, { waitMs: 0, holder: 'process 13', sleep: never })
  again.release()
})

test('a waiting holder gets the lock when it is released', async () => {
  const path = join(folder, 'lock')
  const first = await acquireRunLock(path, { waitMs: 0, holder: 'first', sleep: never })
  let pauses = 0
  const second = await acquireRunLock(path, {
    waitMs: 60_000,
    holder: 'second',
    sleep: async () => {
      pauses += 1
      if (pauses === 3) first.release()
    },
  })
  expect(pauses).toBe(3)
  second.release()
})

test('a path that cannot be a lock is a clear failure', async () => {
  await expect(acquireRunLock(folder, { waitMs: 0, holder: 'x', sleep: never })).rejects.toMatchObject({
    code: 'ERR_LOCK_OPEN',
  })
})
