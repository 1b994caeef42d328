import { readFileSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatFailure } from '../../../../src/cli/report-error.js'
import { parseSetupArguments, SETUP_OPTIONS } from '../../../../src/cli/setup/setup-options.js'
import { SetupProgress } from '../../../../src/cli/setup/setup-progress.js'
import { SetupScene } from '../../../support/setup/setup-scene.js'
import { skipUnlessRoot } from '../../../support/skip-unless.js'

/** The text that the program prints for what `parse` throws. */
function refusal(parse: () => unknown): string | undefined {
  try {
    parse()
  } catch (error) {
    return formatFailure('spamd-setup', error)
  }
  return undefined
}

test.each([
  [['-x'], 'spamd-setup: unknown option -- x\nusage: spamd-setup [-bDdn]\n'],
  [['-bh'], 'spamd-setup: unknown option -- h\nusage: spamd-setup [-bDdn]\n'],
  [['--nosuch'], 'spamd-setup: unknown option -- nosuch\nusage: spamd-setup [-bDdn]\n'],
  [['--conf'], 'spamd-setup: option requires an argument -- conf\nusage: spamd-setup [-bDdn]\n'],
  [['-d', 'operand'], 'usage: spamd-setup [-bDdn]\n'],
  [['-d', '-', '-n'], 'usage: spamd-setup [-bDdn]\n'],
])('a wrong call: %j', (argv, stderr) => {
  expect(refusal(() => parseSetupArguments(argv))).toBe(stderr)
})

test.each([
  [['--max-bytes', '0'], '--max-bytes: "0" is not a number from 1 to 1099511627776'],
  [['--wait=soon'], '--wait: "soon" is not a number from 0 to 86400'],
  [['--format', 'xml'], '--format: "xml" is not one of plain, pf, nft, ipset, json'],
])('a value that cannot be used: %j', (argv, message) => {
  expect(() => parseSetupArguments(argv)).toThrow(message)
})

test('letters join', () => {
  expect(parseSetupArguments(['-bDdn', '--'])).toMatchObject({
    wantsFirewall: true,
    isBackground: true,
    isVerbose: true,
    isDryRun: true,
    action: 'run',
  })
})

test('the manual names every option', () => {
  const manual = readFileSync(join(import.meta.dirname, '../../../../docs/man/spamd-setup.8'), 'utf8')
  for (const { short, long, summary } of SETUP_OPTIONS) {
    expect(manual).toMatch(
      short === undefined
        ? new RegExp(`^\\.It Fl Fl ${long}\\b`, 'm')
        : new RegExp(`^\\.It Fl ${short}$`, 'm'),
    )
    expect(summary).not.toBe('')
  }
})

test('progress is drawn in place, within the terminal, at most ten times a second', () => {
  let written = ''
  let nowMs = 0
  const terminal = {
    rows: 3,
    columns: 30,
    write: (text: string) => {
      written += text
    },
    monotonicMs: () => nowMs,
  }
  const progress = new SetupProgress(
    terminal,
    [{ name: 'a' }, { name: 'b\x1b' }, { name: 'c' }].map((list) => ({ ...list, colour: 'black' })),
  )
  progress.received('a', 5)
  expect(written).toBe('a   5 bytes received\nb\\  waiting\n')
  progress.received('a', 50)
  expect(written).not.toContain('50 bytes')
  written = ''
  nowMs = 100
  progress.received('a', 123_456)
  expect(written).toBe('\x1b[2A\x1b[Ja   123 kB received\nb\\  waiting\n')
  written = ''
  progress.clear()
  progress.clear()
  expect(written).toBe('\x1b[2A\x1b[J')
})

describe.skipIf(skipUnlessRoot('a source port below 1024'))('spamd-setup for people', () => {
  let scene: SetupScene
  beforeEach(async () => {
    scene = await SetupScene.create()
    await scene.configure([{ name: 'a', file: await scene.write('a', '192.0.2.0/24\nnonsense\n') }])
  })
  afterEach(() => scene.close())

  test('on a terminal it ends in a summary table', async () => {
    const run = await scene.run([], { terminal: { rows: 25, columns: 80 } })
    expect(run.rc).toBe(0)
    const table = run.stderr.slice(run.stderr.lastIndexOf('\x1b[J') + 3).split('\n')
    expect(table[0]).toMatch(/^list {2}source +entries {2}cidrs {2}age +status$/)
    expect(table[1]).toMatch(/^a {5}\/tmp\/.*\/a +1 +1 {2}under 1 min {2}read$/)
  })

  test('under cron it is silent when all is well', async () => {
    expect(await scene.run(['-b'])).toMatchObject({ rc: 0, stdout: '', stderr: '' })
  })

  test('-d tells what was odd after the line of the original', async () => {
    const run = await scene.run(['-d'])
    expect(run.stderr).toBe(
      'blacklist a 1 entries\nspamd-setup: a: 1 line holds no address, first line 2: "nonsense"\n',
    )
  })

  test('what would change is told by -n with -d, and by neither of them alone', async () => {
    expect(await scene.run(['-n', '-d'])).toMatchObject({
      rc: 0,
      stdout: 'blacklist a: 1 would be added, 0 removed, 0 unchanged\n',
    })
    expect(await scene.run(['-n'])).toMatchObject({ rc: 0, stdout: '' })
    expect(await scene.run(['-d'])).toMatchObject({ rc: 0, stdout: '' })
    // A list that vanishes is told of in the same way.
    await scene.configure([{ name: 'b', file: await scene.write('b', '192.0.2.9\n') }])
    expect(await scene.run(['-n'])).toMatchObject({ rc: 0, stdout: '' })
    expect((await scene.run(['-n', '-d'])).stdout).toContain(
      'blacklist a: would be cleared, 1 removed: no longer a black list in "all"\n',
    )
    expect(await scene.run(['-d'])).toMatchObject({ rc: 0, stdout: '' })
  })

  test('--check only checks, --print-config prints what is understood', async () => {
    expect(await scene.run(['--check'])).toMatchObject({
      rc: 0,
      stdout: `${scene.path('spamd.conf')}: ok, 1 list\n`,
    })
    const printed = await scene.run(['--print-config'])
    expect(printed.stdout).toContain(
      `a:\\\n\t:black:\\\n\t:msg="SPAM %A":\\\n\t:method=file:\\\n\t:file=${scene.path('a')}:\n`,
    )
    await scene.write('spamd.conf', 'all:\\\n')
    const bad = await scene.run(['--check'])
    expect(bad.rc).toBe(1)
    expect(bad.stderr).toMatch(
      /^spamd-setup: Can't find "all" in spamd config: No such file or directory\nspamd-setup: hint: .*spamd\.conf:1:5: .*there is nothing after the backslash of "all"; .*\n$/,
    )
    expect(scene.listener.connections).toEqual([])
  })

  test('--check counts each list once and looks whether files and programs are there', async () => {
    const path = await scene.write('w', '192.0.2.7\n')
    const white = { name: 'w', white: true, file: path }
    const black = (name: string) => ({ name, file: scene.path('a') })
    await scene.configure([black('a'), white, black('b'), white, black('c'), white, black('d')])
    expect(await scene.run(['--check'])).toMatchObject({
      rc: 0,
      stdout: `${scene.path('spamd.conf')}: ok, 5 lists (4 black, 1 white)\n`,
      sent: [],
    })
    await scene.configure([
      { name: 'a', file: scene.path('gone') },
      { name: 'w', white: true, file: scene.path('gone') },
      { name: 'b', method: 'exec', file: `${scene.path('a')} x` },
    ])
    const bad = await scene.run(['--check'])
    expect(bad).toMatchObject({ rc: 1, stdout: '' })
    expect(bad.stderr.split('\n')).toEqual([
      `spamd-setup: Can't open ${scene.path('gone')} by file method: No such file or directory`,
      expect.stringContaining('hint: '),
      `spamd-setup: cannot run ${scene.path('a')}: Permission denied`,
      expect.stringContaining('hint: '),
      '',
    ])
  })

  test('--check looks with the eyes of the user that spamd-setup becomes', async () => {
    await chmod(scene.path('a'), 0o600)
    const named = await scene.run(['--check', '--user', 'nobody'])
    expect(named).toMatchObject({ rc: 1, stdout: '' })
    expect(named.stderr).toContain(`nobody, the user of spamd-setup, may not read ${scene.path('a')}\n`)
    await scene.configure([{ name: 'a', file: scene.path('a'), more: 'as_root:' }])
    expect(await scene.run(['--check', '--user', 'nobody'])).toMatchObject({ rc: 0, stderr: '' })
  })

  test('what spamd.conf could be better in is told by --check and -d, not by cron', async () => {
    const text = `all:a:\na:black:msg="x":file=${scene.path('a')}:typo:\nb:white:file=/x:\n`
    await scene.write('spamd.conf', text)
    expect(await scene.run([])).toMatchObject({ rc: 0, stdout: '', stderr: '' })
    for (const argv of [['--check'], ['-d']]) {
      const { rc, stderr } = await scene.run(argv)
      expect(rc).toBe(0)
      expect(stderr).toContain('"typo" is not a capability')
      expect(stderr).toContain('white list "b" is not named in "all"')
    }
  })

  test('-D hands over to the background before anything is read', async () => {
    const run = await scene.run(['-D'], {
      goToBackground: async () => 0,
      environment: { SPAMD_CONF: '/nonexistent' },
    })
    expect(run).toMatchObject({ rc: 0, stderr: '' })
  })

  test('--config-socket: a refused list is an error, a taken one is not', async () => {
    const path = join(scene.dir, 'socket')
    const answers = [
      '{"result":"added","list":"a","entries":1}\n',
      '{"result":"refused","list":"a","reason":"too many"}\n',
      '',
    ]
    const received: string[] = []
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      let text = ''
      socket.on('data', (chunk) => {
        text += String(chunk)
      })
      socket.on('end', () => {
        received.push(text)
        socket.end(answers[received.length - 1] ?? '')
      })
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    expect(await scene.run(['--config-socket', path])).toMatchObject({ rc: 0, stderr: '' })
    expect(await scene.run(['--config-socket', path])).toMatchObject({
      rc: 1,
      stderr: 'spamd-setup: a: spamd did not accept the list: too many\n',
    })
    expect((await scene.run(['--config-socket', path])).stderr).toContain('no answer')
    await new Promise((resolve) => server.close(resolve))
    expect((await scene.run(['--config-socket', path])).stderr).toBe(
      `spamd-setup: Can't connect to spamd on ${path}: No such file or directory\n`,
    )
    expect(received).toHaveLength(3)
    expect(received[0]).toBe('a;"SPAM %A";inet;1;192.0.2.0/24\n')
  })
})
