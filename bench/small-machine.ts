/**
 * All programs on a machine with little memory: as root, in its own network namespace (`npm run bench:small
 * [MIB...]`, after a build). spamd, spamlogd and then spamd-setup -b with 100,000 lines on ipset run in one memory
 * cgroup (page cache and the sets in the kernel are included): first load, unchanged lists, and another list in place
 * of the first, for each limit. Prints the highest use, how often the limit was reached, and which programs were
 * killed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { generateDatabase } from './generate-database.js'

const root = join(import.meta.dirname, '..')
const LINES = 100_000
const ENTRIES = Number(process.env.BENCH_ENTRIES ?? 100_000)
const limits = process.argv.slice(2).map(Number)

/** Mount point of cgroups: version 2, or the memory controller of version 1. */
const VERSION_1 = '/sys/fs/cgroup/memory'
const isVersion1 = existsSync(join(VERSION_1, 'memory.limit_in_bytes'))
const FILES = isVersion1
  ? { limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes', events: 'memory.failcnt' }
  : { limit: 'memory.max', peak: 'memory.peak', events: 'memory.events' }

function makeGroup(mib: number): string {
  const path = join(isVersion1 ? VERSION_1 : '/sys/fs/cgroup', `spamd-bench-${process.pid}-${mib}`)
  mkdirSync(path)
  writeFileSync(join(path, FILES.limit), String(mib * 1024 * 1024))
  return path
}

/** Starts a program inside a group. */
function start(
  group: string,
  program: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
): ChildProcess {
  const enter = `echo $$ > "${join(group, 'cgroup.procs')}"; exec "$0" "$@"`
  return spawn('sh', ['-c', enter, process.execPath, join(root, 'bin', program), ...words], {
    env,
    stdio: ['ignore', 'ignore', program === 'spamd-setup.js' ? 'inherit' : 'ignore'],
  })
}

function listText(first: number): string {
  const lines = Array.from({ length: LINES }, (_unused, index) => {
    const value = (first + index * 37_000) >>> 0
    return `${(value >>> 24) % 223 || 1}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`
  })
  return `${lines.join('\n')}\n`
}

function setCount(): string {
  const { stdout } = spawnSync('ipset', ['save', 'spamd'], { encoding: 'latin1', maxBuffer: 1e9 })
  return `${stdout.split('\n').filter((line) => line.startsWith('add ')).length} networks in the set`
}

function verdict(child: ChildProcess): string {
  return child.exitCode === null && child.signalCode === null
    ? 'runs'
    : `ended (${child.signalCode ?? child.exitCode})`
}

async function measure(mib: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'small-bench-'))
  chmodSync(folder, 0o755)
  const db = join(folder, 'db.sqlite')
  await generateDatabase(db, { entries: ENTRIES, seed: 1, now: Math.floor(Date.now() / 1000) })
  spawnSync('chown', ['-R', 'nobody', folder])
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    SPAMD_DB: db,
    SPAMD_USER: 'nobody',
    SPAMD_FIREWALL: 'ipset',
    SPAMD_STATE_DIR: folder,
  }
  delete env.NODE_EXTRA_CA_CERTS
  const [list, conf] = [join(folder, 'list'), join(folder, 'spamd.conf')]
  writeFileSync(conf, `all:bench:\nbench:black:msg="listed":method=file:file=${list}:\n`)
  const group = makeGroup(mib)
  const daemons = {
    spamd: start(group, 'spamd.js', ['--foreground'], env),
    spamlogd: start(group, 'spamlogd.js', ['-D', '-l', 'nflog:2'], env),
  }
  try {
    await pause(15_000)
    for (const [name, text] of [
      ['first load', listText(0x01000000)],
      ['unchanged', undefined],
      ['another list', listText(0x01000101)],
    ] as const) {
      if (text !== undefined) writeFileSync(list, text)
      const setup = start(group, 'spamd-setup.js', ['-b', '--user', 'nobody', '--conf', conf], env)
      await once(setup, 'exit')
      await pause(3_000)
      const told = Object.entries(daemons).map(([program, child]) => `${program} ${verdict(child)}`)
      process.stdout.write(
        `${mib} MiB, ${name}: spamd-setup ${verdict(setup)}, ${setCount()}, ${told.join(', ')}\n`,
      )
    }
    const peak = Number(readFileSync(join(group, FILES.peak), 'latin1')) / 1024 / 1024
    const events = readFileSync(join(group, FILES.events), 'latin1').trim().replaceAll('\n', ', ')
    process.stdout.write(
      `${mib} MiB: highest ${peak.toFixed(0)} MiB, page cache included; limit met: ${events}\n`,
    )
  } finally {
    for (const child of Object.values(daemons)) {
      const ended = once(child, 'exit')
      if (child.exitCode === null && child.signalCode === null && child.kill()) await ended
    }
    await pause(500)
    rmdirSync(group)
    for (const name of ['spamd', 'spamd6', 'spamd-white', 'spamd-white6'])
      spawnSync('ipset', ['destroy', name])
    rmSync(folder, { recursive: true, force: true })
  }
}

spawnSync('ip', ['link', 'set', 'lo', 'up'])
for (const mib of limits.length === 0 ? [256, 192, 128] : limits) await measure(mib)
