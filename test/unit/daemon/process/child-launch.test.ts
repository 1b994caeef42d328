/** Which launcher the unprivileged process gets, and what is told when it gets a lesser one or none. */
import { expect, test } from 'vitest'
import { findLauncher } from '../../../../src/daemon/process/child-launch.js'
import { hasRights, type SystemUser } from '../../../../src/platform/privileges.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { skipUnless } from '../../../support/skip-unless.js'

const USER: SystemUser = { name: 'someone', uid: 65_534, gid: 65_533 }
const ALWAYS = ['--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all']
const isElsewhere = skipUnless(process.platform === 'linux', 'needs Linux: setpriv(1)')

/** Finds it where the runs of the launcher give these results, one after the other. */
async function find(
  user: SystemUser | undefined,
  results: readonly ({ exitCode: number; stderr?: string } | Error)[],
  program = '/bin/sh',
) {
  const logger = new MemoryLogger()
  const runs: (readonly string[])[] = []
  const launcher = await findLauncher(
    user,
    logger,
    async ({ args, program: run }) => {
      expect(run).toBe(program)
      const result = results[runs.length]
      runs.push(args)
      if (result === undefined || result instanceof Error) throw result ?? new Error('one run too many')
      return { exitCode: result.exitCode, stderrTail: result.stderr ?? '', stdout: Buffer.alloc(0) } as never
    },
    program,
  )
  return { launcher, runs, lines: logger.lines.map(({ level, message }) => `${level} ${message}`) }
}

test.skipIf(isElsewhere)('with all that is supported, and nothing is told', async () => {
  const { launcher, runs, lines } = await find(USER, [{ exitCode: 0 }])
  const args = ['--reuid=65534', '--regid=65533', '--clear-groups', ...ALWAYS, '--bounding-set=-all', '--']
  expect(launcher).toEqual({ program: '/bin/sh', args })
  expect(runs).toEqual([[...args, 'true']])
  expect(lines).toEqual([])
})

test.skipIf(isElsewhere)('who does not change the user names none', async () => {
  const { launcher } = await find(undefined, [{ exitCode: 0 }])
  expect(launcher?.args).toEqual([...ALWAYS, '--bounding-set=-all', '--'])
})

test.skipIf(isElsewhere)(
  'who may not empty the bounding set keeps it, which one with rights is told',
  async () => {
    const { launcher, runs, lines } = await find(undefined, [
      { exitCode: 1, stderr: 'setpriv: apply bounding set: \x1bEPERM\nmore' },
      { exitCode: 0 },
    ])
    expect(launcher?.args).toEqual([...ALWAYS, '--'])
    expect(runs).toHaveLength(2)
    expect(lines).toEqual(
      hasRights()
        ? ['notice the unprivileged process keeps its bounding set: setpriv: apply bounding set: \\x1bEPERM']
        : [],
    )
  },
)

test.skipIf(isElsewhere).each([
  [
    'one that refuses',
    [
      { exitCode: 1, stderr: 'no' },
      { exitCode: 2, stderr: 'never\n' },
    ],
    'never',
  ],
  ['one that says nothing', [{ exitCode: 1 }, { exitCode: 3 }], '/bin/sh returned status 3'],
  ['one that cannot be run', [new Error('ENOEXEC'), new Error('ENOEXEC')], 'ENOEXEC'],
])('%s: the process runs without, which is told', async (_, results, reason) => {
  const { launcher, lines } = await find(USER, results)
  expect(launcher).toBeUndefined()
  expect(lines).toEqual([`warning ${reason}: the unprivileged process runs without no_new_privs`])
})

test.skipIf(isElsewhere)('one that is missing, where the process keeps what this one has', async () => {
  const { launcher, runs, lines } = await find(undefined, [], '/no-such-folder/setpriv')
  expect(launcher).toBeUndefined()
  expect(runs).toEqual([])
  const kept = hasRights() ? ' and keeps the capabilities of this one' : ''
  expect(lines).toEqual([
    `warning /no-such-folder/setpriv is missing (package util-linux): the unprivileged process runs without no_new_privs${kept}`,
  ])
})
