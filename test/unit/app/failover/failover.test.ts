import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  findFailoverFaults,
  parseFailoverDescription,
} from '../../../../src/app/failover/failover-description.js'
import { planFailover } from '../../../../src/app/failover/failover-use-case.js'
import { failoverPlanJson, renderFailoverPlan } from '../../../../src/cli/failover/render-failover-plan.js'

const PASSPHRASE = 'correcthorse'
let folder = ''
let root = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'failover-'))
  root = join(folder, 'root')
  mkdirSync(join(root, 'etc'), { recursive: true })
  writeFileSync(join(folder, 'pass'), `${PASSPHRASE}\n`)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function description(changes: Record<string, string> = {}): string {
  let text = `system = "openbsd"
outside = "em0"
sync-interface = "em2"
passphrase-file = "${join(folder, 'pass')}"
preempt = true

[[node]]
name = "mx1"
advskew = 0
sync-address = "172.16.0.1/30"

[[node]]
name = "mx2"
advskew = 100
sync-address = "172.16.0.2/30"

[[shared]]
interface = "em0"
vhid = 1
address = "203.0.113.3/24"
address6 = "2001:db8:0:1::3/64"
own = ["203.0.113.1", "203.0.113.2"]

[[shared]]
interface = "em1"
vhid = 2
address = "10.1.2.1/20"
own = ["10.1.2.2", "10.1.2.3"]
`
  for (const [from, to] of Object.entries(changes)) {
    expect(text).toContain(from)
    text = text.replace(from, to)
  }
  return text
}

function plan(text: string, options: { nodeName?: string; hostName?: string } = {}) {
  const path = join(folder, 'failover.toml')
  writeFileSync(path, text)
  return planFailover(path, { root, ...options })
}

function filesOf(text: string, nodeName: string): Record<string, string> {
  const result = plan(text, { nodeName })
  if (!result.ok) throw new Error(result.faults.join('\n'))
  return Object.fromEntries(
    result.nodes[0]!.steps.map((step) => [step.file.path, step.action === 'keep' ? '(kept)' : step.text]),
  )
}

describe('plans that cannot work are refused', () => {
  const faults: { name: string; changes: Record<string, string>; want: RegExp }[] = [
    {
      name: 'the same advskew',
      changes: { 'advskew = 100': 'advskew = 0' },
      want: /both nodes have advskew 0/,
    },
    {
      name: 'a vhid twice on a segment',
      changes: { 'interface = "em1"\nvhid = 2': 'interface = "em0"\nvhid = 1' },
      want: /vhid 1 is used twice on em0/,
    },
    {
      name: 'no passphrase file',
      changes: { '/pass"': '/missing"' },
      want: /passphrase file .* is missing or empty/,
    },
    {
      name: 'pfsync on the outside interface',
      changes: { 'sync-interface = "em2"': 'sync-interface = "em0"' },
      want: /sync-interface is the outside interface em0/,
    },
    {
      name: 'unequal preempt',
      changes: { 'advskew = 100': 'advskew = 100\npreempt = false' },
      want: /preempt differs/,
    },
    {
      name: 'keys that differ',
      changes: {
        'advskew = 0': 'advskew = 0\nkey-fingerprint = "aa"',
        'advskew = 100': 'advskew = 100\nkey-fingerprint = "bb"',
      },
      want: /keys differ/,
    },
    {
      name: 'two nodes of one name',
      changes: { 'name = "mx2"': 'name = "mx1"' },
      want: /both nodes are called mx1/,
    },
    {
      name: 'one sync address for both',
      changes: { '172.16.0.2/30': '172.16.0.1/30' },
      want: /both nodes have the sync-address/,
    },
  ]
  test.each(faults)('$name', ({ changes, want }) => {
    const result = plan(description(changes))
    expect(result).toMatchObject({ ok: false, faults: [expect.stringMatching(want)] })
  })

  test.each(['two words', 'quo"te', 'doll$ar', 'a#b', 'x'.repeat(21)])('passphrase %j', (passphrase) => {
    expect(findFailoverFaults(parseFailoverDescription(description()), passphrase)).toHaveLength(1)
  })

  test('a passphrase of 20 bytes is taken', () => {
    expect(findFailoverFaults(parseFailoverDescription(description()), 'x'.repeat(20))).toEqual([])
  })

  test('the same vhid on two segments is taken', () => {
    expect(plan(description({ 'vhid = 2': 'vhid = 1' }))).toMatchObject({ ok: true })
  })
})

describe('descriptions that cannot be read name the key', () => {
  const cases: { name: string; changes: Record<string, string>; want: RegExp }[] = [
    { name: 'not TOML', changes: { 'vhid = 1': 'vhid = ' }, want: /^line 1[89]: / },
    {
      name: 'an unknown system',
      changes: { '"openbsd"': '"plan9"' },
      want: /^system: must be one of openbsd/,
    },
    {
      name: 'an unknown key',
      changes: { 'vhid = 1': 'vhid = 1\nvhdi = 3' },
      want: /^shared 1: vhdi: unknown key/,
    },
    {
      name: 'vhid 0',
      changes: { 'vhid = 1': 'vhid = 0' },
      want: /^shared 1: vhid: must be a number from 1 to 255/,
    },
    { name: 'vhid 256', changes: { 'vhid = 2': 'vhid = 256' }, want: /^shared 2: vhid: / },
    {
      name: 'advskew 255',
      changes: { 'advskew = 100': 'advskew = 255' },
      want: /^node 2: advskew: must be a number from 0 to 254/,
    },
    {
      name: 'an address without a length',
      changes: { '203.0.113.3/24': '203.0.113.3' },
      want: /^shared 1: address: must be an IPv4 address with/,
    },
    {
      name: 'IPv4 where IPv6 is wanted',
      changes: { '2001:db8:0:1::3/64': '192.0.2.1/24' },
      want: /^shared 1: address6: /,
    },
    {
      name: 'an interface that is no name',
      changes: { 'interface = "em1"': 'interface = "em1; reboot"' },
      want: /^shared 2: interface: not the name/,
    },
    {
      name: 'a host name that is none',
      changes: { '"mx2"': '"mx2\\n}"' },
      want: /^node 2: name: not a host name/,
    },
  ]
  test.each(cases)('$name', ({ changes, want }) => {
    expect(() => parseFailoverDescription(description(changes))).toThrow(want)
  })

  test('three nodes', () => {
    const third = '\n[[node]]\nname = "mx3"\nadvskew = 50\nsync-address = "172.16.0.3/29"\n'
    expect(() => parseFailoverDescription(description() + third)).toThrow(/^node: two are needed, 3 /)
  })
})

describe('files of a node', () => {
  test('OpenBSD: netmask, broadcast and skew are worked out', () => {
    const files = filesOf(description(), 'mx2')
    expect(files['/etc/hostname.carp0']).toBe(
      `inet 203.0.113.3 255.255.255.0 203.0.113.255 vhid 1 carpdev em0 pass ${PASSPHRASE} advskew 100\ninet6 2001:db8:0:1::3 64\n`,
    )
    expect(files['/etc/hostname.carp1']).toBe(
      `inet 10.1.2.1 255.255.240.0 10.1.15.255 vhid 2 carpdev em1 pass ${PASSPHRASE} advskew 100\n`,
    )
    expect(files['/etc/hostname.pfsync0']).toBe('syncdev em2\nup\n')
    expect(files['/etc/sysctl.conf']).toBe('net.inet.carp.preempt=1\n')
  })

  test('OpenBSD: what is there stays, what is as wanted is not touched', () => {
    writeFileSync(join(root, 'etc/sysctl.conf'), 'kern.maxfiles=9000\nnet.inet.carp.preempt=1 # pair')
    writeFileSync(join(root, 'etc/pf.conf'), 'pass')
    const files = filesOf(description(), 'mx1')
    expect(files['/etc/sysctl.conf']).toBe('(kept)')
    expect(files['/etc/pf.conf']).toBe('pass\ninclude "/etc/pf.carp.conf"\n')
  })

  test('FreeBSD: aliases get the next free number of their interface', () => {
    writeFileSync(join(root, 'etc/rc.conf'), 'ifconfig_em0_alias0="inet 192.0.2.9/32"\n')
    const files = filesOf(description({ openbsd: 'freebsd' }), 'mx1')
    expect(files['/etc/rc.conf']).toBe(
      [
        'ifconfig_em0_alias0="inet 192.0.2.9/32"',
        `ifconfig_em0_alias1="inet 203.0.113.3/24 vhid 1 advskew 0 pass ${PASSPHRASE}"`,
        `ifconfig_em0_alias2="inet6 2001:db8:0:1::3/64 vhid 1 advskew 0 pass ${PASSPHRASE}"`,
        `ifconfig_em1_alias0="inet 10.1.2.1/20 vhid 2 advskew 0 pass ${PASSPHRASE}"`,
        'pfsync_enable="YES"',
        'pfsync_syncdev="em2"',
        'pfsync_syncpeer="172.16.0.2"',
        'spamdctl_pull_enable="YES"',
        '',
      ].join('\n'),
    )
    expect(files['/boot/loader.conf']).toBe('carp_load="YES"\n')
    writeFileSync(join(root, 'etc/rc.conf'), files['/etc/rc.conf']!)
    expect(filesOf(description({ openbsd: 'freebsd' }), 'mx1')['/etc/rc.conf']).toBe('(kept)')
  })

  test('pfSense: steps on its pages; the only files are those of pulls', () => {
    const result = plan(description({ openbsd: 'pfsense' }), { nodeName: 'mx1' })
    if (!result.ok) throw new Error('refused')
    expect(result.nodes[0]!.steps.map(({ file }) => file.path)).toEqual([
      '/usr/local/etc/spamd/ssh_config',
      '/var/db/spamd-pull/.ssh/authorized_keys',
      '/usr/local/etc/spamd/pull-peers',
    ])
    expect(JSON.stringify(result)).toContain('VHID group 2, skew 0')
  })

  test('keepalived: one instance for each family, the lower skew has the higher priority', () => {
    const text = description({ openbsd: 'linux' })
    const [one, other] = ['mx1', 'mx2'].map((name) => filesOf(text, name)['/etc/keepalived/keepalived.conf']!)
    expect(one!.match(/priority 254/g)).toHaveLength(3)
    expect(other!.match(/priority 154/g)).toHaveLength(3)
    expect(one).not.toContain('nopreempt')
    expect(
      filesOf(description({ openbsd: 'linux', 'preempt = true': 'preempt = false' }), 'mx1')[
        '/etc/keepalived/keepalived.conf'
      ],
    ).toContain('nopreempt')
  })

  test('keepalived needs no passphrase: VRRP version 3 has none', () => {
    expect(plan(description({ openbsd: 'linux', '/pass"': '/missing"' }))).toMatchObject({ ok: true })
  })

  test('ucarp: each node sends from its own address, the passphrase is in no argument', () => {
    const files = filesOf(description({ openbsd: 'linux', 'preempt = true': 'program = "ucarp"' }), 'mx2')
    const unit = files['/etc/systemd/system/ucarp-em0-1.service']!
    expect(unit).toContain('--srcip=203.0.113.2 --vhid=1 --passfile=/etc/spamd/ucarp.pass')
    expect(unit).not.toContain(PASSPHRASE)
    expect(files['/etc/spamd/ucarp.pass']).toBe(`${PASSPHRASE}\n`)
  })

  test('ucarp without own addresses is refused', () => {
    const text = description({
      openbsd: 'linux',
      'preempt = true': 'program = "ucarp"',
      'own = ["10.1.2.2", "10.1.2.3"]\n': '',
    })
    expect(plan(text)).toMatchObject({ ok: false, faults: [expect.stringContaining('ucarp sends from')] })
  })
})

describe('pulls', () => {
  const pulled = {
    openbsd: '/etc/rc.local',
    freebsd: '/usr/local/etc/rc.d/spamdctl_hold',
    linux: '/etc/default/spamd-pull',
  }
  test.each(Object.entries(pulled))('%s: in step before the address is taken', (system, path) => {
    const text = description({ openbsd: system })
    const [files, otherFiles] = ['mx1', 'mx2'].map((name) => filesOf(text, name))
    expect(files).toHaveProperty([path])
    const [one, other] = [files, otherFiles].map((some) => JSON.stringify(some))
    if (system !== 'freebsd') {
      expect(one).toContain('172.16.0.2')
      expect(other).toContain('172.16.0.1')
    }
    const result = plan(text, { nodeName: 'mx1' })
    if (!result.ok) throw new Error('refused')
    const { commands } = result.nodes[0]!
    const at = (pattern: RegExp) => commands.findIndex((command) => pattern.test(command))
    expect(commands[0]).toBe(
      'spamdctl init --peer 172.16.0.2    # unless that is done: spamd gets -y 172.16.0.1 -Y 172.16.0.2',
    )
    expect(at(/ssh-keygen -q/)).toBeGreaterThan(0)
    expect(at(/authorized_keys/)).toBeGreaterThan(at(/ssh-keygen -q/))
    // Who speaks for the shared addresses comes after the pulls.
    expect(at(/carp|keepalived/)).toBeGreaterThan(at(/authorized_keys/))
  })

  test('ucarp: its units start behind the pull', () => {
    const files = filesOf(description({ openbsd: 'linux', 'preempt = true': 'program = "ucarp"' }), 'mx2')
    expect(files['/etc/systemd/system/ucarp-em0-1.service']).toMatch(/^After=.*\bspamd-pull\.service$/m)
  })

  test('what init has written is as wanted', () => {
    const files = filesOf(description(), 'mx1')
    for (const path of ['/etc/rc.local', '/etc/mail/spamd/ssh_config', '/etc/mail/spamd/pull-peers']) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), files[path]!)
    }
    const again = filesOf(description(), 'mx1')
    expect(again).toMatchObject({ '/etc/rc.local': '(kept)', '/etc/mail/spamd/pull-peers': '(kept)' })
  })
})

describe('what is printed', () => {
  test('a file of ours that holds something else is shown, not replaced', () => {
    writeFileSync(join(root, 'etc/hostname.pfsync0'), 'syncdev em9\nup\n')
    const result = plan(description(), { nodeName: 'mx1' })
    if (!result.ok) throw new Error('refused')
    const text = renderFailoverPlan(result, 'hidden')
    expect(text).toContain('differs: compare, and change it by hand')
    expect(text).toMatch(/-syncdev em9\n\+syncdev em2/)
  })

  test('the passphrase is marked unless it is asked for', () => {
    const result = plan(description(), { nodeName: 'mx1' })
    if (!result.ok) throw new Error('refused')
    expect(renderFailoverPlan(result, 'hidden')).not.toContain(PASSPHRASE)
    expect(renderFailoverPlan(result, 'hidden')).toContain('pass <passphrase> advskew')
    expect(failoverPlanJson(result, 'hidden')).not.toContain(PASSPHRASE)
    expect(renderFailoverPlan(result, 'shown')).toContain(`pass ${PASSPHRASE} advskew`)
  })

  test('the node that is this machine is compared with its files, the other one is not', () => {
    writeFileSync(join(root, 'etc/sysctl.conf'), 'net.inet.carp.preempt=1\n')
    const result = plan(description(), { hostName: 'MX2.example.org' })
    if (!result.ok) throw new Error('refused')
    expect(result.nodes.map(({ name, isHere }) => [name, isHere])).toEqual([
      ['mx1', false],
      ['mx2', true],
    ])
    const actions = result.nodes.map(
      ({ steps }) => steps.find(({ file }) => file.path === '/etc/sysctl.conf')!.action,
    )
    expect(actions).toEqual(['create', 'keep'])
  })

  test('a node that is not in the description', () => {
    expect(() => plan(description(), { nodeName: 'mx3' })).toThrow(
      'no node mx3: the description has mx1 and mx2',
    )
  })
})
