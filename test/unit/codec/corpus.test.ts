import { describe, expect, test } from 'vitest'
import { checkConf, checkList } from '../../fuzz/check-parsers.js'
import { corpusInputs } from '../../support/corpus.js'

describe('every input of the corpus keeps the rules of test/fuzz/check-parsers.ts', () => {
  test.each(corpusInputs('lists'))('list $name, whole and cut short anywhere', ({ bytes }) => {
    for (let end = 0; end <= bytes.length; end += 1) {
      expect(() => checkList(bytes.subarray(0, end), end >> 1, undefined)).not.toThrow()
      expect(() => checkList(bytes.subarray(0, end), end >> 2, 2)).not.toThrow()
    }
  })

  test.each(corpusInputs('getcap'))('spamd.conf $name, whole and cut short anywhere', ({ bytes }) => {
    for (let end = 0; end <= bytes.length; end += 1) {
      expect(() => checkConf(bytes.subarray(0, end))).not.toThrow()
    }
  })
})
