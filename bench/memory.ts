/**
 * Memory and processor use of idle spamd and spamlogd: as root, in their own network namespace (`npm run bench:memory
 * [ENTRIES [only]]`, after a build; `only`: not with an empty database). Private memory (Private_Clean and
 * Private_Dirty of smaps_rollup) of each process 20 s after the start, or later on a busy machine, when the start is over;
 * processor time over the next 60 s, with a scan each minute. Then the same set of CIDRs is sent to the configuration port of spamd three times.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { formatIpv4 } from '../src/ip/address.js'
import { generateDatabase } from './generate-database.js'

const root = join(import.meta.dirname, '..')
const entries = Number(process.argv[2] ?? 1_000_000)
const CIDRS = 1_000_000
const SETTLE_MS = 20_000
const WATCH_MS = 60_000
/** The start is over when all processes together used no more than this in a while. */
const QUIET = { sec: 0.05, whileMs: 5000 }
const TICKS_PER_SEC = 100
const CONFIG_PORT = 8026

interface Process {
  pid: number
  name: string
  privateMib: number
  residentMib: number
  cpuSec: number
  helperSec: number
}

/** The given processes and all their descendants. */
function processesOf(parents: readonly number[]): Process[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    } catch {
      // It has ended meanwhile.
    }
  }
  const all = [...parents]
  for (const pid of all) all.push(...(children.get(pid) ?? []))
  return all.map(look)
}

function look(pid: number): Process {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const mib = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0) / 1024
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  return {
    pid,
    name: words.find((word) => word.includes('spam') || word.includes('tcpdump')) ?? words[0] ?? '',
    privateMib: mib('Private_Clean') + mib('Private_Dirty'),
    residentMib: mib('Rss'),
    // Its own time, and that of programs that it has run (nft).
    cpuSec: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SEC,
    helperSec: (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SEC,
  }
}

/** Waits at least SETTLE_MS, and until the start is over; returns the seconds. */
async function settle(pids: readonly number[]): Promise<number> {
  const usedSec = (): number =>
    processesOf(pids).reduce((sum, { cpuSec, helperSec }) => sum + cpuSec + helperSec, 0)
  const startedMs = performance.now()
  await pause(SETTLE_MS)
  for (let before = -Infinity, used = usedSec(); used - before > QUIET.sec; ) {
    await pause(QUIET.whileMs)
    ;[before, used] = [used, usedSec()]
  }
  return (performance.now() - startedMs) / 1000
}

function start(program: string, words: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const child = spawn(join(root, 'bin', program), words, { env, stdio: 'ignore' })
  child.on('exit', (code) => {
    if (code !== 0 && code !== null) process.stderr.write(`${program} ended with ${code}\n`)
  })
  return child
}

/** Prints the memory of each process and the sum. */
function report(title: string, processes: readonly Process[]): void {
  const total = processes.reduce((sum, { privateMib }) => sum + privateMib, 0)
  process.stdout.write(`${title}: private ${total.toFixed(1)} MiB\n`)
  for (const { name, privateMib, residentMib } of processes) {
    process.stdout.write(
      `  ${name.slice(-40).padEnd(40)} private ${privateMib.toFixed(1)} MiB, resident ${residentMib.toFixed(1)} MiB\n`,
    )
  }
}

/** Prints the share of a core that each process used, including programs that it ran, and the sum. */
function reportProcessor(before: readonly Process[], after: readonly Process[]): void {
  const share = (sec: number): string => `${((sec / (WATCH_MS / 1000)) * 100).toFixed(2)} %`
  const was = new Map(before.map((process) => [process.pid, process]))
  let total = 0
  for (const { pid, name, cpuSec, helperSec } of after) {
    const own = cpuSec - (was.get(pid)?.cpuSec ?? 0)
    const helpers = helperSec - (was.get(pid)?.helperSec ?? 0)
    total += own + helpers
    process.stdout.write(
      `  processor: ${name.slice(-40).padEnd(40)} ${share(own)}, its programs ${share(helpers)}\n`,
    )
  }
  process.stdout.write(`  processor: ${share(total)} of a core together\n`)
}

async function sendList(): Promise<void> {
  const addresses = Array.from({ length: CIDRS }, (_, index) => formatIpv4((0x01000000 + index * 512) >>> 0))
  const items = addresses.map((address) => `${address}/24`)
  const socket = connect({ port: CONFIG_PORT, host: '127.0.0.1', localPort: 900 })
  socket.on('error', (error) => process.stderr.write(`${error.message}\n`))
  socket.resume().end(`bench;"listed";inet;${CIDRS};${items.join(';')}\n`)
  await once(socket, 'close')
}

async function measure(count: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'memory-bench-'))
  chmodSync(folder, 0o755)
  const db = join(folder, 'db.sqlite')
  const env: NodeJS.ProcessEnv = { ...process.env, SPAMD_DB: db, SPAMD_USER: 'nobody' }
  delete env.NODE_EXTRA_CA_CERTS
  spawnSync(process.execPath, [join(root, 'bin/spamdctl.js'), 'init-db'], { env, stdio: 'inherit' })
  if (count > 0) {
    rmSync(db)
    await generateDatabase(db, { entries: count, seed: 1, now: Math.floor(Date.now() / 1000) })
    // Nothing becomes due during the measurement: a tuple that passes before it expires would become WHITE, and that
    // would be written.
    spawnSync(
      'sqlite3',
      [
        db,
        'UPDATE tuples SET expire = expire + 86400, pass = pass + 86400; UPDATE hosts SET expire = expire + 86400, pass = first',
      ],
      { stdio: 'inherit' },
    )
  }
  spawnSync('chown', ['-R', 'nobody', folder])
  const spamd = start('spamd.js', ['--foreground', '--firewall', 'nft', '--state-dir', folder], env)
  const spamlogd = start('spamlogd.js', ['--foreground', '-l', 'nflog:2'], env)
  try {
    const pids = [spamd.pid!, spamlogd.pid!]
    const sec = await settle(pids)
    const before = processesOf(pids)
    report(`idle with ${count} entries, ${sec.toFixed(0)} s after the start`, before)
    await pause(WATCH_MS)
    const after = processesOf(pids)
    reportProcessor(before, after)
    if (count > 0) return
    for (let round = 1; round <= 3; round += 1) {
      await sendList()
      await pause(2000)
      const largest = Math.max(...processesOf([spamd.pid!]).map(({ residentMib }) => residentMib))
      process.stdout.write(
        `${CIDRS} CIDRs sent ${round} times: largest process ${largest.toFixed(0)} MiB resident\n`,
      )
    }
  } finally {
    for (const child of [spamd, spamlogd]) {
      const ended = once(child, 'exit')
      if (child.exitCode === null && child.kill()) await ended
    }
    rmSync(folder, { recursive: true, force: true })
  }
}

spawnSync('ip', ['link', 'set', 'lo', 'up'])
spawnSync('nft', ['-f', '-'], {
  input: 'table inet filter { set spamd-white { type ipv4_addr; flags interval; } }',
})
if (process.argv[3] !== 'only') await measure(0)
if (entries > 0) await measure(entries)
