/** Mail from many addresses, as the store puts it together from tuples and history. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../../src/db/store.js'
import type { DeferredMail } from '../../../src/domain/deferred-mail.js'
import { attemptOf, NOW, POLICY, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const ALL = { sinceSec: NOW - 86_400, minAddresses: 3, limit: 100 }

interface Try {
  ip: string
  at: number
  from?: string
  to?: string
  helo?: string
}

async function storeAfter(...tries: Try[]): Promise<Store> {
  const store = await scratch.store({ durability: 'normal' })
  await record(store, tries)
  return store
}

async function record(store: Store, tries: readonly Try[]): Promise<void> {
  for (const { at, ip, ...fields } of tries) {
    const attempt = attemptOf(ip)
    await store.recordAttempts([{ ...attempt, tuple: { ...attempt.tuple, ...fields } }], POLICY, at)
  }
}

const pool = (count: number, at = NOW, fields: Partial<Try> = {}): Try[] =>
  Array.from({ length: count }, (_, n) => ({
    ip: `192.0.2.${n + 1}`,
    helo: `out${n + 1}.example.org`,
    at: at + n * 60,
    ...fields,
  }))

const mailsOf = async (store: Store, query = ALL): Promise<DeferredMail[]> =>
  (await store.readDeferred(query)).mails

describe('readDeferred', () => {
  test('counts addresses and tries of one mail', async () => {
    const store = await storeAfter(...pool(4), { ip: '192.0.2.1', helo: 'out1.example.org', at: NOW + 600 })
    expect(await mailsOf(store)).toEqual([
      {
        from: '<s@example.org>',
        to: '<user@example.net>',
        tries: 5,
        firstSec: NOW,
        lastSec: NOW + 600,
        passedSec: undefined,
        addressCount: 4,
        clients: [1, 2, 3, 4].map((n) => ({ ip: `192.0.2.${n}`, helo: `out${n}.example.org` })),
      },
    ])
    expect(await mailsOf(store, { ...ALL, minAddresses: 5 })).toEqual([])
  })

  test('the same address with another HELO is one address', async () => {
    const tries = ['a', 'b', 'c'].map((helo) => ({ ip: '192.0.2.1', at: NOW, helo }))
    expect(await mailsOf(await storeAfter(...tries))).toEqual([])
  })

  test('mail to others and from others is other mail', async () => {
    const [one, two, three] = pool(3)
    const store = await storeAfter(
      one!,
      { ...two!, to: '<x@example.net>' },
      { ...three!, from: '<x@example.org>' },
    )
    expect(await mailsOf(store)).toEqual([])
  })

  test('knows what ended by time, and leaves out what is older', async () => {
    const store = await storeAfter(...pool(3))
    const expired = [1, 2, 3].map((n) => ({
      kind: 'tuple' as const,
      ...attemptOf(`192.0.2.${n}`).tuple,
      helo: `out${n}.example.org`,
    }))
    const later = NOW + POLICY.greyExpireSec + 1000
    await store.applyScan({ expired, promoted: [], blocked: [], blockedTuples: [] }, POLICY, later)
    expect(await store.count()).toMatchObject({ GREY: 0 })
    expect(await mailsOf(store)).toMatchObject([{ tries: 3, addressCount: 3 }])
    expect(await mailsOf(store, { ...ALL, sinceSec: NOW + 61 })).toEqual([])
  })

  test('tells when it passed', async () => {
    const store = await storeAfter(...pool(3), { ip: '192.0.2.2', helo: 'out2.example.org', at: NOW + 2000 })
    expect(await mailsOf(store)).toMatchObject([{ passedSec: NOW + 2000, lastSec: NOW + 120 }])
  })

  test('without a history the tuples tell', async () => {
    const store = await scratch.store()
    await store.saveHistorySettings({ ...(await store.historySettings()), mode: 'off' })
    await store.recordAttempts(
      pool(3).map(({ ip }) => attemptOf(ip)),
      POLICY,
      NOW,
    )
    await store.recordAttempts([attemptOf('192.0.2.1')], POLICY, NOW + 60)
    expect(await mailsOf(store)).toMatchObject([{ tries: 4, addressCount: 3, lastSec: NOW + 60 }])
  })

  test('the mails from the most addresses come first, up to a limit', async () => {
    const store = await storeAfter(...pool(3), ...pool(5, NOW, { from: '<big@example.com>' }))
    const cut = await store.readDeferred({ ...ALL, limit: 1 })
    expect(cut).toMatchObject({ isCut: true, mails: [{ from: '<big@example.com>' }] })
    expect((await store.readDeferred({ ...ALL, limit: 2 })).isCut).toBe(false)
  })

  test.each([',', '",', '","', '\\"', '\\'])('a HELO of %j is read whole', async (helo) => {
    const store = await storeAfter(...pool(3, NOW, { helo, from: '"', to: '","' }))
    expect(await mailsOf(store)).toMatchObject([
      { from: '"', to: '","', clients: pool(3).map(({ ip }) => ({ ip, helo })) },
    ])
  })

  test('whatever bytes the fields hold, both sources agree on them', async () => {
    // What the greylister lets through: no controls, any byte above.
    const unit = fc.constantFrom(...'",[]\\{}|<>@ab é\xff\x80'.split(''))
    const text = fc.string({ unit, minLength: 1, maxLength: 12 })
    const store = await storeAfter()
    let runs = 0
    await fc.assert(
      fc.asyncProperty(text, text, text, async (helo, from, anyTo) => {
        runs += 1
        const to = `${anyTo}${runs}`
        await record(store, pool(3, NOW, { helo, from, to }))
        const mails = await mailsOf(store)
        expect(mails.filter((mail) => mail.from === from && mail.to === to)).toMatchObject([
          { tries: 3, clients: pool(3).map(({ ip }) => ({ ip, helo })) },
        ])
        expect(mails).toHaveLength(runs)
      }),
      { numRuns: 30 },
    )
  })
})
