/**
 * Story 20: the ports of OpenBSD and FreeBSD, as far as they can be tried without a BSD: BSD make builds and installs
 * them into an empty prefix through a stand-in of the ports tree; what lies there is what the list of files says, and
 * the programs run from there.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHECKOUT } from '../support/machine.js'

const STAND_INS = join(CHECKOUT, 'test/stand-ins/bsd-ports')
const missing = ['bmake', 'pax'].filter((program) => spawnSync(program, ['-V', 'MAKE']).error !== undefined)
if (missing.length > 0)
  process.stderr.write(`test/lab/bsd-ports: skipped: not installed: ${missing.join(', ')}\n`)

describe.skipIf(missing.length > 0)('story 20: the ports', () => {
  const work = mkdtempSync(join(tmpdir(), 'spamd-ports-'))
  const ports = join(work, 'ports')
  const localbase = join(work, 'localbase')

  beforeAll(() => {
    execFileSync('npm', ['run', '-s', 'package:ports', '--', '--output', ports], {
      cwd: CHECKOUT,
      stdio: 'pipe',
    })
    mkdirSync(join(localbase, 'bin'), { recursive: true })
    // The user of the database must be able to look in.
    chmodSync(work, 0o755)
    symlinkSync(process.execPath, join(localbase, 'bin/node'))
    // The modules of this checkout in place of compiling them again; that they can be compiled is seen by its set-up.
    const npm = `#!/bin/sh\nset -e\n[ "$1" = rebuild ] && [ "$npm_config_offline" = true ]\nfor module in better-sqlite3 pcap; do\nmkdir -p node_modules/$module/build/Release\ncp ${CHECKOUT}/node_modules/$module/build/Release/*.node node_modules/$module/build/Release/\ndone\n`
    writeFileSync(join(localbase, 'bin/npm'), npm)
    chmodSync(join(localbase, 'bin/npm'), 0o755)
  }, 300_000)
  afterAll(() => rmSync(work, { recursive: true, force: true }))

  /** Builds and installs a port; the prefix, and the paths in it. */
  function install(system: string): { prefix: string; paths: string[] } {
    const folder = join(work, system)
    const prefix = join(folder, 'prefix')
    mkdirSync(prefix, { recursive: true })
    const archive = readdirSync(ports).find((name) => name.endsWith('.tar.gz'))!
    execFileSync('tar', ['-xzf', join(ports, archive), '-C', folder])
    const variables = [`PREFIX=${prefix}`, `LOCALBASE=${localbase}`, `WRKDIR=${folder}`]
    for (const target of ['do-build', 'do-install']) {
      const made = spawnSync(
        'bmake',
        ['-m', STAND_INS, '-m', '/usr/share/bmake/mk-bmake', ...variables, target],
        {
          cwd: join(ports, system),
          encoding: 'utf8',
        },
      )
      expect({ target, status: made.status, stderr: made.stderr }).toMatchObject({ status: 0 })
    }
    const paths = readdirSync(prefix, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(prefix, join(entry.parentPath, entry.name)))
    return { prefix, paths: paths.sort() }
  }

  function programsRun(prefix: string): void {
    const environment = {
      PATH: '/bin:/usr/bin',
      SPAMD_USER: 'nobody',
      SPAMD_DB: join(prefix, 'db/spamd.sqlite'),
      SPAMD_FIREWALL: 'none',
    }
    const run = (name: string, ...words: string[]): string => {
      // As boot scripts and cron do: PATH does not lead to node.
      const ran = spawnSync(join(prefix, 'bin', name), words, { encoding: 'utf8', env: environment })
      expect({ name, words, status: ran.status, stderr: ran.stderr }).toMatchObject({ status: 0, stderr: '' })
      return ran.stdout
    }
    for (const name of ['spamdctl', 'spamdb', 'spamlogd', 'spamd-setup', 'spamd']) {
      expect(run(name, '--version')).toContain('spamdctl')
    }
    run('spamdctl', 'init-db')
    run('spamdb', '-a', '192.0.2.10')
    expect(run('spamdb')).toMatch(/^WHITE\|192\.0\.2\.10\|/)
  }

  test('OpenBSD: what is installed is what PLIST names', () => {
    const { prefix, paths } = install('openbsd')
    const named = readFileSync(join(ports, 'openbsd/pkg/PLIST'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.replace(/^@(so|man) /, ''))
      .filter((line) => !line.startsWith('@'))
    expect(paths).toEqual(named.sort())
    programsRun(prefix)
    for (const name of ['spamdctl_spamd', 'spamdctl_spamlogd']) {
      const script = readFileSync(join(ports, 'openbsd/pkg', `${name}.rc`), 'utf8')
      expect(script).not.toContain('/usr/local')
      const shipped = readFileSync(join(CHECKOUT, 'docs/examples/openbsd/rc.d', name), 'utf8')
      expect(script.replaceAll('$' + '{TRUEPREFIX}', '/usr/local')).toBe(shipped)
    }
    expect(existsSync(join(prefix, 'lib/spamdctl/node_modules/better-sqlite3/deps'))).toBe(false)
  }, 120_000)

  test('FreeBSD: what is installed is what pkg-plist names', () => {
    const { prefix, paths } = install('freebsd')
    const named = readFileSync(join(ports, 'freebsd/pkg-plist'), 'utf8')
      .trim()
      .split('\n')
      .map((line) =>
        line
          .replace(/^@sample /, '')
          .replace('%%DOCSDIR%%', 'share/doc/spamdctl')
          .replace('%%EXAMPLESDIR%%', 'share/examples/spamdctl')
          // The ports tree compresses manual pages after do-install.
          .replace(/^(share\/man\/.*)\.gz$/, '$1'),
      )
    expect(paths).toEqual(named.sort())
    programsRun(prefix)
  }, 120_000)
})
