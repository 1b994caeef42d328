import { describe, expect, test } from 'vitest'
import { IpsetFirewall } from '../../../src/firewall/ipset.js'
import { type ScriptedEnd, scriptedRunner } from '../../support/scripted-runner.js'

const TABLE = { name: 'spamd-white', content: 'hosts' } as const
const MISSING: ScriptedEnd = {
  exitCode: 1,
  stderrTail: 'ipset v7.17: The set with the given name does not exist\n',
}

/** An ipset that has the sets of `saved`, by name, with what `save` prints of them. */
function ipset(saved: Record<string, string>) {
  const { runner } = scriptedRunner(({ args: [verb, name = ''] }) =>
    verb === 'save' ? (saved[name] === undefined ? MISSING : { stdout: saved[name] }) : undefined,
  )
  return new IpsetFirewall({ program: '/usr/sbin/ipset', setting: 'PATH', timeoutMs: 60_000, runner })
}

describe('a table that is read', () => {
  const ipv4 =
    'create spamd-white hash:ip family inet\nadd spamd-white 192.0.2.9\nadd spamd-white 192.0.2.1\n'
  const ipv6 = 'create spamd-white6 hash:ip family inet6\nadd spamd-white6 2001:db8::1\n'
  test.each([
    ['no set of it is no table', {}, undefined],
    ['one set of it is a table', { 'spamd-white': ipv4 }, ['192.0.2.1/32', '192.0.2.9/32']],
    ['the other set of it is a table', { 'spamd-white6': ipv6 }, ['2001:db8::1/128']],
    [
      'both, each family in order',
      { 'spamd-white': ipv4, 'spamd-white6': ipv6 },
      ['192.0.2.1/32', '192.0.2.9/32', '2001:db8::1/128'],
    ],
    ['two empty sets are an empty table', { 'spamd-white': 'create\n', 'spamd-white6': 'create\n' }, []],
    ['networks keep their length', { 'spamd-white': 'add spamd-white 192.0.2.0/24\n' }, ['192.0.2.0/24']],
  ])('%s', async (_, saved, want) => {
    expect(await ipset(saved as Record<string, string>).readTable(TABLE)).toEqual(want)
  })
})
