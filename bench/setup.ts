/**
 * Whole-process speed of spamd-setup: parallel fetching compared with its slowest list, and runs of every kind
 * compared with Node itself. `npx tsx bench/setup.ts`, after a build, as root (only root may send from a port below
 * 1024). Prints one line for each measurement: ours, the peer, the ratio, and the limit if docs/benchmarks.md has one.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PROGRAM = join(import.meta.dirname, '..', 'bin', 'spamd-setup.js')
const ROUNDS = 9
const SLOWEST_MS = 2_000
const LISTS = 20

const folder = mkdtempSync(join(tmpdir(), 'setup-bench-'))
const environment: NodeJS.ProcessEnv = { ...process.env, SPAMD_FIREWALL: 'none' }
// Every Node process would read the certificates named by this variable, which would hide the difference.
delete environment.NODE_EXTRA_CA_CERTS

/** A seeded generator, so that every run has the same lists. Source: Numerical Recipes, ranqd1. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state
  }
}

function listText(lines: number, seed: number): string {
  const next = seeded(seed)
  let text = '# a list of addresses, networks and ranges\n'
  for (let line = 0; line < lines; line += 1) {
    const value = next()
    const head = `${((value >>> 24) % 223) + 1}.${(value >>> 16) & 255}.${(value >>> 8) & 255}`
    const kind = next() >>> 24
    if (kind < 230) text += `${head}.${value & 255}\n`
    else if (kind < 245) text += `${head}.0/24\n`
    else if (kind < 252) text += `${head}.16 - ${head}.99\n`
    else text += `${head}.${value & 255} # seen yesterday\n`
  }
  return text
}

async function timeMs(args: readonly string[], allowedCodes: readonly number[] = [0]): Promise<number> {
  const start = performance.now()
  const child = spawn(process.execPath, args, { env: environment, stdio: ['ignore', 'ignore', 'inherit'] })
  const [exitCode] = (await once(child, 'exit')) as [number | null]
  if (!allowedCodes.includes(exitCode ?? -1)) throw new Error(`${args.join(' ')}: exit ${exitCode}`)
  return performance.now() - start
}

function median(values: number[]): number {
  return values.sort((one, other) => one - other)[Math.floor(values.length / 2)]!
}

/** Medians of alternating runs, so that other work of the machine affects all alike. */
async function inTurn(
  runs: Record<string, () => Promise<number>>,
  rounds: number,
): Promise<Record<string, number>> {
  const times = Object.entries(runs).map(([name, run]) => ({ name, run, values: [] as number[] }))
  for (let round = 0; round < rounds; round += 1) {
    for (const { run, values } of times) values.push(await run())
  }
  return Object.fromEntries(times.map(({ name, values }) => [name, median(values)]))
}

function show(name: string, oursMs: number, peer: string, peerMs: number, limit?: number): void {
  const ratio = (oursMs / peerMs).toFixed(2)
  const wanted = limit === undefined ? '' : `, at most ${limit}`
  console.log(`${name}: ${oursMs.toFixed(0)} ms, ${peer}: ${peerMs.toFixed(0)} ms, ratio ${ratio}${wanted}`)
}

function conf(
  name: string,
  lists: readonly { name: string; white?: boolean; method: string; file: string }[],
): string[] {
  const path = join(folder, name)
  const records = lists.map(
    ({ name: listName, white, method, file }) =>
      `${listName}:${white === true ? 'white' : 'black:msg="x"'}:method=${method}:file=${file.replaceAll(':', '\\c')}:\n`,
  )
  writeFileSync(path, `all:${lists.map((list) => list.name).join(':')}:\n${records.join('')}`)
  return [PROGRAM, '--conf', path, '--state-dir', join(folder, `${name}-state`), '--user', 'root']
}

async function measureFetching(): Promise<void> {
  const body = listText(2_000, 7)
  const server = createServer((request, response) => {
    const number = Number(request.url?.slice(1))
    // The first list is the slowest; the others take half to nearly all of its time.
    const delayMs = number === 0 ? SLOWEST_MS : SLOWEST_MS * (0.5 + (0.45 * number) / LISTS)
    setTimeout(() => response.end(body), delayMs)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const lists = Array.from({ length: LISTS }, (_unused, index) => ({
    name: `l${index}`,
    method: 'http',
    file: `${host}/${index}`,
  }))
  const all = conf('all.conf', lists)
  const one = conf('one.conf', lists.slice(0, 1))
  const times = await inTurn({ all: () => timeMs([...all, '-n']), one: () => timeMs([...one, '-n']) }, 3)
  show(`${LISTS} lists over HTTP`, times.all!, 'its slowest alone', times.one!, 1.1)
  await new Promise((resolve) => server.close(resolve))
}

async function measureRuns(): Promise<void> {
  const spamd = createTcpServer((socket) => socket.resume())
  await new Promise<void>((resolve) => spamd.listen(0, '127.0.0.1', resolve))
  const port = String((spamd.address() as AddressInfo).port)
  const sized = (lines: number): string[] => {
    const black = join(folder, `b${lines}`)
    const white = join(folder, `w${lines}`)
    writeFileSync(black, listText(lines, 1))
    writeFileSync(white, listText(lines / 10, 2))
    return conf(`${lines}.conf`, [
      { name: 'b', method: 'file', file: black },
      { name: 'w', white: true, method: 'file', file: white },
    ])
  }
  const small = sized(10_000)
  const large = sized(100_000)
  const out = join(folder, 'out')
  const times = await inTurn(
    {
      node: () => timeMs(['-e', '0']),
      check: () => timeMs([...small, '--check']),
      dry: () => timeMs([...small, '-n', '--output', out]),
      real: () => timeMs([...small, '--cfg-port', port]),
      dryLarge: () => timeMs([...large, '-n', '--output', out]),
      realLarge: () => timeMs([...large, '--cfg-port', port]),
    },
    ROUNDS,
  )
  show('spamd-setup --check', times.check!, 'node -e 0', times.node!)
  show('10,000 lines, -n --output', times.dry!, 'node -e 0', times.node!, 2.5)
  show('10,000 lines, copied, sent and recorded', times.real!, 'node -e 0', times.node!)
  show('100,000 lines, -n --output', times.dryLarge!, 'node -e 0', times.node!)
  show('100,000 lines, copied, sent and recorded', times.realLarge!, 'node -e 0', times.node!)
  await new Promise((resolve) => spamd.close(resolve))
}

try {
  await measureFetching()
  await measureRuns()
} finally {
  rmSync(folder, { recursive: true })
}
