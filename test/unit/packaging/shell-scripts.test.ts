/** Every shell script that is shipped or used to build, by shellcheck and by the shells that are to run it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../../..')

/** What rc.subr and debconf set or read, and what they want without quotes. */
const OF_THE_FRAMEWORK = 'SC1091,SC2034,SC2154,SC2223'

const SCRIPTS: { path: string; shell: 'ksh' | 'sh'; except: string }[] = [
  ...['spamdctl_spamd', 'spamdctl_spamlogd'].flatMap((name) => [
    // rc_cmd $1 is how every script of OpenBSD ends.
    {
      path: `docs/examples/openbsd/rc.d/${name}`,
      shell: 'ksh' as const,
      except: `${OF_THE_FRAMEWORK},SC2086`,
    },
    { path: `docs/examples/freebsd/rc.d/${name}`, shell: 'sh' as const, except: OF_THE_FRAMEWORK },
  ]),
  ...['spamdctl_hold', 'spamdctl_pull'].map((name) => ({
    path: `docs/examples/freebsd/rc.d/${name}`,
    shell: 'sh' as const,
    except: OF_THE_FRAMEWORK,
  })),
  ...[
    'packaging/remove-build-files',
    'packaging/freebsd/pkg-install',
    'packaging/debian/postinst',
    'packaging/debian/prerm',
    'packaging/debian/postrm',
    'packaging/debian/config',
    'packaging/debian/native-link',
    'docs/examples/tproxy-routes',
    'docs/examples/spamd-pull-peers',
    'scripts/setup.sh',
    'scripts/install-peers.sh',
    // Words of a list are split on purpose there.
    'scripts/setup-lab.sh',
  ].map((path) => ({ path, shell: 'sh' as const, except: 'SC1091,SC2116,SC2086' })),
]

test.each(SCRIPTS)('$path', ({ path, shell, except }) => {
  const checked = spawnSync('shellcheck', ['-f', 'gcc', '-s', shell, '-e', except, path], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  expect(checked.error).toBeUndefined()
  expect(checked.stdout).toBe('')
  expect(execFileSync('sh', ['-n', join(ROOT, path)], { encoding: 'utf8' })).toBe('')
})

test.each(['openbsd', 'freebsd'])(
  'the Makefile of the port for %s is read by BSD make, and its targets expand',
  (system) => {
    const variables = ['PREFIX=/usr/local', 'LOCALBASE=/usr/local', 'WRKDIR=/tmp/work']
    const made = spawnSync(
      'bmake',
      [
        '-n',
        '-m',
        join(ROOT, 'test/stand-ins/bsd-ports'),
        '-m',
        '/usr/share/bmake/mk-bmake',
        ...variables,
        'do-build',
        'do-install',
      ],
      { cwd: join(ROOT, 'packaging', system), encoding: 'utf8' },
    )
    expect({ error: made.error, stderr: made.stderr, status: made.status }).toEqual({
      error: undefined,
      stderr: '',
      status: 0,
    })
    for (const program of ['spamdctl', 'spamdb', 'spamlogd', 'spamd-setup', 'spamd']) {
      expect(made.stdout).toContain(`ln -sf ../lib/spamdctl/bin/${program}.js /usr/local/bin/${program}\n`)
    }
    expect(made.stdout).toContain('npm rebuild')
    expect(made.stdout).not.toMatch(/\$[{(]/)
  },
)
