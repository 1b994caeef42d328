/**
 * The cost of replacing a table, compared with the bare program given the same set, in a network namespace of its
 * own: `nft -f -` of one flush and one `add element`, and `ipset restore` of a swap. Run as root, under tsx:
 *
 *     unshare -n node --import tsx bench/firewall.ts [ENTRIES] [ROUNDS]
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { PfFirewall } from '../src/firewall/pf.js'
import { selectFirewall } from '../src/firewall/select.js'
import { checkTable } from '../src/firewall/table-content.js'
import { formatCidrs } from '../src/ip/cidr-text.js'
import { IpRangeCollector } from '../src/ip/ip-range-set.js'
import { runProcess } from '../src/platform/run-process.js'

const entryCount = Number(process.argv[2] ?? 100_000)
const rounds = Number(process.argv[3] ?? 5)
const NETWORKS = { name: 'spamd', content: 'networks' } as const
const PROGRAMS = { nft: '/usr/sbin/nft', ipset: '/usr/sbin/ipset' }

/** A small seeded generator (mulberry32), so that every run loads the same networks. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** About `entryCount` disjoint networks of /20 to /32, as in a collapsed list. */
function seededContent(seed: number): ReturnType<typeof formatCidrs> {
  const random = randomOf(seed)
  const collector = new IpRangeCollector()
  const step = Math.floor((2 ** 32 - 2 ** 25) / entryCount)
  for (let index = 0; index < entryCount; index += 1) {
    const size = 2 ** Math.min(Math.floor(random() * 13), Math.floor(Math.log2(step)) - 1)
    const first = 2 ** 24 + index * step
    const aligned = first - (first % size)
    collector.ipv4.addRange(aligned, aligned + size - 1)
  }
  return formatCidrs(collector.takeSet())
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

async function timed(work: () => Promise<unknown> | unknown): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}

function bareNft(text: string): void {
  execFileSync(PROGRAMS.nft, ['-f', '-'], {
    input: `flush set inet spamd spamd\nadd element inet spamd spamd { ${text.trim().replaceAll('\n', ',')} }\n`,
  })
}

function bareIpset(text: string): void {
  const adds = text
    .trim()
    .split('\n')
    .map((prefix) => `add bare ${prefix}`)
  const size = `maxelem ${Math.max(65_536, adds.length)}`
  execFileSync(PROGRAMS.ipset, ['restore'], {
    input: `create bare hash:net family inet ${size}\n${adds.join('\n')}\nswap bare spamd\ndestroy bare\n`,
  })
}

const contents = [seededContent(1), seededContent(2)]
const texts = contents.map(({ ipv4 }) => Buffer.from(ipv4.text).toString())
console.log(`${contents[0]!.ipv4.count} networks, ${rounds} rounds, medians`)

for (const [choice, bare] of [
  ['nft', bareNft],
  ['ipset', bareIpset],
] as const) {
  if (!existsSync(PROGRAMS[choice])) {
    console.log(`${choice}: not installed`)
    continue
  }
  const firewall = selectFirewall({ choice, pfctl: '', ...PROGRAMS, system: 'linux' })
  await firewall.replaceTable(NETWORKS, contents[0]!)
  const [ours, theirs]: number[][] = [[], []]
  for (let round = 1; round <= rounds; round += 1) {
    ours!.push(await timed(() => firewall.replaceTable(NETWORKS, contents[round % 2]!)))
    theirs!.push(await timed(() => bare(texts[(round + 1) % 2]!)))
  }
  const [our, their] = [median(ours!), median(theirs!)]
  console.log(
    `${choice}: ours ${our.toFixed(0)} ms, bare ${choice} ${their.toFixed(0)} ms, ratio ${(our / their).toFixed(3)}`,
  )
}

// The overhead that we add to any program: checking every byte, the private file, starting a process.
const idle = new PfFirewall({
  program: '/bin/true',
  setting: 'SPAMD_PFCTL',
  timeoutMs: 60_000,
  runner: runProcess,
})
const [checks, empties]: number[][] = [[], []]
for (let round = 0; round < rounds; round += 1) {
  checks!.push(await timed(() => checkTable(NETWORKS, contents[0]!)))
  empties!.push(await timed(() => idle.replaceTable(NETWORKS, contents[0]!)))
}
console.log(
  `our own part: check ${median(checks!).toFixed(1)} ms, whole replace with a program that does nothing ${median(empties!).toFixed(1)} ms`,
)
