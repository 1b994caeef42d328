import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { NftFirewall } from '../../../src/firewall/nft.js'
import { AppError } from '../../../src/platform/app-error.js'
import { type RecordedCall, type ScriptedEnd, scriptedRunner } from '../../support/scripted-runner.js'
import { contentOf } from '../../support/table-content.js'

const NETWORKS = { name: 'spamd', content: 'networks' } as const
const HOSTS = { name: 'spamd-white', content: 'hosts' } as const
const MISSING: ScriptedEnd = { exitCode: 1, stderrTail: 'Error: No such file or directory\n' }

function nft(
  script: (call: RecordedCall) => ScriptedEnd | undefined,
  readGeneration: () => number | undefined = () => undefined,
) {
  const { runner, calls } = scriptedRunner(script)
  const tool = { program: '/usr/sbin/nft', setting: 'SPAMD_NFT', timeoutMs: 60_000, runner }
  const firewall = new NftFirewall(tool, readGeneration)
  return { firewall, calls }
}

describe('a table that is read', () => {
  const listing = (...elem: string[]) => ({ stdout: JSON.stringify({ nftables: [{ set: { elem } }] }) })
  test.each([
    ['no set of it is no table', {}, undefined],
    ['one set of it is a table', { 'spamd-white': listing('192.0.2.1') }, ['192.0.2.1/32']],
    ['the other set of it is a table', { 'spamd-white6': listing('2001:db8::1') }, ['2001:db8::1/128']],
    [
      'both, in order',
      { 'spamd-white': listing('192.0.2.9', '192.0.2.1'), 'spamd-white6': listing('::1') },
      ['192.0.2.1/32', '192.0.2.9/32', '::1/128'],
    ],
  ])('%s', async (_, sets, want) => {
    const { firewall } = nft(({ args }) => (sets as Record<string, ScriptedEnd>)[args.at(-1)!] ?? MISSING)
    expect(await firewall.readTable(HOSTS)).toEqual(want)
  })

  test('one that cannot be read for another reason is an error, not an empty table', async () => {
    const { firewall } = nft(() => ({ exitCode: 1, stderrTail: 'Error: Operation not permitted\n' }))
    await expect(firewall.readTable(HOSTS)).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      message: expect.stringMatching(
        /^cannot read set spamd-white of nftables table inet spamd: .*not permitted$/,
      ) as string,
      hint: 'nft needs root or CAP_NET_ADMIN',
    })
  })
})

test('a few entries: deleting adds first, since nft refuses to delete what is missing', async () => {
  const { firewall, calls } = nft(() => undefined)
  const content = contentOf(['192.0.2.1/32', '192.0.2.2/32'])
  await firewall.changeTable(HOSTS, 'add', content)
  await firewall.changeTable(HOSTS, 'delete', content)
  const sets =
    'add table inet spamd\n' +
    'add set inet spamd spamd-white { type ipv4_addr; }\n' +
    'add set inet spamd spamd-white6 { type ipv6_addr; }\n'
  const adding = 'add element inet spamd spamd-white { 192.0.2.1,192.0.2.2 }\n'
  expect(calls.map(({ args, stdin }) => [args, stdin])).toEqual([
    [['-f', '-'], sets + adding],
    [['-f', '-'], `${sets}${adding}delete element inet spamd spamd-white { 192.0.2.1,192.0.2.2 }\n`],
  ])
})

test('what may not be loaded is not run', async () => {
  const { firewall, calls } = nft(() => undefined)
  const everybody = contentOf(['0.0.0.0/0'])
  await expect(firewall.replaceTable(NETWORKS, everybody)).rejects.toMatchObject({
    code: 'ERR_FIREWALL_CONTENT',
  })
  await expect(firewall.changeTable(NETWORKS, 'add', everybody)).rejects.toMatchObject({
    code: 'ERR_FIREWALL_CONTENT',
  })
  await expect(firewall.readTable({ name: 'a b', content: 'hosts' })).rejects.toMatchObject({
    code: 'ERR_FIREWALL_CONTENT',
  })
  expect(calls).toEqual([])
})

describe('what helps', () => {
  const MEMORY = expect.stringContaining('--firewall ipset (SPAMD_FIREWALL)') as string
  test.each([
    ['Error: Could not process rule: Cannot allocate memory', NETWORKS, MEMORY],
    ['netlink: Error: No buffer space available', NETWORKS, MEMORY],
    ['Error: Could not process rule: Operation not permitted', NETWORKS, 'nft needs root or CAP_NET_ADMIN'],
    [
      'Error: Could not process rule: File exists',
      NETWORKS,
      'a set of that name exists with another type or flags; spamd needs spamd (ipv4_addr) and spamd6 (ipv6_addr) with "flags interval"',
    ],
    [
      "Error: You must add 'flags interval' to your set declaration",
      HOSTS,
      'a set of that name exists with another type or flags; spamd needs spamd-white (ipv4_addr) and spamd-white6 (ipv6_addr) with no flags',
    ],
    ['Error: something else', NETWORKS, undefined],
  ])('%s', async (stderrTail, table, hint) => {
    const { firewall } = nft(() => ({ exitCode: 1, stderrTail }))
    await expect(firewall.replaceTable(table, contentOf([]))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      message: `cannot replace set ${table.name} of nftables table inet spamd: /usr/sbin/nft returned status 1: ${stderrTail}`,
      hint,
    })
  })

  test('against the kernel that ends nft for its memory', async () => {
    const { firewall } = nft(() => ({ exitCode: null, signal: 'SIGKILL' }))
    await expect(firewall.changeTable(NETWORKS, 'add', contentOf([]))).rejects.toMatchObject({
      message: expect.stringMatching(/^cannot change set spamd .*died on signal 9 \(SIGKILL\)$/) as string,
      hint: MEMORY,
    })
  })

  test.each([
    ['ENOMEM', MEMORY],
    ['EPERM', 'nft needs root or CAP_NET_ADMIN'],
    ['EAGAIN', undefined],
  ])('against an nft that cannot be started: %s', async (errno, hint) => {
    const { firewall } = nft(() => {
      throw new AppError('ERR_PROCESS_START', 'cannot run /usr/sbin/nft', { errno })
    })
    await expect(firewall.replaceTable(NETWORKS, contentOf([]))).rejects.toMatchObject({ hint })
  })

  test('a hint of the failure itself is kept', async () => {
    const { firewall } = nft(() => {
      throw new Error('no space left')
    })
    await expect(firewall.replaceTable(NETWORKS, contentOf([]))).rejects.toMatchObject({
      hint: expect.stringContaining('TMPDIR') as string,
    })
  })
})

test('there is no limit and no count; it says what it is', async () => {
  const { firewall } = nft(() => undefined)
  expect(await firewall.limits()).toEqual({ maxEntries: undefined, maxRequest: undefined })
  expect(await firewall.countTable()).toBeUndefined()
  expect(firewall.describe()).toBe('nftables sets in table inet spamd through /usr/sbin/nft')
})

describe('a table that is removed', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** A ruleset of which only the watched set is seen, and what was told of it. */
  function watched(generation?: number) {
    const state = { exists: false, isBroken: false, lost: 0, generation }
    const { firewall, calls } = nft(
      ({ args }) => {
        if (state.isBroken) return { exitCode: 1, stderrTail: 'Error: Operation not permitted\n' }
        if (args[0] === 'add') {
          state.exists = true
          if (state.generation !== undefined) state.generation += 1
        }
        return state.exists ? undefined : MISSING
      },
      () => state.generation,
    )
    const stop = firewall.watchLoss(() => {
      state.lost += 1
    })
    return { firewall, state, calls, stop }
  }

  test('is told within two seconds, once for each time, and not at the start', async () => {
    const { state, calls } = watched()
    await vi.advanceTimersByTimeAsync(0)
    expect(calls.map(({ args }) => args.join(' '))).toEqual([
      'list set inet spamd spamd-watch',
      'add table inet spamd ; add set inet spamd spamd-watch { type ipv4_addr ; }',
    ])
    await vi.advanceTimersByTimeAsync(10_000)
    expect([state.exists, state.lost, calls.length]).toEqual([true, 0, 7])
    for (const times of [1, 2]) {
      state.exists = false
      await vi.advanceTimersByTimeAsync(2_000)
      expect([state.exists, state.lost]).toEqual([true, times])
      await vi.advanceTimersByTimeAsync(10_000)
      expect(state.lost).toBe(times)
    }
  })

  test('with the generation of the ruleset nft is not run while nothing changes, and a loss is told within a second', async () => {
    const { firewall, state, calls } = watched(1)
    await vi.advanceTimersByTimeAsync(2_000)
    const ownCount = calls.length
    await vi.advanceTimersByTimeAsync(60_000)
    expect([calls.length, await firewall.changesByOthers()]).toEqual([ownCount, 0])
    Object.assign(state, { exists: false, generation: 3 })
    await vi.advanceTimersByTimeAsync(1_000)
    expect([state.exists, state.lost, await firewall.changesByOthers()]).toEqual([true, 1, 1])
    // Something else changes: one look, and no loss.
    await vi.advanceTimersByTimeAsync(10_000)
    const lookCount = calls.length
    state.generation! += 1
    await vi.advanceTimersByTimeAsync(60_000)
    expect([state.lost, calls.length]).toEqual([1, lookCount + 1])
  })

  test('a loss right after another change is told within a second as well', async () => {
    const { state, calls } = watched(1)
    await vi.advanceTimersByTimeAsync(10_000)
    state.generation! += 1
    await vi.advanceTimersByTimeAsync(1_000)
    const lookCount = calls.length
    Object.assign(state, { exists: false, generation: state.generation! + 1 })
    await vi.advanceTimersByTimeAsync(1_000)
    expect([state.lost, calls.length > lookCount]).toEqual([1, true])
  })

  test('an nft that fails is no loss, and is asked again', async () => {
    const { state } = watched()
    await vi.advanceTimersByTimeAsync(2_000)
    state.isBroken = true
    await vi.advanceTimersByTimeAsync(4_000)
    expect(state.lost).toBe(0)
    Object.assign(state, { isBroken: false, exists: false })
    await vi.advanceTimersByTimeAsync(2_000)
    expect(state.lost).toBe(1)
  })

  test('after the end nothing is told and nothing is run', async () => {
    const { state, calls, stop } = watched()
    await vi.advanceTimersByTimeAsync(2_000)
    const count = calls.length
    stop()
    state.exists = false
    await vi.advanceTimersByTimeAsync(10_000)
    expect([state.lost, calls.length]).toEqual([0, count])
  })
})
