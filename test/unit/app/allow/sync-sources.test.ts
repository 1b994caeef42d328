import { expect, test } from 'vitest'
import { editsOf, planSync } from '../../../../src/app/allow/sync-sources.js'
import type { AllowSource } from '../../../../src/domain/allow.js'

const NOW = 1_700_000_000
const source = (name: string, changes: Partial<AllowSource> = {}): AllowSource => ({
  ...{ name, first: NOW - 9999, expire: 0, checked: NOW - 999, networks: ['192.0.2.0/24'] },
  ...changes,
})

test('eight domains are looked up at a time, in order', async () => {
  let running = 0
  let most = 0
  const sources = Array.from({ length: 20 }, (_, n) => source(`d${n}.example`))
  const changes = await planSync(
    sources,
    async () => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
      return { ok: true, networks: ['192.0.2.0/24'], hasClientTerms: false } as never
    },
    NOW,
  )
  expect(most).toBe(8)
  expect(changes.map((change) => change.source.name)).toEqual(sources.map(({ name }) => name))
})

test('what is new, gone, unknown or over is told, and what is stored of it', async () => {
  const sources = [
    source('moved.example'),
    source('dead.example'),
    source('over.example', { expire: NOW - 1 }),
    source('198.51.100.0/24', { networks: ['198.51.100.0/24'] }),
  ]
  const changes = await planSync(
    sources,
    async (domain) =>
      (domain === 'dead.example'
        ? { ok: false, reason: 'no answer', isPassing: true }
        : { ok: true, networks: ['192.0.2.128/25'], hasClientTerms: true }) as never,
    NOW,
  )
  expect(changes).toMatchObject([
    { added: ['192.0.2.128/25'], removed: ['192.0.2.0/24'], failure: undefined, hasClientTerms: true },
    { added: [], removed: [], failure: 'no answer', isPassing: true, isEnded: false },
    { added: [], removed: ['192.0.2.0/24'], isEnded: true },
    { added: [], removed: [], failure: undefined, isEnded: false },
  ])
  expect(editsOf(changes)).toEqual([
    { operation: 'put', source: { ...sources[0], networks: ['192.0.2.128/25'], checked: NOW } },
    { operation: 'remove', name: 'over.example' },
  ])
  // Without DNS what is over goes, and nothing else changes.
  expect(editsOf(await planSync(sources.slice(1), undefined, NOW)).slice(-1)).toEqual([
    { operation: 'remove', name: 'over.example' },
  ])
})
