/** The help of the built programs when standard output takes nothing, or not all. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'vitest'

const BIN = join(import.meta.dirname, '../../bin')
const CALLS: { program: string; args: string[] }[] = [
  { program: 'spamdctl', args: ['--help'] },
  { program: 'spamdctl', args: [] },
  { program: 'spamdctl', args: ['help', 'import'] },
  { program: 'spamdctl', args: ['sync-key', '--help'] },
  { program: 'spamdb', args: ['--help'] },
  { program: 'spamd-setup', args: ['--help'] },
  { program: 'spamlogd', args: ['--help'] },
  { program: 'spamd', args: ['--help'] },
]

const FULL_DEVICE = '/dev/full'
const hasFullDevice = existsSync(FULL_DEVICE)
if (!hasFullDevice) process.stderr.write(`skipped: this system has no ${FULL_DEVICE}\n`)

describe.concurrent('help', () => {
  test.skipIf(!hasFullDevice).for(CALLS)(
    'a full disk is one line: $program $args',
    async ({ program, args }, test) => {
      const full = openSync(FULL_DEVICE, 'w')
      const child = spawn(process.execPath, [join(BIN, `${program}.js`), ...args], {
        stdio: ['ignore', full, 'pipe'],
      })
      closeSync(full)
      let stderr = ''
      child.stderr!.on('data', (chunk) => {
        stderr += String(chunk)
      })
      const [exitCode] = (await once(child, 'close')) as [number | null]
      test.expect({ exitCode, stderr }).toEqual({
        exitCode: 1,
        stderr: `${program}: cannot write to standard output: No space left on device\n`,
      })
    },
  )

  test.for([
    { args: [] },
    { args: ['help', 'export'] },
    { args: ['lists', '--help'] },
    { args: ['failover', '--help'] },
  ])('the page that was laid out beforehand is that of oclif: $args', async ({ args }, test) => {
    const shown = async (environment: NodeJS.ProcessEnv): Promise<string> => {
      const child = spawn(process.execPath, [join(BIN, 'spamdctl.js'), ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, ...environment },
      })
      let stdout = ''
      child.stdout.on('data', (chunk) => {
        stdout += String(chunk)
      })
      await once(child, 'close')
      return stdout
    }
    const page = await shown({ FORCE_COLOR: undefined })
    test.expect(page).toContain('USAGE')
    test.expect(page).toBe(await shown({ OCLIF_COLUMNS: '80', FORCE_COLOR: undefined }))
  })

  test.for([['nosuch\x1b'], ['nosuch\x1b', '--help'], ['help', 'nosuch\x1b']])(
    'a word that is no command: %j',
    async (args, test) => {
      const child = spawn(process.execPath, [join(BIN, 'spamdctl.js'), ...args], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      let stderr = ''
      child.stderr.on('data', (chunk) => {
        stderr += String(chunk)
      })
      const [exitCode] = (await once(child, 'close')) as [number | null]
      test.expect({ exitCode, stderr }).toEqual({
        exitCode: 64,
        stderr: 'spamdctl: command nosuch\\x1b not found\nspamdctl: hint: spamdctl help lists the commands\n',
      })
    },
  )

  test.for([['-h'], ['status', '-h'], ['lists', 'catalogue', '-h']])(
    '-h is --help: %j',
    async (args, test) => {
      const run = (words: string[]) =>
        spawnSync(process.execPath, [join(BIN, 'spamdctl.js'), ...words], { encoding: 'utf8' })
      const short = run(args)
      test.expect(short.status).toBe(0)
      test.expect(short.stdout).toBe(run(args.map((word) => (word === '-h' ? '--help' : word))).stdout)
      test.expect(short.stdout).toContain('USAGE')
    },
  )

  test('a command that is nearly right is named, and version tells the version', (test) => {
    const run = (...words: string[]) =>
      spawnSync(process.execPath, [join(BIN, 'spamdctl.js'), ...words], { encoding: 'utf8' })
    test.expect(run('docter')).toMatchObject({
      status: 64,
      stderr:
        'spamdctl: command docter not found\nspamdctl: hint: did you mean "doctor"? spamdctl help lists the commands\n',
    })
    test
      .expect(run('version'))
      .toMatchObject({ status: 0, stdout: test.expect.stringMatching(/^spamdctl [0-9.]+/) })
  })

  test.for(CALLS)('a reader that has gone is no failure: $program $args', async ({ program, args }, test) => {
    const script = `"$0" "$1" ${args.join(' ')} | :`
    const child = spawn('sh', ['-c', script, process.execPath, join(BIN, `${program}.js`)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk)
    })
    await once(child, 'close')
    test.expect(stderr).toBe('')
  })
})
