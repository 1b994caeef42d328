import { describe, expect, test } from 'vitest'
import type { FirewallTool } from '../../../src/firewall/firewall-tool.js'
import { PfFirewall } from '../../../src/firewall/pf.js'
import type { ProcessRunner } from '../../../src/platform/run-process.js'
import { type RecordedCall, type ScriptedEnd, scriptedRunner } from '../../support/scripted-runner.js'
import { contentOf, networks } from '../../support/table-content.js'

const NETWORKS = { name: 'spamd', content: 'networks' } as const
const HOSTS = { name: 'spamd-white', content: 'hosts' } as const
const PFCTL = '/sbin/pfctl'
const MEMORY = 'states        hard limit   100000\ntable-entries hard limit   200000\n'

const toolOf = (program: string, runner: ProcessRunner): FirewallTool => ({
  program,
  setting: 'SPAMD_PFCTL',
  timeoutMs: 60_000,
  runner,
})

function pf(script: (call: RecordedCall) => ScriptedEnd | undefined = () => undefined, isFreebsd = false) {
  const { runner, calls } = scriptedRunner(
    (call) => script(call) ?? (call.args[0] === '-sm' ? { stdout: MEMORY } : undefined),
  )
  const notices: string[] = []
  const firewall = new PfFirewall(toolOf(PFCTL, runner), {
    ...(isFreebsd ? { sysctl: toolOf('/sbin/sysctl', runner) } : {}),
    onNotice: (notice) => notices.push(notice),
  })
  return { firewall, calls, notices }
}

const tableCalls = (calls: readonly RecordedCall[]) => calls.filter(({ args }) => args.includes('-T'))

describe('what pfctl is given', () => {
  test('the argument vector and the bytes of a replace, both families in one list', async () => {
    const { firewall, calls } = pf()
    await firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8', '192.0.2.1/32', '2001:db8::/32']))
    expect(calls).toEqual([
      { program: PFCTL, args: ['-sm'], stdin: undefined },
      {
        program: PFCTL,
        args: ['-q', '-t', 'spamd', '-T', 'replace', '-f', '-'],
        stdin: '10.0.0.0/8\n192.0.2.1/32\n2001:db8::/32\n',
      },
    ])
  })

  test('the white list, and an empty one, which empties the table', async () => {
    const { firewall, calls } = pf()
    await firewall.replaceTable(HOSTS, contentOf(['192.0.2.1/32']))
    await firewall.replaceTable(HOSTS, contentOf([]))
    const args = ['-q', '-t', 'spamd-white', '-T', 'replace', '-f', '-']
    expect(tableCalls(calls)).toEqual([
      { program: PFCTL, args, stdin: '192.0.2.1/32\n' },
      { program: PFCTL, args, stdin: '' },
    ])
  })

  test('the all-zeros hosts, which pf never stores, are left out, and nothing that only ends like them', async () => {
    const { firewall, calls } = pf()
    await firewall.replaceTable(
      NETWORKS,
      contentOf(['0.0.0.0/32', '10.0.0.0/32', '100.0.0.0/32', '::/128', '2001:db8::/128']),
    )
    expect(tableCalls(calls)[0]?.stdin).toBe('10.0.0.0/32\n100.0.0.0/32\n2001:db8::/128\n')
  })

  test('refused content starts no program at all', async () => {
    const { firewall, calls } = pf()
    await expect(firewall.replaceTable(NETWORKS, contentOf(['localhost']))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_CONTENT',
    })
    expect(calls).toEqual([])
  })
})

test('what pfctl says although it succeeded is passed on, the same words once', async () => {
  const warning = 'warning: table <spamd-white> already defined in anchor "foo"\n'
  const { firewall, notices } = pf(({ args }) =>
    args.includes('replace') ? { stderrTail: warning } : undefined,
  )
  for (let round = 0; round < 3; round += 1) await firewall.replaceTable(HOSTS, contentOf(['192.0.2.1/32']))
  expect(notices).toEqual(['/sbin/pfctl: warning: table <spamd-white> already defined in anchor "foo"'])
})

describe('limits', () => {
  test.each([
    { name: 'a number', stdout: MEMORY, want: 200_000 },
    { name: 'no limit', stdout: 'table-entries unlimited\n', want: undefined },
    { name: 'no such line', stdout: '', want: undefined },
    { name: 'a larger number', stdout: 'table-entries hard limit  1000000\n', want: 1_000_000 },
  ])('table-entries of pfctl -sm: $name', async ({ stdout, want }) => {
    const { firewall } = pf(({ args }) => (args[0] === '-sm' ? { stdout } : undefined))
    expect(await firewall.limits()).toEqual({ maxEntries: want, maxRequest: undefined })
  })

  test('limits that cannot be read do not stop a replace', async () => {
    const { firewall, calls } = pf(({ args }) => (args[0] === '-sm' ? { exitCode: 1 } : undefined))
    await firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8']))
    expect(tableCalls(calls)).toHaveLength(1)
  })

  test('a table that would not fit is refused with the line to add, pfctl is not given it', async () => {
    const { firewall, calls } = pf(({ args }) =>
      args[0] === '-sm' ? { stdout: 'table-entries hard limit        5\n' } : undefined,
    )
    await expect(firewall.replaceTable(NETWORKS, contentOf(networks(6)))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_LIMIT',
      message:
        "cannot replace table spamd: 6 entries exceed pf's limit of 5 table entries; the old content is kept",
      hint: 'add "set limit table-entries 10000" to pf.conf and load it with pfctl -f',
    })
    expect(tableCalls(calls)).toEqual([])
    await firewall.replaceTable(NETWORKS, contentOf(networks(5)))
    expect(tableCalls(calls)).toHaveLength(1)
  })

  test('old and new together over the limit: the kernel refuses, the line names room for both', async () => {
    const { firewall } = pf(({ args }) =>
      args.includes('replace') ? { exitCode: 255, stderrTail: 'pfctl: Cannot allocate memory\n' } : undefined,
    )
    await expect(firewall.replaceTable(NETWORKS, contentOf(networks(12_000)))).rejects.toMatchObject({
      code: 'ERR_FIREWALL_LIMIT',
      // The limit counts all tables: the 200,000 in force, and ours twice.
      hint: 'add "set limit table-entries 230000" to pf.conf and load it with pfctl -f',
    })
  })

  test.each([
    ['pfctl: Invalid argument\n', undefined],
    ['pfctl: Permission denied\n', 'pfctl needs root, and the pf device /dev/pf'],
    ['pfctl: /dev/pf: No such file or directory\n', 'pfctl needs root, and the pf device /dev/pf'],
  ])('%j has the hint %j', async (stderrTail, hint) => {
    const { firewall } = pf(({ args }) =>
      args.includes('replace') ? { exitCode: 255, stderrTail } : undefined,
    )
    await expect(firewall.replaceTable(NETWORKS, contentOf(networks(1)))).rejects.toMatchObject({ hint })
  })
})

describe("FreeBSD's limit of one request", () => {
  const limited = (maxcount: number, shown = '') =>
    pf(({ program, args }) => {
      if (program === '/sbin/sysctl') return { stdout: `${maxcount}\n` }
      return args.includes('show') ? { stdout: shown } : undefined
    }, true)

  test.each([
    { maxcount: 65_535, entryCount: 32_768, wantsPortions: false },
    { maxcount: 65_535, entryCount: 32_769, wantsPortions: true },
    { maxcount: 262_144, entryCount: 147_259, wantsPortions: false },
    { maxcount: 131_072, entryCount: 147_259, wantsPortions: true },
    { maxcount: 63, entryCount: 1, wantsPortions: true },
  ])('$entryCount entries with request_maxcount $maxcount: portions $wantsPortions', async (row) => {
    const { firewall, calls } = limited(row.maxcount)
    await firewall.replaceTable(NETWORKS, contentOf(networks(row.entryCount)))
    const commands = new Set(tableCalls(calls).map(({ args }) => args[args.indexOf('-T') + 1]))
    expect([...commands]).toEqual(row.wantsPortions ? ['show', 'add'] : ['replace'])
  })

  test('what is new is added in portions, then what is gone is deleted, and nothing that is wanted', async () => {
    const shown = '   9.9.9.9\n   10.0.0.0/24\n  !10.1.0.0/16\n   2001:db8::1\n'
    const { firewall, calls, notices } = limited(2, shown)
    await firewall.replaceTable(
      NETWORKS,
      contentOf(['10.0.0.0/24', '11.0.0.0/8', '12.0.0.0/8', '2001:db8::2/128']),
    )
    expect(tableCalls(calls).map(({ args, stdin }) => [args[4], stdin])).toEqual([
      ['show', undefined],
      ['add', '10.0.0.0/24\n11.0.0.0/8\n'],
      ['add', '12.0.0.0/8\n'],
      ['add', '2001:db8::2/128\n'],
      ['delete', '9.9.9.9/32\n!10.1.0.0/16\n'],
      ['delete', '2001:db8::1/128\n'],
    ])
    expect(notices).toEqual([
      'table spamd is loaded in parts: 4 entries are more than one request may replace; ' +
        'put net.pf.request_maxcount=64 into /boot/loader.conf to load it in one step',
    ])
  })

  test('a portion that fails ends it before anything is deleted', async () => {
    const { firewall, calls } = pf(({ program, args, stdin }) => {
      if (program === '/sbin/sysctl') return { stdout: '1\n' }
      if (args.includes('show')) return { stdout: '   9.9.9.9\n' }
      return stdin?.startsWith('11.') === true ? { exitCode: 255, stderrTail: 'pfctl: x\n' } : undefined
    }, true)
    await expect(
      firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8', '11.0.0.0/8', '12.0.0.0/8'])),
    ).rejects.toMatchObject({ code: 'ERR_FIREWALL_FAILED' })
    expect(tableCalls(calls).map(({ args }) => args[4])).toEqual(['show', 'add', 'add'])
  })

  test.each(['', 'net.pf.request_maxcount: 65535', '-1', '0'])(
    'a sysctl that says %j is no limit',
    async (stdout) => {
      const { firewall } = pf(({ program }) => (program === '/sbin/sysctl' ? { stdout } : undefined), true)
      expect((await firewall.limits()).maxRequest).toBeUndefined()
    },
  )
})

describe('reading a table', () => {
  test('hosts get their length, networks keep theirs, IPv6 is written canonically', async () => {
    const stdout = '   10.0.0.1\n  !10.1.0.0/16\n   ::10.0.0.1\n   ::ffff:10.0.0.1\n   2001:db8::/32\n'
    const { firewall, calls } = pf(() => ({ stdout }))
    expect(await firewall.readTable(NETWORKS)).toEqual([
      '10.0.0.1/32',
      '!10.1.0.0/16',
      '::a00:1/128',
      '::ffff:a00:1/128',
      '2001:db8::/32',
    ])
    expect(calls[0]?.args).toEqual(['-q', '-t', 'spamd', '-T', 'show'])
  })

  test('a missing table is told from a device that may not be read by the list of tables, not by texts', async () => {
    const script =
      (tables: string): Parameters<typeof pf>[0] =>
      ({ args }) =>
        args.includes('-sT') ? { stdout: tables } : { exitCode: 255, stderrTail: 'pfctl: no text we know\n' }
    expect(await pf(script('spamd-white\n')).firewall.readTable(NETWORKS)).toBeUndefined()
    await expect(pf(script('spamd\n')).firewall.readTable(NETWORKS)).rejects.toMatchObject({
      code: 'ERR_FIREWALL_FAILED',
      message: 'cannot read table spamd: /sbin/pfctl returned status 255: pfctl: no text we know',
    })
  })
})

describe('failures', () => {
  test.each([
    {
      name: 'an exit status, with the last words of pfctl made safe',
      end: { exitCode: 1, stderrTail: 'pfctl: /dev/pf: Permission denied\nevil \u001b[2J\n' },
      want: {
        code: 'ERR_FIREWALL_FAILED',
        message:
          'cannot replace table spamd: /sbin/pfctl returned status 1: pfctl: /dev/pf: Permission denied; evil \\x1b[2J',
        hint: 'pfctl needs root, and the pf device /dev/pf',
      },
    },
    {
      name: 'a signal',
      end: { exitCode: null, signal: 'SIGSEGV' as const },
      want: {
        code: 'ERR_FIREWALL_FAILED',
        message: 'cannot replace table spamd: /sbin/pfctl died on signal 11 (SIGSEGV)',
      },
    },
    {
      name: 'a time-out',
      end: { exitCode: null, signal: 'SIGKILL' as const, hasTimedOut: true },
      want: {
        code: 'ERR_FIREWALL_TIMEOUT',
        message: 'cannot replace table spamd: /sbin/pfctl did not end within 60 seconds and was killed',
      },
    },
  ])('$name', async ({ end, want }) => {
    const { firewall } = pf(({ args }) => (args.includes('replace') ? end : undefined))
    await expect(firewall.replaceTable(NETWORKS, contentOf(['10.0.0.0/8']))).rejects.toMatchObject(want)
  })
})
