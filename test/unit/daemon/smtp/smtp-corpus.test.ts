import { describe, expect, test } from 'vitest'
import { checkDialogue, checkProxyHeader } from '../../../fuzz/check-smtp.js'
import { makeMutator } from '../../../fuzz/mutate.js'
import { corpusInputs } from '../../../support/corpus.js'

const checks = { smtp: (bytes: Buffer) => checkDialogue(bytes, 7), proxy: checkProxyHeader }

describe('every input of the corpus, and some mutations, keep the rules of test/fuzz/check-smtp.ts', () => {
  for (const kind of ['smtp', 'proxy'] as const) {
    const inputs = corpusInputs(kind)
    test.each(inputs)(`${kind}: $name`, ({ bytes }) => {
      expect(() => checks[kind](bytes)).not.toThrow()
    })
    test(`${kind}: 2,000 mutations`, () => {
      const { mutate } = makeMutator(20_261_122)
      const seeds = inputs.map(({ bytes }) => bytes)
      for (let count = 0; count < 2_000; count += 1) {
        const bytes = mutate(seeds, ['\r\n', '\n', '\0', 'DATA\r\n', 'MAIL FROM:<a@b>\r\n', 'PROXY TCP4 '])
        expect(() => checks[kind](bytes), bytes.toString('latin1')).not.toThrow()
      }
    })
  }
})
