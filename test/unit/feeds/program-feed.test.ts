import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_FEED_LIMITS, type FeedAnswer, FeedError } from '../../../src/feeds/feed.js'
import { openExecFeed, openFtpFeed, type ProgramFeedOptions } from '../../../src/feeds/program-feed.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'program-feed-'))
  await chmod(folder, 0o755)
})
afterAll(() => rm(folder, { recursive: true }))

function options(changes: Partial<ProgramFeedOptions> = {}): ProgramFeedOptions {
  return { limits: DEFAULT_FEED_LIMITS, user: undefined, environment: process.env, ...changes }
}

async function script(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  return path
}

async function textOf(answer: FeedAnswer): Promise<string> {
  let text = ''
  if (answer.kind === 'body')
    for await (const chunk of answer.body) text += Buffer.from(chunk).toString('latin1')
  return text
}

async function failureOf(promise: Promise<unknown>): Promise<FeedError> {
  const error: unknown = await promise.catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(FeedError)
  return error as FeedError
}

test('words are split at blanks and tabs, and nothing else is done with them', async () => {
  const path = await script('show', 'for word; do printf "<%s>" "$word"; done')
  const answer = await openExecFeed(
    { method: 'exec', location: `  ${path} \t a;b  $HOME 'c d' | \`id\` * > /tmp/x` },
    options(),
  )
  expect(await textOf(answer)).toBe("<a;b><$HOME><'c><d'><|><`id`><*><>></tmp/x>")
})

test('what a program printed before it ended is there, however late it is read', async () => {
  const answer = await openExecFeed({ method: 'exec', location: '/bin/echo 192.0.2.1' }, options())
  // The program is long gone when this is over.
  for (let turn = 0; turn < 50; turn += 1) await nextTurn()
  const waiter = await openExecFeed({ method: 'exec', location: '/bin/cat /dev/null' }, options())
  await textOf(waiter)
  expect(await textOf(answer)).toBe('192.0.2.1\n')
})

test('a non-zero exit is a failure after whatever was printed', async () => {
  const path = await script('half', 'echo 192.0.2.1; echo "no \x1b[31mluck" >&2; exit 3')
  const error = await failureOf(openExecFeed({ method: 'exec', location: path }, options()).then(textOf))
  expect(error.message).toBe(`${path} ended with status 3: no \\x1b[31mluck`)
})

test('a program ended by a signal is a failure', async () => {
  const path = await script('die', 'echo 192.0.2.1; kill -9 $$')
  const error = await failureOf(openExecFeed({ method: 'exec', location: path }, options()).then(textOf))
  expect(error.message).toBe(`${path} was ended by SIGKILL`)
})

test('a program that does not end is ended', async () => {
  const limits = { ...DEFAULT_FEED_LIMITS, totalTimeoutMs: 200 }
  const path = await script('hang', 'echo 192.0.2.1; exec sleep 60')
  const error = await failureOf(
    openExecFeed({ method: 'exec', location: path }, options({ limits })).then(textOf),
  )
  expect(error.code).toBe('ERR_FEED_TIMEOUT')
})

describe('what left the process group and holds the output open', () => {
  /** A program that leaves a process in a session of its own behind, and its number in a file. */
  async function leaving(name: string, then: string): Promise<{ path: string; end: () => Promise<void> }> {
    const pidFile = join(folder, `${name}.pid`)
    const source = `
      const { spawn } = require('node:child_process')
      const left = spawn('sleep', ['600'], { detached: true, stdio: 'inherit' })
      require('node:fs').writeFileSync('${pidFile}', String(left.pid))
      left.unref()`
    const path = await script(name, `${process.execPath} -e "${source}"\necho 192.0.2.1\n${then}`)
    return { path, end: async () => void process.kill(Number(await readFile(pidFile, 'utf8')), 'SIGKILL') }
  }

  test('the list of a program that succeeded is taken', async () => {
    const { path, end } = await leaving('leave', '')
    const answer = await openExecFeed({ method: 'exec', location: path }, options())
    expect(await textOf(answer)).toBe('192.0.2.1\n')
    await end()
  })

  test('a program that failed, and one that does not end, are failures', async () => {
    const failing = await leaving('leave-and-fail', 'exit 3')
    const failure = await failureOf(
      openExecFeed({ method: 'exec', location: failing.path }, options()).then(textOf),
    )
    expect(failure.message).toBe(`${failing.path} ended with status 3`)
    await failing.end()
    const hanging = await leaving('leave-and-hang', 'exec sleep 600')
    const limits = { ...DEFAULT_FEED_LIMITS, totalTimeoutMs: 2_000 }
    const late = await failureOf(
      openExecFeed({ method: 'exec', location: hanging.path }, options({ limits })).then(textOf),
    )
    expect(late.code).toBe('ERR_FEED_TIMEOUT')
    await hanging.end()
  })
})

test('a program that is missing is a failure', async () => {
  const error = await failureOf(
    openExecFeed({ method: 'exec', location: '/nonexistent/prog arg' }, options()),
  )
  expect(error.message).toBe('cannot run /nonexistent/prog: No such file or directory')
})

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('skipped: only root can start programs as another user\n')

test.skipIf(!isRoot)('as root, programs run as the user given, without groups of ours', async () => {
  const user = { name: 'nobody', uid: 65_534, gid: 65_534 }
  const path = await script('who', 'id -u; id -G; pwd')
  const answer = await openExecFeed({ method: 'exec', location: path }, options({ user }))
  expect(await textOf(answer)).toBe('65534\n65534\n/\n')
})

test('ftp goes through the client of the system, which gets the URL as its last word', async () => {
  const bin = await mkdtemp(join(folder, 'bin-'))
  await writeFile(join(bin, 'ftp'), '#!/bin/sh\nprintf "%s\\n" "$@"\n', { mode: 0o755 })
  const request = { method: 'ftp', location: 'ftp.example.org/-list; rm -rf /' } as const
  const answer = await openFtpFeed(request, options({ environment: { PATH: `relative:${bin}` } }))
  expect(await textOf(answer)).toBe('-V\n-o\n-\nftp://ftp.example.org/-list; rm -rf /\n')
})

test('without any client ftp is a clear failure', async () => {
  const request = { method: 'ftp', location: 'ftp.example.org/list' } as const
  const error = await failureOf(openFtpFeed(request, options({ environment: { PATH: folder } })))
  expect(error).toMatchObject({ code: 'ERR_FEED_NO_CLIENT' })
  expect(error.hint).toContain('curl')
})
