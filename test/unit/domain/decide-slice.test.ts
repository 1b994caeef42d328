import { describe, expect, test } from 'vitest'
import { decideSlice } from '../../../src/domain/decide-slice.js'
import type { Entry } from '../../../src/domain/entry.js'

const NOW = 1_700_000_000
const tuple = { ip: '192.0.2.7', helo: 'h', from: '<a@b>', to: '<c@d>' }
const times = { first: NOW - 100, pass: NOW, expire: NOW + 100, bcount: 1, pcount: 0 }
const white = (ip: string, part: Partial<typeof times> = {}): Entry => ({
  kind: 'WHITE',
  ip,
  ...times,
  ...part,
})
const trapped = (ip: string, part: Partial<typeof times> = {}): Entry => ({
  kind: 'TRAPPED',
  ip,
  ...times,
  pass: 0,
  pcount: -1,
  ...part,
})
const grey = (part: Partial<typeof times & typeof tuple> = {}): Entry => ({
  kind: 'GREY',
  ...tuple,
  ...times,
  ...part,
})
const usual = { nowSec: NOW, passedSec: NOW, mayExpire: true, doubt: undefined }
const decide = (entries: Entry[], listed: string[] = [], time = usual) =>
  decideSlice(entries, time, (ip) => listed.includes(ip))
const nothing = {
  changes: { expired: [], promoted: [], blocked: [], blockedTuples: [] },
  white: [],
  trapped: [],
  heldTuples: [],
  pools: [],
}

const cases: { name: string; entry: Entry; want: Partial<ReturnType<typeof decide>>; listed?: string[] }[] = [
  { name: 'a WHITE that passed is white', entry: white('192.0.2.1'), want: { white: ['192.0.2.1'] } },
  { name: 'a WHITE that passes in the future waits', entry: white('192.0.2.1', { pass: NOW + 1 }), want: {} },
  {
    name: 'an expiry of now is over',
    entry: white('192.0.2.1', { expire: NOW }),
    want: { changes: { ...nothing.changes, expired: [{ kind: 'host', ip: '192.0.2.1' }] } },
  },
  {
    name: 'a pinned WHITE never expires',
    entry: white('192.0.2.1', { expire: 0 }),
    want: { white: ['192.0.2.1'] },
  },
  {
    name: 'a WHITE on a block list goes',
    entry: white('2001:db8::1'),
    listed: ['2001:db8::1'],
    want: { changes: { ...nothing.changes, blocked: ['2001:db8::1'] } },
  },
  {
    name: 'a pinned WHITE on a block list stays white: it was pinned by hand',
    entry: white('192.0.2.1', { expire: 0 }),
    listed: ['192.0.2.1'],
    want: { white: ['192.0.2.1'] },
  },
  { name: 'a TRAPPED is trapped', entry: trapped('2001:db8::2'), want: { trapped: ['2001:db8::2'] } },
  {
    name: 'a TRAPPED that expired goes',
    entry: trapped('192.0.2.3', { expire: NOW - 5 }),
    want: { changes: { ...nothing.changes, expired: [{ kind: 'host', ip: '192.0.2.3' }] } },
  },
  { name: 'a SPAMTRAP is left alone', entry: { kind: 'SPAMTRAP', address: 't@r', first: 1 }, want: {} },
  {
    name: 'a tuple that passed is promoted',
    entry: grey(),
    want: { changes: { ...nothing.changes, promoted: [tuple] } },
  },
  { name: 'a tuple that has not passed waits', entry: grey({ pass: NOW + 1 }), want: {} },
  {
    name: 'a tuple past its life goes, although it passes then by its times',
    entry: grey({ pass: NOW, expire: NOW }),
    want: { changes: { ...nothing.changes, expired: [{ kind: 'tuple', ...tuple }] } },
  },
  {
    name: 'a tuple of an address on a block list goes',
    entry: grey(),
    listed: [tuple.ip],
    want: { changes: { ...nothing.changes, blockedTuples: [tuple] } },
  },
  { name: 'a tuple keyed by network names no address', entry: grey({ ip: '192.0.2.0/24' }), want: {} },
]

test.each(cases)('$name', ({ entry, want, listed }) => {
  expect(decide([entry], listed)).toEqual({ ...nothing, ...want })
})

test('a tuple that passed waits while a list that is asked through DNS may hold its address', () => {
  const held = decideSlice(
    [grey()],
    usual,
    () => false,
    () => false,
  )
  expect(held).toEqual({ ...nothing, heldTuples: [tuple] })
})

describe('after a step of the clock', () => {
  test('forward nothing expires, nothing passes that did not pass, and white stays white', () => {
    const hour = { nowSec: NOW + 3600, passedSec: NOW + 3600, mayExpire: false, doubt: undefined }
    const entries = [white('192.0.2.1'), trapped('192.0.2.3'), grey({ pass: NOW + 100 })]
    expect(decide(entries, [], hour)).toEqual({ ...nothing, white: ['192.0.2.1'], trapped: ['192.0.2.3'] })
  })
  test('back what was white stays white', () => {
    const back = { nowSec: NOW - 3600, passedSec: NOW, mayExpire: true, doubt: undefined }
    expect(decide([white('192.0.2.1')], [], back).white).toEqual(['192.0.2.1'])
  })
})
