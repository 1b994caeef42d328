/**
 * Feeds mutated packet logs and capture files to spamlogd's decoders and stops at the first broken rule, keeping
 * the input in test/corpus. Not part of `npm test`: `npx tsx test/fuzz/fuzz-packet-logs.ts [INPUTS [SEED]]`.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkCaptureFile, checkLogRecord } from './check-packet-logs.js'
import { makeMutator } from './mutate.js'
import { PACKET_LOG_TOKENS } from './packet-log-tokens.js'

const CORPUS = join(import.meta.dirname, '../corpus')
const inputCount = Number(process.argv[2] ?? 1_000_000)
const { random, mutate } = makeMutator(Number(process.argv[3] ?? 1))

function run(kind: 'packet-log' | 'capture', check: (bytes: Buffer) => void): void {
  const folder = join(CORPUS, kind)
  const seeds = readdirSync(folder).map((name) => readFileSync(join(folder, name)))
  const startMs = performance.now()
  for (let input = 0; input < inputCount; input += 1) {
    const bytes = mutate(seeds, PACKET_LOG_TOKENS)
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

run('packet-log', checkLogRecord)
run('capture', (bytes) => checkCaptureFile(bytes, random(4096)))
