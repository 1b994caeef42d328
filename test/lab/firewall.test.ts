/** The back ends for nftables and ipset on the real kernel, in a network namespace of our own. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { FirewallTool } from '../../src/firewall/firewall-tool.js'
import { IpsetFirewall } from '../../src/firewall/ipset.js'
import { NftFirewall } from '../../src/firewall/nft.js'
import { runProcess } from '../../src/platform/run-process.js'
import { describeConformance } from '../support/firewall-conformance.js'
import { PATIENCE } from '../support/patience.js'
import { contentOf, networks } from '../support/table-content.js'

const NAMESPACE = `spamd-fw-${process.pid}`
const NETWORKS = { name: 'spamd', content: 'networks' } as const
const HOSTS = { name: 'spamd-white', content: 'hosts' } as const

const skipReason = whyNot()
if (skipReason !== undefined) process.stderr.write(`test/lab/firewall: skipped: ${skipReason}\n`)

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root'
  try {
    execFileSync('ip', ['netns', 'add', NAMESPACE], { stdio: 'pipe' })
  } catch (error) {
    return `no network namespace: ${String((error as { stderr?: Buffer }).stderr ?? error)}`
  }
  return undefined
}

const inside = (program: string, ...args: string[]): string =>
  execFileSync('ip', ['netns', 'exec', NAMESPACE, program, ...args], { stdio: 'pipe', encoding: 'utf8' })

function hasTool(program: string, ...args: string[]): boolean {
  if (skipReason !== undefined) return false
  try {
    inside(program, ...args)
    return true
  } catch {
    process.stderr.write(`test/lab/firewall: ${program} skipped: it does not work here\n`)
    return false
  }
}

const tool = (program: string): FirewallTool => ({
  program,
  setting: 'SPAMD_NFT',
  timeoutMs: 60_000,
  runner: (request) =>
    runProcess({
      ...request,
      program: 'ip',
      args: ['netns', 'exec', NAMESPACE, request.program, ...request.args],
    }),
})

const NATIVE = join(import.meta.dirname, '../../src/platform/native/build/Release/nft_generation.node')

/** The generation in the namespace, which readNftGeneration() would read in ours. */
const generationInside = (): number =>
  Number(inside(process.execPath, '-p', `require(${JSON.stringify(NATIVE)}).readGeneration()`))

const isBuilt = existsSync(NATIVE)
if (!isBuilt)
  process.stderr.write('test/lab/firewall: generation skipped: nft_generation.node is not built\n')

const hasNft = hasTool('nft', 'list', 'ruleset')
const hasIpset = hasTool('ipset', 'list')

beforeAll(() => {
  if (skipReason === undefined) expect(inside('ip', '-o', 'link')).toContain('lo')
})

afterAll(() => {
  if (skipReason === undefined) execFileSync('ip', ['netns', 'delete', NAMESPACE])
})

describe.skipIf(!hasNft)('nftables', () => {
  const nft = (command: string) => inside('nft', command)

  describeConformance('nft on the real kernel', {
    open: async () => {
      nft('flush ruleset')
      return new NftFirewall(tool('nft'))
    },
    largeCount: 100_000,
  })

  test.each([
    ['by looking', () => undefined],
    ['by the generation of the ruleset', generationInside],
  ])(
    '%s, the table going by a flush of the ruleset is told, also when the rules bring it back, a set flushed by hand is not',
    async (_, readGeneration) => {
      const folder = mkdtempSync(join(tmpdir(), 'nft-watch-'))
      const program = join(folder, 'nft')
      writeFileSync(program, `#!/bin/sh\nexec ip netns exec ${NAMESPACE} nft "$@"\n`, { mode: 0o755 })
      const firewall = new NftFirewall({ ...tool(program), program }, readGeneration)
      const isWatched = (): Promise<unknown> =>
        vi.waitFor(() => nft('list set inet spamd spamd-watch'), PATIENCE)
      nft('flush ruleset')
      let losses = 0
      const stop = firewall.watchLoss(() => {
        losses += 1
      })
      try {
        await isWatched()
        await firewall.replaceTable(HOSTS, contentOf(['192.0.2.1/32']))
        await firewall.changeTable(HOSTS, 'add', contentOf(['192.0.2.2/32']))
        nft('add table inet other')
        nft('flush set inet spamd spamd-white')
        nft('delete table inet other')
        nft('flush ruleset')
        await isWatched()
        await vi.waitFor(() => expect(losses).toBe(1), PATIENCE)
        nft('flush ruleset ; add table inet spamd ; add set inet spamd spamd-white { type ipv4_addr; }')
        await vi.waitFor(() => expect(losses).toBe(2), PATIENCE)
      } finally {
        stop()
        rmSync(folder, { recursive: true })
      }
    },
  )

  test.skipIf(!isBuilt)('changes by others are counted, our own are not', async () => {
    nft('flush ruleset')
    const firewall = new NftFirewall(tool('nft'), generationInside)
    expect(await firewall.changesByOthers()).toBe(0)
    const content = contentOf(['192.0.2.1/32'])
    await firewall.replaceTable(HOSTS, content)
    await firewall.replaceTable(HOSTS, content)
    // Nothing is new in the second: no transaction.
    for (const change of ['add', 'add', 'delete', 'delete'] as const)
      await firewall.changeTable(HOSTS, change, content)
    nft('list ruleset')
    expect(await firewall.changesByOthers()).toBe(0)
    nft('add element inet spamd spamd-white { 192.0.2.9 }')
    expect(await firewall.changesByOthers()).toBe(1)
    await firewall.replaceTable(HOSTS, content)
    expect(await firewall.changesByOthers()).toBe(1)
  })

  describe('sets of an administrator', () => {
    let firewall: NftFirewall
    beforeEach(() => {
      nft('flush ruleset')
      firewall = new NftFirewall(tool('nft'))
    })

    test('rules that use our sets stay, before and after a replace', async () => {
      await firewall.replaceTable(HOSTS, contentOf(['192.0.2.1/32']))
      nft('add chain inet spamd input { type filter hook input priority 0; }')
      nft('add rule inet spamd input tcp dport 25 ip saddr != @spamd-white counter')
      await firewall.replaceTable(HOSTS, contentOf(['192.0.2.2/32']))
      expect(nft('list chain inet spamd input')).toContain('ip saddr != @spamd-white')
      expect(await firewall.readTable(HOSTS)).toEqual(['192.0.2.2/32'])
    })

    test('a set made beforehand with a size or auto-merge is used as it is', async () => {
      nft('add table inet spamd')
      nft('add set inet spamd spamd { type ipv4_addr; flags interval; auto-merge; }')
      await firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/25', '10.0.0.128/25']))
      expect(nft('list set inet spamd spamd')).toContain('auto-merge')
    })

    test('ranges and time-outs that someone put there are read as prefixes', async () => {
      nft('add table inet spamd')
      nft('add set inet spamd spamd { type ipv4_addr; flags interval; }')
      nft('add set inet spamd spamd6 { type ipv6_addr; flags interval; }')
      nft('add element inet spamd spamd { 10.0.0.5-10.0.0.9, 9.0.0.1 }')
      nft('add element inet spamd spamd6 { 2001:db8::4-2001:db8::5 }')
      nft('add set inet spamd spamd-white { type ipv4_addr; flags timeout; }')
      nft('add element inet spamd spamd-white { 10.0.0.2 timeout 1h }')
      expect(await firewall.readTable(NETWORKS)).toEqual([
        '9.0.0.1/32',
        '10.0.0.5/32',
        '10.0.0.6/31',
        '10.0.0.8/31',
        '2001:db8::4/127',
      ])
      expect(await firewall.readTable(HOSTS)).toEqual(['10.0.0.2/32'])
    })

    test('a set of another kind: a clear error, and neither family is touched', async () => {
      nft('add table inet spamd')
      nft('add set inet spamd spamd { type ipv4_addr; flags interval; }')
      nft('add element inet spamd spamd { 10.0.0.0/8 }')
      nft('add set inet spamd spamd6 { type ipv6_addr; }')
      await expect(
        firewall.replaceTable(NETWORKS, contentOf(['9.0.0.0/8', '2001:db8::/32'])),
      ).rejects.toMatchObject({
        code: 'ERR_FIREWALL_FAILED',
        message: expect.stringContaining('cannot replace set spamd of nftables table inet spamd') as string,
        hint: 'a set of that name exists with another type or flags; spamd needs spamd (ipv4_addr) and spamd6 (ipv6_addr) with "flags interval"',
      })
      expect(nft('list set inet spamd spamd')).toContain('10.0.0.0/8')
    })

    test('overlapping networks are refused by nft, the old content stays', async () => {
      await firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8']))
      await expect(
        firewall.replaceTable(NETWORKS, contentOf(['9.0.0.0/8', '9.1.0.0/16'])),
      ).rejects.toMatchObject({ code: 'ERR_FIREWALL_FAILED' })
      expect(await firewall.readTable(NETWORKS)).toEqual(['10.0.0.0/8'])
    })
  })
})

describe.skipIf(!hasIpset)('ipset', () => {
  const ipset = (...args: string[]) => inside('ipset', ...args)

  describeConformance('ipset on the real kernel', {
    open: async () => {
      ipset('destroy')
      return new IpsetFirewall(tool('ipset'))
    },
    largeCount: 100_000,
  })

  describe('sets of an administrator', () => {
    let firewall: IpsetFirewall
    beforeEach(() => {
      ipset('destroy')
      firewall = new IpsetFirewall(tool('ipset'))
    })

    test('the set grows with its list, and nothing else is left behind', async () => {
      await firewall.replaceTable(NETWORKS, contentOf(networks(70_000)))
      await firewall.replaceTable(NETWORKS, contentOf(networks(3)))
      expect(ipset('list', '-n').split('\n').filter(Boolean).sort()).toEqual(['spamd', 'spamd6'])
    })

    test('a set of another kind: a clear error, nothing is touched, nothing is left behind', async () => {
      ipset('create', 'spamd6', 'hash:ip', 'family', 'inet6')
      await expect(firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8']))).rejects.toMatchObject({
        code: 'ERR_FIREWALL_FAILED',
        message:
          'cannot replace ipset spamd: set spamd6 exists as hash:ip family inet6, not hash:net family inet6',
      })
      expect(ipset('list', '-n').trim()).toBe('spamd6')
    })

    test('a failed restore leaves no half-filled set', async () => {
      await firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8']))
      const failing = new IpsetFirewall({
        ...tool('ipset'),
        // Stops in front of the swap, as when memory runs out.
        runner: async (request) => {
          const ran = await tool('ipset').runner(
            request.args[0] === 'restore'
              ? { ...request, stdin: Buffer.from('create spamd:x hash:net\nadd spamd:x not-an-address\n') }
              : request,
          )
          return ran
        },
      })
      await expect(failing.replaceTable(NETWORKS, contentOf(['9.0.0.0/8']))).rejects.toMatchObject({
        code: 'ERR_FIREWALL_FAILED',
      })
      expect(await firewall.readTable(NETWORKS)).toEqual(['10.0.0.0/8'])
      ipset('destroy', 'spamd:x')
    })
  })
})
