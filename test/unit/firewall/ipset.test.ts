import { describe, expect, test } from 'vitest'
import { IpsetFirewall } from '../../../src/firewall/ipset.js'
import { type RecordedCall, type ScriptedEnd, scriptedRunner } from '../../support/scripted-runner.js'
import { contentOf } from '../../support/table-content.js'

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

const NETWORKS = { name: 'spamd', content: 'networks' } as const
/** What `ipset list -t` prints of two sets of the table `spamd`. */
const LISTED =
  'Name: spamd\nType: hash:net\nRevision: 7\nHeader: family inet hashsize 1024 maxelem 65536\nReferences: 1\n' +
  '\nName: spamd6\nType: hash:net\nHeader: family inet6 hashsize 1024 maxelem 65536\n'
const DENIED: ScriptedEnd = {
  exitCode: 1,
  stderrTail: 'ipset v7.17: Kernel error received: Operation not permitted\n',
}

/** An ipset whose calls end as `ends` has it by their verb. */
function scriptedIpset(
  ends: Record<string, ScriptedEnd | ((call: RecordedCall) => ScriptedEnd | undefined)>,
) {
  const { runner, calls } = scriptedRunner((call) => {
    const end = ends[call.args[0]!]
    return typeof end === 'function' ? end(call) : end
  })
  const firewall = new IpsetFirewall({
    program: '/usr/sbin/ipset',
    setting: 'PATH',
    timeoutMs: 60_000,
    runner,
  })
  /** The scripts that were read, with the marks of the sets that are filled as `:MARK`. */
  const scripts = () =>
    calls
      .filter(({ args }) => args[0] === 'restore')
      .map(({ stdin }) => stdin!.replace(/(spamd6?):[0-9a-z]+/g, '$1:MARK'))
  return { firewall, calls, scripts }
}

describe('a table that is replaced', () => {
  test('a new set of each family is filled, and swapped in when both are complete', async () => {
    const { firewall, calls, scripts } = scriptedIpset({ list: { stdout: LISTED } })
    await firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8', '192.0.2.1/32', '2001:db8::/32']))
    expect(calls.map(({ args }) => args)).toEqual([
      ['list', '-t'],
      ['restore', '-exist'],
    ])
    expect(scripts()[0]).toBe(
      'create spamd:MARK hash:net family inet maxelem 65536\nflush spamd:MARK\n' +
        'add spamd:MARK 10.0.0.0/8\nadd spamd:MARK 192.0.2.1/32\n' +
        'create spamd6:MARK hash:net family inet6 maxelem 65536\nflush spamd6:MARK\n' +
        'add spamd6:MARK 2001:db8::/32\n' +
        'swap spamd:MARK spamd\nswap spamd6:MARK spamd6\n' +
        'destroy spamd:MARK\ndestroy spamd6:MARK\n',
    )
  })

  test('sets that are missing are made, those that are there are not', async () => {
    const { firewall, calls } = scriptedIpset({
      list: { stdout: 'Name: spamd-white6\nType: hash:ip\nHeader: family inet6 hashsize 1024 maxelem 9\n' },
    })
    await firewall.replaceTable(TABLE, contentOf([]))
    expect(calls[1]!.stdin).toContain('\ncreate spamd-white hash:ip family inet\n')
    expect(calls[1]!.stdin).not.toContain('create spamd-white6 ')
  })

  test('a set is as large as what is put into it', async () => {
    const hosts = Array.from(
      { length: 65_537 },
      (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32`,
    )
    const { firewall, calls } = scriptedIpset({ list: { stdout: LISTED } })
    await firewall.replaceTable(TABLE, contentOf(hosts))
    expect(calls[1]!.stdin).toMatch(/^create spamd-white:\w+ hash:ip family inet maxelem 65537\n/)
    expect(calls[1]!.stdin).toMatch(/\ncreate spamd-white6:\w+ hash:ip family inet6 maxelem 65536\n/)
  })

  test('two at once fill different sets', async () => {
    const { firewall, calls } = scriptedIpset({ list: { stdout: LISTED } })
    await Promise.all([
      firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8'])),
      firewall.replaceTable(NETWORKS, contentOf(['11.0.0.0/8'])),
    ])
    const filled = calls.flatMap(({ stdin }) => /^create (\S+)/.exec(stdin ?? '')?.[1] ?? [])
    expect(new Set(filled).size).toBe(2)
    // ipset takes 31 bytes.
    for (const name of filled) expect(name).toMatch(/^spamd:[0-9a-z]{2,5}$/)
  })

  test('one of another kind is refused before anything is changed', async () => {
    const { firewall, calls } = scriptedIpset({ list: { stdout: LISTED.replaceAll('net', 'ip') } })
    await expect(firewall.replaceTable(NETWORKS, contentOf([]))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      message: expect.stringMatching(/^cannot replace ipset spamd: set spamd exists as hash:ip /) as string,
      hint: 'destroy it, or rename it: ipset rename spamd NAME',
    })
    expect(calls.map(({ args }) => args[0])).toEqual(['list'])
  })

  test('one that fails leaves no set that was being filled', async () => {
    const { firewall, calls } = scriptedIpset({ list: { stdout: LISTED }, restore: DENIED })
    await expect(firewall.replaceTable(NETWORKS, contentOf([]))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      message: expect.stringMatching(/^cannot replace ipset spamd: .*Operation not permitted$/) as string,
      hint: 'ipset needs root or CAP_NET_ADMIN',
    })
    expect(calls.slice(2).map(({ args }) => args.join(' ').replace(/:.*/, ''))).toEqual([
      'destroy spamd',
      'destroy spamd6',
    ])
  })

  test('sets that cannot be listed end it', async () => {
    const { firewall, calls } = scriptedIpset({ list: DENIED })
    await expect(firewall.replaceTable(NETWORKS, contentOf([]))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      hint: 'ipset needs root or CAP_NET_ADMIN',
    })
    expect(calls).toHaveLength(1)
  })
})

describe('a few entries', () => {
  test.each([
    {
      change: 'add' as const,
      want:
        'create spamd-white hash:ip family inet\nadd spamd-white 192.0.2.1/32\n' +
        'create spamd-white6 hash:ip family inet6\nadd spamd-white6 2001:db8::1/128\n',
    },
    {
      change: 'delete' as const,
      want: 'del spamd-white 192.0.2.1/32\ndel spamd-white6 2001:db8::1/128\n',
    },
  ])('$change', async ({ change, want }) => {
    const { firewall, calls } = scriptedIpset({})
    await firewall.changeTable(TABLE, change, contentOf(['192.0.2.1/32', '2001:db8::1/128']))
    expect(calls.map(({ args, stdin }) => [args, stdin])).toEqual([[['restore', '-exist'], want]])
  })

  test('a family of which nothing changes is not touched', async () => {
    const { firewall, calls } = scriptedIpset({})
    await firewall.changeTable(TABLE, 'add', contentOf(['2001:db8::1/128']))
    expect(calls[0]!.stdin).toBe(
      'create spamd-white6 hash:ip family inet6\nadd spamd-white6 2001:db8::1/128\n',
    )
  })

  test('what may not be loaded is not run; what fails says so', async () => {
    const refused = scriptedIpset({})
    await expect(refused.firewall.changeTable(TABLE, 'add', contentOf(['10.0.0.0/8']))).rejects.toMatchObject(
      {
        code: 'ERR_FIREWALL_CONTENT',
      },
    )
    expect(refused.calls).toEqual([])
    const { firewall } = scriptedIpset({ restore: DENIED })
    await expect(firewall.changeTable(TABLE, 'add', contentOf([]))).rejects.toMatchObject({
      message: expect.stringMatching(/^cannot change ipset spamd-white: /) as string,
      hint: 'ipset needs root or CAP_NET_ADMIN',
    })
  })
})

test('a set that cannot be read for another reason is an error, not an empty table', async () => {
  const { firewall } = scriptedIpset({ save: DENIED })
  await expect(firewall.readTable(TABLE)).rejects.toMatchObject({
    code: 'ERR_FIREWALL_FAILED',
    message: expect.stringMatching(/^cannot read ipset spamd-white: /) as string,
  })
})

test('there is no limit, no count and no watching; it says what it is', async () => {
  const { firewall } = scriptedIpset({})
  expect(await firewall.limits()).toEqual({ maxEntries: undefined, maxRequest: undefined })
  expect(await firewall.countTable()).toBeUndefined()
  expect(firewall.watchLoss()()).toBeUndefined()
  expect(firewall.describe()).toBe('ipset sets through /usr/sbin/ipset')
})
