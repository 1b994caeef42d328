/** Things that break on a gateway, and what doctor must say of each. Those marked stand in docs/operations.md. */
import { appendFileSync, chmodSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import type { Finding } from '../../../../src/app/doctor/finding.js'
import { ListStore } from '../../../../src/feeds/list-store.js'
import type { DoctorScene } from '../../../support/doctor-scene.js'
import { TEST_NOW } from '../../../support/program-run.js'
import { EXCEPTIONS } from './broken-exceptions.js'

export interface BrokenGateway {
  system: 'openbsd' | 'freebsd' | 'pfsense' | 'linux'
  name: string
  break: (scene: DoctorScene) => void | Promise<void>
  /** `message` and `fix` are parts; an undefined fix must be missing. */
  finding: Finding
  isDocumented?: boolean
}

const silent = (code: string, reason: string) => (scene: DoctorScene) => {
  scene.context.daemon = { kind: 'silent', code, reason }
}

const RUNTIME: BrokenGateway[] = [
  {
    system: 'linux',
    name: 'better-sqlite3 was built for another Node',
    break: ({ context }) => {
      context.sqliteFault = () => ({
        reason: 'better-sqlite3 was not built for this Node (v22.12.0, x64)',
        isOtherNode: true,
      })
    },
    finding: {
      id: 'node.sqlite',
      level: 'error',
      message: 'better-sqlite3 was built for another Node',
      fix: 'npm rebuild better-sqlite3',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'better-sqlite3 is missing',
    break: ({ context }) => {
      context.sqliteFault = () => ({
        reason: "Cannot find module 'better-sqlite3'",
        isOtherNode: false,
      })
    },
    finding: {
      id: 'node.sqlite',
      level: 'error',
      message: "does not load: Cannot find module 'better-sqlite3'",
      fix: 'npm install',
    },
  },
  {
    system: 'linux',
    name: 'Node is too old',
    break: ({ probe }) => {
      probe.nodeVersion = 'v18.20.4'
    },
    finding: {
      id: 'node.version',
      level: 'error',
      message: 'Node v18.20.4 is too old: 20.19 or later is needed',
      fix: undefined,
    },
  },
  {
    system: 'linux',
    name: 'Node gets no updates',
    break: ({ probe }) => {
      probe.nodeVersion = 'v20.19.2'
    },
    finding: {
      id: 'node.version',
      level: 'info',
      message: 'no longer gets security updates',
      fix: undefined,
    },
  },
  ...(['openbsd', 'freebsd', 'linux'] as const).map(
    (system): BrokenGateway => ({
      system,
      name: 'the user is missing',
      break: ({ probe }) => {
        probe.users.clear()
      },
      finding: {
        id: 'user',
        level: 'error',
        message: 'there is no user _spamd',
        fix: system === 'freebsd' ? 'pw useradd _spamd' : 'useradd',
      },
    }),
  ),
]

const DATABASE: BrokenGateway[] = [
  {
    system: 'openbsd',
    name: 'no database',
    break: ({ settings }) => rmSync(settings.db),
    finding: { id: 'database', level: 'error', message: 'there is no database', fix: 'spamdctl init-db' },
  },
  {
    system: 'linux',
    name: 'the database is damaged',
    break: ({ settings }) => truncateSync(settings.db, 8192),
    finding: { id: 'database', level: 'error', message: '', fix: '' },
  },
  {
    system: 'linux',
    name: 'the database is a file of another program',
    break: ({ settings }) => writeFileSync(settings.db, 'hello\n'.repeat(100)),
    finding: {
      id: 'database',
      level: 'error',
      message: 'Inappropriate file type or format',
      fix: 'this is not a database',
    },
  },
  {
    system: 'linux',
    name: 'the database belongs to root',
    break: ({ probe, settings }) => {
      probe.files.set(settings.db, {
        kind: 'found',
        uid: 990_001,
        gid: 0,
        mode: 0o640,
        isFolder: false,
        sizeBytes: 1,
      })
    },
    finding: {
      id: 'database.rights',
      level: 'error',
      message: 'belongs to user id 990001, not to _spamd: the daemons cannot write it',
      fix: 'chown -h _spamd',
    },
  },
  {
    system: 'linux',
    name: 'everybody may read the database',
    break: ({ settings }) => chmodSync(settings.db, 0o644),
    finding: {
      id: 'database.rights',
      level: 'warning',
      message: 'it holds the addresses of correspondents',
      fix: 'chmod 0640',
    },
  },
  {
    system: 'linux',
    name: 'everybody may write to the folder',
    break: ({ probe, settings }) => {
      const folder = settings.db.replace(/\/[^/]*$/, '')
      probe.files.set(folder, {
        kind: 'found',
        uid: process.getuid!(),
        gid: 0,
        mode: 0o777,
        isFolder: true,
        sizeBytes: 1,
      })
    },
    finding: { id: 'database.folder', level: 'error', message: 'every user may write to', fix: 'chmod o-w' },
  },
  {
    system: 'linux',
    name: 'the folder belongs to root',
    break: ({ probe, settings }) => {
      const folder = settings.db.replace(/\/[^/]*$/, '')
      probe.files.set(folder, {
        kind: 'found',
        uid: 990_001,
        gid: 990_001,
        mode: 0o755,
        isFolder: true,
        sizeBytes: 1,
      })
    },
    finding: {
      id: 'database.folder',
      level: 'error',
      message: '_spamd may not write to',
      fix: 'chown -h _spamd',
    },
  },
  {
    system: 'linux',
    name: 'the disk is full',
    break: ({ probe }) => {
      probe.freeBytes = 3 * 1024 * 1024
    },
    finding: { id: 'database.disk', level: 'error', message: 'only 3 MiB are free in ', fix: 'df -h' },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'the disk is nearly full',
    break: ({ probe }) => {
      probe.freeBytes = 300 * 1024 * 1024
    },
    finding: { id: 'database.disk', level: 'warning', message: 'only 300 MiB are free', fix: 'df -h' },
  },
  {
    system: 'linux',
    name: 'somebody else reads it',
    break: ({ probe, settings }) => {
      probe.files.set(settings.db, { kind: 'unreadable', reason: 'Permission denied' })
    },
    finding: { id: 'database', level: 'info', message: 'Permission denied', fix: 'run doctor as root' },
  },
]

const DAEMONS: BrokenGateway[] = [
  {
    system: 'openbsd',
    name: 'spamd is not running',
    break: (scene) => {
      silent('ERR_DAEMON_GONE', 'cannot reach spamd at /var/run/spamd.sock: No such file or directory')(scene)
      scene.probe.edit('ps', /^.*\/spamd.*\n/gm, '')
    },
    finding: {
      id: 'spamd',
      level: 'error',
      message: 'spamd is not running: cannot reach spamd at /var/run/spamd.sock: No such file or directory',
      fix: 'rcctl start spamdctl_spamd',
    },
    isDocumented: true,
  },
  {
    system: 'freebsd',
    name: 'spamd hangs',
    break: silent('ERR_DAEMON_ANSWER', '/var/run/spamd.sock: spamd does not answer'),
    finding: {
      id: 'spamd',
      level: 'error',
      message: 'spamd runs (pid 1203) but does not answer',
      fix: 'service spamdctl_spamd restart',
    },
  },
  {
    system: 'linux',
    name: 'spamd is older than this program',
    break: silent('ERR_REQUEST_UNKNOWN', 'unknown request status'),
    finding: {
      id: 'spamd',
      level: 'warning',
      message: 'the running spamd is older',
      fix: 'systemctl restart spamd',
    },
  },
  {
    system: 'linux',
    name: 'spamd ran out of descriptors',
    break: ({ status }) => {
      status.listen = []
    },
    finding: { id: 'spamd', level: 'warning', message: 'accepts no connections', fix: 'journalctl -u spamd' },
  },
  {
    system: 'linux',
    name: 'spamd uses another database',
    break: ({ status }) => {
      status.database = '/var/lib/spamd/old.sqlite'
    },
    finding: {
      id: 'spamd.database',
      level: 'error',
      message: 'spamd uses /var/lib/spamd/old.sqlite',
      fix: 'set SPAMD_DB=/var/lib/spamd/old.sqlite',
    },
  },
  {
    system: 'linux',
    name: 'the scan failed',
    break: ({ status }) => {
      status.lastScan!.isComplete = false
    },
    finding: {
      id: 'spamd.scan',
      level: 'error',
      message: 'the last scan of the database failed: no host becomes WHITE',
      fix: 'journalctl',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'the clock jumped while spamd ran',
    break: ({ status }) => {
      status.clockDoubt = 'the clock jumped forward by 5184000 seconds'
      Object.assign(status.lastScan!, { isComplete: false, isWaiting: true })
    },
    finding: {
      id: 'spamd.clock',
      level: 'warning',
      message:
        'the clock jumped forward by 5184000 seconds: entries do not expire until the clock is set or accepted',
      fix: 'spamdctl accept-clock',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'the scan hangs',
    break: ({ status }) => {
      status.lastScan!.atSec = TEST_NOW - 4000
    },
    finding: {
      id: 'spamd.scan',
      level: 'warning',
      message: 'the last scan was 4000 seconds ago',
      fix: 'journalctl',
    },
  },
  {
    system: 'linux',
    name: 'the configuration port is closed',
    break: ({ probe }) => {
      probe.openPorts.clear()
    },
    finding: {
      id: 'spamd.config-port',
      level: 'error',
      message: 'no answer on the configuration port 8026: Connection refused',
      fix: 'systemctl restart spamd',
    },
  },
  {
    system: 'linux',
    name: 'spamlogd is not running',
    break: ({ probe }) => probe.edit('ps', /^.*spamlogd.*\n/m, ''),
    finding: {
      id: 'spamlogd',
      level: 'error',
      message: 'spamlogd is not running: WHITE entries expire even while their hosts send mail',
      fix: 'systemctl start spamlogd',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'spamlogd uses another database',
    break: ({ probe }) =>
      probe.edit('ps', 'spamlogd --foreground', 'spamlogd --foreground --db /tmp/other.sqlite'),
    finding: {
      id: 'spamlogd',
      level: 'error',
      message: 'spamlogd uses /tmp/other.sqlite',
      fix: 'start spamlogd with --db',
    },
  },
  {
    system: 'linux',
    name: 'services(5) names the port of SpamAssassin, and spamd took it',
    break: ({ status }) => {
      status.listen = [
        { address: '0.0.0.0', port: 783 },
        { address: '::', port: 783 },
      ]
    },
    finding: {
      id: 'services',
      level: 'warning',
      message: 'services(5) assigns the name spamd to port 783 (SpamAssassin), which spamd uses',
      fix: 'set SPAMD_PORT=8025 for all programs',
    },
    isDocumented: true,
  },
  {
    system: 'openbsd',
    name: 'the spamd of the base system is enabled, too',
    break: ({ probe }) => probe.edit('rcctl ls on', 'smtpd\n', 'smtpd\nspamd\n'),
    finding: {
      id: 'boot',
      level: 'error',
      message: 'spamd of the base system is enabled too: it uses the same ports',
      fix: 'rcctl disable spamd',
    },
    isDocumented: true,
  },
  {
    system: 'freebsd',
    name: 'the port is enabled, too',
    break: ({ probe }) => probe.set('sysrc -n obspamd_enable', 'YES\n'),
    finding: {
      id: 'boot',
      level: 'error',
      message: 'obspamd of the base system is enabled too',
      fix: 'sysrc obspamd_enable=NO',
    },
  },
  {
    system: 'openbsd',
    name: 'nothing starts at boot',
    break: ({ probe }) => probe.edit('rcctl ls on', /spamdctl_.*\n/g, ''),
    finding: {
      id: 'boot',
      level: 'warning',
      message: 'spamd and spamlogd will not start at the next boot',
      fix: 'rcctl enable spamdctl_spamd spamdctl_spamlogd',
    },
  },
  {
    system: 'freebsd',
    name: 'spamlogd does not start at boot',
    break: ({ probe }) => probe.set('sysrc -n spamdctl_spamlogd_enable', 'NO\n'),
    finding: {
      id: 'boot',
      level: 'warning',
      message: 'spamlogd will not start at the next boot',
      fix: 'sysrc spamdctl_spamlogd_enable=YES',
    },
  },
  {
    system: 'linux',
    name: 'a unit failed',
    break: ({ probe }) =>
      probe.set(
        'systemctl show spamlogd.service',
        'Result=exit-code\nActiveState=failed\nUnitFileState=disabled\n',
      ),
    finding: {
      id: 'boot',
      level: 'error',
      message: 'the unit spamlogd.service failed (exit-code)',
      fix: 'journalctl -u spamlogd',
    },
  },
]

const PF: BrokenGateway[] = [
  {
    system: 'openbsd',
    name: 'pf is disabled',
    break: ({ probe }) => probe.edit('pfctl -s info', 'Status: Enabled', 'Status: Disabled'),
    finding: {
      id: 'pf',
      level: 'error',
      message: 'pf is disabled: no host is sent to spamd',
      fix: 'pfctl -e',
    },
    isDocumented: true,
  },
  {
    system: 'freebsd',
    name: 'pf is not loaded',
    break: ({ probe }) =>
      probe.set('pfctl -s info', 'status 1\nstderr pfctl: /dev/pf: No such file or directory'),
    finding: {
      id: 'pf',
      level: 'error',
      message: 'cannot read pf: pfctl returned status 1: pfctl: /dev/pf: No such file or directory',
      fix: 'kldload pf',
    },
  },
  {
    system: 'openbsd',
    name: 'the table is missing',
    break: ({ probe }) => probe.edit('pfctl -vvs Tables', /spamd-white/g, 'other'),
    finding: {
      id: 'pf.tables',
      level: 'error',
      message: 'pf has no table <spamd-white>',
      fix: 'table <spamd-white> persist',
    },
  },
  {
    system: 'openbsd',
    name: 'the table was flushed',
    break: ({ probe }) => probe.edit('pfctl -vvs Tables', /Addresses: {3}3/, 'Addresses:   0'),
    finding: {
      id: 'pf.filled',
      level: 'error',
      message:
        '<spamd-white> holds 0 addresses, but 3 hosts are WHITE; spamd updates it every minute; until then the missing hosts are greylisted',
      fix: 'grep spamd /var/log/daemon',
    },
    isDocumented: true,
  },
  {
    system: 'openbsd',
    name: 'spamd could not write the table',
    break: ({ status }) => {
      status.table!.failures = 7
    },
    finding: {
      id: 'pf.writes',
      level: 'warning',
      message: 'could not write <spamd-white> 7 times',
      fix: 'grep spamd',
    },
  },
  {
    system: 'openbsd',
    name: 'the limit of all tables is too small',
    break: ({ probe }) => {
      probe.edit('pfctl -vvs Tables', /Addresses: {3}2/, 'Addresses:   199000')
      probe.edit('pfctl -s memory', '400000', '199002')
    },
    finding: {
      id: 'pf.limit',
      level: 'error',
      message: 'all tables hold 199003 entries, the limit of all together is 199002',
      fix: 'set limit table-entries 400000',
    },
    isDocumented: true,
  },
  {
    system: 'freebsd',
    name: 'a replace would not fit',
    break: ({ probe }) => probe.edit('pfctl -s memory', '400000', '5'),
    finding: {
      id: 'pf.limit',
      level: 'error',
      message: 'needs room for 7 entries, the limit of all tables together is 5',
      fix: 'set limit table-entries',
    },
  },
  {
    system: 'openbsd',
    name: 'a later pass rule lets everybody past spamd',
    break: ({ probe }) => {
      const rule = 'pass in on egress inet proto tcp from any to any port = 25 flags S/SA'
      probe.edit('pfctl -s rules', /$/, `${rule}\n`)
    },
    finding: {
      id: 'pf.redirect',
      level: 'error',
      message:
        'IPv4 mail from unknown hosts bypasses spamd, because a later rule matches: pass in on egress inet proto tcp from any to any port = 25 flags S/SA',
      fix: 'put the mail rules last in pf.conf; pfctl -f /etc/pf.conf',
    },
    isDocumented: true,
  },
  {
    system: 'openbsd',
    name: 'a quick pass rule in front lets everybody past spamd',
    break: ({ probe }) =>
      probe.edit('pfctl -s rules', 'block return', 'pass in quick on egress all flags S/SA\nblock return'),
    finding: {
      id: 'pf.redirect',
      level: 'error',
      message: 'IPv6 mail from unknown hosts bypasses spamd',
      fix: 'last in pf.conf',
    },
  },
  {
    system: 'openbsd',
    name: 'strangers are blocked',
    break: ({ probe }) =>
      probe.edit('pfctl -s rules', /$/, 'block drop in on egress proto tcp from any to any port = 25\n'),
    finding: {
      id: 'pf.redirect',
      level: 'error',
      message: 'IPv4 mail from unknown hosts is blocked: block drop in',
      fix: 'pf.conf',
    },
  },
  {
    system: 'openbsd',
    name: 'no rule sends mail to spamd',
    break: ({ probe }) => probe.edit('pfctl -s rules', / divert-to \S+ port 8025/g, ''),
    finding: {
      id: 'pf.redirect',
      level: 'error',
      message: 'no rule sends mail to spamd',
      fix: 'docs/examples/pf.conf',
    },
  },
  {
    system: 'openbsd',
    name: 'pf has no rules',
    break: ({ probe }) => probe.set('pfctl -s rules', ''),
    finding: {
      id: 'pf.redirect',
      level: 'error',
      message: 'pf has no rules: all mail bypasses spamd',
      fix: 'pfctl -f',
    },
  },
  {
    system: 'openbsd',
    name: 'the rules name another port',
    break: ({ probe }) => probe.edit('pfctl -s rules', /port 8025/g, 'port 783'),
    finding: {
      id: 'pf.redirect',
      level: 'error',
      message: 'mail is sent to port 783, but spamd listens on 8025',
      fix: 'name port 8025 in pf.conf',
    },
  },
  {
    system: 'openbsd',
    name: 'spamd does not listen on ::1',
    break: ({ status }) => {
      status.listen = [{ address: '127.0.0.1', port: 8025 }]
    },
    finding: {
      id: 'pf.redirect',
      level: 'error',
      message:
        'IPv6 mail is sent to ::1 port 8025, where spamd does not listen (it does on 127.0.0.1 port 8025)',
      fix: 'add -l ::1 to the options of spamd',
    },
    isDocumented: true,
  },
  {
    system: 'openbsd',
    name: 'white hosts are sent to spamd as well',
    break: ({ probe }) => probe.edit('pfctl -s rules', /^pass in log .*\n/m, ''),
    finding: {
      id: 'pf.pass',
      level: 'error',
      message: 'IPv4 mail from <spamd-white> is sent to spamd',
      fix: 'put "pass in',
    },
  },
  {
    system: 'freebsd',
    name: 'no "no rdr" for white hosts',
    break: ({ probe }) => probe.edit('pfctl -s nat', /^no rdr .*<spamd-white>.*\n/m, ''),
    finding: {
      id: 'pf.pass',
      level: 'error',
      message: 'IPv4 mail from <spamd-white> is sent to spamd',
      fix: 'put "no rdr ... from <spamd-white>',
    },
  },
  {
    system: 'freebsd',
    name: 'no "no rdr" for nospamd',
    break: ({ probe }) => probe.edit('pfctl -s nat', /^no rdr .*<nospamd>.*\n/m, ''),
    finding: {
      id: 'pf.nospamd',
      level: 'error',
      message: 'IPv4 mail from <nospamd> is sent to spamd',
      fix: 'put "no rdr ... from <nospamd>',
    },
  },
  {
    system: 'pfsense',
    name: 'the rule for spamd is missing',
    break: ({ probe }) => probe.edit('pfctl -s rules', /^.*label "spamd" .*\n/m, ''),
    finding: {
      id: 'pf.redirect',
      level: 'error',
      message: 'IPv4 mail from unknown hosts is blocked: block drop in log inet all',
      fix: 'pf.conf',
    },
  },
  {
    system: 'freebsd',
    name: 'divert-to was taken from an article about OpenBSD',
    break: ({ probe }) => {
      probe.edit('pfctl -s nat', /^rdr .*\n/gm, '')
      probe.edit(
        'pfctl -s rules',
        /$/,
        'pass in on em0 inet proto tcp from any to any port = smtp flags S/SA keep state divert-to 127.0.0.1 port 8025\n',
      )
    },
    finding: {
      id: 'pf.redirect',
      level: 'error',
      message: 'divert-to is divert(4) on FreeBSD and drops the packets',
      fix: 'use rdr',
    },
  },
  {
    system: 'freebsd',
    name: 'rdr to ::1',
    break: ({ probe }) => probe.edit('pfctl -s nat', '2001:db8:0:1::2', '::1'),
    finding: {
      id: 'pf.redirect',
      level: 'error',
      message: 'FreeBSD drops what is redirected to ::1',
      fix: 'redirect to an IPv6 address of the interface',
    },
  },
  {
    system: 'openbsd',
    name: 'the rule for white hosts does not log',
    break: ({ probe }) => probe.edit('pfctl -s rules', 'pass in log (to pflog1)', 'pass in'),
    finding: {
      id: 'pf.log',
      level: 'error',
      message: 'the rule for WHITE hosts does not log: spamlogd sees nothing, and WHITE entries expire',
      fix: 'pass in log (to pflog1)',
    },
    isDocumented: true,
  },
  {
    system: 'openbsd',
    name: 'spamlogd watches another interface',
    break: ({ probe }) => probe.edit('ps', 'spamlogd -l pflog1', 'spamlogd'),
    finding: {
      id: 'pf.pflog',
      level: 'error',
      message: 'the rules log to pflog1, but spamlogd watches pflog0',
      fix: 'rcctl set spamdctl_spamlogd flags "-l pflog1"',
    },
    isDocumented: true,
  },
  {
    system: 'freebsd',
    name: 'the log interface is missing',
    break: ({ probe }) =>
      probe.set('ifconfig pflog1', 'status 1\nstderr ifconfig: interface pflog1 does not exist'),
    finding: {
      id: 'pf.pflog',
      level: 'error',
      message: 'there is no interface pflog1: packets are not logged',
      fix: 'ifconfig pflog1 create up',
    },
  },
  {
    system: 'openbsd',
    name: 'the log interface is down',
    break: ({ probe }) => probe.edit('ifconfig pflog1', 'UP,', ''),
    finding: {
      id: 'pf.pflog',
      level: 'error',
      message: 'the interface pflog1 is down',
      fix: 'ifconfig pflog1 up',
    },
    isDocumented: true,
  },
]

const RULESET = 'nft -j -t list ruleset'
/** The port of the rules that log; what follows it is put back. */
const LOGGED_PORT = /"right": 25(\}\}, \{"match": \{"op": "in", "left": \{"ct")/g

const NFT: BrokenGateway[] = [
  {
    system: 'linux',
    name: 'nft is denied',
    break: ({ probe }) =>
      probe.set(RULESET, 'status 1\nstderr Error: Operation not permitted (you must be root)'),
    finding: { id: 'nft', level: 'info', message: 'cannot read nftables', fix: 'run doctor as root' },
  },
  {
    system: 'linux',
    name: 'nft is missing',
    break: ({ probe }) => void probe.outputs.delete(RULESET),
    finding: { id: 'nft', level: 'error', message: 'nft is not installed', fix: 'apt-get install nftables' },
  },
  {
    system: 'linux',
    name: 'the ruleset was flushed',
    break: ({ probe }) => probe.set(RULESET, '{"nftables": [{"metainfo": {"json_schema_version": 1}}]}'),
    finding: {
      id: 'nft.redirect',
      level: 'error',
      message: 'no rule sends mail to spamd',
      fix: 'docs/examples/nftables.conf',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'the sets are missing',
    break: ({ probe }) => probe.edit(RULESET, /"name": "spamd-white6?"/g, '"name": "other"'),
    finding: {
      id: 'nft.sets',
      level: 'error',
      message: 'has no set spamd-white, spamd-white6',
      fix: 'nft -f',
    },
  },
  {
    system: 'linux',
    name: 'the set was flushed',
    break: ({ probe }) => {
      probe.edit('nft -j list set inet spamd spamd-white', /, "elem": .*\]\}\}/, '}}')
      probe.edit('nft -j list set inet spamd spamd-white6', /, "elem": .*\]\}\}/, '}}')
    },
    finding: {
      id: 'nft.filled',
      level: 'error',
      message: 'spamd-white holds 0 addresses, but 3 hosts are WHITE',
      fix: 'journalctl -u spamd',
    },
  },
  {
    system: 'linux',
    name: 'the file was loaded twice',
    break: ({ probe }) => {
      const output = probe.outputs.get(RULESET)
      if (output?.kind !== 'ended') throw new Error('not recorded')
      const value = JSON.parse(output.stdout) as { nftables: { rule?: unknown }[] }
      value.nftables.push(...value.nftables.filter(({ rule }) => rule !== undefined))
      probe.set(RULESET, JSON.stringify(value))
    },
    finding: {
      id: 'nft.twice',
      level: 'warning',
      message: 'all rules of chain inet spamd divert exist twice: the file was loaded again without a flush',
      fix: 'nft flush chain inet spamd divert; nft -f',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'the redirect names another port',
    break: ({ probe }) => probe.edit(RULESET, /"port": 8025/g, '"port": 783'),
    finding: {
      id: 'nft.redirect',
      level: 'error',
      message: 'IPv4 mail is redirected to port 783, where spamd does not listen',
      fix: 'name the port of spamd',
    },
  },
  {
    system: 'linux',
    name: 'spamd does not listen on ::',
    break: ({ status }) => {
      status.listen = [{ address: '0.0.0.0', port: 8025 }]
    },
    finding: {
      id: 'nft.redirect',
      level: 'error',
      message: 'IPv6 mail is redirected to port 8025, where spamd does not listen',
      fix: 'add -l ::',
    },
  },
  {
    system: 'linux',
    name: 'only IPv4 is redirected',
    break: ({ probe }) =>
      probe.edit(
        RULESET,
        '"handle": 17, "expr": [',
        '"handle": 17, "expr": [{"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv4"}}, ',
      ),
    finding: {
      id: 'nft.redirect',
      level: 'error',
      message: 'IPv6 mail from unknown hosts is not sent to spamd',
      fix: 'redirect to :8025',
    },
  },
  {
    system: 'linux',
    name: 'white hosts are redirected',
    break: ({ probe }) =>
      probe.edit(
        RULESET,
        '"right": "@spamd-white"}}, {"accept": null}',
        '"right": "@spamd-white"}}, {"counter": {"packets": 0, "bytes": 0}}',
      ),
    finding: {
      id: 'nft.pass',
      level: 'error',
      message: 'IPv4 mail from WHITE hosts is sent to spamd too',
      fix: 'ip saddr @spamd-white accept',
    },
  },
  {
    system: 'linux',
    name: 'rules of before send pools to spamd',
    break: ({ status }) => {
      status.greyPrefix4 = 24
    },
    finding: {
      id: 'nft.pools',
      level: 'error',
      message: 'IPv4 mail from @spamd-white-net is sent to spamd, so pools of senders do not get through',
      fix: 'ip saddr @spamd-white-net accept',
    },
    isDocumented: true,
  },
  {
    system: 'openbsd',
    name: 'rules of before send pools to spamd',
    break: ({ status }) => {
      status.greyPrefix4 = 24
    },
    finding: {
      id: 'pf.pools',
      level: 'error',
      message: 'IPv4 mail from <spamd-white-net> is sent to spamd',
      fix: 'from <spamd-white-net> to any port smtp',
    },
  },
  {
    system: 'linux',
    name: 'nospamd is redirected',
    break: ({ probe }) =>
      probe.edit(
        RULESET,
        '"right": "@nospamd6"}}, {"accept": null}',
        '"right": "@nospamd6"}}, {"counter": {"packets": 0, "bytes": 0}}',
      ),
    finding: {
      id: 'nft.nospamd',
      level: 'error',
      message: 'IPv6 mail from @nospamd6 is sent to spamd',
      fix: 'ip6 saddr @nospamd6 accept',
    },
  },
  {
    system: 'linux',
    name: 'no rule logs',
    break: ({ probe }) =>
      probe.edit(RULESET, /\{"log": \{[^}]*\}\}/g, '{"counter": {"packets": 0, "bytes": 0}}'),
    finding: { id: 'nft.log', level: 'error', message: 'no rule logs mail connections', fix: 'group 25' },
  },
  {
    system: 'linux',
    name: 'the rules log other connections alone',
    break: ({ probe }) => probe.edit(RULESET, LOGGED_PORT, '"right": 80$1'),
    finding: { id: 'nft.log', level: 'error', message: 'no rule logs mail connections', fix: 'group 25' },
  },
  {
    system: 'linux',
    name: 'the rules log to another group',
    break: ({ probe }) => probe.edit(RULESET, /"group": 25/g, '"group": 5'),
    finding: {
      id: 'nft.group',
      level: 'error',
      message: 'the rules log to group 5, but spamlogd watches nflog:25',
      fix: 'start spamlogd with -l nflog:5',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'nobody is bound to the group',
    break: ({ probe }) => probe.set('cat /proc/net/netfilter/nfnetlink_log', ''),
    finding: {
      id: 'nft.group',
      level: 'error',
      message: 'spamlogd runs, but no process is bound to nflog:25',
      fix: 'systemctl restart spamlogd',
    },
  },
  {
    system: 'linux',
    name: 'a rule of the administrator accepts in front',
    break: ({ probe }) =>
      probe.edit(
        RULESET,
        '{"rule": {"family": "inet", "table": "spamd", "chain": "divert", "handle": 11',
        '{"rule": {"family": "inet", "table": "spamd", "chain": "divert", "handle": 8, "expr": [{"accept": null}]}}, {"rule": {"family": "inet", "table": "spamd", "chain": "divert", "handle": 11',
      ),
    finding: {
      id: 'nft.redirect',
      level: 'error',
      message: 'IPv4 mail from unknown hosts is not sent to spamd',
      fix: 'redirect to',
    },
  },
]

const LISTS: BrokenGateway[] = [
  {
    system: 'linux',
    name: 'spamd.conf has no all',
    break: ({ settings }) => writeFileSync(settings.conf, 'drop:\\\n\t:black:\n'),
    finding: { id: 'conf', level: 'error', message: 'Can\'t find "all" in spamd config', fix: '' },
  },
  {
    system: 'linux',
    name: 'a dead source',
    break: ({ settings }) =>
      writeFileSync(
        settings.conf,
        'all:\\\n\t:nixspam:\n\nnixspam:\\\n\t:black:\\\n\t:msg="x":\\\n\t:method=https:\\\n\t:file=www.openbsd.org/spamd/nixspam.gz:\n',
      ),
    finding: { id: 'conf', level: 'warning', message: 'nixspam', fix: '' },
  },
  {
    system: 'linux',
    name: 'a list that "all" does not name',
    break: ({ settings }) =>
      appendFileSync(
        settings.conf,
        '\nspare:\\\n\t:black:\\\n\t:msg="x":\\\n\t:method=file:\\\n\t:file=/dev/null:\n',
      ),
    finding: {
      id: 'conf.unused',
      level: 'warning',
      message: 'list "spare" is defined, but not listed in "all"',
      fix: 'add spare to "all"',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'a local file is missing',
    break: ({ folder }) => rmSync(`${folder}/own.txt`),
    finding: {
      id: 'lists.file',
      level: 'error',
      message: 'list "own": file /scene/own.txt does not exist',
      fix: 'touch /scene/own.txt',
    },
  },
  {
    system: 'linux',
    name: 'a list is stale',
    break: ({ settings }) => {
      const state = {
        method: 'https',
        location: 'lists.example.org/drop.txt',
        lastTrySec: TEST_NOW - 60,
        lastSuccessSec: TEST_NOW - 5 * 86_400,
        failure: { sec: TEST_NOW - 60, reason: 'the server answered 403 Forbidden' },
      }
      writeFileSync(`${settings.stateDir}/drop.state`, JSON.stringify(state))
    },
    finding: {
      id: 'lists',
      level: 'warning',
      message: 'list "drop" is 5d old: the server answered 403 Forbidden',
      fix: 'spamd-setup -d',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'a list was never fetched',
    break: ({ settings }) => rmSync(settings.stateDir, { recursive: true }),
    finding: {
      id: 'lists',
      level: 'warning',
      message: 'list "drop" was never fetched from https://lists.example.org/drop.txt',
      fix: 'spamd-setup -d',
    },
  },
  {
    system: 'linux',
    name: 'a list was fetched while the clock was ahead, and not since',
    break: async ({ settings }) => {
      const source = { method: 'https', location: 'lists.example.org/drop.txt' } as const
      const ahead = TEST_NOW + 365 * 86_400
      const store = new ListStore(settings.stateDir)
      const writer = await store.writeCopy('drop')
      await writer.commit({ listName: 'drop', ...source, fetchedSec: ahead, validator: {}, entries: 0 })
      await store.writeState('drop', {
        ...source,
        lastTrySec: TEST_NOW - 60,
        lastSuccessSec: ahead,
        failure: { sec: TEST_NOW - 60, reason: 'the server answered 403 Forbidden' },
      })
    },
    finding: {
      id: 'lists',
      level: 'warning',
      message:
        'list "drop" has not been fetched since the clock was set back: the server answered 403 Forbidden',
      fix: 'spamd-setup -d',
    },
  },
  {
    system: 'linux',
    name: 'spamd has not loaded the lists',
    break: ({ status }) => {
      status.lists = [{ name: 'own', entryCount: 1 }]
    },
    finding: {
      id: 'lists.loaded',
      level: 'warning',
      message: 'spamd has not loaded the lists drop',
      fix: 'spamd-setup',
    },
  },
  {
    system: 'linux',
    name: 'nobody fetches lists',
    break: ({ probe }) =>
      probe.edit('systemctl show spamd-setup.timer', 'ActiveState=active', 'ActiveState=inactive'),
    finding: {
      id: 'schedule',
      level: 'warning',
      message: 'neither cron nor a timer runs spamd-setup; it last fetched a list 10m ago',
      fix: 'systemctl enable --now spamd-setup.timer',
    },
    isDocumented: true,
  },
  {
    system: 'openbsd',
    name: 'the line in the crontab is a comment',
    break: ({ probe }) => probe.edit('cat /var/cron/tabs/root', '~', '#~'),
    finding: {
      id: 'schedule',
      level: 'warning',
      message: 'neither cron nor a timer',
      fix: "(crontab -l; echo '~ * * * * /usr/local/bin/spamd-setup') | crontab -",
    },
  },
  {
    system: 'openbsd',
    name: 'cron runs spamd-setup in vain',
    break: ({ settings }) => {
      const state = {
        method: 'https',
        location: 'lists.example.org/drop.txt',
        lastTrySec: TEST_NOW - 9 * 86_400,
      }
      writeFileSync(
        `${settings.stateDir}/drop.state`,
        JSON.stringify({ ...state, lastSuccessSec: state.lastTrySec }),
      )
    },
    finding: {
      id: 'schedule',
      level: 'warning',
      message: 'cron runs spamd-setup, but it last fetched a list 9d ago',
      fix: 'spamd-setup -d',
    },
  },
]

const SYNC: BrokenGateway[] = [
  {
    system: 'openbsd',
    name: 'the key is missing',
    break: ({ settings }) => rmSync(settings.key),
    finding: { id: 'key', level: 'error', message: 'anyone can forge messages', fix: 'spamdctl sync-key' },
  },
  {
    system: 'openbsd',
    name: 'everybody can read the key',
    break: ({ settings }) => chmodSync(settings.key, 0o644),
    finding: { id: 'key', level: 'error', message: 'every user can read the key', fix: 'chmod o=' },
  },
  {
    system: 'linux',
    name: 'the daemons cannot read the key',
    break: ({ probe, settings }) => {
      probe.files.set(settings.key, {
        kind: 'found',
        uid: 990_001,
        gid: 990_001,
        mode: 0o600,
        isFolder: false,
        sizeBytes: 65,
      })
    },
    finding: {
      id: 'key',
      level: 'error',
      message: '_spamd, the user of the daemons, cannot read',
      fix: 'chmod 0640',
    },
  },
  {
    system: 'linux',
    name: 'spamd still uses the old key',
    break: ({ status }) => {
      status.sync!.keyFingerprint = 'SHA256:0123456789abcdef0123456789abcdef'
    },
    finding: {
      id: 'key.same',
      level: 'error',
      message: 'spamd still uses key SHA256:0123456789abcdef0123456789abcdef',
      fix: 'systemctl reload spamd',
    },
  },
  {
    system: 'openbsd',
    name: 'a peer has a different key',
    break: ({ status }) => {
      status.sync!.received!.refused = { hmac: 412 }
    },
    finding: {
      id: 'key.same',
      level: 'error',
      message: '412 messages were signed with another key',
      fix: 'spamdctl sync-key --show',
    },
    isDocumented: true,
  },
  {
    system: 'linux',
    name: 'changes of another gateway were missed',
    break: ({ status }) => {
      const peer = { node: 7, address: '172.16.0.2', lastSec: 1, skewSec: 0, isTellingAll: true }
      status.sync!.state = {
        peers: [{ ...peer, missingCount: 12, missingSinceSec: 1 }],
        sent: { messages: 0, records: 0, skippedChanges: 0 },
        received: { applied: 0, unchanged: 0, ahead: 0, unknown: 0, dropped: 0, gaps: 1 },
      }
    },
    finding: {
      id: 'peers.missed',
      level: 'warning',
      message: '12 changes of 172.16.0.2 were missed',
      fix: 'spamdctl pull 172.16.0.2 --since',
    },
    isDocumented: true,
  },
  {
    system: 'openbsd',
    name: 'messages are refused for their time',
    break: ({ status }) => {
      status.sync!.received!.refused = { clock: 9 }
    },
    finding: {
      id: 'peers.skew',
      level: 'error',
      message: '9 messages were refused, since the clocks differ by more than an hour',
      fix: 'start the time daemon',
    },
  },
  {
    system: 'openbsd',
    name: "a peer's clock is wrong",
    break: ({ status }) => {
      status.sync!.heard![0]!.skewSec = -125
    },
    finding: {
      id: 'peers.skew',
      level: 'warning',
      message: 'the clock of 172.16.0.2 is 2m 5s behind',
      fix: 'start the time daemon',
    },
  },
  {
    system: 'openbsd',
    name: 'a peer is silent',
    break: ({ status }) => {
      status.sync!.heard![0]!.lastSec = TEST_NOW - 3 * 86_400
    },
    finding: {
      id: 'peers',
      level: 'warning',
      message: '172.16.0.2 was last heard 3d ago',
      fix: 'ssh 172.16.0.2 spamdctl doctor',
    },
  },
  {
    system: 'openbsd',
    name: 'no peer was ever heard',
    break: ({ status }) => {
      status.sync!.heard = []
    },
    finding: {
      id: 'peers',
      level: 'warning',
      message: 'no peer has been heard from since spamd started',
      fix: 'spamdctl sync-status',
    },
  },
  {
    system: 'openbsd',
    name: 'ntpd is not synchronised',
    break: ({ probe }) =>
      probe.set('ntpctl -s status', '0/4 peers valid, constraint offset 0s, clock unsynced\n'),
    finding: {
      id: 'clock',
      level: 'warning',
      message: 'the clock is not synchronised',
      fix: 'rcctl enable ntpd',
    },
  },
  {
    system: 'freebsd',
    name: 'ntpd is not synchronised',
    break: ({ probe }) =>
      probe.set('ntpq -c rv', 'associd=0 status=c016 leap_alarm, sync_unspec, 1 event, restart,\n'),
    finding: {
      id: 'clock',
      level: 'warning',
      message: 'the clock is not synchronised',
      fix: 'service ntpd start',
    },
  },
  {
    system: 'linux',
    name: 'the clock is not synchronised',
    break: ({ probe }) => probe.set('timedatectl show', 'NTP=no\nNTPSynchronized=no\n'),
    finding: {
      id: 'clock',
      level: 'warning',
      message: 'the clock is not synchronised',
      fix: 'timedatectl set-ntp true',
    },
  },
]

const PEER = { host: 'gw-b', timeSec: TEST_NOW - 2, preempt: true, keyFingerprint: null, hasDatabase: true }
const node = (vhid: number, state: string, advskew: number) => ({ vhid, state, advskew, protocol: 'carp' })

const FAILOVER: BrokenGateway[] = [
  {
    system: 'openbsd',
    name: 'carp is not allowed',
    break: ({ probe }) => probe.edit('sysctl net.inet.carp', 'allow=1', 'allow=0'),
    finding: {
      id: 'carp.allow',
      level: 'error',
      message: 'net.inet.carp.allow is 0: advertisements are ignored',
      fix: 'sysctl net.inet.carp.allow=1',
    },
  },
  {
    system: 'freebsd',
    name: 'no preemption',
    break: ({ probe }) => probe.edit('sysctl net.inet.carp', 'preempt: 1', 'preempt: 0'),
    finding: {
      id: 'carp.preempt',
      level: 'warning',
      message:
        'net.inet.carp.preempt is 0: a gateway that returns does not become master again, and interfaces do not fail over together',
      fix: 'sysctl net.inet.carp.preempt=1',
    },
    isDocumented: true,
  },
  {
    system: 'freebsd',
    name: 'no carrier',
    break: ({ probe }) => {
      probe.edit('ifconfig', 'carp: MASTER vhid 1', 'carp: INIT vhid 1')
      probe.edit('ifconfig', 'status: active', 'status: no carrier')
    },
    finding: {
      id: 'carp.state',
      level: 'error',
      message: 'em0 vhid 1 is INIT: it does not take part, since em0 has no carrier',
      fix: 'check the cable of em0',
    },
  },
  {
    system: 'openbsd',
    name: 'the carp interface is in INIT',
    break: ({ probe }) => probe.edit('ifconfig', 'carp: MASTER carpdev em0', 'carp: INIT carpdev em0'),
    finding: {
      id: 'carp.state',
      level: 'error',
      message: 'carp0 vhid 1 is INIT: it does not take part',
      fix: 'ifconfig em0 up; ifconfig carp0 up',
    },
  },
  {
    system: 'openbsd',
    name: 'split roles',
    break: ({ probe }) => probe.edit('ifconfig', 'carp: MASTER carpdev em1', 'carp: BACKUP carpdev em1'),
    finding: {
      id: 'carp.roles',
      level: 'warning',
      message:
        'master of some shared addresses and backup of others: carp0 vhid 1 MASTER, carp1 vhid 2 BACKUP',
      fix: 'preempt=1',
    },
  },
  {
    system: 'openbsd',
    name: 'demoted',
    break: ({ probe }) => probe.set('ifconfig -g carp', 'carp: carp demote count 33\n'),
    finding: {
      id: 'carp.demotion',
      level: 'warning',
      message: 'the demotion counter is 33: this gateway yields to the other',
      fix: 'ifconfig -g carp -carpdemote 33',
    },
    isDocumented: true,
  },
  {
    system: 'freebsd',
    name: 'demoted',
    break: ({ probe }) => probe.edit('sysctl net.inet.carp', 'demotion: 0', 'demotion: 480'),
    finding: {
      id: 'carp.demotion',
      level: 'warning',
      message: 'the demotion counter is 480',
      fix: 'sysctl net.inet.carp.demotion=-480',
    },
  },
  ...(['openbsd', 'freebsd'] as const).map(
    (system): BrokenGateway => ({
      system,
      name: 'the passphrases differ',
      break: ({ probe }) =>
        probe.edit(
          'netstat -s -p carp',
          '0 discarded for bad authentication',
          '5211 discarded for bad authentication',
        ),
      finding: {
        id: 'carp.pass',
        level: 'warning',
        message: '5211 CARP packets had a wrong passphrase',
        fix: 'compare the carp lines',
      },
    }),
  ),
  {
    system: 'openbsd',
    name: 'pfsync has no syncdev',
    break: ({ probe }) => probe.edit('ifconfig', /^\tpfsync: .*\n/m, ''),
    finding: {
      id: 'pfsync',
      level: 'warning',
      message: 'pfsync0 is up, but has no syncdev',
      fix: '/etc/hostname.pfsync0',
    },
  },
  {
    system: 'freebsd',
    name: 'pfsync is missing',
    break: ({ probe }) => probe.edit('ifconfig', /^pfsync0:[\s\S]*$/m, ''),
    finding: {
      id: 'pfsync',
      level: 'warning',
      message: 'there is no pfsync interface: connections break when the other gateway takes over',
      fix: 'sysrc pfsync_enable=YES',
    },
  },
  {
    system: 'freebsd',
    name: 'pfsync fetches states',
    break: ({ probe }) => probe.edit('ifconfig', 'syncok: 1', 'syncok: 0'),
    finding: { id: 'pfsync', level: 'info', message: 'still fetching the states', fix: undefined },
  },
  {
    system: 'openbsd',
    name: "pfsync's cable is out",
    break: ({ probe }) => probe.edit('ifconfig', /(em2:[\s\S]*?status: )active/, '$1no carrier'),
    finding: {
      id: 'pfsync',
      level: 'warning',
      message: 'pfsync0 sends on em2, which has no carrier',
      fix: 'ifconfig em2 up',
    },
  },
  {
    system: 'openbsd',
    name: 'spamd listens on an address of its own',
    break: ({ status }) => {
      status.listen = [{ address: '203.0.113.2', port: 8025 }]
    },
    finding: {
      id: 'carp.listen',
      level: 'warning',
      message: 'spamd listens on 203.0.113.2 only, not on a shared address',
      fix: 'spamd -l 127.0.0.1',
    },
  },
  {
    system: 'openbsd',
    name: 'the pair does not share what it learns',
    break: ({ status }) => {
      status.sync = undefined
    },
    finding: {
      id: 'carp.sync',
      level: 'warning',
      message: 'hosts that passed here are greylisted there',
      fix: '-y DEVICE -Y PEER',
    },
  },
  {
    system: 'openbsd',
    name: 'both are master',
    break: ({ context }) => {
      context.peer = { ...PEER, carp: [node(1, 'MASTER', 100), node(2, 'BACKUP', 100)] }
    },
    finding: {
      id: 'peer.carp',
      level: 'error',
      message: "both gateways are MASTER of vhid 1: they do not receive each other's advertisements",
      fix: 'proto carp',
    },
    isDocumented: true,
  },
  {
    system: 'openbsd',
    name: 'both have the same advskew',
    break: ({ context }) => {
      context.peer = { ...PEER, carp: [node(1, 'BACKUP', 0), node(2, 'BACKUP', 100)] }
    },
    finding: {
      id: 'peer.carp',
      level: 'warning',
      message: 'both gateways have advskew 0 for vhid 1',
      fix: 'higher advskew',
    },
  },
  {
    system: 'openbsd',
    name: 'the other has no such vhid',
    break: ({ context }) => {
      context.peer = { ...PEER, carp: [node(1, 'BACKUP', 100)] }
    },
    finding: { id: 'peer.carp', level: 'error', message: 'gw-b has no vhid 2', fix: 'same vhids' },
  },
  {
    system: 'openbsd',
    name: 'the order differs between interfaces',
    break: ({ context, probe }) => {
      probe.edit(
        'ifconfig',
        'carpdev em1 vhid 2 advbase 1 advskew 0',
        'carpdev em1 vhid 2 advbase 1 advskew 200',
      )
      context.peer = { ...PEER, carp: [node(1, 'BACKUP', 100), node(2, 'BACKUP', 100)] }
    },
    finding: {
      id: 'peer.order',
      level: 'warning',
      message: 'disagree on the order',
      fix: 'lower advskew',
    },
  },
  {
    system: 'openbsd',
    name: 'only one preempts',
    break: ({ context }) => {
      context.peer = { ...PEER, preempt: false, carp: [] }
    },
    finding: {
      id: 'peer.preempt',
      level: 'warning',
      message: 'net.inet.carp.preempt is 1 here and 0 on gw-b',
      fix: 'on both gateways',
    },
  },
  {
    system: 'openbsd',
    name: 'the other has a different key',
    break: ({ context }) => {
      context.peer = { ...PEER, keyFingerprint: 'SHA256:00', carp: [] }
    },
    finding: { id: 'peer.key', level: 'error', message: 'gw-b has a different key: SHA256:00', fix: 'copy' },
  },
  {
    system: 'openbsd',
    name: 'the other has no key',
    break: ({ context }) => {
      context.peer = { ...PEER, carp: [] }
    },
    finding: { id: 'peer.key', level: 'error', message: 'gw-b has no key', fix: 'copy' },
  },
  {
    system: 'openbsd',
    name: 'the other has no database',
    break: ({ context }) => {
      context.peer = { ...PEER, hasDatabase: false, carp: [] }
    },
    finding: {
      id: 'peer.database',
      level: 'error',
      message: 'gw-b has no database',
      fix: 'spamdctl init-db, there',
    },
  },
  {
    system: 'openbsd',
    name: "the other's clock is ahead",
    break: ({ context }) => {
      context.peer = { ...PEER, timeSec: TEST_NOW + 100, carp: [] }
    },
    finding: {
      id: 'peer.clock',
      level: 'warning',
      message: 'the clock of gw-b is 100 seconds ahead',
      fix: 'start the time daemon',
    },
  },
  {
    system: 'linux',
    name: 'no conntrackd',
    break: ({ probe }) => probe.edit('ps', /^.*conntrackd.*\n/m, ''),
    finding: {
      id: 'failover.states',
      level: 'info',
      message: 'conntrackd does not run',
      fix: 'systemctl start conntrackd',
    },
  },
  {
    system: 'linux',
    name: 'keepalived died',
    break: ({ probe, context }) => {
      probe.edit('ps', /^.*keepalived.*\n/m, '')
      context.peer = { ...PEER, carp: [] }
    },
    finding: {
      id: 'failover',
      level: 'warning',
      message: 'neither keepalived nor ucarp runs here',
      fix: 'systemctl start keepalived',
    },
  },
  {
    system: 'linux',
    name: 'the pair does not share what it learns',
    break: ({ status }) => {
      status.sync = undefined
    },
    finding: {
      id: 'failover.sync',
      level: 'warning',
      message: 'spamd does not send what it learns to the other gateway',
      fix: 'systemctl restart spamd',
    },
  },
]

export const BROKEN_GATEWAYS: readonly BrokenGateway[] = [
  ...RUNTIME,
  ...DATABASE,
  ...DAEMONS,
  ...PF,
  ...NFT,
  ...EXCEPTIONS,
  ...LISTS,
  ...SYNC,
  ...FAILOVER,
]
