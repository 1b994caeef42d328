/**
 * The whole story with a real SMTP client (Python's smtplib), the real daemon with both its processes, the
 * real database and a real nftables table, in a network namespace of our own, over IPv4 and IPv6.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { waitFor } from '../support/spamd/wait-for.js'

const isRoot = process.geteuid?.() === 0 && process.platform === 'linux'
if (!isRoot) process.stdout.write('skipped: the story of spamd needs root on Linux\n')

const run = promisify(execFile)
const NAMESPACE = `spamd-story-${process.pid}`
const BIN = new URL('../../bin/', import.meta.url).pathname
const scratch = mkdtempSync(join(tmpdir(), 'spamd-story-'))
const PORT = '8025'

/** Sends one message and prints what became of it: [code, text] of the refusal. */
const SMTP_CLIENT = `
import json, smtplib, sys
server, port, source, recipient = sys.argv[1:5]
client = smtplib.SMTP(server, int(port), local_hostname='mx.sender.example', timeout=60, source_address=(source, 0))
try:
    client.sendmail('sender@sender.example', [recipient], 'Subject: hello\\n\\nhow are you\\n')
    print(json.dumps([250, 'taken']))
except smtplib.SMTPResponseException as refusal:
    print(json.dumps([refusal.smtp_code, refusal.smtp_error.decode('latin-1')]))
`
/** Connects, prints the size of the first piece of the banner, and stays until its stdin ends. */
const HOLDING_CLIENT = `
import socket, sys
server, port, source = sys.argv[1:4]
client = socket.create_connection((server, int(port)), source_address=(source, 0), timeout=60)
print(len(client.recv(4096)), flush=True)
sys.stdin.read()
`

const families = [
  {
    name: 'IPv4',
    server: '127.0.0.1',
    good: '127.0.0.11',
    trapped: '127.0.0.12',
    listed: '127.0.0.13',
    set: 'spamd-white',
  },
  {
    name: 'IPv6',
    server: 'fd00::1',
    good: 'fd00::11',
    trapped: 'fd00::12',
    listed: 'fd00::13',
    set: 'spamd-white6',
  },
]

const environment = {
  ...process.env,
  SPAMD_DB: join(scratch, 'db', 'spamd.sqlite'),
  SPAMD_CONF: join(scratch, 'spamd.conf'),
  SPAMD_STATE_DIR: join(scratch, 'lists'),
  SPAMD_CONTROL_SOCKET: join(scratch, 'run', 'spamd.sock'),
  SPAMD_ALLOWEDDOMAINS: join(scratch, 'alloweddomains'),
  SPAMD_FIREWALL: 'nft',
  SPAMD_USER: 'nobody',
  SPAMD_FEED_USER: 'root',
  SPAMD_PORT: PORT,
}
let daemon: ChildProcess
let log = ''

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] })
async function inside(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('ip', ['netns', 'exec', NAMESPACE, program, ...args], { env: environment })
  return stdout
}
const spamdctl = (...args: string[]) => inside(process.execPath, join(BIN, 'spamdctl.js'), ...args)
const spamdb = (...args: string[]) => inside(process.execPath, join(BIN, 'spamdb.js'), ...args)

async function send(server: string, source: string, recipient: string): Promise<[number, string]> {
  return JSON.parse(await inside('python3', '-c', SMTP_CLIENT, server, PORT, source, recipient)) as [
    number,
    string,
  ]
}

/** A client that connects and stays. */
async function hold(
  server: string,
  source: string,
): Promise<{ firstPieceBytes: number; release: () => Promise<void> }> {
  const words = ['netns', 'exec', NAMESPACE, 'python3', '-c', HOLDING_CLIENT, server, PORT, source]
  const holder = spawn('ip', words, { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  holder.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString('latin1')
  })
  await waitFor(
    () => output.endsWith('\n'),
    () => `a byte for ${source}`,
  )
  return {
    firstPieceBytes: Number(output),
    release: () =>
      new Promise((resolve) => {
        holder.once('exit', () => resolve())
        holder.stdin.end()
      }),
  }
}

async function setOf(name: string): Promise<string> {
  try {
    return await inside('nft', 'list', 'set', 'inet', 'spamd', name)
  } catch {
    return ''
  }
}

/** Asks again and again until the answer is as wanted. */
async function until<T>(ask: () => Promise<T>, isWanted: (answer: T) => boolean, what: string): Promise<T> {
  const endMs = performance.now() + 60_000
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    if (performance.now() > endMs)
      throw new Error(`waited in vain for ${what}: ${JSON.stringify(answer)}\n${log}`)
  }
}

function startDaemon(): ChildProcess {
  const words = [
    join(BIN, 'spamd.js'),
    '--foreground',
    '-v',
    '-S',
    '0',
    '-B',
    '1',
    '-G',
    // Long enough for two mails and a listing where the processors are busy.
    '15s:4h:36d',
    '--scan-interval',
    '1s',
  ]
  const child = spawn(
    'ip',
    [
      'netns',
      'exec',
      NAMESPACE,
      process.execPath,
      ...words,
      ...families.flatMap(({ server }) => ['-l', server]),
    ],
    { env: environment, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (chunk: Buffer) => {
      log += chunk.toString('latin1')
    })
  }
  return child
}

async function stopDaemon(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  return ended
}

describe.skipIf(!isRoot)('spamd from the first try to the white list', () => {
  beforeAll(async () => {
    mkdirSync(scratch, { recursive: true })
    execFileSync('chmod', ['755', scratch])
    ip('netns', 'add', NAMESPACE)
    ip('-n', NAMESPACE, 'link', 'set', 'lo', 'up')
    for (const { server, good, trapped, listed } of families) {
      for (const address of [server, good, trapped, listed]) {
        if (address.includes(':')) ip('-n', NAMESPACE, 'addr', 'add', `${address}/128`, 'dev', 'lo', 'nodad')
      }
    }
    writeFileSync(join(scratch, 'blocked.txt'), families.map(({ listed }) => `${listed}\n`).join(''))
    writeFileSync(
      environment.SPAMD_CONF,
      `all:\\\n\t:mylist:\nmylist:\\\n\t:black:\\\n\t:msg="Your address %A is on my list\\nwrite to postmaster":\\\n\t:method=file:\\\n\t:file=${join(scratch, 'blocked.txt')}:\n`,
    )
    daemon = startDaemon()
    await waitFor(
      () => log.includes('listening for incoming connections.'),
      () => `the start: ${log}`,
    )
  })

  afterAll(async () => {
    await stopDaemon(daemon)
    ip('netns', 'del', NAMESPACE)
    rmSync(scratch, { recursive: true, force: true })
  })

  test.concurrent.each(families)('$name: greylisted, too early, white', async ({ server, good, set }) => {
    const later = [451, 'Temporary failure, please try again later.']
    expect(await send(server, good, 'user@example.net')).toEqual(later)
    expect(await spamdb()).toContain(
      `GREY|${good}|mx.sender.example|<sender@sender.example>|<user@example.net>|`,
    )
    expect(await send(server, good, 'user@example.net')).toEqual(later)
    const tuple = `GREY\\|${good}\\|mx.sender.example\\|<sender@sender.example>\\|<user@example.net>`
    const tooEarly = new RegExp(`${tuple}\\|.*\\|(\\d+)\\|(\\d+)\\|2\\|0`).exec(await spamdb())
    expect(tooEarly?.[1], 'the tuple has not passed').toBe(tooEarly?.[2])
    // Sent again after the pass time it is white, though the answer is 451 once more.
    await until(
      () => send(server, good, 'user@example.net').then(() => spamdb()),
      (listing) => listing.includes(`WHITE|${good}|`),
      'the WHITE entry',
    )
    expect(await spamdb()).not.toContain(`GREY|${good}|`)
    await until(
      () => setOf(set),
      (elements) => elements.includes(good),
      'the address in the packet filter',
    )
  })

  test('a block-listed client reads its message, while another is stuttered', async () => {
    await spamdb('-a', '-T', 'trap@example.net')
    await inside(process.execPath, join(BIN, 'spamd-setup.js'))
    for (const { name, server, trapped, listed } of families) {
      expect((await send(server, trapped, 'trap@example.net'))[0], name).toBe(451)
      expect(await spamdb()).toContain(`TRAPPED|${trapped}|`)
      // The next scan, within a second, puts it on the trap list; until then it is greeted at once.
      const listedLine = `${trapped}: connected (1/1), lists: spamd-greytrap`
      let held = await hold(server, trapped)
      while (!log.includes(listedLine)) {
        await held.release()
        held = await hold(server, trapped)
      }
      expect(held.firstPieceBytes, name).toBe(1)
      const connections = await spamdctl('connections')
      expect(connections).toMatch(new RegExp(`${trapped} .* BLACK .* 1s .* spamd-greytrap`))
      expect(await send(server, listed, 'user@example.net'), name).toEqual([
        450,
        `Your address ${listed} is on my list\nwrite to postmaster`,
      ])
      expect(log).toContain(`${listed}: connected (2/2), lists: mylist`)
      await held.release()
      await until(
        () => spamdctl('connections', '--json'),
        (text) => (JSON.parse(text) as unknown[]).length === 0,
        'the end of the held connection',
      )
    }
  })

  test('a stop leaves the table, a start finds entries and lists again', async () => {
    const before = await setOf('spamd-white6')
    expect(before).toContain('fd00::11')
    const startedMs = performance.now()
    expect(await stopDaemon(daemon)).toBe(0)
    expect(performance.now() - startedMs).toBeLessThan(5000)
    expect(await setOf('spamd-white6')).toBe(before)
    log = ''
    daemon = startDaemon()
    await waitFor(
      () => log.includes('listening for incoming connections.'),
      () => `the restart: ${log}`,
    )
    expect(await spamdb()).toContain('WHITE|fd00::11|')
    const held = await hold('127.0.0.1', '127.0.0.13')
    expect(log).toContain('127.0.0.13: connected (1/1), lists: mylist')
    await held.release()
  })
})
