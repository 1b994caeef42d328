/**
 * The real thing on Linux: TCP connections between two network namespaces of our own, logged by a real
 * nftables rule to an nflog group, seen by the real spamlogd, stored in a real database.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createDatabase, openStore } from '../../src/db/open-store.js'
import { PATIENCE } from '../support/patience.js'

const isRoot = process.geteuid?.() === 0 && process.platform === 'linux'
if (!isRoot) process.stdout.write('skipped: spamlogd on nflog needs root on Linux\n')

const HERE = `slh${process.pid}`
const PEER = `slp${process.pid}`
const NOBODY = 65534
const RULES = `table inet spamlogd_test {
  chain incoming {
    type filter hook input priority 0; policy accept;
    tcp dport 25 tcp flags & (syn | ack) == syn log prefix "spamlogd-in" group 25 snaplen 128 queue-threshold 1
    tcp dport 25 tcp flags & (syn | ack) == syn log prefix "spamlogd-in" group 26
  }
  chain outgoing {
    type filter hook output priority 0; policy accept;
    tcp dport 25 tcp flags & (syn | ack) == syn log prefix "spamlogd-out" group 25 snaplen 128 queue-threshold 1
  }
}
`
/** Accepts on port 25 of every address and says when it listens. */
const LISTENER = `require('net').createServer(s => s.destroy()).listen(25, '::', () => console.log('listening'))`
const CONNECT = `const s = require('net').connect(25, process.argv[1]); s.on('error', () => process.exit(1)); s.on('connect', () => process.exit(0))`

const scratch = mkdtempSync(join(tmpdir(), 'spamlogd-lab-'))
const dbPath = join(scratch, 'db', 'spamd.sqlite')
const started: ChildProcess[] = []

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] })

/** Starts a program in a namespace and collects its lines. */
function startIn(namespace: string, args: string[]): { child: ChildProcess; lines: Lines } {
  const child = spawn('ip', ['netns', 'exec', namespace, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  started.push(child)
  return { child, lines: new Lines(child) }
}

class Lines {
  readonly seen: string[] = []
  readonly #waiting: { text: string; resolve: () => void }[] = []
  readonly ended: Promise<number | null>

  constructor(child: ChildProcess) {
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => this.#add(line))
    }
    this.ended = new Promise((resolve) => child.once('close', (code) => resolve(code)))
  }

  /** Resolves when a line holds the text; rejects when the program has ended without it. */
  async until(text: string): Promise<void> {
    if (this.seen.some((line) => line.includes(text))) return
    const found = new Promise<true>((resolve) => this.#waiting.push({ text, resolve: () => resolve(true) }))
    const result = await Promise.race([found, this.ended.then(() => false)])
    if (!result) throw new Error(`ended without "${text}":\n${this.seen.join('\n')}`)
  }

  #add(line: string): void {
    this.seen.push(line)
    for (const waiter of this.#waiting) if (line.includes(waiter.text)) waiter.resolve()
  }
}

async function connect(namespace: string, address: string): Promise<void> {
  const { lines } = startIn(namespace, [process.execPath, '-e', CONNECT, address])
  expect(await lines.ended).toBe(0)
}

describe.skipIf(!isRoot)('spamlogd on nflog', () => {
  beforeAll(async () => {
    for (const namespace of [HERE, PEER]) ip('netns', 'add', namespace)
    ip('-n', HERE, 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth0', 'netns', PEER)
    for (const [namespace, number] of [
      [HERE, 1],
      [PEER, 2],
    ] as const) {
      ip('-n', namespace, 'addr', 'add', `198.51.100.${number}/24`, 'dev', 'veth0')
      ip('-n', namespace, 'addr', 'add', `2001:db8::${number}/64`, 'dev', 'veth0', 'nodad')
      ip('-n', namespace, 'link', 'set', 'veth0', 'up')
      ip('-n', namespace, 'link', 'set', 'lo', 'up')
    }
    execFileSync('ip', ['netns', 'exec', HERE, 'nft', '-f', '-'], { input: RULES })
    execFileSync('mkdir', [join(scratch, 'db')])
    chownSync(scratch, NOBODY, NOBODY)
    chownSync(join(scratch, 'db'), NOBODY, NOBODY)
    createDatabase(dbPath, { owner: { uid: NOBODY, gid: NOBODY } })
    const listeners = [HERE, PEER].map((namespace) => startIn(namespace, [process.execPath, '-e', LISTENER]))
    await Promise.all(listeners.map(({ lines }) => lines.until('listening')))
  })

  afterAll(() => {
    for (const child of started) child.kill('SIGKILL')
    for (const namespace of [HERE, PEER]) execFileSync('ip', ['netns', 'del', namespace])
    rmSync(scratch, { recursive: true, force: true })
  })

  const spamlogd = (...args: string[]) =>
    startIn(HERE, [
      process.execPath,
      'bin/spamlogd.js',
      '-l',
      'nflog:25',
      '--db',
      dbPath,
      '--user',
      'nobody',
      ...args,
    ])

  async function whiteEntries(): Promise<string[]> {
    const store = await openStore(dbPath, { mode: 'read' })
    const found: string[] = []
    for await (const entries of store.list()) {
      for (const entry of entries)
        if (entry.kind === 'WHITE') found.push(`${entry.ip} ${entry.bcount} ${entry.pcount}`)
    }
    await store.close()
    return found.sort()
  }

  test('whitelists who connected and whom we connected to, IPv4 and IPv6', async () => {
    const { child, lines } = spamlogd('-D', '--stats-interval', '1s')
    // The first statistics line comes when everything is open.
    await lines.until('statistics')
    await connect(PEER, '198.51.100.1')
    await connect(PEER, '2001:db8::1')
    await connect(HERE, '198.51.100.2')
    await connect(HERE, '2001:db8::2')
    await connect(PEER, '198.51.100.1')
    for (const text of [
      'inbound 198.51.100.2',
      'inbound 2001:db8::2',
      'outbound 198.51.100.2',
      'outbound 2001:db8::2',
    ]) {
      await lines.until(text)
    }
    await lines.until('matched=5')
    const status = execFileSync('cat', [`/proc/${spamlogdPid(child)}/status`], { encoding: 'latin1' })
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m)
    expect(status).toMatch(/^CapEff:\t0+$/m)
    process.kill(spamlogdPid(child), 'SIGTERM')
    expect(await lines.ended).toBe(0)
    expect(lines.seen.at(-1)).toBe('exiting')
    // The peer is seen from both sides: first as 1 new, then refreshed.
    expect(await whiteEntries()).toEqual(['198.51.100.2 1 2', '2001:db8::2 1 1'])
  })

  test('-I and -i choose by direction and interface', async () => {
    const { child, lines } = spamlogd('-D', '-I', '-i', 'veth0', '--stats-interval', '1s')
    await lines.until('statistics')
    await connect(HERE, '127.0.0.1')
    await connect(HERE, '198.51.100.2')
    await connect(PEER, '2001:db8::1')
    await lines.until('inbound 2001:db8::2')
    process.kill(spamlogdPid(child), 'SIGTERM')
    expect(await lines.ended).toBe(0)
    expect(lines.seen.filter((line) => /^(in|out)bound /.test(line))).toEqual(['inbound 2001:db8::2'])
    expect(lines.seen[0]).toBe('Listening on nflog:25 for veth0 Inbound direction only.')
  })

  test('packets that the kernel gathered into one message all count', async () => {
    const { child, lines } = spamlogd('-D', '-l', 'nflog:26', '--stats-interval', '1s')
    await lines.until('statistics')
    startIn(PEER, [process.execPath, '-e', CONNECT_OFTEN, '198.51.100.1'])
    await lines.until(`matched=${BURST} `)
    process.kill(spamlogdPid(child), 'SIGTERM')
    expect(await lines.ended).toBe(0)
  })

  test('tcpdump takes the place of libpcap', async () => {
    const { lines } = startIn(HERE, [process.execPath, '-e', TCPDUMP])
    await lines.until('open 239')
    startIn(PEER, [process.execPath, '-e', CONNECT_OFTEN, '198.51.100.1'])
    await lines.until('got all')
    expect(await lines.ended).toBe(0)
  })

  test('as a service it leaves the terminal once everything is open', async () => {
    // Root writes it: not into the folder that the user may write.
    const pidFolder = mkdtempSync(join(tmpdir(), 'spamlogd-pid-'))
    const pidFile = join(pidFolder, 'spamlogd.pid')
    const { lines } = spamlogd('--pid-file', pidFile)
    expect({ code: await lines.ended, seen: lines.seen }).toEqual({ code: 0, seen: [] })
    const pid = Number(readFileSync(pidFile, 'latin1'))
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    expect(status).toMatch(/^Uid:\t65534\t65534/m)
    const before = await whiteEntries()
    await connect(PEER, '198.51.100.1')
    process.kill(pid, 'SIGTERM')
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(), PATIENCE)
    expect(await whiteEntries()).not.toEqual(before)
    rmSync(pidFolder, { recursive: true })
  })

  test('a second listener of the group is told so', async () => {
    const first = spamlogd('-D', '--stats-interval', '1s')
    await first.lines.until('statistics')
    const second = spamlogd('-D')
    expect(await second.lines.ended).toBe(1)
    expect(second.lines.seen.at(-1)).toBe(
      'spamlogd: hint: another process already listens to this nflog group: each group can have only one listener',
    )
    process.kill(spamlogdPid(first.child), 'SIGTERM')
    expect(await first.lines.ended).toBe(0)
  })
})

const BURST = 60
/** Many connections at once, so that the kernel gathers their packets into few messages. */
const CONNECT_OFTEN = `let left = ${BURST}; for (let i = 0; i < ${BURST}; i++) { const s = require('net').connect(25, process.argv[1]); s.on('error', () => {}); s.on('close', () => { left -= 1 }) }`
/** Reads the group with tcpdump, as where libpcap is missing, and prints how many packets came. */
const TCPDUMP = `import('${process.cwd()}/dist/src/platform/live-capture-tcpdump.js').then(async ({ openTcpdumpCapture }) => {
  let count = 0
  const capture = await openTcpdumpCapture({ device: 'nflog:26', filter: '', onFailure: console.log, onTrouble: console.log,
    onPacket: () => { count += 1; if (count === ${BURST}) { console.log('got all'); capture.close().then(() => process.exit(0)) } } })
  console.log('open', capture.linkType)
})`

/** `ip netns exec` becomes the program it runs, so the process id is that of spamlogd. */
function spamlogdPid(child: ChildProcess): number {
  return child.pid!
}
