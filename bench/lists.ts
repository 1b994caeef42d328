/**
 * Black lists of 10,000 to 5,000,000 lines, each with a white list of a tenth, as whole processes, compared with
 * Debian's iprange and an empty Node. Needs the build and iprange; prints ratios, and checks that both write the
 * same.
 *
 *   npx tsx bench/lists.ts [--rounds N] [--only WORD]
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  commentedNetworks,
  crowdedSingles,
  mixedIpv4,
  mixedIpv6,
  sortedSingles,
  writeList,
} from './generate-lists.js'

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, only: { type: 'string', default: '' } },
})
const rounds = Number(flags.rounds)
const folder = mkdtempSync(join(tmpdir(), 'spamdctl-bench-'))
const root = join(import.meta.dirname, '..')
const file = (name: string) => join(folder, name)

interface Run {
  seconds: number
  peakMegabytes: number
}

/** Runs one whole process; time(1) reports its peak memory. */
function run(command: readonly string[]): Run {
  const start = performance.now()
  const result = spawnSync('/usr/bin/time', ['-f', 'peak %M', ...command], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined },
  })
  const seconds = (performance.now() - start) / 1000
  if (result.status !== 0) throw new Error(`${command.join(' ')}: ${result.stderr}`)
  return { seconds, peakMegabytes: Number(/peak (\d+)/.exec(result.stderr)![1]) / 1024 }
}

/** The best of some rounds in which the commands alternate, so that a busy machine affects all of them. */
function best(commands: readonly (readonly string[])[]): Run[] {
  const runs = commands.map(() => [] as Run[])
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, command] of commands.entries()) runs[index]!.push(run(command))
  }
  return runs.map((all) => all.reduce((left, right) => (left.seconds < right.seconds ? left : right)))
}

const lists = ['node', join(root, 'bench/collapse-process.js')]
const iprange = (black: string, white: string, output: string) => [
  'sh',
  '-c',
  'iprange "$1" --except "$2" > "$3"',
  'sh',
  black,
  white,
  output,
]

/** Runs `spamd-setup -n --output` on the same files; undefined if it is not built. */
function setup(black: string, white: string, output: string, name = ''): string[] | undefined {
  const program = join(root, 'bin/spamd-setup.js')
  if (!existsSync(program) || !existsSync(join(root, 'dist/src/programs/spamd-setup.js'))) return undefined
  const conf = file(`spamd${name}.conf`)
  writeFileSync(conf, `all:b:w:\nb:black:msg="x":file=${black}:\nw:white:file=${white}:\n`)
  return [
    'node',
    program,
    '-n',
    '--user',
    'root',
    '--conf',
    conf,
    '--state-dir',
    file('state'),
    '--firewall',
    'none',
    '--output',
    output,
  ]
}

function report(name: string, figure: number, unit: string): void {
  console.log(`${name}: ${figure.toFixed(2)} ${unit}`)
}

/** iprange writes single addresses without a prefix length. */
function sameText(ours: string, peer: string): boolean {
  return readFileSync(ours, 'latin1').replaceAll('/32\n', '\n') === readFileSync(peer, 'latin1')
}

function compare(name: string, lines: number, makeLine: typeof mixedIpv4): void {
  if (!name.includes(flags.only)) return
  const black = file('black.txt')
  const white = file('white.txt')
  writeList(black, lines, 1, makeLine)
  writeList(white, lines / 10, 2, makeLine)
  const program = setup(black, white, file('setup.txt'))
  const commands = [
    [...lists, black, white, file('ours.txt')],
    iprange(black, white, file('peer.txt')),
    ['node', '-e', '0'],
    ...(program === undefined ? [] : [program]),
  ]
  const [ours, peer, node, whole] = best(commands)
  console.log(`${name}, ${lines} lines:`)
  if (!sameText(file('ours.txt'), file('peer.txt')))
    throw new Error('the output differs from that of iprange')
  for (const [label, result] of [
    ['list code', ours],
    ['spamd-setup', whole],
  ] as const) {
    if (result === undefined) continue
    if (label === 'spamd-setup' && !sameText(file('setup.txt'), file('peer.txt'))) {
      throw new Error('the output of spamd-setup differs from that of iprange')
    }
    report(`  ${label}`, result.seconds, `s, ${result.peakMegabytes.toFixed(0)} MB`)
    report(`  ${label} / iprange`, result.seconds / peer!.seconds, 'x')
    report(`  ${label} / node -e 0`, result.seconds / node!.seconds, 'x')
  }
  report('  iprange', peer!.seconds, `s, ${peer!.peakMegabytes.toFixed(0)} MB`)
}

function compareFamilies(): void {
  if (!'ipv6'.includes(flags.only)) return
  const paths = ['4', '6'].flatMap((family) => [file(`black${family}.txt`), file(`white${family}.txt`)])
  paths.forEach((path, index) => {
    writeList(path, index % 2 === 0 ? 1_000_000 : 100_000, index + 1, index < 2 ? mixedIpv4 : mixedIpv6)
  })
  const [black4, white4, black6, white6] = paths as [string, string, string, string]
  const pairs = [
    ['list code', [...lists, black4, white4, file('four.txt')], [...lists, black6, white6, file('six.txt')]],
    [
      'spamd-setup',
      setup(black4, white4, file('four.txt'), '4'),
      setup(black6, white6, file('six.txt'), '6'),
    ],
  ] as const
  for (const [label, fourCommand, sixCommand] of pairs) {
    if (fourCommand === undefined || sixCommand === undefined) continue
    const [four, six] = best([fourCommand, sixCommand])
    report(`IPv6, 1000000 lines: ${label}`, six!.seconds, `s, ${six!.peakMegabytes.toFixed(0)} MB`)
    report('  IPv6 / IPv4', six!.seconds / four!.seconds, 'x')
  }
}

try {
  for (const lines of [10_000, 100_000, 1_000_000, 5_000_000]) compare('mixed', lines, mixedIpv4)
  compare('sorted', 1_000_000, sortedSingles)
  compare('crowded', 1_000_000, crowdedSingles)
  compare('networks', 100_000, commentedNetworks)
  compareFamilies()
} finally {
  rmSync(folder, { recursive: true })
}
