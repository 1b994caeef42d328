/** The scripts of rc.d and the lines of cron, run with what the system gives them: its PATH and its rc.subr. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const EXAMPLES = fileURLToPath(new URL('../../../docs/examples/', import.meta.url))
const read = (name: string): string => readFileSync(join(EXAMPLES, name), 'utf8')
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-rc-'))
  mkdirSync(join(folder, 'bin'))
  // A node that prints its arguments, one a line; ifconfig and pfctl that tell what they were asked.
  const node = '#!/bin/sh\nfor word in "$@"; do printf "<%s>\\n" "$word"; done\n'
  writeFileSync(join(folder, 'bin/node'), node, { mode: 0o755 })
  const pfctl = '#!/bin/sh\necho "Status: Enabled for 1 days"\n'
  writeFileSync(join(folder, 'bin/pfctl'), pfctl, { mode: 0o755 })
  const ifconfig = `#!/bin/sh\necho "ifconfig $*" >>"${folder}/ifconfig.log"\n[ $# -ne 1 ]\n`
  writeFileSync(join(folder, 'bin/ifconfig'), ifconfig, { mode: 0o755 })
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs a script with this as its rc.subr and its node, in the PATH of the system's own boot. */
function runScript(name: string, subr: string, flags: string, action: string): string {
  writeFileSync(join(folder, 'rc.subr'), subr)
  writeFileSync(join(folder, 'ifconfig.log'), '')
  const text = read(name)
    .replaceAll('/etc/rc.d/rc.subr', join(folder, 'rc.subr'))
    .replaceAll('/etc/rc.subr', join(folder, 'rc.subr'))
    .replaceAll('/usr/local/bin/node', join(folder, 'bin/node'))
  writeFileSync(join(folder, 'script'), text)
  const run = spawnSync('sh', [join(folder, 'script'), action], {
    encoding: 'utf8',
    env: { PATH: `${join(folder, 'bin')}:/bin:/usr/bin`, FLAGS: flags },
  })
  return run.stdout + run.stderr
}

/** What OpenBSD's rc.subr does with a script: flags of rc.conf.local, rc_exec by su -c, actions by name. */
const OPENBSD_SUBR = `
daemon_flags=$FLAGS
rc_exec() { sh -c "$*"; }
rc_pre() { :; }
rc_cmd() {
  case $1 in
    start) rc_pre || { echo pre failed; return 1; }; rc_exec "$daemon $daemon_flags" ;;
    configtest) rc_configtest ;;
  esac
}
`
/** The same of FreeBSD's: rc_flags in front of command_args, and eval. */
const FREEBSD_SUBR = `
load_rc_config() { eval "rc_flags=\\$FLAGS"; }
load_kld() { :; }
run_rc_command() {
  case $1 in
    start) $start_precmd || return 1; eval "$command $rc_flags $command_args" ;;
    configtest) eval "$configtest_cmd" ;;
  esac
}
`

describe.each([
  { name: 'openbsd/rc.d/spamdctl_spamd', subr: OPENBSD_SUBR },
  { name: 'freebsd/rc.d/spamdctl_spamd', subr: FREEBSD_SUBR },
])('$name', ({ name, subr }) => {
  const flags = '-v -h "mail host.example" -l ::1'
  test('starts spamd through node by its full name, quoted flags kept', () => {
    const words = runScript(name, subr, flags, 'start').split('\n')
    expect(words[0]).toBe('</usr/local/bin/spamd>')
    expect(words).toContain('<mail host.example>')
  })
  test('configtest checks, in front of every flag, and starts nothing', () => {
    const words = runScript(name, subr, `${flags} operand`, 'configtest').trim().split('\n')
    expect(words.slice(0, 2)).toEqual(['</usr/local/bin/spamd>', '<--check>'])
    expect(words).toContain('<mail host.example>')
  })
})

describe.each([
  { name: 'openbsd/rc.d/spamdctl_spamlogd', subr: OPENBSD_SUBR, flags: '-l pflog1' },
  { name: 'freebsd/rc.d/spamdctl_spamlogd', subr: FREEBSD_SUBR, flags: '' },
])('$name', ({ name, subr, flags }) => {
  test('makes the device that the rules log to, and watches it', () => {
    const words = runScript(name, subr, flags, 'start').trim().split('\n')
    expect(words[0]).toBe('</usr/local/bin/spamlogd>')
    expect(words.slice(words.indexOf('<-l>'))).toContain('<pflog1>')
    const asked = readFileSync(join(folder, 'ifconfig.log'), 'utf8')
    expect(asked).toContain('ifconfig pflog1 create')
    expect(asked).toContain('ifconfig pflog1 up')
  })
})

test.each(['openbsd/rc.d/spamdctl_spamd', 'openbsd/rc.d/spamdctl_spamlogd'])(
  '%s finds its process',
  (name) => {
    const pattern = /^pexp="(.*)"$/m.exec(read(name))![1]!
    const program = name.endsWith('spamlogd') ? 'spamlogd' : 'spamd'
    const shown = [
      `/usr/local/bin/node /usr/local/bin/${program} -v`,
      `node /usr/local/bin/${program}`,
      `/usr/local/bin/node --inspect-port=[fe80::1]:0 --disable-sigusr1 /usr/local/bin/${program} -v`,
    ]
    const others = [
      '/usr/local/bin/node /usr/local/lib/node_modules/spamdctl/dist/src/daemon/spamd-child.js',
      '/usr/local/bin/node --inspect-port=[fe80::1]:0 /usr/local/lib/node_modules/spamdctl/dist/src/daemon/spamd-child.js',
      `vi ${program}`,
    ]
    // As pgrep -xf.
    const fits = (text: string) => new RegExp(`^(?:${pattern})$`).test(text)
    for (const text of shown) expect(fits(text), text).toBe(true)
    for (const text of others) expect(fits(text), text).toBe(false)
  },
)

test.each(['openbsd', 'freebsd', 'pfsense'])(
  'no example of %s says what its system does not have',
  (system) => {
    const files = execFileSync('find', [join(EXAMPLES, system), '-type', 'f'], { encoding: 'utf8' })
      .trim()
      .split('\n')
    for (const file of files) {
      const text = readFileSync(file, 'utf8').replace(/^\s*#.*$/gm, '')
      if (system === 'openbsd') expect(text, file).not.toContain('tcpdump -U')
      else expect(text, file).not.toMatch(/\begress\b|divert-to|^~\s/m)
    }
  },
)

test('the lines of cron fit the cron of their system', () => {
  expect(read('openbsd/crontab')).toMatch(
    /^~\t\*\t\*\t\*\t\*\t\/usr\/local\/bin\/node \/usr\/local\/bin\/spamd-setup/m,
  )
  for (const name of ['freebsd/crontab', 'debian/cron.d-spamd-setup']) {
    const line = read(name)
      .split('\n')
      .find((text) => text.startsWith('17'))!
    // minute, hour, day, month, weekday, user, command without "%", which cron makes a line end
    expect(line).toMatch(/^17\s+\*\s+\*\s+\*\s+\*\s+root\s+sleep [^%~]+$/)
  }
})
