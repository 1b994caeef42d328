/** Sources of exceptions, as the store keeps them. */
import { expect, test } from 'vitest'
import type { AllowSource } from '../../../src/domain/allow.js'
import { NOW, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const source: AllowSource = {
  name: 'example.org',
  first: NOW,
  expire: 0,
  checked: NOW + 5,
  comment: 'Anna\u2019s wish',
  networks: ['192.0.2.0/24', '2001:db8::/32'],
}
const put = (changes: Partial<AllowSource> = {}) => ({
  operation: 'put' as const,
  source: { ...source, ...changes },
})

test('sources are stored whole, replaced and removed', async () => {
  const store = await scratch.store()
  expect(await store.readAllowed()).toEqual([])
  const { comment: _comment, ...plain } = source
  const other: AllowSource = { ...plain, name: '198.51.100.0/24', networks: ['198.51.100.0/24'] }
  expect(await store.editAllowed([put(), { operation: 'put', source: other }], NOW)).toEqual([true, true])
  expect(await store.readAllowed()).toEqual([other, source])
  const fewer = { networks: ['192.0.2.0/25'], expire: NOW + 60 }
  const edits = [put(fewer), { operation: 'remove' as const, name: other.name }]
  expect(await store.editAllowed(edits, NOW)).toEqual([true, true])
  expect(await store.readAllowed()).toEqual([{ ...source, ...fewer }])
  expect(await store.editAllowed([{ operation: 'remove', name: other.name }], NOW)).toEqual([false])
})

test('one transaction stores all, or nothing', async () => {
  const store = await scratch.store()
  const twice = put({ name: 'example.com', networks: ['192.0.2.0/24', '192.0.2.0/24'] })
  await expect(store.editAllowed([put(), twice], NOW)).rejects.toThrow()
  expect(await store.readAllowed()).toEqual([])
})
