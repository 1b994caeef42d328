/** doctor, status, why, log and undo against a real spamd and real nftables, each thing broken and mended again. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { waitFor } from '../support/spamd/wait-for.js'

const isRoot = process.geteuid?.() === 0 && process.platform === 'linux'
if (!isRoot) process.stdout.write('skipped: doctor against real nftables needs root on Linux\n')

const NAMESPACE = `spamd-ops-${process.pid}`
const ROOT = join(import.meta.dirname, '../..')
const RULES = join(ROOT, 'docs/examples/nftables.conf')
const scratch = mkdtempSync(join(tmpdir(), 'spamd-ops-'))
const environment = {
  PATH: process.env.PATH,
  LOGNAME: 'alice',
  SPAMD_DB: join(scratch, 'db', 'spamd.sqlite'),
  SPAMD_CONF: join(scratch, 'spamd.conf'),
  SPAMD_STATE_DIR: join(scratch, 'lists'),
  SPAMD_CONTROL_SOCKET: join(scratch, 'run', 'spamd.sock'),
  SPAMD_ALLOWEDDOMAINS: join(scratch, 'alloweddomains'),
  SPAMD_KEY: join(scratch, 'spamd.key'),
  SPAMD_FIREWALL: 'nft',
  SPAMD_USER: 'nobody',
  SPAMD_PORT: '8025',
}
const run = promisify(execFile)
let daemon: ChildProcess
let log = ''

async function inside(program: string, ...args: string[]): Promise<{ rc: number; stdout: string }> {
  const words = ['netns', 'exec', NAMESPACE, program, ...args]
  try {
    const { stdout } = await run('ip', words, { env: environment })
    return { rc: 0, stdout }
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string }
    return { rc: code, stdout }
  }
}
const spamdctl = (...args: string[]) => inside(process.execPath, join(ROOT, 'bin/spamdctl.js'), ...args)
const spamdb = (...args: string[]) => inside(process.execPath, join(ROOT, 'bin/spamdb.js'), ...args)
const nft = (...args: string[]) => inside('nft', ...args)

interface Finding {
  id: string
  level: string
  message: string
}

/** `level message` of the findings with an id. */
async function findingsOf(id: string): Promise<string[]> {
  const { stdout } = await spamdctl('doctor', '--json')
  const { findings } = JSON.parse(stdout) as { findings: Finding[] }
  return findings.filter((finding) => finding.id === id).map(({ level, message }) => `${level} ${message}`)
}

async function eventually(look: () => Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + 60_000
  while (!(await look())) {
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what}\n${log}`)
  }
}

describe.skipIf(!isRoot)('a gateway in a namespace', () => {
  beforeAll(async () => {
    mkdirSync(scratch, { recursive: true })
    execFileSync('chmod', ['755', scratch])
    execFileSync('ip', ['netns', 'add', NAMESPACE])
    execFileSync('ip', ['-n', NAMESPACE, 'link', 'set', 'lo', 'up'])
    await nft('-f', RULES)
    const words = ['--foreground', '--scan-interval', '1s', '-l', '0.0.0.0', '-l', '::']
    const program = [process.execPath, join(ROOT, 'bin/spamd.js'), ...words]
    daemon = spawn('ip', ['netns', 'exec', NAMESPACE, ...program], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [daemon.stdout!, daemon.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        log += chunk.toString('latin1')
      })
    }
    await waitFor(
      () => log.includes('listening for incoming connections.'),
      () => `the start: ${log}`,
      60_000,
    )
  })

  afterAll(async () => {
    const ended = new Promise((resolve) => daemon.once('exit', resolve))
    daemon.kill('SIGTERM')
    await ended
    execFileSync('ip', ['netns', 'del', NAMESPACE])
    rmSync(scratch, { recursive: true, force: true })
  })

  test('is seen as it is, broken by a flush and a second load, and mended', async () => {
    expect(await findingsOf('spamd')).toEqual(['ok spamd listens on 0.0.0.0 port 8025, :: port 8025'])
    expect(await findingsOf('spamd.database')).toEqual(['ok spamd uses the same database'])
    const ways = [
      'ok IPv4 mail from unknown hosts is redirected to port 8025',
      'ok IPv6 mail from unknown hosts is redirected to port 8025',
    ]
    expect(await findingsOf('nft.redirect')).toEqual(ways)
    await nft('flush', 'chain', 'inet', 'spamd', 'divert')
    expect(await findingsOf('nft.redirect')).toEqual([
      'error IPv4 mail from unknown hosts is not sent to spamd',
      'error IPv6 mail from unknown hosts is not sent to spamd',
    ])
    expect((await spamdctl('doctor', '--quiet')).rc).toBe(1)
    await nft('-f', RULES)
    expect(await findingsOf('nft.redirect')).toEqual(ways)
  })

  test('the rules by TPROXY are understood, too', async ({ skip }) => {
    if ((await nft('-f', join(ROOT, 'docs/examples/nftables-tproxy.conf'))).rc !== 0)
      skip('this kernel has no TPROXY')
    expect(await findingsOf('nft.redirect')).toEqual([
      'ok IPv4 mail from unknown hosts is redirected to port 8025',
      'ok IPv6 mail from unknown hosts is redirected to port 8025',
    ])
    expect(await findingsOf('nft.pass')).toEqual(['ok WHITE hosts reach the mail server'])
    await nft('-f', RULES)
  })

  test('a white host: status, why, log, and undo that the packet filter follows', async () => {
    await spamdb('-a', '192.0.2.77')
    const isPassing = async () =>
      (await spamdctl('why', '192.0.2.77')).stdout.includes('reaches the mail server: it is WHITE')
    await eventually(isPassing, 'the host in the packet filter')
    expect(await findingsOf('nft.filled')).toEqual([expect.stringMatching(/^ok spamd-white holds 1 address/)])
    expect((await spamdctl('status', '--check')).stdout).toMatch(
      /^SPAMD (?:OK|WARNING) - .* \| connections=0;/,
    )
    expect((await spamdctl('log')).stdout).toMatch(
      / spamdb \(manual, alice\) 192\.0\.2\.77: none -> WHITE until /,
    )
    expect((await spamdctl('undo')).stdout).toMatch(/^event [0-9]+: 1 entry was restored\n$/)
    const isStranger = async () => (await spamdctl('why', '192.0.2.77')).stdout.includes('is unknown')
    await eventually(isStranger, 'the host out of the packet filter')
  })

  test('a user without rights sees what he can, and no stack', async () => {
    const words = [process.execPath, join(ROOT, 'bin/spamdctl.js'), 'doctor']
    const { stdout } = await inside(
      'setpriv',
      '--reuid',
      '65534',
      '--regid',
      '65534',
      '--clear-groups',
      ...words,
    )
    if (!stdout.includes('node.version')) {
      process.stdout.write('skipped in part: the checkout cannot be read by other users\n')
      return
    }
    expect(stdout).toMatch(/^info +nft: cannot read nftables/m)
  })
})
