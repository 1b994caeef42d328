/**
 * Feeds mutated config lines to their decoder and stops at the first broken rule, keeping the input in
 * test/corpus. Not part of `npm test`: `npx tsx test/fuzz/fuzz-config-lines.ts [INPUTS [SEED]]`.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkConfigLines } from './check-config-lines.js'

const CORPUS = join(import.meta.dirname, '../corpus/config-line')
const TOKENS = [
  ';',
  '"',
  '\\',
  '\n',
  '\r',
  '\0',
  'inet',
  'inet6',
  '/',
  '::',
  '1',
  '255',
  '4294967296',
  '0x1',
  ' ',
  '+',
  '-',
  '1.2.3.4/32',
  '::ffff:1.2.3.4/96',
].map((token) => Buffer.from(token))

const inputCount = Number(process.argv[2] ?? 100_000)
let state = Number(process.argv[3] ?? Date.now())

/** A whole number below `limit` (mulberry32). */
function below(limit: number): number {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
}

const seeds = readdirSync(CORPUS).map((name) => readFileSync(join(CORPUS, name)))
const anySeed = (): Buffer => seeds[below(seeds.length)]!

function mutate(seed: Buffer): Buffer {
  let bytes = Buffer.from(seed)
  for (let step = below(5); step >= 0; step -= 1) {
    const at = below(bytes.length + 1)
    const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
    const ways = [
      () => Buffer.concat([head, Buffer.of(below(256)), tail.subarray(1)]),
      () => Buffer.concat([head, tail.subarray(below(8))]),
      () => Buffer.concat([head, TOKENS[below(TOKENS.length)]!, tail]),
      () => Buffer.concat([head, anySeed().subarray(below(200))]),
      () => head,
    ]
    bytes = ways[below(ways.length)]!()
  }
  return bytes
}

const counts = new Map<string, number>()
for (let index = 0; index < inputCount; index += 1) {
  const input = mutate(anySeed())
  try {
    for (const { kind } of checkConfigLines(input, below(1_000)))
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
  } catch (error) {
    const name = `${createHash('sha256').update(input).digest('hex').slice(0, 16)}.bin`
    writeFileSync(join(CORPUS, name), input)
    process.stderr.write(`input ${index}, kept as ${name}: ${(error as Error).message}\n`)
    process.exit(1)
  }
}
process.stdout.write(`${inputCount} inputs: ${JSON.stringify(Object.fromEntries(counts))}\n`)
