import { expect, test } from 'vitest'
import { internalExportProblems } from '../../../scripts/internal-exports.js'

const tagged = (tag: string) => `/** An other. */
export const OTHER = 1
/**
 * A limit.
 * ${tag}
 */
export const LIMIT = 5
`
const problemsOf = (...texts: string[]) =>
  internalExportProblems(new Map(texts.map((text, at) => [`layer/file${at}.ts`, text])))

test('an export for tests says why', () => {
  expect(problemsOf(tagged('@internal The tests go to it.'))).toEqual([])
  for (const tag of ['@internal', '@internal tests'])
    expect(problemsOf(tagged(tag))).toEqual(['layer/file0.ts: LIMIT: @internal without a reason'])
})

test('what another source uses is not for tests', () => {
  const limit = tagged('@internal The tests go to it.')
  const user = (name: string, file: string) => `import {\n  ${name},\n} from './${file}.js'\n`
  expect(problemsOf(limit, user('OTHER', 'file0'), user('LIMIT', 'file2'))).toEqual([])
  expect(problemsOf(limit, user('LIMIT', 'file0'))).toEqual([
    'layer/file0.ts: LIMIT is @internal, but other sources use it',
  ])
})
