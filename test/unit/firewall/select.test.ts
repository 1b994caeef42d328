import { describe, expect, test } from 'vitest'
import { selectFirewall } from '../../../src/firewall/select.js'
import { scriptedRunner } from '../../support/scripted-runner.js'
import { contentOf } from '../../support/table-content.js'

const NETWORKS = { name: 'spamd', content: 'networks' } as const
const programs = { pfctl: '/my/pfctl', nft: '/my/nft', ipset: '/my/ipset' }

describe('the chosen back end', () => {
  test.each([
    { choice: 'pf', system: 'openbsd', want: ['/my/pfctl'] },
    { choice: 'pf', system: 'freebsd', want: ['/my/pfctl', '/sbin/sysctl'] },
    { choice: 'nft', system: 'linux', want: ['/my/nft'] },
    { choice: 'ipset', system: 'linux', want: ['/my/ipset'] },
    { choice: 'none', system: 'linux', want: [] },
  ] as const)('$choice on $system runs $want', async ({ choice, system, want }) => {
    const { runner, calls } = scriptedRunner(() => undefined)
    const firewall = selectFirewall({ choice, system, runner, ...programs })
    expect(firewall.name).toBe(choice)
    expect(calls).toEqual([])
    await firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8']))
    expect([...new Set(calls.map(({ program }) => program))]).toEqual(want)
  })

  test.each([
    ['pf', { '/my/pfctl': 60, '/sbin/sysctl': 10 }],
    ['nft', { '/my/nft': 180 }],
    ['ipset', { '/my/ipset': 180 }],
  ] as const)('%s is given up after so many seconds: %j', async (choice, want) => {
    const seconds: Record<string, number> = {}
    const { runner } = scriptedRunner(() => undefined)
    const firewall = selectFirewall({
      choice,
      system: 'freebsd',
      ...programs,
      runner: (request) => {
        seconds[request.program] = request.timeoutMs / 1000
        return runner(request)
      },
    })
    await firewall.replaceTable(NETWORKS, contentOf([]))
    expect(seconds).toEqual(want)
  })

  test('ipset without a path is that of the system', async () => {
    const { runner, calls } = scriptedRunner(() => undefined)
    const { ipset: _, ...others } = programs
    const firewall = selectFirewall({ choice: 'ipset', system: 'linux', runner, ...others })
    await firewall.readTable(NETWORKS)
    expect(calls[0]!.program).toBe('/usr/sbin/ipset')
  })

  test('notices of pf are passed on', async () => {
    const notices: string[] = []
    const { runner } = scriptedRunner(() => ({ stderrTail: 'pfctl: a warning\n' }))
    const onNotice = (message: string) => void notices.push(message)
    const firewall = selectFirewall({ choice: 'pf', system: 'openbsd', runner, onNotice, ...programs })
    await firewall.replaceTable(NETWORKS, contentOf([]))
    expect(notices).toEqual(['/my/pfctl: pfctl: a warning'])
  })

  test('none holds no table and still refuses what no packet filter may get', async () => {
    const firewall = selectFirewall({ choice: 'none', system: 'linux', ...programs })
    expect(await firewall.readTable(NETWORKS)).toBeUndefined()
    await expect(firewall.replaceTable(NETWORKS, contentOf(['0.0.0.0/0']))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_CONTENT',
    })
  })
})
