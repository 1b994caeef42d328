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
