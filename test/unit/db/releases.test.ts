import { describe, expect, test } from 'vitest'
import { planRelease } from '../../../src/app/release/release-mail.js'
import type { Store, TupleAttempt } from '../../../src/db/store.js'
import {
  KEEP_RELEASE_SEC,
  MAX_RELEASE_USES,
  MAX_RELEASES,
  type Release,
  type ReleaseTerms,
} from '../../../src/domain/release.js'
import { attemptOf, entriesOf, NOW, POLICY, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()

function releaseOf(terms: ReleaseTerms, changes: Partial<Release> = {}): Release {
  const plan = planRelease({ terms, scope: 'address', forSec: 3600, actor: 'anna' }, NOW)
  return { ...plan, ...changes }
}

async function storeWith(...releases: Release[]): Promise<Store> {
  const store = await scratch.store({ durability: 'normal' })
  const edits = releases.map((release) => ({ operation: 'make' as const, release }))
  expect((await store.editReleases(edits, NOW, { actor: 'anna' })).outcomes).toEqual(edits.map(() => 'made'))
  return store
}

async function resultOf(store: Store, attempt: TupleAttempt, now: number): Promise<string | undefined> {
  return (await store.recordAttempts([attempt], POLICY, now)).outcomes[0]?.result
}

const kindOf = async (store: Store, ip: string) => (await store.get({ kind: 'host', ip }))?.kind

describe('a release', () => {
  test('makes the address of the next matching attempt WHITE for as long as a tuple waits', async () => {
    const store = await storeWith(releaseOf({ to: 'user@example.net' }))
    expect(await resultOf(store, attemptOf('192.0.2.1'), NOW + 5)).toBe('promoted')
    expect(await entriesOf(store)).toEqual([
      {
        kind: 'WHITE',
        ip: '192.0.2.1',
        first: NOW + 5,
        pass: NOW + 5,
        expire: NOW + 5 + POLICY.greyExpireSec,
        bcount: 1,
        pcount: 0,
      },
    ])
    expect(await store.readReleases()).toMatchObject([{ used: 1, author: 'anna' }])
  })

  test('takes the tuple that waits, and lets every address of a pool in', async () => {
    const store = await scratch.store()
    expect(await resultOf(store, attemptOf('192.0.2.1'), NOW - 60)).toBe('new')
    await store.editReleases([{ operation: 'make', release: releaseOf({ from: 'example.org' }) }], NOW)
    for (const ip of ['192.0.2.1', '198.51.100.7', '2001:db8::1']) {
      expect(await resultOf(store, attemptOf(ip), NOW + 1)).toBe('promoted')
      expect(await kindOf(store, ip)).toBe('WHITE')
    }
    expect(await entriesOf(store, { kinds: ['GREY'] })).toEqual([])
    expect(await store.readReleases()).toMatchObject([{ used: 3 }])
  })

  const others: { name: string; terms: ReleaseTerms; attempt: TupleAttempt; now?: number }[] = [
    { name: 'another recipient', terms: { to: 'other@example.net' }, attempt: attemptOf('192.0.2.1') },
    {
      name: 'a recipient with a detail',
      terms: { to: 'user@example.net' },
      attempt: attemptOf('192.0.2.1', {
        trapKey: 'user+x@example.net',
        otherTrapKeys: ['user@example.net'],
        tuple: { ...attemptOf('192.0.2.1').tuple, to: '<user+x@example.net>' },
      }),
    },
    { name: 'another sender', terms: { from: 'x@example.org' }, attempt: attemptOf('192.0.2.1') },
    { name: 'a domain that only ends so', terms: { from: 'ample.org' }, attempt: attemptOf('192.0.2.1') },
    { name: 'the domain above', terms: { from: '.sub.example.org' }, attempt: attemptOf('192.0.2.1') },
    { name: 'the null sender', terms: { from: '' }, attempt: attemptOf('192.0.2.1') },
    {
      name: 'the right sender to another recipient',
      terms: { from: 's@example.org', to: 'other@example.net' },
      attempt: attemptOf('192.0.2.1'),
    },
    {
      name: 'another network',
      terms: { from: 'example.org', network: '192.0.2.0/25' },
      attempt: attemptOf('192.0.2.200'),
    },
    {
      name: 'another family',
      terms: { from: 'example.org', network: '192.0.2.0/24' },
      attempt: attemptOf('2001:db8::1'),
    },
    {
      name: 'an address on a block list',
      terms: { from: 'example.org' },
      attempt: attemptOf('192.0.2.1', { mayPromote: false }),
    },
    {
      name: 'a mail after its end',
      terms: { from: 'example.org' },
      attempt: attemptOf('192.0.2.1'),
      now: NOW + 3600,
    },
    {
      name: 'a mail without terms',
      terms: {},
      attempt: attemptOf('192.0.2.1'),
    },
  ]
  test.each(others)('leaves $name to greylisting', async ({ terms, attempt, now = NOW + 1 }) => {
    const store = await storeWith(releaseOf(terms))
    expect(await resultOf(store, attempt, now)).toBe('new')
    expect(await store.readReleases()).toMatchObject([{ used: 0 }])
  })

  const matching: { name: string; terms: ReleaseTerms; from?: string }[] = [
    { name: 'a whole sender', terms: { from: 's@example.org' } },
    { name: 'its domain', terms: { from: 'example.org' } },
    { name: 'its domain in capitals', terms: { from: 'example.org' }, from: '<S@EXAMPLE.ORG>' },
    { name: 'a domain with its subdomains', terms: { from: '.example.org' }, from: '<s@a.b.example.org>' },
    { name: 'such a domain itself', terms: { from: '.example.org' } },
    { name: 'the null sender', terms: { from: '' }, from: '<>' },
    { name: 'a network', terms: { from: 'example.org', network: '192.0.2.1/32' } },
  ]
  test.each(matching)('names $name', async ({ terms, from = '<s@example.org>' }) => {
    const store = await storeWith(releaseOf(terms))
    const attempt = attemptOf('192.0.2.1')
    expect(await resultOf(store, { ...attempt, tuple: { ...attempt.tuple, from } }, NOW)).toBe('promoted')
  })

  test('never releases a TRAPPED address, and a trap is stronger', async () => {
    const store = await storeWith(releaseOf({ from: 'example.org' }))
    await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.1' }], NOW)
    expect(await resultOf(store, attemptOf('192.0.2.1'), NOW + 1)).toBe('new')
    expect(await resultOf(store, attemptOf('192.0.2.2', { isDomainTrap: true }), NOW + 1)).toBe('trapped')
    expect(await resultOf(store, attemptOf('192.0.2.3', { isLowPriorityMx: true }), NOW + 1)).toBe(
      'trapped-mx',
    )
    expect(await store.readReleases()).toMatchObject([{ used: 0 }])
  })

  describe('of a pool', () => {
    const around = (ip: string, mayOpenAround = true) => attemptOf(ip, { mayOpenAround })
    const openedBy = async (store: Store, attempt: TupleAttempt) =>
      (await store.recordAttempts([attempt], POLICY, NOW + 1)).outcomes[0]?.opened
    const poolOf = (terms: ReleaseTerms) => releaseOf(terms, { scope: 'pool', id: 'abcdefgh' })

    test('lets in the /24 or /64 of the attempt, no wider than its terms', async () => {
      const store = await storeWith(poolOf({ from: 'example.org' }))
      expect(await openedBy(store, around('192.0.2.7'))).toEqual(['192.0.2.0/24'])
      expect(await openedBy(store, around('2001:db8::7'))).toEqual(['2001:db8::/64'])
      expect(await store.get({ kind: 'pool', ip: '192.0.2.0/24' })).toMatchObject({
        pool: 'release:abcdefgh',
        expire: NOW + 1 + POLICY.greyExpireSec,
      })
      const narrow = await storeWith(poolOf({ from: 'example.org', network: '192.0.2.0/28' }))
      expect(await openedBy(narrow, around('192.0.2.7'))).toEqual(['192.0.2.0/28'])
      expect(await openedBy(narrow, around('192.0.2.17'))).toBeUndefined()
    })

    test('lets the address alone in where a neighbour must not be', async () => {
      const store = await storeWith(poolOf({ from: 'example.org' }))
      await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.99' }], NOW)
      expect(await openedBy(store, around('192.0.2.7'))).toBeUndefined()
      expect(await openedBy(store, around('198.51.100.7', false))).toBeUndefined()
      expect(await kindOf(store, '192.0.2.7')).toBe('WHITE')
      expect(await kindOf(store, '198.51.100.7')).toBe('WHITE')
    })

    test('opens no network for other mail', async () => {
      const store = await storeWith(poolOf({ from: 'example.com' }))
      expect(await openedBy(store, around('192.0.2.7'))).toBeUndefined()
      expect(await store.get({ kind: 'pool', ip: '192.0.2.0/24' })).toBeUndefined()
    })
  })

  test('is used up after so many addresses', async () => {
    const store = await storeWith(releaseOf({ from: 'example.org' }, { used: MAX_RELEASE_USES - 1 }))
    expect(await resultOf(store, attemptOf('192.0.2.1'), NOW + 1)).toBe('promoted')
    expect(await resultOf(store, attemptOf('192.0.2.2'), NOW + 1)).toBe('new')
  })

  test('counts an address once', async () => {
    const store = await storeWith(releaseOf({ from: 'example.org' }))
    await store.recordAttempts([attemptOf('192.0.2.1'), attemptOf('192.0.2.1')], POLICY, NOW + 1)
    expect(await store.readReleases()).toMatchObject([{ used: 1 }])
  })

  test('ends when it is cancelled', async () => {
    const release = releaseOf({ from: 'example.org' })
    const store = await storeWith(release)
    const cancel = [{ operation: 'cancel' as const, id: release.id }]
    expect((await store.editReleases(cancel, NOW + 10)).outcomes).toEqual(['cancelled'])
    expect(await resultOf(store, attemptOf('192.0.2.1'), NOW + 10)).toBe('new')
    expect((await store.editReleases(cancel, NOW + 20)).outcomes).toEqual(['ended'])
    expect((await store.editReleases([{ operation: 'cancel', id: 'x' }], NOW)).outcomes).toEqual(['missing'])
  })

  test('keeps its fields over a restart, whatever bytes they hold', async () => {
    const path = scratch.create()
    const release = releaseOf(
      { from: 'b\xfccher@\xe4.example', to: "o'neil@example.net", network: '2001:db8::/32' },
      { scope: 'pool' },
    )
    const store = await scratch.open(path)
    await store.editReleases([{ operation: 'make', release }], NOW)
    expect(await (await scratch.open(path, { mode: 'read' })).readReleases()).toEqual([release])
  })

  test('there is a limit of how many are in force, and a name is taken once', async () => {
    const releases = Array.from({ length: MAX_RELEASES }, () => releaseOf({ from: 'example.com' }))
    const store = await storeWith(...releases)
    const one = { operation: 'make' as const, release: releaseOf({ from: 'example.org' }) }
    expect((await store.editReleases([one], NOW)).outcomes).toEqual(['refused'])
    const later = { ...one, release: { ...one.release, first: NOW + 3600, expire: NOW + 7200 } }
    expect((await store.editReleases([later, later], NOW + 3600)).outcomes).toEqual(['made', 'refused'])
  })

  test('is forgotten a week after its end, without a word in the history', async () => {
    const store = await storeWith(releaseOf({ from: 'example.com' }))
    const now = NOW + 3600 + KEEP_RELEASE_SEC + 1
    await store.editReleases([{ operation: 'cancel', id: 'x' }], now)
    expect(await store.readReleases()).toEqual([])
    expect(await store.readHistory({ after: 0, limit: 10 })).toHaveLength(1)
  })

  test('history and journal tell who made it, and what it let in', async () => {
    const release = releaseOf({ from: 'example.org' })
    const store = await storeWith(release)
    await store.recordAttempts([attemptOf('192.0.2.1')], POLICY, NOW + 1)
    await store.editReleases([{ operation: 'cancel', id: release.id }], NOW + 2, { actor: 'ben' })
    expect(await store.readHistory({ after: 0, limit: 10 })).toMatchObject([
      { rule: 'release', actor: 'anna', key: { kind: 'release', id: release.id }, after: release },
      { rule: 'release', actor: 'anna', key: { kind: 'host', ip: '192.0.2.1' }, after: { kind: 'WHITE' } },
      { rule: 'release', actor: 'ben', before: { used: 1 }, after: { expire: NOW + 2 } },
    ])
    const { rows } = await store.readJournal(0, 10)
    expect(rows.map(({ key, rule, actor }) => [key?.kind, rule, actor])).toEqual([
      ['release', 'release', 'anna'],
      ['host', 'release', 'anna'],
      ['release', 'release', 'anna'],
      ['release', 'release', 'ben'],
    ])
    await expect(
      store.undo('last', { force: false, isDryRun: true, actor: undefined }, NOW),
    ).rejects.toMatchObject({ code: 'ERR_HISTORY_EVENT' })
  })

  test('a history of addresses alone keeps no sender', async () => {
    const store = await storeWith(releaseOf({ from: 'example.org' }))
    await store.saveHistorySettings({ ...(await store.historySettings()), mode: 'hosts' })
    await store.editReleases([{ operation: 'make', release: releaseOf({ from: 'example.com' }) }], NOW)
    expect(await store.readHistory({ after: 0, limit: 10 })).toEqual([])
  })
})

describe('releases that another program makes or ends', () => {
  const toOther = (ip: string): TupleAttempt =>
    attemptOf(ip, { tuple: { ...attemptOf(ip).tuple, to: '<x@example.net>' }, trapKey: 'x@example.net' })

  test('count from its next attempt on, for a program that has used some before', async () => {
    const store = await storeWith(releaseOf({ to: 'user@example.net' }, { id: 'aaaaaaaa' }))
    expect(await resultOf(store, toOther('192.0.2.1'), NOW + 5)).toBe('new')
    const other = await scratch.open(store.location)
    await other.editReleases([{ operation: 'cancel', id: 'aaaaaaaa' }], NOW + 6)
    expect(await resultOf(store, attemptOf('192.0.2.2'), NOW + 7)).toBe('new')
    await other.editReleases([{ operation: 'make', release: releaseOf({ to: 'x@example.net' }) }], NOW + 8)
    expect(await resultOf(store, toOther('192.0.2.3'), NOW + 9)).toBe('promoted')
  })
})
