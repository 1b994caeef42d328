/**
 * spamlogd on a real nflog group, in its own network namespaces: losses and processor time at 20,000 and 1,000 SYN/s
 * and when idle, and the number of packets processed under overload. Needs root. Run: `npx tsx bench/spamlogd-live.ts
 * [ENTRIES]` after a build.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateDatabase } from './generate-database.js'

const HERE = `slbh${process.pid}`
const PEER = `slbp${process.pid}`
const RULES = `table inet bench {
  chain incoming {
    type filter hook input priority 0; policy accept;
    tcp dport 25 tcp flags & (syn | ack) == syn counter log prefix "spamlogd-in" group 25 snaplen 128 queue-threshold 64
    tcp dport 25 drop
  }
}
`
const LOADS = [
  { ratePerSec: 150_000, seconds: 10, target: 'no fewer seen a second than at 80,000' },
  { ratePerSec: 80_000, seconds: 10, target: 'the best rate' },
  { ratePerSec: 20_000, seconds: 20, target: 'lossless, under 60 % of a core' },
  { ratePerSec: 1_000, seconds: 10, target: 'lossless, under 5 %' },
  { ratePerSec: 0, seconds: 10, target: 'under 1 %' },
]
const TICKS_PER_SEC = 100

const scratch = mkdtempSync(join(tmpdir(), 'spamlogd-bench-'))
const dbPath = join(scratch, 'spamd.sqlite')
const logPath = join(scratch, 'log')
const ip = (...args: string[]) => execFileSync('ip', args)

await generateDatabase(dbPath, { entries: Number(process.argv[2] ?? 1_000_000), seed: 1 })
for (const namespace of [HERE, PEER]) ip('netns', 'add', namespace)
try {
  ip('-n', HERE, 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth0', 'netns', PEER)
  for (const [namespace, number] of [
    [HERE, 1],
    [PEER, 2],
  ] as const) {
    ip('-n', namespace, 'addr', 'add', `198.51.100.${number}/24`, 'dev', 'veth0')
    ip('-n', namespace, 'link', 'set', 'veth0', 'up')
  }
  // The generated peers must seem reachable.
  ip('-n', HERE, 'route', 'add', '10.0.0.0/8', 'dev', 'veth0')
  for (const name of ['all', 'veth0']) {
    ip('netns', 'exec', HERE, 'sysctl', '-qw', `net.ipv4.conf.${name}.rp_filter=0`)
  }
  execFileSync('ip', ['netns', 'exec', HERE, 'nft', '-f', '-'], { input: RULES })
  for (const load of LOADS) await measure(load)
} finally {
  for (const namespace of [HERE, PEER]) ip('netns', 'del', namespace)
  rmSync(scratch, { recursive: true, force: true })
}

async function measure(load: (typeof LOADS)[number]): Promise<void> {
  const log = openSync(logPath, 'w')
  const program = [process.execPath, 'bin/spamlogd.js', '--foreground', '-l', 'nflog:25', '--user', 'root']
  const child = spawn('ip', ['netns', 'exec', HERE, ...program, '--db', dbPath], {
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const pid = child.pid!
  process.kill(pid, 0)
  await askForStatistics(pid)
  const before = cpuSec(pid)
  const loggedBefore = loggedCount()
  const startedMs = performance.now()
  const sent = load.ratePerSec === 0 ? 0 : await flood(load.ratePerSec, load.seconds)
  // A busy machine drops packets before they reach any rule.
  const logged = loggedCount() - loggedBefore
  if (load.ratePerSec === 0) await sleep(load.seconds * 1_000)
  // Packets that the kernel still buffers arrive within its flush time.
  let [matched, lostCount] = [-1, 0]
  for (let count = 0; count < 6 && matched !== logged; count += 1) {
    await sleep(500)
    ;[matched, lostCount] = await askForStatistics(pid)
  }
  const wallSec = (performance.now() - startedMs) / 1_000
  const share = ((cpuSec(pid) - before) / wallSec) * 100
  const memory = /VmHWM:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  child.kill('SIGTERM')
  await once(child, 'exit')
  const peak = Math.round(Number(memory) / 1024)
  console.log(
    `${load.ratePerSec} SYN/s for ${load.seconds} s: sent ${sent}, logged by the rule ${logged}, seen ${matched} (${Math.round(matched / wallSec)}/s), lost ${logged - matched} (overflows counted: ${lostCount}), ${share.toFixed(1)} % of a core, peak ${peak} MiB (aim: ${load.target})`,
  )
}

/** Number of packets that the rule has logged. */
function loggedCount(): number {
  const text = execFileSync('ip', ['netns', 'exec', HERE, 'nft', 'list', 'ruleset'], { encoding: 'latin1' })
  return Number(/counter packets ([0-9]+)/.exec(text)?.[1])
}

async function flood(ratePerSec: number, seconds: number): Promise<number> {
  const args = [
    'netns',
    'exec',
    PEER,
    'python3',
    'bench/syn-flood.py',
    '198.51.100.1',
    String(ratePerSec),
    String(seconds),
  ]
  const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const chunks: Buffer[] = []
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer)
  return Number(Buffer.concat(chunks).toString())
}

/**
 * Sends SIGUSR1 until the log holds one more line of statistics than before, and returns its counts of matches and of
 * losses. Lines asked for earlier may come late on a busy machine, and say what was true then.
 */
async function askForStatistics(pid: number): Promise<[matched: number, lostCount: number]> {
  const lines = () => [
    ...readFileSync(logPath, 'latin1').matchAll(/statistics .*matched=([0-9]+) .*lostByKernel=([0-9]+)/g),
  ]
  const knownCount = lines().length
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const found = lines()
    if (found.length > knownCount) return [Number(found.at(-1)?.[1]), Number(found.at(-1)?.[2])]
    await sleep(50)
    // Before its handler is installed the signal would end it: the first line says that it is.
    const isListening = /Listening/.test(readFileSync(logPath, 'latin1'))
    if (isListening && attempt >= 20 && attempt % 20 === 0) process.kill(pid, 'SIGUSR1')
  }
  throw new Error(`no statistics from spamlogd:\n${readFileSync(logPath, 'latin1').slice(-2_000)}`)
}

/** Processor time of a process. Source: proc_pid_stat(5), fields 14 and 15. */
function cpuSec(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SEC
}
