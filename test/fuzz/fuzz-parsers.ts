/**
 * Feeds mutated lists and spamd.conf files to their parsers and stops at the first broken rule, keeping the
 * input in test/corpus. Not part of `npm test`: `npx tsx test/fuzz/fuzz-parsers.ts [INPUTS [SEED]]`.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkConf, checkList } from './check-parsers.js'

const CORPUS = join(import.meta.dirname, '../corpus')
const TOKENS: Record<string, string[]> = {
  lists: [
    '\n',
    '\r\n',
    '/',
    '-',
    ' - ',
    '.',
    ':',
    '::',
    '#',
    ';',
    '!',
    '"',
    ',',
    '\t',
    '0',
    '255',
    '32',
    '/0',
    '{',
    '}',
    'add x ',
    '\0',
    '\xff',
    '::ffff:',
    '128',
    '1.2.3.4',
    '1.2.3.4/24\n',
    ' nomatch',
  ],
  getcap: [
    '\n',
    '\\\n',
    '\\',
    ':',
    '|',
    '"',
    '@',
    '#',
    '=',
    '^',
    'tc=',
    'all:',
    ':black:',
    ':white:',
    ':msg="',
    ':file=/',
    ':method=',
    '\t',
    ' ',
    '\\c',
    '\\0',
    '\0',
    '\xe9',
    'a',
  ],
}

const inputCount = Number(process.argv[2] ?? 1_000_000)
let state = Number(process.argv[3] ?? 1)

/** xorshift32: the same inputs for the same seed. */
function random(limit: number): number {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % limit
}

function mutate(seeds: readonly Buffer[], tokens: readonly string[]): Buffer {
  let bytes = Buffer.from(seeds[random(seeds.length)]!)
  for (let step = random(6); step >= 0; step -= 1) {
    const at = random(bytes.length + 1)
    const to = Math.min(bytes.length, at + random(24))
    const head = bytes.subarray(0, at)
    switch (random(7)) {
      case 0:
        if (at < bytes.length) bytes[at] = random(256)
        break
      case 1:
        bytes = Buffer.concat([
          head,
          Buffer.from(tokens[random(tokens.length)]!, 'latin1'),
          bytes.subarray(at),
        ])
        break
      case 2:
        bytes = Buffer.concat([head, bytes.subarray(to)])
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at, to), bytes.subarray(to)])
        break
      case 4: {
        const other = seeds[random(seeds.length)]!
        bytes = Buffer.concat([head, other.subarray(random(other.length + 1))])
        break
      }
      case 5:
        if (at < bytes.length) bytes[at]! ^= 1 << random(8)
        break
      default:
        bytes = Buffer.concat([
          head,
          Buffer.from(tokens[random(tokens.length)]!, 'latin1'),
          bytes.subarray(to),
        ])
    }
  }
  return bytes.subarray(0, 4096)
}

function run(kind: 'lists' | 'getcap', check: (bytes: Buffer) => void): void {
  const folder = join(CORPUS, kind)
  const seeds = readdirSync(folder).map((name) => readFileSync(join(folder, name)))
  const startMs = performance.now()
  for (let input = 0; input < inputCount; input += 1) {
    const bytes = mutate(seeds, TOKENS[kind]!)
    try {
      check(bytes)
    } catch (error) {
      const name = join(folder, `found-${createHash('sha1').update(bytes).digest('hex').slice(0, 10)}`)
      writeFileSync(name, bytes)
      throw new Error(`input ${input}, kept as ${name}`, { cause: error })
    }
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
  process.stdout.write(`${kind}: ${inputCount} inputs in ${seconds} s, none breaks a rule\n`)
}

run('lists', (bytes) => {
  checkList(bytes, random(4096), random(4) === 0 ? 1 + random(3) : undefined)
})
run('getcap', checkConf)
