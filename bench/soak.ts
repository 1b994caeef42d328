/**
 * Runs the built daemon for half an hour under a mixed load: mail, edits, lists, reloads, listings, a flushed cache.
 * Prints memory, descriptors and the size of the database's log for every tenth of the time. Fails if one of them
 * keeps growing, if the daemon ends or restarts its child, or if a mail is not answered.
 *
 *   npm run soak [-- --minutes 30 --rate 40]
 *
 * Run `npm run build` first. Needs Linux, for /proc.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { reservePort } from '../test/support/reserve-port.js'

const { values: flags } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, rate: { type: 'string', default: '40' } },
})
const durationMs = Number(flags.minutes) * 60_000
const perSecond = Number(flags.rate)
if (!(durationMs > 0) || !(perSecond > 0)) throw new RangeError('--minutes and --rate are numbers above 0')

const BIN = join(import.meta.dirname, '../bin')
const MIB = 1024 * 1024
/** Allowed growth between the second fifth of the time, when everything is warm, and the last. */
const MAX_GAIN = { memoryMib: 24, descriptors: 10, logMib: 16 }
const folder = mkdtempSync(join(tmpdir(), 'spamd-soak-'))
const port = await reservePort()
const socketPath = join(folder, 'spamd.sock')
const environment = {
  PATH: process.env.PATH!,
  SPAMD_DB: join(folder, 'spamd.sqlite'),
  SPAMD_CONTROL_SOCKET: socketPath,
  SPAMD_STATE_DIR: join(folder, 'lists'),
  SPAMD_KEY: join(folder, 'key'),
  SPAMD_ALLOWEDDOMAINS: join(folder, 'alloweddomains'),
  SPAMD_FIREWALL: 'none',
  SPAMD_USER: userInfo().username,
  SPAMD_PORT: String(port),
  SPAMD_CFG_PORT: String(await reservePort()),
}

/** One measurement of the daemon. */
interface Sample {
  memoryMib: number
  descriptors: number
  logMib: number
}

const words = [
  '--foreground',
  '-s',
  '0',
  '-S',
  '0',
  '-G',
  '30s:3m:5m',
  '--trapexp',
  '2m',
  '--scan-interval',
  '10s',
]
const daemon = spawn(
  process.execPath,
  [join(BIN, 'spamd.js'), ...words, '--proxy-protocol', '127.0.0.0/8', '--max-per-ip', '400'],
  { env: environment, stdio: ['ignore', 'pipe', 'pipe'] },
)
let output = ''
for (const stream of [daemon.stdout, daemon.stderr]) {
  stream.on('data', (bytes: Buffer) => {
    output = (output + bytes.toString('latin1')).slice(-20_000)
  })
}

try {
  while (!output.includes('listening for incoming connections.')) {
    if (daemon.exitCode !== null) throw new Error(`spamd ended: ${output}`)
    await pause(50)
  }
  await soak()
} finally {
  daemon.kill('SIGTERM')
  await once(daemon, 'exit')
  rmSync(folder, { recursive: true, force: true })
}

async function soak(): Promise<void> {
  const endMs = performance.now() + durationMs
  const startMs = performance.now()
  const counts = { mails: 0, greylisted: 0, unanswered: 0, commands: 0, failed: 0 }
  const firstTree = processTree(daemon).join()
  const samples: Sample[] = []
  const tasks = [mail(endMs, counts), administer(endMs, counts)]
  for (let tenth = 1; tenth <= 10; tenth += 1) {
    const untilMs = startMs + (tenth * durationMs) / 10
    const looks: Sample[] = []
    while (performance.now() < untilMs) {
      await pause(Math.min(2_000, durationMs / 100))
      if (daemon.exitCode !== null) throw new Error(`spamd ended: ${output}`)
      looks.push(look())
    }
    const sample = medianOf(looks)
    samples.push(sample)
    console.log(
      `${tenth * 10} %: memory ${sample.memoryMib.toFixed(0)} MiB, ${sample.descriptors} descriptors, log of the database ${sample.logMib.toFixed(1)} MiB, ${JSON.stringify(counts)}`,
    )
  }
  await Promise.all(tasks)
  const [warm, last] = [samples[3]!, samples[9]!]
  const faults = (Object.keys(MAX_GAIN) as (keyof Sample)[])
    .filter((name) => last[name] - warm[name] > MAX_GAIN[name])
    .map((name) => `${name} grew from ${warm[name].toFixed(1)} to ${last[name].toFixed(1)}`)
  if (counts.unanswered > 0) faults.push(`${counts.unanswered} mails were not answered`)
  if (counts.failed > 0) faults.push(`${counts.failed} commands failed`)
  if (processTree(daemon).join() !== firstTree) faults.push('a process of the daemon was started again')
  if (faults.length > 0) throw new Error(faults.join('; '))
  console.log('nothing grew without end')
}

/** Dialogues at the requested rate from a changing set of addresses, of which a third comes back. */
async function mail(
  endMs: number,
  counts: { mails: number; greylisted: number; unanswered: number },
): Promise<void> {
  let number = 0
  while (performance.now() < endMs) {
    const begunMs = performance.now()
    const batch = Array.from({ length: Math.ceil(perSecond / 10) }, () => {
      number += 1
      // Addresses come back every 200 mails for a while, then others replace them.
      const host = (Math.floor(number / 2_000) * 97 + (number % 200)) % 65_000
      return dialogue(`10.${host >> 8}.${host & 255}.${1 + (number % 3)}`, number)
    })
    for (const answer of await Promise.all(batch)) {
      counts.mails += 1
      if (answer.includes('451 ')) counts.greylisted += 1
      else if (!/\n(450|250|221) /.test(answer)) counts.unanswered += 1
    }
    await pause(Math.max(0, 100 - (performance.now() - begunMs)))
  }
}

function dialogue(ip: string, number: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    let text = ''
    const recipient = number % 50 === 0 ? 'trap@example.org' : 'reader@example.org'
    const lines = [
      'HELO mx.example',
      `MAIL FROM:<s${number % 40}@example.net>`,
      `RCPT TO:<${recipient}>`,
      'DATA',
      'x',
      '.',
      'QUIT',
    ]
    socket.setTimeout(30_000, () => socket.destroy())
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
    })
    socket.on('close', () => resolve(text))
    socket.write(`PROXY TCP4 ${ip} 192.0.2.25 1025 25\r\n${lines.join('\r\n')}\r\n`)
  })
}

/** What administrators and cron jobs do meanwhile. */
async function administer(endMs: number, counts: { commands: number; failed: number }): Promise<void> {
  const list = join(folder, 'list.txt')
  const conf = join(folder, 'spamd.conf')
  writeFileSync(
    conf,
    `all:\\\n\t:mine:\n\nmine:\\\n\t:black:\\\n\t:msg="listed":\\\n\t:method=file:\\\n\t:file=${list}:\n`,
  )
  for (let round = 0; performance.now() < endMs; round += 1) {
    writeFileSync(
      list,
      Array.from({ length: 2_000 }, (_, index) => `11.${round % 200}.${index >> 8}.${index & 255}\n`).join(
        '',
      ),
    )
    await run(counts, 'spamdb.js', '-T', '-a', 'trap@example.org')
    await run(counts, 'spamdb.js', '-a', `192.0.2.${1 + (round % 200)}`)
    await run(counts, 'spamdb.js')
    await run(counts, 'spamd-setup.js', '--conf', conf, '--config-socket', socketPath)
    await run(counts, 'spamdctl.js', 'status')
    await run(counts, 'spamdctl.js', 'connections', '--json')
    daemon.kill('SIGHUP')
    await pause(3_000)
  }
}

async function run(
  counts: { commands: number; failed: number },
  program: string,
  ...args: string[]
): Promise<void> {
  const child = spawn(process.execPath, [join(BIN, program), ...args], {
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString('latin1')
  })
  const [code] = (await once(child, 'close')) as [number | null]
  counts.commands += 1
  if (code === 0) return
  counts.failed += 1
  console.log(`${program} ${args.join(' ')}: exit ${code}: ${stderr}`)
}

/** The daemon's process and those of its children that are Node. */
function processTree({ pid }: ChildProcess): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number)
  return [
    pid!,
    ...children.filter((child) => readFileSync(`/proc/${child}/comm`, 'latin1').startsWith('node')),
  ]
}

function look(): Sample {
  let [memoryMib, descriptors] = [0, 0]
  for (const pid of processTree(daemon)) {
    const status = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
    memoryMib += Number(/^Pss:\s+(\d+) kB/m.exec(status)![1]) / 1024
    descriptors += readdirSync(`/proc/${pid}/fd`).length
  }
  const log = statSync(`${environment.SPAMD_DB}-wal`, { throwIfNoEntry: false })
  return { memoryMib, descriptors, logMib: (log?.size ?? 0) / MIB }
}

function medianOf(samples: readonly Sample[]): Sample {
  const median = (name: keyof Sample): number =>
    samples.map((sample) => sample[name]).sort((a, b) => a - b)[samples.length >> 1]!
  return { memoryMib: median('memoryMib'), descriptors: median('descriptors'), logMib: median('logMib') }
}
