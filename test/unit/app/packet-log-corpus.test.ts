import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkCaptureFile, checkLogRecord } from '../../fuzz/check-packet-logs.js'
import { makeMutator } from '../../fuzz/mutate.js'
import { PACKET_LOG_TOKENS } from '../../fuzz/packet-log-tokens.js'

const CORPUS = join(import.meta.dirname, '../../corpus')
const checks = {
  'packet-log': checkLogRecord,
  capture: (bytes: Buffer) => checkCaptureFile(bytes, 31),
}

describe('every input of the corpus, and some mutations, keep the rules of test/fuzz/check-packet-logs.ts', () => {
  for (const kind of ['packet-log', 'capture'] as const) {
    const folder = join(CORPUS, kind)
    const inputs = readdirSync(folder).map((name) => ({ name, bytes: readFileSync(join(folder, name)) }))
    test.each(inputs)(`${kind}: $name`, ({ bytes }) => {
      expect(() => checks[kind](bytes)).not.toThrow()
    })
    test(`${kind}: 3,000 mutations`, () => {
      const { mutate } = makeMutator(20_261_122)
      const seeds = inputs.map(({ bytes }) => bytes)
      for (let count = 0; count < 3_000; count += 1) {
        const bytes = mutate(seeds, PACKET_LOG_TOKENS)
        expect(() => checks[kind](bytes), bytes.toString('hex')).not.toThrow()
      }
    })
  }
})
