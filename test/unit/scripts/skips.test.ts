import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const TESTS = join(import.meta.dirname, '../..')
const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' }).filter((name) =>
  /\.(test|story)\.ts$/.test(name),
)

test('no test is skipped without a word: files that can skip say why, on a line or in the name', () => {
  const silent = files.filter((name) => {
    const text = readFileSync(join(TESTS, name), 'utf8')
    if (!/\.(skipIf|runIf)\(|\.skip\(|\.todo\(/.test(text)) return false
    return !/skipUnless|whyNoLab|skipped[:,] |NO_PROMTOOL|NO_CHROMIUM|\(needs /.test(text)
  })
  // Its `skip` is a method of what it tests.
  expect(silent.filter((name) => !name.endsWith('byte-reader.test.ts'))).toEqual([])
})
