import { describe, expect, test } from 'vitest'
import { checkCaptureFile, checkLogRecord } from '../../fuzz/check-packet-logs.js'
import { makeMutator } from '../../fuzz/mutate.js'
import { PACKET_LOG_TOKENS } from '../../fuzz/packet-log-tokens.js'
import { corpusInputs } from '../../support/corpus.js'

const checks = {
  'packet-log': checkLogRecord,
  capture: (bytes: Buffer) => checkCaptureFile(bytes, 31),
}

describe('every input of the corpus, and some mutations, keep the rules of test/fuzz/check-packet-logs.ts', () => {
  for (const kind of ['packet-log', 'capture'] as const) {
    const inputs = corpusInputs(kind)
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
