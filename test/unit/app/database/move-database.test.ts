/** A move tells what it moved; test/db moves to a server and back. */
import { expect, test } from 'vitest'
import { moveDatabase } from '../../../../src/app/database/move-database.js'
import { attemptOf, NOW, POLICY, Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()
const NOTHING = { addresses: 0, tuples: 0, spamtraps: 0, pools: 0, releases: 0, exceptions: 0, left: 0 }
const digest = expect.stringMatching(/^[0-9a-f]{32}$/) as string

test('of nothing, nothing', async () => {
  const [from, to] = [await scratch.store(), await scratch.store()]
  expect(await moveDatabase(from, to, NOW)).toEqual({ ...NOTHING, digest: '0'.repeat(32) })
})

test('each kind is counted apart', async () => {
  const [from, to] = [await scratch.store(), await scratch.store()]
  await from.edit(
    [
      { operation: 'add', kind: 'WHITE', ip: '192.0.2.1' },
      { operation: 'add', kind: 'TRAPPED', ip: '192.0.2.2' },
      { operation: 'add', kind: 'SPAMTRAP', address: 'a@example.org' },
    ],
    NOW,
  )
  await from.recordAttempts(
    [3, 4, 5].map((n) => attemptOf(`192.0.2.${n}`)),
    POLICY,
    NOW,
  )
  const source = { first: NOW, expire: 0, checked: NOW, networks: ['192.0.2.0/24'] }
  await from.editAllowed([{ operation: 'put', source: { ...source, name: 'example.org' } }], NOW)
  expect(await moveDatabase(from, to, NOW)).toEqual({
    ...NOTHING,
    ...{ addresses: 2, tuples: 3, spamtraps: 1, exceptions: 1, digest },
  })
  await expect(moveDatabase(from, to, NOW)).rejects.toMatchObject({ code: 'ERR_MOVE_NOT_EMPTY' })
})
