/** Which interface strangers come from, and what becomes of their mail, in rulesets as nft prints them. */
import { describe, expect, test } from 'vitest'
import {
  evaluateNftChain,
  outsideInterface,
  parseNftRuleset,
} from '../../../../src/codec/system/nft-ruleset.js'

const dport = { match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right: 25 } }
const iifname = (op: string, right: unknown) => ({ match: { op, left: { meta: { key: 'iifname' } }, right } })
const saddr = (set: string) => ({
  match: { op: '==', left: { payload: { protocol: 'ip', field: 'saddr' } }, right: `@${set}` },
})
const redirect = { redirect: { port: 8025 } }

function decide(rules: unknown[][], sets: string[] = []): number | string | undefined {
  const chain = {
    family: 'inet',
    table: 'spamd',
    name: 'divert',
    type: 'nat',
    hook: 'prerouting',
    prio: -100,
  }
  const items = rules.map((expr) => ({ rule: { family: 'inet', table: 'spamd', chain: 'divert', expr } }))
  const ruleset = parseNftRuleset(JSON.stringify({ nftables: [{ chain }, ...items] }))!
  const [divert] = ruleset.chains
  const outside = outsideInterface(ruleset, [divert!])
  const rule = evaluateNftChain(ruleset, divert!, { family: 4, sets, port: 25, interface: outside })
  return rule?.redirectPort ?? rule?.verdict
}

describe('a stranger', () => {
  test.each<[string, unknown[][], number | string | undefined]>([
    ['is redirected', [[dport, redirect]], 8025],
    [
      'comes from the interface that others are let alone but',
      [
        [iifname('!=', 'eth0'), { accept: null }],
        [dport, redirect],
      ],
      8025,
    ],
    [
      'comes from one of several',
      [
        [iifname('!=', { set: ['eth0', 'eth1'] }), { return: null }],
        [dport, redirect],
      ],
      8025,
    ],
    [
      'comes from the interface that a redirect names',
      [
        [iifname('==', 'lan0'), { accept: null }],
        [iifname('==', 'eth0'), dport, redirect],
      ],
      8025,
    ],
    [
      'does not come from the loopback',
      [
        [iifname('==', 'lo'), { accept: null }],
        [dport, redirect],
      ],
      8025,
    ],
    ['is redirected unless he comes from inside', [[iifname('!=', 'lan0'), dport, redirect]], 8025],
    ['is let through by a rule in front', [[{ accept: null }], [dport, redirect]], 'accept'],
    [
      'is diverted by TPROXY, whatever stands behind it',
      [[dport, { tproxy: { port: 8025 } }, { accept: null }]],
      8025,
    ],
    ['meets no rule', [[saddr('spamd'), dport, redirect]], undefined],
  ])('%s', (_name, rules, expected) => {
    expect(decide(rules)).toBe(expected)
  })
})

test('a host of a set', () => {
  expect(
    decide(
      [
        [saddr('spamd-white'), { accept: null }],
        [dport, redirect],
      ],
      ['spamd-white'],
    ),
  ).toBe('accept')
})

test.each(['', '[]', '{}', '{"nftables": 1}'])('%j is no ruleset', (text) => {
  expect(parseNftRuleset(text)).toBeUndefined()
})

describe('what a rule says', () => {
  const match = (left: object, right: unknown, op = '==') => ({ match: { op, left, right } })
  const payload = (protocol: string, field: string) => ({ payload: { protocol, field } })
  const meta = (key: string) => ({ meta: { key } })
  const PLAIN = {
    sources: [],
    family: undefined,
    ports: undefined,
    isTcp: false,
    interfaces: undefined,
    verdict: 'continue',
    redirectPort: undefined,
    jumpTo: undefined,
    logGroup: undefined,
    logPrefix: undefined,
    isConditional: false,
  }
  const read = (expr: object[], family = 'inet') =>
    parseNftRuleset(
      JSON.stringify({
        nftables: [
          { chain: { family, table: 't', name: 'c' } },
          { rule: { family, table: 't', chain: 'c', expr } },
        ],
      }),
    )!.chains[0]!.rules[0]

  test.each<[string, object[], object]>([
    ['nothing', [], {}],
    ['a set of IPv4', [match(payload('ip', 'saddr'), '@a')], { family: 4, sources: ['@a'] }],
    ['not in a set of IPv6', [match(payload('ip6', 'saddr'), '@a', '!=')], { family: 6, sources: ['!@a'] }],
    [
      'a network',
      [match(payload('ip', 'saddr'), { prefix: { addr: '10.0.0.0', len: 8 } })],
      { family: 4, sources: ['{"prefix":{"addr":"10.0.0.0","len":8}}'] },
    ],
    ['a destination', [match(payload('ip', 'daddr'), '192.0.2.1')], {}],
    ['another field', [match(payload('tcp', 'sport'), 25)], { isConditional: true }],
    ['one port', [match(payload('tcp', 'dport'), 25)], { isTcp: true, ports: [25] }],
    ['a port of UDP', [match(payload('udp', 'dport'), 53)], { ports: [53] }],
    [
      'ports and ranges',
      [
        match(payload('tcp', 'dport'), {
          set: [587, { range: [20, 25] }, { range: [25, 30] }, { range: [26, 30] }, { range: [1, 24] }, 'x'],
        }),
      ],
      { isTcp: true, ports: [587, 25, 25] },
    ],
    ['a named set of ports', [match(payload('tcp', 'dport'), '@mail')], { isTcp: true }],
    ['all other ports', [match(payload('tcp', 'dport'), 25, '!=')], { isTcp: true, isConditional: true }],
    ['TCP by name', [match(meta('l4proto'), 'tcp')], { isTcp: true }],
    ['TCP by number', [match(meta('l4proto'), 6)], { isTcp: true }],
    ['another protocol', [match(meta('l4proto'), 17)], {}],
    ['IPv6', [match(meta('nfproto'), 'ipv6')], { family: 6 }],
    ['IPv4', [match(meta('nfproto'), 'ipv4')], { family: 4 }],
    ['an interface', [match(meta('oifname'), 'eth0')], { interfaces: { names: ['eth0'], isNegated: false } }],
    [
      'all other interfaces',
      [match(meta('iifname'), { set: ['eth0', 7, 'eth1'] }, '!=')],
      { interfaces: { names: ['eth0', 'eth1'], isNegated: true } },
    ],
    ['interfaces of a map', [match(meta('iifname'), null)], { interfaces: { names: [], isNegated: false } }],
    ['new connections', [match({ ct: { key: 'state' } }, ['new'])], {}],
    ['known connections', [match({ ct: { key: 'state' } }, ['established'])], { isConditional: true }],
    ['no new connections', [match({ ct: { key: 'state' } }, 'new', '!=')], { isConditional: true }],
    ['all but known connections', [match({ ct: { key: 'state' } }, 'established', '!=')], {}],
    ['a mark', [match(meta('mark'), 1)], { isConditional: true }],
    ['a limit', [{ limit: { rate: 1 } }], { isConditional: true }],
    ['a quota', [{ quota: { val: 1 } }], { isConditional: true }],
    ['an extension of iptables', [{ xt: null }], { isConditional: true }],
    ['a counter', [{ counter: { packets: 1 } }], {}],
    ...['accept', 'drop', 'reject', 'return'].map((verdict): [string, object[], object] => [
      verdict,
      [{ [verdict]: null }],
      { verdict },
    ]),
    ['a redirect', [{ redirect: { port: 8025 } }], { verdict: 'redirect', redirectPort: 8025 }],
    ['a redirect by a map', [{ redirect: { port: '@x' } }], { verdict: 'redirect' }],
    ['a redirect to the same port', [{ redirect: null }], { verdict: 'redirect' }],
    ['DNAT', [{ dnat: { addr: '10.0.0.1', port: 25 } }], { verdict: 'dnat', redirectPort: 25 }],
    ['DNAT, then an end', [{ dnat: null }, { drop: null }], { verdict: 'drop' }],
    [
      'TPROXY, then an end',
      [{ tproxy: { port: 1 } }, { drop: null }],
      { verdict: 'redirect', redirectPort: 1 },
    ],
    ['a jump', [{ jump: { target: 'x' } }], { verdict: 'jump', jumpTo: 'x' }],
    ['a goto', [{ goto: { target: 'x' } }], { verdict: 'jump', jumpTo: 'x' }],
    ['a log', [{ log: { group: 0, prefix: 'in' } }], { logGroup: 0, logPrefix: 'in' }],
    ['a log to syslog', [{ log: null }], {}],
  ])('%s', (_name, expr, want) => {
    expect(read(expr)).toEqual({ ...PLAIN, ...want })
  })

  test.each([
    ['ip', 4],
    ['ip6', 6],
    ['inet', undefined],
  ])('a rule of a table of family %s', (tableFamily, family) => {
    expect(read([], tableFamily)).toEqual({ ...PLAIN, family })
  })
})

test('sets and chains, each with its table', () => {
  const set = { family: 'inet', table: 'spamd' }
  const ruleset = parseNftRuleset(
    JSON.stringify({
      nftables: [
        { metainfo: {} },
        {
          set: { ...set, name: 'a', type: 'ipv4_addr', flags: ['constant', 'interval'], elem: ['10.0.0.1'] },
        },
        { set: { ...set, name: 'b', type: 'ipv6_addr', flags: 'interval' } },
        { set: { ...set, name: 'c', type: ['ipv4_addr', 'mark'] } },
        { chain: { ...set, name: 'in', hook: 'input', type: 'filter', prio: -5, policy: 'drop' } },
        { chain: { family: 'ip', table: 'spamd', name: 'in' } },
        { rule: { family: 'ip', table: 'spamd', chain: 'in', expr: [{ drop: null }] } },
        { rule: { family: 'ip', table: 'spamd', chain: 'nowhere', expr: [{ drop: null }] } },
      ],
    }),
  )!
  expect(ruleset.sets).toEqual([
    { table: 'inet spamd', name: 'a', type: 'ipv4_addr', isInterval: true, elementCount: 1 },
    { table: 'inet spamd', name: 'b', type: 'ipv6_addr', isInterval: true, elementCount: 0 },
    { table: 'inet spamd', name: 'c', type: 'ipv4_addr,mark', isInterval: false, elementCount: 0 },
  ])
  expect(ruleset.chains).toEqual([
    {
      table: 'inet spamd',
      name: 'in',
      hook: 'input',
      type: 'filter',
      priority: -5,
      policy: 'drop',
      rules: [],
    },
    {
      table: 'ip spamd',
      name: 'in',
      hook: undefined,
      type: undefined,
      priority: 0,
      policy: undefined,
      rules: [expect.objectContaining({ verdict: 'drop', family: 4 })],
    },
  ])
})

describe('which rule decides', () => {
  const port = (right: unknown) => ({
    match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right },
  })
  const from = (set: string, op: string) => ({
    match: { op, left: { payload: { protocol: 'ip', field: 'saddr' } }, right: `@${set}` },
  })
  test.each<[string, unknown[][], number | string | undefined]>([
    ['one for another port does not', [[port(587), { drop: null }], [dport, redirect]], 8025],
    ['one for a range around it does', [[port({ set: [{ range: [1, 99] }] }), { drop: null }], [redirect]], 'drop'],
    ['one for another family does not', [[{ match: { op: '==', left: { meta: { key: 'nfproto' } }, right: 'ipv6' } }, { drop: null }], [redirect]], 8025],
    ['one with a condition does not', [[{ limit: {} }, { drop: null }], [redirect]], 8025],
    ['one that only logs does not', [[{ log: {} }], [redirect]], 8025],
    ['one for hosts outside of a set does', [[from('other', '!='), { drop: null }], [redirect]], 'drop'],
    ['one for hosts outside of his set does not', [[from('his', '!='), { drop: null }], [redirect]], 8025],
    ['a return ends the chain', [[{ return: null }], [redirect]], undefined],
    ['a jump to nowhere goes on', [[{ jump: { target: 'nowhere' } }], [redirect]], 8025],
    ['one for the loopback and another may', [[iifname('==', { set: ['lo', 'eth0'] }), { drop: null }], [redirect]], 'drop'],
    ['one for an interface that a map holds may', [[iifname('==', null), { drop: null }], [redirect]], 'drop'],
  ])('%s', (_name, rules, want) => {
    expect(decide(rules, ['his'])).toBe(want)
  }) // biome-ignore format: a line each

  /** A chain `first` of these rules and `second` of others; which port the first leads to. */
  function jump(first: unknown[][], second: unknown[][], table = 't') {
    const chain = (name: string, of = 't') => ({ chain: { family: 'inet', table: of, name } })
    const rule =
      (name: string, of = 't') =>
      (expr: unknown[]) => ({
        rule: { family: 'inet', table: of, chain: name, expr },
      })
    const ruleset = parseNftRuleset(
      JSON.stringify({
        nftables: [
          chain('first'),
          chain('second', table),
          ...first.map(rule('first')),
          ...second.map(rule('second', table)),
        ],
      }),
    )!
    const packet = { family: 4, sets: [], port: 25, interface: undefined } as const
    return evaluateNftChain(ruleset, ruleset.chains[0]!, packet)?.redirectPort
  }
  const toSecond = [{ jump: { target: 'second' } }]
  const elsewhere = [{ redirect: { port: 9025 } }]

  test('what a chain decides to which it jumps counts; what it leaves open is decided behind', () => {
    expect(jump([toSecond, elsewhere], [[redirect]])).toBe(8025)
    expect(jump([toSecond, elsewhere], [[{ return: null }], [redirect]])).toBe(9025)
    expect(jump([toSecond, elsewhere], [[redirect]], 'other')).toBe(9025)
    // One that jumps in a circle comes to its end.
    expect(jump([toSecond, elsewhere], [toSecond])).toBe(9025)
  })

  test('jumps are followed eight deep, as far as nft itself goes by far', () => {
    const names = Array.from({ length: 10 }, (_, index) => `c${index}`)
    const evaluate = (depth: number) => {
      const used = names.slice(0, depth + 1)
      const ruleset = parseNftRuleset(
        JSON.stringify({
          nftables: [
            ...used.map((name) => ({ chain: { family: 'inet', table: 't', name } })),
            ...used.map((name, index) => ({
              rule: {
                family: 'inet',
                table: 't',
                chain: name,
                expr: index === depth ? [redirect] : [{ jump: { target: names[index + 1] } }],
              },
            })),
          ],
        }),
      )!
      const packet = { family: 4, sets: [], port: 25, interface: 'eth0' } as const
      return evaluateNftChain(ruleset, ruleset.chains[0]!, packet)?.redirectPort
    }
    expect([evaluate(1), evaluate(8), evaluate(9)]).toEqual([8025, 8025, undefined])
  })
})

describe('the outside interface', () => {
  const interfaceOf = (...rules: object[][]) => {
    const chain = { family: 'inet', table: 't', name: 'c' }
    const ruleset = parseNftRuleset(
      JSON.stringify({
        nftables: [
          { chain },
          { chain: { ...chain, name: 'not asked' } },
          ...rules.map((expr) => ({ rule: { family: 'inet', table: 't', chain: 'c', expr } })),
          {
            rule: { family: 'inet', table: 't', chain: 'not asked', expr: [iifname('==', 'no'), redirect] },
          },
        ],
      }),
    )!
    return outsideInterface(ruleset, [ruleset.chains[0]!])
  }
  test.each<[string, object[][], string | undefined]>([
    ['is that of a redirect', [[iifname('==', 'eth0'), redirect]], 'eth0'],
    ['is not that of a redirect for all others', [[iifname('!=', 'eth0'), redirect]], undefined],
    ['is not that of another rule', [[iifname('==', 'eth0'), { accept: null }]], undefined],
    ...['accept', 'return', 'drop'].map((verdict): [string, object[][], string] => [
      `is the one beside those that a rule for others names: ${verdict}`,
      [[iifname('!=', 'eth0'), { [verdict]: null }]],
      'eth0',
    ]),
    ['is that of a redirect first', [[iifname('!=', 'a'), { accept: null }], [iifname('==', 'b'), redirect]], 'b'],
    ['is unknown without rules', [], undefined],
  ])('%s', (_name, rules, want) => {
    expect(interfaceOf(...rules)).toBe(want)
  }) // biome-ignore format: a line each
})
