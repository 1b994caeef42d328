import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { walkProblems } from '../../../scripts/walks.js'

// Put together, so that the check of citations does not find them here.
const FIRST = 'sr' + 'c/a/first.ts'
const SECOND = 'sr' + 'c/b/second.ts'
const GONE = 'sr' + 'c/b/gone.ts'

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'walks-'))
  for (const path of [FIRST, SECOND]) {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), '')
  }
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const page = (count: number, ...steps: string[]): string =>
  `# A\n\n## Two paths through the files\n\nWords.\n\n### A walk: ${count} files\n\n${steps.join('\n')}\n\n## Rest\n\n\`x.ts\`\n`

test('a walk whose files exist and are as many as it says', () => {
  expect(
    walkProblems(page(2, `1. \`${FIRST}\`: reads,`, `2. \`${SECOND}\`, or \`${FIRST}\`.`), root),
  ).toEqual([])
})

test.each([
  ['another count', page(3, `1. \`${FIRST}\``, `2. \`${SECOND}\``), '3 files are stated, 2 are listed'],
  ['a file that is gone', page(1, `1. \`${GONE}\``), `${GONE} is not in this repository`],
  ['a name without its folder', page(1, `1. \`${FIRST}\` and \`second.ts\``), 'second.ts is not a full path'],
  ['a file twice', page(2, `1. \`${FIRST}\``, `2. \`${FIRST}\``), `${FIRST} is listed twice`],
  ['a number left out', page(2, `1. \`${FIRST}\``, `3. \`${SECOND}\``), 'step 3 should be 2'],
  ['a step about nothing', page(1, '1. It reads.'), 'step 1 does not begin with a file'],
])('%s', (_, text, problem) => {
  expect(walkProblems(text, root)).toEqual([`A walk: ${problem}`])
})

test('a second walk of the same page', () => {
  const steps = [`1. \`${FIRST}\``, '', '### Another: 2 files', '', `1. \`${SECOND}\``]
  expect(walkProblems(page(1, ...steps), root)).toEqual(['Another: 2 files are stated, 1 are listed'])
})

test('another sum in the table that compares', () => {
  const walk = page(1, `1. \`${FIRST}\``)
  const withRow = (row: string): string =>
    walk.replace('Words.', `| walk | first | then | since |\n|---|---|---|---|\n${row}`)
  expect(walkProblems(withRow('| a | 3 | 0 | 1: that |'), root)).toEqual([])
  expect(walkProblems(withRow('| a | 3 | 1 | 1: that |'), root)).toEqual(['A walk: the table counts 2'])
})

test('a page without walks', () => {
  expect(walkProblems('# A\n', root)).toEqual(['no section of paths through the files'])
  expect(walkProblems('## Five paths through the files\n', root)).toEqual([
    'no walk states its number of files',
  ])
})
