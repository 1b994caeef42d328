/** Whoever may signal spamd during its start must not get Node's inspector opened, in no process of it (SIGUSR1). */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs'
import { connect } from 'node:net'
import { constants, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { reservePort } from '../../support/reserve-port.js'

const root = resolve(import.meta.dirname, '../../..')
const NOBODY = 65_534
const LISTEN = '0A'
const MAX_START_MS = 60_000

/** Root, on Linux (for /proc), in a checkout that the user of the child can read. */
const mayRun =
  process.platform === 'linux' &&
  process.getuid?.() === 0 &&
  spawnSync('test', ['-r', join(root, 'dist/src/daemon/spamd-child.js')], { uid: NOBODY, gid: NOBODY })
    .status === 0
const whySkipped = mayRun ? '' : ' [skipped: needs root on Linux and programs that every user can read]'

function lookAt<Result>(path: string, look: (path: string) => Result): Result | undefined {
  try {
    return look(path)
  } catch {
    return undefined
  }
}

/** A process and all below it. */
function familyOf(pid: number): number[] {
  const children = lookAt(`/proc/${pid}/task/${pid}/children`, (path) => readFileSync(path, 'latin1')) ?? ''
  return [
    pid,
    ...children
      .split(' ')
      .filter(Boolean)
      .flatMap((child) => familyOf(Number(child))),
  ]
}

/** TCP ports on which a process listens. */
function listeningPorts(pid: number): number[] {
  const inodes = new Set(
    (lookAt(`/proc/${pid}/fd`, (path) => readdirSync(path)) ?? []).map(
      (fd) =>
        /^socket:\[(\d+)\]$/.exec(lookAt(`/proc/${pid}/fd/${fd}`, (path) => readlinkSync(path)) ?? '')?.[1],
    ),
  )
  return ['tcp', 'tcp6'].flatMap((name) =>
    (lookAt(`/proc/${pid}/net/${name}`, (path) => readFileSync(path, 'latin1')) ?? '')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === LISTEN && inodes.has(fields[9]))
      .map((fields) => Number.parseInt(fields[1]!.split(':')[1]!, 16)),
  )
}

async function greets(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    // A connection may also end without a word.
    const [text] = (await Promise.race([once(socket, 'data'), once(socket, 'close')])) as [Buffer | boolean]
    return text.toString().startsWith('220')
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

const caughtBy = (pid: number): boolean => {
  const status = lookAt(`/proc/${pid}/status`, (path) => readFileSync(path, 'latin1'))
  const caught = BigInt(`0x${/^SigCgt:\s*([0-9a-f]+)$/m.exec(status ?? '')?.[1] ?? '0'}`)
  return ((caught >> BigInt(constants.signals.SIGUSR1 - 1)) & 1n) === 1n
}

/** What the processes of a spamd that does not start do, for the message. */
function describeFamily(pid: number): string {
  const lines = familyOf(pid).map((one) => {
    const command = lookAt(`/proc/${one}/cmdline`, (path) =>
      readFileSync(path, 'latin1').replaceAll('\0', ' '),
    )
    const waits = lookAt(`/proc/${one}/wchan`, (path) => readFileSync(path, 'latin1'))
    return `${one}: ${command} waits in ${waits}, listens on ${listeningPorts(one).join(' ')}`
  })
  return lines.join('\n')
}

/** Signals each process of a starting spamd until it greets or ends: how many signals, and ports that are not spamd's. */
async function storm(): Promise<{ signalCount: number; foreignPorts: number[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'signal-storm-'))
  chmodSync(folder, 0o755)
  mkdirSync(join(folder, 'db'))
  chownSync(join(folder, 'db'), NOBODY, NOBODY)
  const ports = [await reservePort(), await reservePort()]
  const seen = new Set<number>()
  let signalCount = 0
  const spamd = spawn(join(root, 'bin/spamd.js'), ['-d', '-s', '0', '-S', '0'], {
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH,
      SPAMD_USER: 'nobody',
      SPAMD_DB: join(folder, 'db', 'spamd.sqlite'),
      SPAMD_CONTROL_SOCKET: join(folder, 'spamd.sock'),
      SPAMD_STATE_DIR: join(folder, 'lists'),
      SPAMD_ALLOWEDDOMAINS: join(folder, 'allowed'),
      SPAMD_KEY: join(folder, 'key'),
      SPAMD_FIREWALL: 'none',
      SPAMD_PORT: String(ports[0]),
      SPAMD_CFG_PORT: String(ports[1]),
    },
  })
  try {
    const ended = once(spamd, 'exit')
    let state: 'starting' | 'serving' | 'ended' = 'starting'
    void ended.then(() => {
      state = 'ended'
    })
    const startedMs = performance.now()
    for (let isAsked = false; state === 'starting'; ) {
      if (performance.now() - startedMs > MAX_START_MS) {
        throw new Error(
          `no greeting${isAsked ? ' yet' : ''} after ${signalCount} signals:\n${describeFamily(spamd.pid!)}`,
        )
      }
      // The signal would simply end what does not catch it yet.
      for (const one of familyOf(spamd.pid!).filter(caughtBy)) {
        if (lookAt(String(one), () => process.kill(one, 'SIGUSR1')) === true) signalCount += 1
        for (const port of listeningPorts(one)) seen.add(port)
      }
      if (!isAsked && seen.has(ports[0]!)) {
        isAsked = true
        void greets(ports[0]!).then((isThere) => {
          if (state === 'starting' && isThere) state = 'serving'
          isAsked = isThere
        })
      }
      await new Promise((next) => setTimeout(next, 1))
    }
    // A signal between fork and exec ends that process, as the system has it: then spamd ends, too.
    if (state !== 'ended') {
      spamd.kill('SIGTERM')
      await ended
    }
    return { signalCount, foreignPorts: [...seen].filter((port) => !ports.includes(port)) }
  } finally {
    spamd.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
}

test.skipIf(!mayRun)(`no process of a starting spamd listens for a debugger${whySkipped}`, async () => {
  // On a busy machine few signals arrive during one start.
  for (let signalCount = 0; signalCount < 30; ) {
    const { signalCount: more, foreignPorts } = await storm()
    expect(more).toBeGreaterThan(0)
    expect(foreignPorts).toEqual([])
    signalCount += more
  }
})
