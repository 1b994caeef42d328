/**
 * Story 19: the Debian package in a fresh Debian 13: installed by apt, upgraded, removed and purged. Nothing starts by
 * itself, programs and manuals work for every user, and the database goes only when somebody says so. Then the same
 * system is switched on as a gateway: package and `spamdctl init` lead to the first 451 that a real Postfix sees.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { guideBlocks, outputPattern } from '../../support/guide-blocks.js'
import { Gateway } from '../support/gateway.js'
import { Lab, MX4 } from '../support/lab.js'
import { CHECKOUT, whyNoLab } from '../support/machine.js'
import { labMessage } from '../support/message.js'

const MIRROR = 'http://deb.debian.org/debian'
const skipReason = whyNot()
if (skipReason !== undefined) process.stderr.write(`test/lab/debian-package: skipped: ${skipReason}\n`)

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root'
  for (const program of ['debootstrap', 'dpkg-deb']) {
    if (spawnSync(program, ['--version']).error !== undefined) return `${program} is not installed`
  }
  return whyNoLab('postfix')
}

/** A gateway that the guide sets up: what is installed is the package, and nothing is started. */
class PackagedGateway extends Gateway {
  override async install(): Promise<void> {
    await this.maskUnits()
    await this.machine.write('/etc/nftables.conf', 'flush ruleset\ntable inet filter { }\n')
  }

  override async start(): Promise<void> {
    // The guide does.
  }
}

describe.skipIf(skipReason !== undefined)('story 19: the Debian package', () => {
  const work = mkdtempSync(join(tmpdir(), 'spamd-deb-'))
  const root = join(work, 'root')

  /** Runs a script in the fresh system, with processes and devices of its own. */
  function inside(script: string): { code: number; output: string } {
    const mounts =
      'mount --bind "$0" "$0"; mount -t proc proc "$0/proc"; mount -t tmpfs run "$0/run"; mount --rbind /dev "$0/dev"; exec chroot "$0" sh -c "$1"'
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-ec', mounts, root, script],
      {
        encoding: 'utf8',
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive', LANG: 'C.UTF-8' },
        maxBuffer: 64 * 1024 * 1024,
      },
    )
    return { code: status ?? -1, output: `${stdout}${stderr}` }
  }
  const must = (script: string): string => {
    const { code, output } = inside(script)
    expect(code, `${script}\n${output.slice(-3000)}`).toBe(0)
    return output
  }

  beforeAll(() => {
    const major = process.versions.node.split('.')[0]!
    const packages = join(work, 'packages')
    execFileSync('npm', ['run', '-s', 'package:deb', '--', '--node', major, '--output', packages], {
      cwd: CHECKOUT,
      stdio: 'pipe',
    })
    execFileSync('debootstrap', ['--variant=minbase', '--include=ca-certificates', 'trixie', root, MIRROR], {
      stdio: 'pipe',
    })
    cpSync('/etc/resolv.conf', join(root, 'etc/resolv.conf'))
    cpSync('/etc/hosts', join(root, 'etc/hosts'))
    writeFileSync(join(root, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 })
    const [file] = readdirSync(packages)
    cpSync(join(packages, file!), join(root, 'root/spamdctl.deb'))
  }, 1_200_000)
  afterAll(() => rmSync(work, { recursive: true, force: true }))

  describe('from nothing to the first greylisted mail', () => {
    const stranger = {
      domain: 'four.example',
      address: '198.51.100.10',
      server: MX4,
      helo: 'mx.four.example',
    }
    const gateway = new PackagedGateway({ base: root }, 'debian')
    const lab = new Lab({ senders: [stranger], gateway })
    let startedMs = 0
    beforeAll(async () => {
      must(
        'apt-get update -q && apt-get install -y -q --no-install-recommends systemd systemd-sysv dbus nftables',
      )
      startedMs = Date.now()
      must('apt-get install -y -q --no-install-recommends /root/spamdctl.deb')
      await lab.start()
    }, 600_000)
    afterAll(() => lab.stop())

    const guide = readFileSync(join(CHECKOUT, 'docs/guide-debian.md'), 'utf8')
    const commands = guideBlocks(guide).flatMap(({ notRun, commands: all }) =>
      notRun === undefined ? all : [],
    )
    let isSent = false

    test.each(commands)('docs/guide-debian.md, line $line: $command', async ({ command, output }) => {
      if (command.startsWith('spamdb --kind GREY')) {
        // The stranger of the guide.
        isSent = true
        await lab.sender.send('writer@four.example', 'reader@example.org', labMessage('story19', 1000).bytes)
        await gateway.awaitEntry(`GREY|${stranger.address}|`)
      }
      const { stdout, stderr } = await gateway.machine.try('sh', '-c', command)
      const printed = `${stdout}${stderr}`.replace(/\n$/, '')
      if (outputPattern(output).test(printed === '' ? '' : `${printed}\n`)) return
      expect(printed.split('\n')).toEqual(output)
    })

    test('Postfix saw the 451, ten minutes after the package was installed at the latest', async () => {
      expect(isSent).toBe(true)
      expect(await lab.sender.log()).toMatch(/451 Temporary failure, please try again later/)
      expect(Date.now() - startedMs).toBeLessThan(10 * 60 * 1000)
    })
  })

  test('apt installs it with what it needs', () => {
    must(
      'apt-get purge -y -q spamdctl; apt-get update -q && apt-get install -y -q --no-install-recommends /root/spamdctl.deb man-db',
    )
    expect(existsSync(join(root, 'var/lib/spamd/spamd.sqlite'))).toBe(false)
    expect(must('id _spamd; id _spamdfeed')).toContain('_spamdfeed')
  })

  test('programs, manuals and completions work, for any user', () => {
    must('spamdctl init-db && spamdb -a 192.0.2.1')
    expect(must('spamdb')).toMatch(/^WHITE\|192\.0\.2\.1\|\|\|/)
    expect(must('man spamdb | head -3')).toContain('SPAMDB(8)')
    const others = must(
      'su -s /bin/sh nobody -c \'spamd-setup --check; spamd --version; bash -c ". /usr/share/bash-completion/completions/spamdctl; complete -p spamdb"\'',
    )
    expect(others).toContain('/etc/spamd/spamd.conf: ok')
    expect(others).toContain('complete -F')
    expect(must('node -e \'require("/usr/lib/spamdctl/node_modules/pcap")\' && echo loaded')).toContain(
      'loaded',
    )
    expect(must('spamdctl init --outside eth0 --dry-run')).toContain('/etc/spamd/nftables.conf')
  })

  test('the SBOM and the licence list name every bundled package', () => {
    const folder = join(root, 'usr/share/doc/spamdctl')
    const sbom = JSON.parse(readFileSync(join(folder, 'sbom.cdx.json'), 'utf8')) as {
      bomFormat: string
      components: { name: string; group?: string }[]
    }
    expect(sbom.bomFormat).toBe('CycloneDX')
    const named = new Set(sbom.components.map(({ name }) => name))
    const licences = readFileSync(join(folder, 'copyright'), 'utf8')
    const modules = join(root, 'usr/lib/spamdctl/node_modules')
    const bundled = readdirSync(modules)
      .filter((name) => !name.startsWith('.'))
      .flatMap((name) =>
        name.startsWith('@') ? readdirSync(join(modules, name)).map((part) => `${name}/${part}`) : [name],
      )
    expect(bundled.length).toBeGreaterThan(50)
    for (const name of bundled) {
      expect(named.has(name) || named.has(name.split('/').at(-1)!), `${name} in the SBOM`).toBe(true)
      expect(licences.includes(name), `${name} in the licence list`).toBe(true)
    }
  })

  test('lintian finds no error', () => {
    must('apt-get install -y -q --no-install-recommends lintian')
    const { code, output } = inside('lintian --allow-root --fail-on error /root/spamdctl.deb')
    expect(code, output).toBe(0)
  })

  test('an upgrade and a removal keep database and settings', () => {
    must('echo "# mine" >> /etc/spamd/spamd.conf && apt-get install -y -q --reinstall /root/spamdctl.deb')
    expect(must('tail -1 /etc/spamd/spamd.conf')).toBe('# mine\n')
    expect(must('spamdb')).toContain('192.0.2.1')
    must('apt-get remove -y -q spamdctl')
    expect(existsSync(join(root, 'usr/lib/spamdctl'))).toBe(false)
    expect(existsSync(join(root, 'var/lib/spamd/spamd.sqlite'))).toBe(true)
  })

  test('an unattended purge keeps the database, one that was told to deletes it', () => {
    expect(must('apt-get purge -y -q spamdctl')).toContain('spamdctl: /var/lib/spamd is kept')
    expect(existsSync(join(root, 'etc/spamd/spamd.conf'))).toBe(false)
    must('apt-get install -y -q /root/spamdctl.deb')
    expect(must('spamdb')).toContain('192.0.2.1')
    must(
      'echo "spamdctl spamdctl/purge-database boolean true" | debconf-set-selections && apt-get purge -y -q spamdctl',
    )
    expect(existsSync(join(root, 'var/lib/spamd'))).toBe(false)
  })
})
