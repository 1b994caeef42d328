import { expect, test } from 'vitest'
import { editEntries } from '../../../../src/app/database/edit-entries.js'
import { type Change, keyText } from '../../../../src/domain/change.js'
import { NOW, Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()

test.each([1, 100])('of an edit of %i addresses who asks for its changes gets each', async (count) => {
  const store = await scratch.store()
  const ips = Array.from({ length: count }, (_, n) => `192.0.2.${n}`)
  const told: Change[] = []
  const fail = (): never => {
    throw new Error('an edit failed')
  }
  const add = {
    ...({ operation: 'add', kind: 'WHITE', allTuples: false, ifMissing: false } as const),
    ...{ lifetime: undefined, comment: undefined },
  }
  await editEntries(store, [ips], add, NOW, fail, (changes) => void told.push(...changes))
  expect(new Set(told.map(({ key }) => keyText(key)))).toEqual(new Set(ips))
  expect(told).toHaveLength(count)
})
