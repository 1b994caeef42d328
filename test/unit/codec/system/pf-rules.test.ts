/** Rules of pf as pfctl prints them, and what they do with mail. */
import { describe, expect, test } from 'vitest'
import { evaluateFilter, findTranslation, parsePfRules } from '../../../../src/codec/system/pf-rules.js'
import { parsePfLimit, parsePfTables } from '../../../../src/codec/system/pf-state.js'

const stranger = { direction: 'in', family: 4, tables: [], port: 25, interface: 'em0' } as const
const decide = (rules: string, packet: Partial<typeof stranger> | { tables: string[] } = {}) =>
  evaluateFilter(parsePfRules(rules), { ...stranger, ...packet }).rule?.text

describe('which rule decides', () => {
  test.each([
    ['the last one', 'block all\npass in all', 'pass in all'],
    ['the first quick one', 'pass in quick all\nblock all', 'pass in quick all'],
    ['none of the other direction', 'block all\npass out all', 'block all'],
    ['none of another protocol', 'block all\npass in proto udp from any to any', 'block all'],
    ['none of the other family', 'block all\npass in inet6 all', 'block all'],
    ['none of another interface', 'block all\npass in on em1 all', 'block all'],
    ['none of the loopback', 'block all\npass on lo0 all', 'block all'],
    ['one of all interfaces but another', 'block all\npass in on ! em1 all', 'pass in on ! em1 all'],
    ['none of another port', 'block all\npass in proto tcp from any to any port = 22', 'block all'],
    [
      'a port by name',
      'block all\npass in proto tcp from any to any port = smtp',
      'pass in proto tcp from any to any port = smtp',
    ],
    [
      'a range of ports',
      'block all\npass in proto tcp from any to any port 1:1024',
      'pass in proto tcp from any to any port 1:1024',
    ],
    [
      'ports between',
      'block all\npass in proto tcp from any to any port 20 >< 30',
      'pass in proto tcp from any to any port 20 >< 30',
    ],
    ['ports outside', 'block all\npass in proto tcp from any to any port 20 <> 30', 'block all'],
    ['none of a table', 'block all\npass in from <x> to any', 'block all'],
    ['one of all but a table', 'block all\npass in from ! <x> to any', 'pass in from ! <x> to any'],
    ['none of an address', 'block all\npass in from 10.0.0.0/8 to any', 'block all'],
    ['none with a tag', 'block all\npass in all tagged MAIL', 'block all'],
    ['none of a user', 'block all\npass in proto tcp from any to any user = 0', 'block all'],
    ['none with a source port', 'block all\npass in proto tcp from any port = 5 to any', 'block all'],
    [
      'words of a label mean nothing',
      'pass in all label "quick out log (to pflog9)"\nblock in all',
      'block in all',
    ],
    ['anchors are not rules', 'block all\nanchor "x/*" all', 'block all'],
  ])('%s', (_name, rules, expected) => {
    expect(decide(rules)).toBe(expected)
  })

  test('a host of a table', () => {
    expect(decide('block all\npass in from <x> to any', { tables: ['x'] })).toBe('pass in from <x> to any')
    expect(decide('block all\npass in from <x:3> to any', { tables: ['x'] })).toBe(
      'pass in from <x:3> to any',
    )
  })

  test('a match rule lends its redirection and its log', () => {
    const rules = 'match in log (to pflog2) proto tcp from any to any port = 25 rdr-to 10.0.0.25\npass in all'
    const verdict = evaluateFilter(parsePfRules(rules), stranger)
    expect(verdict).toMatchObject({ redirect: { kind: 'rdr-to', address: '10.0.0.25' }, logTo: ['pflog2'] })
  })

  test('a rule that logs without naming an interface logs to pflog0', () => {
    expect(evaluateFilter(parsePfRules('pass in log all'), stranger).logTo).toEqual(['pflog0'])
    expect(evaluateFilter(parsePfRules('pass in log (all, to pflog3) all'), stranger).logTo).toEqual([
      'pflog3',
    ])
  })

  test('of translation rules the first that matches', () => {
    const rules = parsePfRules(
      'rdr-anchor "x" all\nno rdr on em0 proto tcp from <w> to any port = smtp\n' +
        'rdr pass on em0 inet proto tcp from any to any port = smtp tag M -> 127.0.0.1 port 8025\n',
    )
    expect(findTranslation(rules, stranger)).toMatchObject({
      isPassingRdr: true,
      tag: 'M',
      redirect: { address: '127.0.0.1', port: 8025 },
    })
    expect(findTranslation(rules, { ...stranger, tables: ['w'] })?.action).toBe('no rdr')
  })
})

test('tables with their entries, without those of anchors', () => {
  const text =
    '-pa-r--\tspamd-white\n\tAddresses:   190123\n\tCleared:     x\n--a-r--\tother\tsome/anchor\n\tAddresses:   5\n'
  expect([...parsePfTables(text)]).toEqual([['spamd-white', 190_123]])
  expect(parsePfLimit('states        hard limit   100000\ntable-entries hard limit   200000\n')).toBe(200_000)
  expect(parsePfLimit('')).toBeUndefined()
})
