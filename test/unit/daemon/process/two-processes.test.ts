/** spamd's two processes: real ones, with a trial service in the child. Root shows the change of user as well. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { skipUnless, skipUnlessRoot } from '../../../support/skip-unless.js'

const PARENT = fileURLToPath(new URL('../../../support/two-processes/parent.ts', import.meta.url))
/** By its path: the child works in another folder. */
const TSX = import.meta.resolve('tsx')
const PFCTL = fileURLToPath(new URL('../../../support/pfctl-stand-in.js', import.meta.url))
const IS_ROOT = process.getuid?.() === 0

interface Addresses {
  pid: number
  smtp4: number
  smtp6: number
  configPort: number
}

/** A started pair of processes. */
class Pair {
  readonly process: ChildProcessWithoutNullStreams
  readonly lines: AsyncIterator<string>
  stderr = ''
  readonly #ended: Promise<unknown[]>
  addresses: Addresses = { pid: 0, smtp4: 0, smtp6: 0, configPort: 0 }

  constructor(
    settings: object,
    environment: NodeJS.ProcessEnv,
    launcher: readonly string[],
    more: readonly number[],
  ) {
    const words = [...launcher, process.execPath, '--import', TSX, PARENT, JSON.stringify(settings)]
    this.process = spawn(words[0]!, words.slice(1), {
      env: { ...process.env, NODE_OPTIONS: '', ...environment },
      // `more` are descriptors that whoever starts spamd has left open: the first is 3.
      stdio: ['pipe', 'pipe', 'pipe', ...more],
    }) as ChildProcessWithoutNullStreams
    this.process.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString()
    })
    this.#ended = once(this.process, 'close')
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]()
  }

  async nextLine(): Promise<string> {
    const { value, done } = await this.lines.next()
    if (done === true) throw new Error(`the processes ended: ${this.stderr}`)
    return value
  }

  async started(): Promise<void> {
    this.addresses = JSON.parse(await this.nextLine()) as Addresses
  }

  async ended(): Promise<{ code: number | null; signal: string | null }> {
    const [code, signal] = (await this.#ended) as [number | null, string | null]
    return { code, signal }
  }

  async ask(line: string, port = this.addresses.smtp4, host = '127.0.0.1'): Promise<unknown> {
    return JSON.parse(await exchange({ port, host }, `${line}\n`))
  }
}

async function exchange(
  target: { port: number; host: string } | { path: string },
  text: string,
): Promise<string> {
  const socket = connect(target)
  socket.setEncoding('utf8')
  socket.end(text)
  let received = ''
  for await (const chunk of socket) received += chunk as string
  return received
}

let folder: string
let settings: {
  folder: string
  user: string
  pfctl: string
  pidFile: string
  tls: object
  stopTimeoutMs?: number
  /** The start fails, or ends when a client says `begin`. */
  way?: 'fails' | 'starts-late'
}
let pairs: Pair[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'two-processes-'))
  chmodSync(folder, 0o711)
  writeFileSync(join(folder, 'key'), 'secret', { mode: 0o600 })
  writeFileSync(join(folder, 'tls.pem'), 'certificate', { mode: 0o600 })
  settings = {
    folder,
    user: 'nobody',
    pfctl: PFCTL,
    pidFile: join(folder, 'pid'),
    tls: { certificateFile: join(folder, 'tls.pem'), keyFile: join(folder, 'tls.pem') },
  }
  pairs = []
})

afterEach(async () => {
  for (const pair of pairs) {
    pair.process.kill('SIGKILL')
    await pair.ended()
  }
  rmSync(folder, { recursive: true })
})

function launch(
  environment: NodeJS.ProcessEnv = {},
  launcher: readonly string[] = [],
  more: readonly number[] = [],
): Pair {
  const state = { PFCTL_STATE: join(folder, 'pf.json'), PFCTL_CALLS: join(folder, 'pf.calls') }
  const pair = new Pair(settings, { ...state, ...environment }, launcher, more)
  pairs.push(pair)
  return pair
}

async function start(launcher: readonly string[] = []): Promise<Pair> {
  const pair = launch({}, launcher)
  await pair.started()
  // Written when the parent has heard that the child is ready.
  await vi.waitUntil(() => readPid() === pair.process.pid, { timeout: 30_000, interval: 5 })
  return pair
}

function residentKib(pid: number): number {
  try {
    return Number(/^VmRSS:\s*([0-9]+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

function readPid(): number | undefined {
  return existsSync(settings.pidFile) ? Number(readFileSync(settings.pidFile, 'utf8')) : undefined
}

test('sockets, files and tables reach the child, which holds no privilege', async () => {
  const pair = await start()
  const { smtp6, configPort } = pair.addresses
  expect(await pair.ask('what', smtp6, '::1')).toBe('what?')
  expect(await exchange({ port: configPort, host: '127.0.0.1' }, '')).toBe('config\n')
  const socketPath = join(folder, 'run/spamd.sock')
  expect(await exchange({ path: socketPath }, 'x')).toBe('control\n')
  expect(statSync(socketPath).mode & 0o777).toBe(0o660)
  expect(await pair.ask('tls')).toBe('certificate')
  expect(await pair.ask('domains')).toBe('none')
  expect(await pair.ask(`read ${join(folder, 'key')}`)).toEqual({
    key: 'secret',
    own: IS_ROOT ? 'EACCES' : 'secret',
  })
  const ids = (await pair.ask('ids')) as { uid: number; gid: number; groups: number[] }
  if (IS_ROOT) {
    expect(ids.uid).not.toBe(0)
    expect(ids.groups).toEqual([ids.gid])
    expect(statSync(join(folder, 'db')).uid).toBe(ids.uid)
    expect(statSync(socketPath).gid).toBe(ids.gid)
  } else expect(ids.uid).toBe(process.getuid!())
  expect(await pair.ask('reopen')).toHaveLength(2)
  expect(await pair.ask('limits')).toEqual({ maxEntries: 200_000 })
  expect(await pair.ask('table')).toBe('none')
  expect(await pair.ask('replace 3')).toBe('replaced')
  expect(await pair.ask('table')).toBe(3)
  expect(await pair.ask('replace-text localhost')).toEqual({
    error: 'refused to load table "spamd-white": entry 1 is not a canonical host: "localhost"',
  })
  expect(await pair.ask('table')).toBe(3)
})

test('a signal during the start is obeyed behind it', async () => {
  settings.way = 'starts-late'
  const pair = launch()
  await pair.started()
  pair.process.kill('SIGHUP')
  // Its answer comes by the parent, behind the signal.
  expect(await pair.ask('limits')).toEqual({ maxEntries: 200_000 })
  expect(await pair.ask('begin')).toBe('begun')
  expect(await pair.nextLine()).toBe('reloaded')
})

test('signals are passed on, SIGTERM ends both with 0 and leaves tables, no socket and no pid file', async () => {
  const pair = await start()
  expect(await pair.ask('replace 2')).toBe('replaced')
  pair.process.kill('SIGHUP')
  expect(await pair.nextLine()).toBe('reloaded')
  pair.process.kill('SIGUSR1')
  expect(await pair.nextLine()).toBe('statistics')
  // A terminal sends them to the child as well, which leaves them to the parent.
  for (const signal of ['SIGHUP', 'SIGUSR1']) process.kill(pair.addresses.pid, signal)
  expect(await pair.ask('what')).toBe('what?')
  expect(readFileSync(settings.pidFile, 'utf8')).toBe(`${pair.process.pid}\n`)
  pair.process.kill('SIGTERM')
  expect(await pair.nextLine()).toBe('stopped')
  expect(await pair.ended()).toEqual({ code: 0, signal: null })
  expect(existsSync(join(folder, 'run/spamd.sock'))).toBe(false)
  if (!IS_ROOT) expect(existsSync(settings.pidFile)).toBe(false)
  const { tables } = JSON.parse(readFileSync(join(folder, 'pf.json'), 'utf8')) as {
    tables: Record<string, { entries: string[] }>
  }
  expect(tables['spamd-white']?.entries).toHaveLength(2)
})

test('the child killed: the parent ends with 1 and says so', async () => {
  const pair = await start()
  process.kill(pair.addresses.pid, 'SIGKILL')
  expect(await pair.ended()).toEqual({ code: 1, signal: null })
  expect(pair.stderr).toContain('err: the unprivileged process died on signal SIGKILL, exiting')
})

test('the parent killed: the child ends', async () => {
  const pair = await start()
  pair.process.kill('SIGKILL')
  expect(await pair.nextLine()).toBe('stopped')
  // The child holds our pipe until its end.
  expect(await pair.ended()).toEqual({ code: null, signal: 'SIGKILL' })
})

test('after kill -9 of the parent a new spamd starts where the old one was', async () => {
  const old = await start()
  old.process.kill('SIGKILL')
  await old.ended()
  await start()
  expect(await exchange({ path: join(folder, 'run/spamd.sock') }, 'x')).toBe('control\n')
})

test('a child that will not stop is killed in time', async () => {
  settings.stopTimeoutMs = 200
  const pair = await start()
  expect(await pair.ask('stop-never')).toBe('will not')
  pair.process.kill('SIGTERM')
  expect((await pair.ended()).code).toBe(1)
  expect(pair.stderr).toContain('did not end in time')
})

test('a start that fails in the child is told with its reason, exit 1', async () => {
  settings.way = 'fails'
  const pair = launch()
  expect((await pair.ended()).code).toBe(1)
  expect(pair.stderr).toContain('spamd: this start fails on purpose')
})

/** `CAP_NET_ADMIN` for a program that is not root, as systemd gives it. */
const AS_SYSTEMD =
  '/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+net_admin --ambient-caps=+net_admin --'

test.skipIf(skipUnless(IS_ROOT && existsSync('/usr/bin/setpriv'), 'needs root and setpriv(1)'))(
  'a parent that is not root but has CAP_NET_ADMIN: the child has no capability',
  async () => {
    chownSync(folder, 65534, 65534)
    for (const name of ['key', 'tls.pem']) chownSync(join(folder, name), 65534, 65534)
    const pair = await start(AS_SYSTEMD.split(' '))
    expect(readFileSync(`/proc/${pair.process.pid}/status`, 'utf8')).toMatch(/^CapEff:\t0*1000$/m)
    const { own } = (await pair.ask('read /proc/self/status')) as { own: string }
    expect(own).toMatch(/^CapEff:\t0+$/m)
    expect(own).toMatch(/^CapAmb:\t0+$/m)
    expect(own).toMatch(/^NoNewPrivs:\t1$/m)
    expect(await pair.ask('replace 2')).toBe('replaced')
  },
)

test.skipIf(skipUnlessRoot('two processes of two users'))(
  'an unknown user is told before anything is opened',
  async () => {
    settings.user = 'no-such-user'
    const pair = launch()
    expect((await pair.ended()).code).toBe(1)
    expect(pair.stderr).toContain('spamd: no such user no-such-user')
  },
)

test.skipIf(skipUnless(IS_ROOT && existsSync('/usr/bin/setpriv'), 'needs root and setpriv(1)'))(
  'the child of root: no right to come back to, only its own descriptors, a clean environment, the folder /',
  async () => {
    const held = openSync(join(folder, 'key'), 'r')
    const pair = launch({ SECRET: 'x', PGPASSFILE: '/nonexistent' }, [], [held, held])
    await pair.started()
    const { own } = (await pair.ask('read /proc/self/status')) as { own: string }
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(own).toMatch(new RegExp(`^${set}:\\t0+$`, 'm'))
    }
    expect(own).toMatch(/^NoNewPrivs:\t1$/m)
    expect(own).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m)
    const links = (await pair.ask('descriptors')) as [number, string][]
    expect(
      links.filter(([, link]) => !/^(pipe|socket|anon_inode):|^\/dev\/null$|^\/proc\/|^gone$/.test(link)),
    ).toEqual([])
    const { names, folder: workFolder } = (await pair.ask('environment')) as {
      names: string[]
      folder: string
    }
    expect(workFolder).toBe('/')
    const known = ['HOME', 'JOURNAL_STREAM', 'LANG', 'LC_ALL', 'LC_TIME', 'NODE_CHANNEL_FD', 'PATH', 'TZ']
    const unknown = names.filter((name) => !known.includes(name) && !name.startsWith('MALLOC_'))
    // What a location on a server is completed from is kept.
    expect(unknown).toEqual(['PGPASSFILE'])
    closeSync(held)
  },
)

test.skipIf(skipUnless(existsSync('/proc/self/fd'), 'descriptors are counted in /proc'))(
  'descriptors behind a gap do not reach the child either',
  async () => {
    const held = openSync(join(folder, 'key'), 'r')
    const pair = launch({}, ['/bin/sh', '-c', 'exec 9<&3 3<&-; exec "$@"', 'sh'], [held])
    await pair.started()
    const links = (await pair.ask('descriptors')) as [number, string][]
    expect(links.filter(([, link]) => link.startsWith(folder))).toEqual([])
    closeSync(held)
  },
)

test.skipIf(skipUnlessRoot('two processes of two users'))(
  'a hostile child that swaps in links and asks again and again: nothing outside changes, and it is killed',
  async () => {
    const pair = await start()
    const victim = join(folder, 'shadow')
    writeFileSync(victim, 'root:x', { mode: 0o600 })
    const before = statSync(victim, { bigint: true })
    expect(await pair.ask(`swap ${join(folder, 'run')},${victim}`)).not.toContain('done')
    await pair.ask('control-again').catch(() => undefined)
    expect((await pair.ended()).code).toBe(1)
    expect(pair.stderr).toContain('the unprivileged process asked for control-listener again: killing it')
    const after = statSync(victim, { bigint: true })
    expect([after.uid, after.gid, after.mode, after.ctimeNs]).toEqual([
      before.uid,
      before.gid,
      before.mode,
      before.ctimeNs,
    ])
    expect(existsSync(join(folder, 'run/spamd.sock'))).toBe(false)
  },
)

test.skipIf(skipUnlessRoot('two processes of two users'))(
  'a folder of the socket that the child could write is refused: nothing is made in it',
  async () => {
    mkdirSync(join(folder, 'run'))
    chownSync(join(folder, 'run'), 65534, 65534)
    const pair = launch()
    expect((await pair.ended()).code).toBe(1)
    expect(pair.stderr).toContain(
      `${folder}/run belongs to user number 65534, who could misuse our privileges`,
    )
    expect(readdirSync(join(folder, 'run'))).toEqual([])
  },
)

describe('frames that no child of ours sends', () => {
  const attacks = [
    ['a length of 1.8 GB', 'write 7000000000000000', 'sent a message of 1879048192 and 0 bytes'],
    ['bytes beyond the greatest piece', 'write 0000000000040001', 'sent a message of 0 and 262145 bytes'],
    ['words that are no JSON', 'write 00000002000000007b7b', 'sent an invalid message'],
    ['a message of Node', 'write-channel {"cmd":"NODE_HANDLE","type":"net.Server"}', 'sent more than it may'],
    ['text on the channel of sockets', 'write-channel x', 'sent more than it may'],
    [
      'an answer for a socket that was never sent',
      'write-channel {"cmd":"NODE_HANDLE_ACK"}',
      'sent more than it may',
    ],
  ] as const
  test.each(attacks)(
    '%s: the child is killed, not the parent, with a line in the log',
    async (_, word, line) => {
      const pair = await start()
      const times = line === undefined ? 30 : 1
      for (let count = 0; count < times; count += 1) await pair.ask(word).catch(() => undefined)
      expect(await pair.ended()).toEqual({ code: 1, signal: null })
      expect(pair.stderr).toContain(`err: the unprivileged process ${line}: killing it`)
      expect(pair.stderr).toContain('died on signal SIGKILL, exiting')
    },
  )

  test('a child that sends what it announced, without end: the parent does not grow', async () => {
    const pair = await start()
    const rss = (): number => (existsSync('/proc/self/status') ? residentKib(pair.process.pid!) : 0)
    const before = rss()
    let peak = before
    const sampling = setInterval(() => {
      peak = Math.max(peak, rss())
    }, 5)
    await pair.ask('grow').catch(() => undefined)
    expect((await pair.ended()).code).toBe(1)
    clearInterval(sampling)
    expect(peak - before).toBeLessThan(40 * 1024)
  })
})

test('a child that asks for what is not on the list is killed', async () => {
  const pair = await start()
  await pair.ask('say {"kind":"request","id":99,"name":"read-shadow"}').catch(() => undefined)
  expect((await pair.ended()).code).toBe(1)
  expect(pair.stderr).toContain('the unprivileged process sent an invalid message: killing it')
})
