/** Which mail a release lets pass, from where, and how long. */
import { describe, expect, test } from 'vitest'
import {
  findRelease,
  isInForce,
  isInReleaseNetwork,
  MAX_RELEASE_USES,
  meetsTerms,
  type Release,
  type ReleaseTerms,
  releasedNetwork,
} from '../../../src/domain/release.js'

const NOW = 1000
const release = (more: Partial<Release> = {}): Release => ({
  kind: 'RELEASE',
  id: 'r1',
  scope: 'address',
  first: NOW,
  expire: NOW + 10,
  used: 0,
  to: 'c@d.example',
  ...more,
})
const mail = (from: string, to = '<c@d.example>', trapKey = 'c@d.example') => ({
  tuple: { from, to },
  trapKey,
})

test.each([
  [true, {}, NOW],
  [true, {}, NOW + 9],
  [false, {}, NOW - 1],
  [false, {}, NOW + 10],
  [true, { used: MAX_RELEASE_USES - 1 }, NOW],
  [false, { used: MAX_RELEASE_USES }, NOW],
])('in force: %s: %j at %i', (isHeld, more, now) => {
  expect(isInForce(release(more), now)).toBe(isHeld)
})

describe('terms', () => {
  test.each<[boolean, ReleaseTerms, string]>([
    [false, {}, '<a@b.example>'],
    [true, { to: 'c@d.example' }, '<a@b.example>'],
    [false, { to: 'x@d.example' }, '<a@b.example>'],
    [true, { from: 'a@b.example' }, '<a@b.example>'],
    [true, { from: 'a@b.example' }, '<A@B.Example>'],
    [false, { from: 'a@b.example' }, '<aa@b.example>'],
    [true, { from: '' }, '<>'],
    [false, { from: '' }, '<a@b.example>'],
    [true, { from: 'b.example' }, '<a@b.example>'],
    [true, { from: 'b.example' }, '<a@b.example.>'],
    [false, { from: 'b.example' }, '<a@sub.b.example>'],
    [false, { from: 'b.example' }, '<a@xb.example>'],
    [false, { from: 'b.example' }, '<b.example>'],
    [true, { from: 'b.example' }, '<@b.example>'],
    [true, { from: '.b.example' }, '<a@b.example>'],
    [true, { from: '.b.example' }, '<a@sub.b.example>'],
    [false, { from: '.b.example' }, '<a@xb.example>'],
    [true, { from: 'b.example', to: 'c@d.example' }, '<a@b.example>'],
    [false, { from: 'b.example', to: 'x@d.example' }, '<a@b.example>'],
    [false, { from: 'x.example', to: 'c@d.example' }, '<a@b.example>'],
  ])('%s: %j, from %s', (isMet, terms, from) => {
    expect(meetsTerms(terms, mail(from))).toBe(isMet)
  })

  test('the recipient is that of the mail server or that of the tuple', () => {
    const given = mail('<a@b.example>', '<c@d.example>', 'other@d.example')
    expect(meetsTerms({ to: 'c@d.example' }, given)).toBe(true)
    expect(meetsTerms({ to: 'other@d.example' }, given)).toBe(true)
    expect(meetsTerms({ to: 'third@d.example' }, given)).toBe(false)
  })
})

test.each([
  [true, undefined, '192.0.2.1'],
  [true, '192.0.2.0/24', '192.0.2.255'],
  [false, '192.0.2.0/24', '192.0.3.0'],
  [false, '192.0.2.0/24', '2001:db8::1'],
  [false, 'no network', '192.0.2.1'],
])('within its network: %s: %s, %s', (isWithin, network, ip) => {
  expect(isInReleaseNetwork({ network }, ip)).toBe(isWithin)
})

test.each([
  [undefined, '192.0.2.9', '192.0.2.0/24'],
  [undefined, '2001:db8:1:2:3::9', '2001:db8:1:2::/64'],
  ['192.0.0.0/16', '192.0.2.9', '192.0.2.0/24'],
  ['192.0.2.0/28', '192.0.2.9', '192.0.2.0/28'],
  ['no network', '192.0.2.9', '192.0.2.0/24'],
])('what it opens, no wider than its terms: %s, %s', (network, ip, opened) => {
  expect(releasedNetwork({ network }, ip)).toBe(opened)
})

test('the first in force that matches is taken', () => {
  const find = (...releases: Release[]) =>
    findRelease({ now: NOW, releases: () => releases }, { ...mail('<a@b.example>'), clientIp: '192.0.2.1' })
      ?.id
  const [one, other] = [release({ id: 'one' }), release({ id: 'other' })]
  expect(find(one, other)).toBe('one')
  expect(find({ ...one, expire: NOW }, other)).toBe('other')
  expect(find({ ...one, to: 'x@d.example' }, other)).toBe('other')
  expect(find({ ...one, network: '198.51.100.0/24' }, other)).toBe('other')
  expect(find({ ...one, expire: NOW })).toBeUndefined()
})
