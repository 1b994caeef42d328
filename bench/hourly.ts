/**
 * CPU time of the hourly run: as root, in its own network namespace (`npm run bench:hourly [ROUNDS]`, after a build).
 * First 20 unchanged local lists of 5,000 lines, all sent to a port again, compared with `node -e 0`; then with -b,
 * for ipset and nftables: runs that find the table up to date, compared with runs that have to load another list.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compare } from './cpu-time.js'

const root = join(import.meta.dirname, '..')
const rounds = Number(process.argv[2] ?? 9)
const LISTS = 20
const LINES = 5_000
const OLD_SEC = 1_700_000_000
const folder = mkdtempSync(join(tmpdir(), 'hourly-bench-'))
const PROGRAMS = { ipset: '/usr/sbin/ipset', nft: '/usr/sbin/nft' }

function listText(seed: number): string {
  const lines = Array.from({ length: LINES }, (_unused, index) => {
    const value = Math.imul(seed * LINES + index + 1, 0x9e3779b1) >>> 0
    return `${((value >>> 24) % 223) + 1}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}\n`
  })
  return lines.join('')
}

/** The last list of a configuration. */
const lastList = join(folder, `list${LISTS - 1}`)

function writeLists(): string {
  const names = Array.from({ length: LISTS }, (_unused, index) => `list${index}`)
  for (const [index, name] of names.entries()) {
    writeFileSync(join(folder, name), listText(index))
    utimesSync(join(folder, name), OLD_SEC, OLD_SEC)
  }
  const records = names.map((name) => `${name}:black:msg="x":method=file:file=${join(folder, name)}:\n`)
  const conf = join(folder, 'spamd.conf')
  writeFileSync(conf, `all:${names.join(':')}:\n${records.join('')}`)
  return conf
}

/** Receives what is sent and answers nothing, in its own process, since this one waits for programs. */
const SINK = `require('node:net').createServer((socket) => socket.resume()).listen(0, '127.0.0.1', function () { console.log(this.address().port) })`

spawnSync('ip', ['link', 'set', 'lo', 'up'])
const sink = spawn(process.execPath, ['-e', SINK], { stdio: ['ignore', 'pipe', 'inherit'] })
try {
  const [text] = (await once(sink.stdout, 'data')) as [Buffer]
  const environment: NodeJS.ProcessEnv = { ...process.env }
  delete environment.NODE_EXTRA_CA_CERTS
  const conf = writeLists()
  const run = (firewall: string): string =>
    `"${process.execPath}" "${join(root, 'bin/spamd-setup.js')}" ${firewall} --user root --conf "${conf}" --cfg-port ${text.toString().trim()}`
  const compareRuns = (name: string, ours: string, peer: string, limit: string): void =>
    // A file that changed within the last few seconds would be read again.
    compare({ name, ours, peer, limit, before: 'sleep 3' }, rounds, environment)
  const states = (name: string): string => `--state-dir "${join(folder, `state-${name}`)}"`
  const plain = run(states('none'))
  spawnSync('sh', ['-c', plain], { env: environment, stdio: 'inherit' })
  compareRuns(`${LISTS} lists, unchanged / node -e 0`, plain, `"${process.execPath}" -e 0`, '4')
  for (const [name, path] of Object.entries(PROGRAMS)) {
    if (!existsSync(path)) continue
    const withTable = run(`-b --firewall ${name} ${states(name)}`)
    const changed = `echo "192.0.2.$(( $(date +%N | sed 's/^0*//') % 250 ))" >> "${lastList}" && touch -d "@$((${OLD_SEC} + $(date +%s) % 1000000))" "${lastList}" && ${withTable}`
    spawnSync('sh', ['-c', withTable], { env: environment, stdio: 'inherit' })
    compareRuns(`-b ${name}, ${LISTS * LINES} lines: unchanged / changed`, `${withTable}`, changed, '1')
  }
} finally {
  sink.kill()
  rmSync(folder, { recursive: true })
}
