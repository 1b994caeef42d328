/** init on trees that look like each system: what it writes, that it can run again, and that it takes nothing away. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type CommandEnd, runCommands } from '../../../../src/app/init/run-init.js'
import { getoptAnywhere } from '../../../../src/cli/getopt.js'
import { INIT_OPTIONS } from '../../../../src/cli/init/init-options.js'
import { renderCommandEnd } from '../../../../src/cli/init/render-init.js'
import { runInit } from '../../../../src/cli/init/run-init-program.js'
import { OptionValues } from '../../../../src/cli/option-reader.js'
import { parseSpamdConf } from '../../../../src/codec/spamd-conf/spamd-conf.js'
import { defaultOfProcRoute } from '../../../../src/platform/default-interface.js'

const TREES = {
  debian: ['etc/debian_version'],
  openbsd: ['etc/rc.subr', 'usr/sbin/rcctl'],
  freebsd: ['usr/sbin/sysrc', 'etc/defaults/rc.conf'],
  pfsense: ['usr/sbin/sysrc', 'etc/defaults/rc.conf', 'etc/platform', 'conf.default/config.xml'],
}
type Name = keyof typeof TREES
const names = Object.keys(TREES) as Name[]

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'init-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function plant(name: Name): void {
  for (const path of TREES[name]) put(path, '')
}

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

async function init(argv: string[], answers?: string[]) {
  const result = getoptAnywhere(['--root', root, ...argv], INIT_OPTIONS)
  if (!result.ok) throw new Error(result.message)
  let out = ''
  let errors = ''
  const asked: string[] = []
  const end = await runInit(new OptionValues(result), {
    write: (text) => {
      out += text
    },
    writeError: (text) => {
      errors += text
    },
    ask:
      answers &&
      (async (question) => {
        asked.push(question)
        return answers.shift() ?? ''
      }),
    findDefaultInterface: async () => 'eth9',
    findLocalAddress: async (peer) => (peer === '172.16.0.2' ? '172.16.0.1' : undefined),
  })
  return { end, out, errors, asked }
}

function filesBelow(): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .sort()
}

describe.each(names)('init on %s', (name) => {
  const flags = [
    '--outside',
    'vio0',
    '--mail-server',
    '10.0.0.25',
    '--mail-server',
    '2001:db8::/64',
    '--peer',
    '192.0.2.2',
    '--yes',
  ]

  test('writes what the system needs, and nothing more the second time', async () => {
    plant(name)
    const before = filesBelow()
    expect((await init(flags)).end).toBe('files-only')
    const after = filesBelow()
    expect(after.length).toBeGreaterThan(before.length + 5)
    expect(after.filter((path) => path.endsWith('.new'))).toEqual([])
    const again = await init(flags)
    expect(again.out).not.toMatch(/\((new|lines added|differs)/)
    expect(filesBelow()).toEqual(after)
  })

  test('never writes over a file that holds something else', async () => {
    plant(name)
    await init(flags)
    const conf = filesBelow().find((path) => path.endsWith('/spamd.conf'))!
    put(conf, 'all:mine:\n')
    await init(flags)
    expect(read(conf)).toBe('all:mine:\n')
    expect(read(`${conf}.new`)).toContain('spamhaus-drop')
  })

  test('leaves the files of the administrator alone', async () => {
    plant(name)
    await init(flags)
    const friends = filesBelow().find((path) => path.endsWith('/friends.txt'))!
    put(friends, '192.0.2.77\n')
    await init(flags)
    expect(read(friends)).toBe('192.0.2.77\n')
    expect(existsSync(join(root, `${friends}.new`))).toBe(false)
  })

  test('the spamd.conf that it writes is right, and its list of friends is there', async () => {
    plant(name)
    await init(flags)
    const path = filesBelow().find((file) => file.endsWith('/spamd.conf'))!
    const conf = parseSpamdConf(readFileSync(join(root, path)), { fileName: path })
    expect(conf.diagnostics.filter(({ severity }) => severity === 'error')).toEqual([])
    expect(read(path)).toMatch(/:spamhaus-drop:\\\n\t:friends:/)
    const friends = /file=(\S+friends\.txt)/.exec(read(path))![1]!
    expect(existsSync(join(root, friends))).toBe(true)
  })

  test('a dry run writes nothing', async () => {
    plant(name)
    const before = filesBelow()
    expect((await init([...flags, '--dry-run'])).end).toBe('dry-run')
    expect(filesBelow()).toEqual(before)
  })

  test('without consent nothing is written', async () => {
    plant(name)
    const before = filesBelow()
    expect((await init([], ['vio0', '', '', '', '', '', 'n'])).end).toBe('declined')
    const silent = await init(['--outside', 'vio0'])
    expect(silent).toMatchObject({ end: 'declined', errors: expect.stringContaining('hint: use --yes') })
    expect(filesBelow()).toEqual(before)
  })
})

describe('questions', () => {
  test('six at most, and none that a flag answers', async () => {
    plant('debian')
    const all = await init([], ['eth1', '10.0.0.0/24', 'greylist', 'none', 'none', 'nflog:30', 'y'])
    expect(all.asked).toHaveLength(7)
    expect(all.end).toBe('files-only')
    expect(read('etc/spamd/nftables.conf')).toContain('define outside = "eth1"')
    expect(read('etc/systemd/system/spamlogd.service.d/init.conf')).toContain(
      '-l nflog:30 --outbound-source 10.0.0.0/24',
    )
    rmSync(root, { recursive: true })
    plant('debian')
    const own = await init([], ['eth1', 'none', 'greylist', 'none', 'none', 'nflog:30', 'n'])
    expect(own.out).toContain('-l nflog:30 --outbound-source self\n')
    const some = await init(['--outside', 'eth1', '--list', 'none', '--mode', 'greylist'], [])
    expect(some.asked).toHaveLength(4)
  })

  const wrong: { name: string; argv: string[]; want: RegExp }[] = [
    {
      name: 'an interface with blanks',
      argv: ['--outside', 'a b'],
      want: /outside: not the name of an interface/,
    },
    { name: 'an interface that closes the quotes', argv: ['--outside', 'x"'], want: /outside: not the name/ },
    {
      name: 'a server that is no address',
      argv: ['--outside', 'e', '--mail-server', 'mx'],
      want: /mail-server: not an address or network: mx/,
    },
    {
      name: 'an unknown list',
      argv: ['--outside', 'e', '--list', 'mine'],
      want: /list: not in the catalogue: mine/,
    },
    {
      name: 'an unknown mode',
      argv: ['--outside', 'e', '--mode', 'grey'],
      want: /mode: must be greylist or blacklist/,
    },
    { name: 'a peer that is an option', argv: ['--outside', 'e', '--peer', '-x'], want: /peer: not a host/ },
    { name: 'a log device that is none', argv: ['--outside', 'e', '--log', 'syslog'], want: /log: must be/ },
    { name: 'no interface at all', argv: ['--yes'], want: /cannot tell which interface is the outside one/ },
    { name: 'an unknown system', argv: ['--os', 'plan9', '--outside', 'e'], want: /os: must be one of/ },
  ]
  test.each(wrong)('$name is refused', async ({ argv, want }) => {
    plant('debian')
    await expect(init(argv)).rejects.toThrow(want)
    expect(filesBelow()).toEqual(['/etc/debian_version'])
  })

  test('a tree of no known system', async () => {
    await expect(init(['--outside', 'e'])).rejects.toMatchObject({ code: 'ERR_INIT_SYSTEM' })
  })
})

describe('with a second gateway', () => {
  const flags = ['--outside', 'vio0', '--peer', '172.16.0.2', '--yes']
  const places = {
    debian: { settings: 'etc/spamd', home: 'var/lib/spamd-pull' },
    openbsd: { settings: 'etc/mail/spamd', home: 'var/db/spamd-pull' },
    freebsd: { settings: 'usr/local/etc/spamd', home: 'var/db/spamd-pull' },
    pfsense: { settings: 'usr/local/etc/spamd', home: 'var/db/spamd-pull' },
  }

  test.each(names)('%s: both tell one another, and each can pull from the other', async (name) => {
    plant(name)
    const { settings, home } = places[name]
    const { out } = await init(flags)
    if (name !== 'pfsense') expect(out).toContain('-y 172.16.0.1 -Y 172.16.0.2')
    // spamd alone tells what was learned.
    expect(out).not.toMatch(/spamlogd.* -Y /)
    const config = read(`${settings}/ssh_config`)
    expect(config).toContain(`\tIdentityFile /${settings}/pull/key\n`)
    expect(config).toContain(`\tUserKnownHostsFile /${settings}/pull/known_hosts\n`)
    expect(read(`${home}/.ssh/authorized_keys`)).toMatch(/^#/)
    expect(out).toMatch(/add.* _spamdpull\b/)
    expect(out).toContain(`ssh-keygen -q -t ed25519 -N '' -C 'spamdctl pull' -f /${settings}/pull/key    #`)
    // What takes both gateways is printed as it is typed.
    expect(out).toContain(`ssh-keyscan -t ed25519 172.16.0.2 >/${settings}/pull/known_hosts\n`)
    expect(out).toContain(
      `sed 's|^|restrict,command="/usr/bin/spamdctl serve-pull" |' /${settings}/pull/key.pub | ssh root@172.16.0.2 'cat >>/${home}/.ssh/authorized_keys'\n`,
    )
    expect(out).toContain('spamdctl init --peer 172.16.0.1 ...')
    // A key that the daemons cannot read would keep spamd from starting.
    expect(out).toMatch(/^\S+spamdctl sync-key .*\nchown _spamd \S+spamd\.key /m)
  })

  test('a key that was copied stays, and is given to the daemons', async () => {
    plant('debian')
    put('etc/spamd/spamd.key', 'of the other one\n')
    const { out } = await init(flags)
    expect(out).not.toMatch(/^\S+spamdctl sync-key /m)
    expect(out).toMatch(/^chown _spamd \/etc\/spamd\/spamd\.key /m)
  })

  test.each(names)('%s: nothing of it without one', async (name) => {
    plant(name)
    const { out } = await init(['--outside', 'vio0', '--yes'])
    expect(out).not.toMatch(/pull|-Y /)
  })

  test('Debian: units that pull at boot and after a gap, and whom they ask', async () => {
    plant('debian')
    const { out } = await init(flags)
    expect(read('etc/default/spamd-pull')).toBe('PEERS="172.16.0.2"\n')
    expect(read('etc/systemd/system/spamd-pull.service')).toMatch(/^Before=keepalived\.service/m)
    expect(existsSync(join(root, 'etc/systemd/system/spamd-pull.path'))).toBe(true)
    const modeOf = (path: string) => statSync(join(root, path)).mode & 0o777
    for (const path of ['etc/default/spamd-pull', 'etc/systemd/system/spamd-pull.service'])
      expect([path, modeOf(path)]).toEqual([path, 0o644])
    expect(out).toMatch(/^systemctl enable --now spamd-pull\.path /m)
    expect(out).toMatch(/^systemctl enable spamd-pull\.service /m)
  })

  test('OpenBSD: rc.local, which runs while CARP is held back, and cron', async () => {
    plant('openbsd')
    put('etc/rc.local', 'echo mine\n')
    await init(flags)
    expect(read('etc/rc.local')).toBe('echo mine\nsu -s /bin/sh _spamd -c /etc/mail/spamd/pull-peers\n')
    expect(read('etc/crontab')).toBe('*/5\t*\t*\t*\t*\t_spamd\t/etc/mail/spamd/pull-peers gap\n')
    expect(read('etc/mail/spamd/pull-peers')).toMatch(/^folder=\/etc\/mail\/spamd\n.*\npeers=172\.16\.0\.2$/m)
    expect(statSync(join(root, 'etc/mail/spamd/pull-peers')).mode & 0o777).toBe(0o755)
  })

  test('FreeBSD: scripts that hold CARP back until the database is in step, and cron', async () => {
    plant('freebsd')
    await init(flags)
    expect(read('etc/rc.conf')).toMatch(/^spamdctl_pull_enable="YES"$/m)
    expect(read('usr/local/etc/cron.d/spamdctl-pull')).toContain(
      '\t_spamd\t/bin/sh /usr/local/etc/spamd/pull-peers gap\n',
    )
    for (const script of ['spamdctl_hold', 'spamdctl_pull']) {
      expect(statSync(join(root, 'usr/local/etc/rc.d', script)).mode & 0o777).toBe(0o555)
    }
  })

  test('pfSense: what is entered on its pages', async () => {
    plant('pfsense')
    const { out } = await init(flags)
    expect(out).toMatch(
      /earlyshellcmd: sysctl net\.inet\.carp\.demotion=240\n.*pull-peers'; sysctl net\.inet\.carp\.demotion=-240\n/,
    )
    expect(existsSync(join(root, 'usr/local/etc/rc.d/spamdctl_hold'))).toBe(false)
  })
})

describe('Debian', () => {
  test('rules of your own are not touched: a unit loads ours, with your exceptions', async () => {
    plant('debian')
    put('etc/nftables.conf', 'flush ruleset\n')
    const { out } = await init(['--outside', 'eth0', '--yes'])
    expect(read('etc/nftables.conf')).toBe('flush ruleset\n')
    expect(read('etc/spamd/nftables.conf')).toMatch(/\ninclude "\/etc\/spamd\/nospamd\.nft"\n$/)
    expect(read('etc/systemd/system/spamd-rules.service')).toContain('/etc/spamd/nftables.conf')
    expect(out).toContain('systemctl enable spamd-rules.service')
  })

  test('units of the package get a drop-in only', async () => {
    plant('debian')
    put('usr/lib/systemd/system/spamd.service', '')
    await init(['--outside', 'eth0', '--yes', '--peer', 'mx2.example.org'])
    expect(existsSync(join(root, 'etc/systemd/system/spamd.service'))).toBe(false)
    expect(read('etc/systemd/system/spamd.service.d/init.conf')).toMatch(
      /^ExecStart=\nExecStart=\/usr\/bin\/spamd .* -y 0\.0\.0\.0 -Y mx2\.example\.org$/m,
    )
  })

  test('block lists only: nobody who is not listed goes to spamd, no log is watched', async () => {
    plant('debian')
    const { out } = await init(['--outside', 'eth0', '--yes', '--mode', 'blacklist'])
    expect(read('etc/spamd/nftables.conf')).not.toMatch(/^\t\ttcp dport 25 redirect/m)
    expect(read('etc/spamd/nftables.conf')).toContain('ip saddr @spamd tcp dport 25 redirect')
    expect(read('etc/systemd/system/spamd.service.d/init.conf')).toMatch(/ -b$/m)
    expect(out).not.toContain('spamlogd.service.d')
  })

  test('exceptions have their units, and a timer that asks DNS for them', async () => {
    plant('debian')
    const { out } = await init(['--outside', 'eth0', '--yes'])
    expect(read('etc/systemd/system/spamd-allow.service')).toContain('/usr/bin/spamdctl allow sync\n')
    expect(read('etc/systemd/system/spamd-allow.timer')).toContain('OnUnitActiveSec=12h\n')
    expect(out).toContain('systemctl enable --now spamd-allow.timer')
  })

  test('the rules are the last thing that is done', async () => {
    plant('debian')
    const { out } = await init(['--outside', 'eth0', '--dry-run'])
    expect(out.indexOf('enable --now spamd.service')).toBeLessThan(
      out.indexOf('\nsystemctl restart spamd-rules.service'),
    )
  })
})

describe('OpenBSD', () => {
  test('mail rules come last in pf.conf, for the interface that was answered', async () => {
    plant('openbsd')
    put('etc/pf.conf', 'block\npass out\n')
    await init(['--outside', 'vio0', '--yes'])
    expect(read('etc/pf.conf')).toBe('block\npass out\ninclude "/etc/mail/pf.spamd.conf"\n')
    const rules = read('etc/mail/pf.spamd.conf')
    expect(rules).toContain('pass in on vio0 inet proto tcp to port smtp divert-to 127.0.0.1 port 8025')
    expect(rules).toContain('table <spamd-white> persist')
    expect(rules).not.toContain('egress')
    expect(statSync(join(root, 'etc/rc.d/spamdctl_spamd')).mode & 0o777).toBe(0o555)
  })

  test.each<[string, string[], boolean]>([
    ['with block lists', ['--list', 'spamhaus-drop'], true],
    ['without', ['--list', 'none'], false],
  ])('%s each line for the crontab is told by itself', async (_name, words, hasLists) => {
    plant('openbsd')
    const { out } = await init(['--outside', 'vio0', '--yes', ...words])
    const lines = out.split('\n').filter((line) => line.includes('crontab -e, and add: '))
    expect(lines.map((line) => /node .*$/.exec(line)?.[0])).toEqual([
      ...(hasLists ? ['node /usr/local/bin/spamd-setup -b'] : []),
      'node /usr/local/bin/spamdctl allow sync >/dev/null',
      'node /usr/local/bin/spamdctl allow sync --offline >/dev/null',
    ])
  })
})

describe('FreeBSD', () => {
  test('an existing pf.conf is not touched; flags of the administrator stay', async () => {
    plant('freebsd')
    put('etc/pf.conf', 'pass\n')
    put('etc/rc.conf', 'spamdctl_spamd_flags="-G 5m:4h:36d"\n')
    const { out } = await init(['--outside', 'vtnet0', '--yes'])
    expect(read('etc/pf.conf')).toBe('pass\n')
    expect(read('etc/pf.conf.new')).toContain('ext_if = "vtnet0"')
    expect(read('etc/rc.conf')).toMatch(/^spamdctl_spamd_flags="-G 5m:4h:36d"\npf_enable="YES"/)
    expect(out).toContain('merge /etc/pf.conf.new into /etc/pf.conf')
  })

  test('cron asks DNS for exceptions, and fetches block lists where there are some', async () => {
    plant('freebsd')
    await init(['--outside', 'vtnet0', '--yes', '--list', 'none'])
    const text = read('usr/local/etc/cron.d/spamdctl')
    expect(text).toMatch(/^43\t5,17\t.*spamdctl allow sync >\/dev\/null$/m)
    expect(text).not.toMatch(/^[^#].*spamd-setup -b$/m)
  })
})

describe('commands', () => {
  const ended = (exitCode: number, stderrTail = '') => ({
    exitCode,
    signal: null,
    hasTimedOut: false,
    stderrTail,
    stdout: Buffer.from(''),
  })

  test('stop behind a needed one that fails, and say what it said', async () => {
    const ran: string[] = []
    const ends: CommandEnd[] = []
    const isDone = await runCommands(
      [
        { argv: ['one'], purpose: '', isNeeded: false },
        { argv: ['two'], purpose: '', isNeeded: true, unless: ['there'] },
        { argv: ['three', 'a b'], purpose: '', isNeeded: true },
        { argv: ['four'], purpose: '', isNeeded: true },
      ],
      (end) => ends.push(end),
      async ({ program }) => {
        ran.push(program)
        return ended(program === 'there' ? 0 : 1, 'first\nlast\u001b[1m')
      },
    )
    expect(isDone).toBe(false)
    expect(ran).toEqual(['one', 'there', 'three'])
    expect(ends.map(({ result }) => result)).toEqual(['failed', 'not needed', 'failed'])
    expect(renderCommandEnd(ends[2]!)).toMatch(/^failed: three 'a b'\n {4}last\\/)
  })
})

test('the default route of /proc/net/route', () => {
  const head = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n'
  expect(
    defaultOfProcRoute(
      `${head}eth1\t0002000A\t0\t1\t0\t0\t0\t00FFFFFF\neth0\t00000000\t1\t3\t0\t0\t0\t00000000\n`,
    ),
  ).toBe('eth0')
  expect(defaultOfProcRoute(head)).toBeUndefined()
})
