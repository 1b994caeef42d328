/**
 * Feeds mutated lists and spamd.conf files to their parsers and stops at the first broken rule, keeping the
 * input in test/corpus. Not part of `npm test`: `npx tsx test/fuzz/fuzz-parsers.ts [INPUTS [SEED]]`.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkConf, checkList } from './check-parsers.js'
import { makeMutator } from './mutate.js'

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
const { random, mutate } = makeMutator(Number(process.argv[3] ?? 1))

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
