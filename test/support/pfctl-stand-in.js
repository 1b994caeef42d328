#!/usr/bin/env node
/**
 * A program that replaces pfctl(8), for `SPAMD_PFCTL`: tables are in the JSON file named by PFCTL_STATE, every call
 * is recorded as a line of the file named by PFCTL_CALLS, and the file named by PFCTL_STARTED is created when a table
 * is about to be changed. Names are never resolved: a token that would need DNS or an interface causes an error.
 *
 * State: `{ tables: { NAME: ENTRIES | { flags, entries } }, limits, system, device, fault }`. `system` is
 * `openbsd` or `freebsd`; `device` is `ok`, `none`, `ro`, `missing` or `not-pf`; `fault` is any of
 * `{ delayBeforeReadMs, delayBeforeChangeMs, dieBy: SIGNAL, dieAfterBytes, exitCode, stderr }`, limited to one
 * table command by `on`, as `replace`.
 */
import {
  appendFileSync,
  fstatSync,
  mkdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { formatEntry, parseEntry } from './pfctl/address.js'
import { newWorld, runPfctl } from './pfctl/run-pfctl.js'

const statePath = process.env.PFCTL_STATE
const callsPath = process.env.PFCTL_CALLS
const argv = process.argv.slice(2)
const READ_BYTES = 65_536
const STALE_LOCK_MS = 10_000

/** Blocks this process, as pfctl does. */
function pauseMs(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

function readState() {
  if (statePath === undefined) return {}
  try {
    return JSON.parse(readFileSync(statePath, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return {}
    throw error
  }
}

/** All of stdin, or as much of it as `maxBytes`. */
function readStdin(maxBytes = Number.POSITIVE_INFINITY) {
  const chunks = []
  let sizeBytes = 0
  const buffer = Buffer.alloc(READ_BYTES)
  while (sizeBytes < maxBytes) {
    let count
    try {
      count = readSync(0, buffer, 0, Math.min(READ_BYTES, maxBytes - sizeBytes), null)
    } catch (error) {
      if (error.code === 'EOF') break
      if (error.code !== 'EAGAIN') throw error
      pauseMs(2)
      continue
    }
    if (count === 0) break
    chunks.push(Buffer.from(buffer.subarray(0, count)))
    sizeBytes += count
  }
  return Buffer.concat(chunks).toString('latin1')
}

function lockedSinceMs(lock) {
  return statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
}

/** Allows one change at a time, as the kernel's lock does; readers see the old state or the new one. */
function underLock(work) {
  if (statePath === undefined) return work()
  const lock = `${statePath}.lock`
  for (;;) {
    try {
      mkdirSync(lock)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      // Left by a process that was killed: no change takes that long.
      if (Date.now() - lockedSinceMs(lock) > STALE_LOCK_MS) rmSync(lock, { recursive: true, force: true })
      else pauseMs(5)
    }
  }
  try {
    return work()
  } finally {
    rmdirSync(lock)
  }
}

function dieBy(signal) {
  process.kill(process.pid, signal)
  // Another thread may receive the signal a moment later.
  pauseMs(60_000)
}

function descriptorKind(fd) {
  const stats = fstatSync(fd)
  if (stats.isFile()) return 'file'
  return stats.isFIFO() || stats.isSocket() ? 'pipe' : 'device'
}

function record(call) {
  if (callsPath !== undefined) appendFileSync(callsPath, `${JSON.stringify(call)}\n`)
}

const settings = readState()
const fault = settings.fault ?? {}
const isFaulty = fault.on === undefined || argv[argv.indexOf('-T') + 1] === fault.on
const activeFault = isFaulty ? fault : {}
const call = {
  argv,
  uid: process.getuid(),
  descriptors: [0, 1, 2].map(descriptorKind),
  stdin: undefined,
}

if (process.env.PFCTL_STARTED !== undefined && argv.includes('-f'))
  writeFileSync(process.env.PFCTL_STARTED, '')
if (activeFault.delayBeforeReadMs !== undefined) pauseMs(activeFault.delayBeforeReadMs)
if (activeFault.dieBy !== undefined) {
  call.stdin = readStdin(activeFault.dieAfterBytes ?? 0)
  record(call)
  dieBy(activeFault.dieBy)
}

let input
const result = (() => {
  if (activeFault.exitCode !== undefined) {
    if (argv.includes('-f')) call.stdin = readStdin()
    return { exitCode: activeFault.exitCode, stdout: '', stderr: activeFault.stderr ?? '', dnsAsked: [] }
  }
  // Read before the lock is taken: a slow writer must not stop the others.
  if (argv.includes('-') || argv.includes('-f-') || argv.includes('/dev/stdin'))
    input = call.stdin = readStdin()
  if (activeFault.delayBeforeChangeMs !== undefined) pauseMs(activeFault.delayBeforeChangeMs)
  return underLock(() => {
    const state = readState()
    const nowSec = Math.floor(Date.now() / 1000)
    const tables = new Map(
      Object.entries(state.tables ?? {}).map(([name, table]) => {
        const { flags, entries } = Array.isArray(table) ? { flags: '-pa----', entries: table } : table
        return [name, { flags, entries: entries.map((text) => ({ ...parseEntry(text), clearedAt: nowSec })) }]
      }),
    )
    const world = newWorld({
      tables,
      nowSec,
      isStrict: true,
      ...(state.limits === undefined ? {} : { limits: { tables: 1000, ...state.limits } }),
      ...(state.system === undefined ? {} : { system: state.system }),
      device: (path) => (path === '/dev/pf' ? (state.device ?? 'ok') : 'missing'),
      descriptor: (fd) => {
        try {
          fstatSync(fd)
          return 'rdwr'
        } catch {
          return undefined
        }
      },
      readStdin: () => input ?? '',
      readFile: (path) => readFileSync(path, 'latin1'),
    })
    const ran = runPfctl(world, argv)
    if (statePath !== undefined) {
      const saved = [...world.tables].map(([name, { flags, entries }]) => [
        name,
        { flags, entries: entries.map(formatEntry) },
      ])
      const temporary = `${statePath}.${process.pid}`
      writeFileSync(temporary, JSON.stringify({ ...state, tables: Object.fromEntries(saved) }))
      renameSync(temporary, statePath)
    }
    return ran
  })
})()

record({ ...call, exitCode: result.exitCode, dnsAsked: result.dnsAsked })
if (result.dnsAsked.length > 0)
  process.stderr.write(`PFCTL STAND-IN: WOULD HAVE ASKED DNS FOR ${JSON.stringify(result.dnsAsked)}\n`)
process.stdout.write(result.stdout)
process.stderr.write(result.stderr)
if (result.exitCode === null) {
  // Sleeps as in the kernel: not even SIGTERM ends it.
  process.on('SIGTERM', () => {})
  setInterval(() => {}, 60_000)
} else process.exitCode = result.exitCode
