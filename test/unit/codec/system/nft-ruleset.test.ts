import { describe, expect, test } from 'vitest'
import { evaluateNftChain, parseNftRuleset } from '../../../../src/codec/system/nft-ruleset.js'

const match = (left: object, right: unknown, op = '==') => ({ match: { op, left, right } })
const iif = (name: string, op?: string) => match({ meta: { key: 'iifname' } }, name, op)
const smtp = match({ payload: { protocol: 'tcp', field: 'dport' } }, 25)
const white = match({ payload: { protocol: 'ip', field: 'saddr' } }, '@spamd-white')
const redirect = { redirect: { port: 8025 } }

function portOf(rules: object[][], sets: string[] = [], family: 4 | 6 = 4): number | undefined {
  const json = JSON.stringify({
    nftables: [
      {
        chain: {
          family: 'inet',
          table: 'spamd',
          name: 'divert',
          type: 'nat',
          hook: 'prerouting',
          prio: -100,
        },
      },
      ...rules.map((expr) => ({ rule: { family: 'inet', table: 'spamd', chain: 'divert', expr } })),
    ],
  })
  const ruleset = parseNftRuleset(json)!
  const rule = evaluateNftChain(ruleset, ruleset.chains[0]!, { family, sets, port: 25 })
  return rule?.verdict === 'redirect' ? rule.redirectPort : undefined
}

describe('where mail of a stranger goes', () => {
  const accept = { accept: null }
  test('a redirect', () => expect(portOf([[smtp, redirect]])).toBe(8025))
  test('an accept for all interfaces but the outside one is not for it', () => {
    expect(
      portOf([
        [iif('eth0', '!='), accept],
        [smtp, redirect],
      ]),
    ).toBe(8025)
  })
  test('an accept for all but loopback is', () => {
    expect(
      portOf([
        [iif('lo', '!='), accept],
        [smtp, redirect],
      ]),
    ).toBeUndefined()
  })
  test('an accept for loopback is not', () => {
    expect(
      portOf([
        [iif('lo'), accept],
        [smtp, redirect],
      ]),
    ).toBe(8025)
  })
  test('members of a set that is let through', () => {
    const rules = [
      [white, accept],
      [smtp, redirect],
    ]
    expect(portOf(rules)).toBe(8025)
    expect(portOf(rules, ['spamd-white'])).toBeUndefined()
    expect(portOf(rules, ['spamd-white'], 6)).toBe(8025)
  })
  test('another port', () => {
    expect(portOf([[match({ payload: { protocol: 'tcp', field: 'dport' } }, 587), redirect]])).toBeUndefined()
  })
})

test('what is no ruleset', () => {
  expect(parseNftRuleset('{}')).toBeUndefined()
  expect(parseNftRuleset('no')).toBeUndefined()
})
