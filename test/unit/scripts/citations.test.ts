import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { citationProblems } from '../../../scripts/citations.js'

// Put together, so that the check does not find them here.
const PAGE = 'greylisting' + '.md'
const NO_PAGE = 'no-such-page' + '.md'
const DECISION = 'AD' + 'R'
const SOURCE = 'sr' + 'c/domain/expiry.ts'
const NO_SOURCE = 'sr' + 'c/domain/gone.ts'

const NAME = 'expiry' + '.ts'
const GONE_NAME = 'decide-gone' + '.ts'

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'citations-'))
  const files = {
    [`docs/protocol/${PAGE}`]:
      '# The greylister\n\n## 1. Input\n\n### 6.1 Adding\n\n## Stamps, and the journal\n',
    [join('docs/adr', `0012-own-module${'.md'}`)]: '# Own module\n',
    [SOURCE]: '',
  }
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const SOURCE_FILE = join('src', 'domain/rule.ts')
const TEST_FILE = join('test', 'unit/domain/rule.test.ts')
const SCRIPT = join('test', `lab/boot${'.sh'}`)
const OTHER_PAGE = join('docs/protocol', `other${'.md'}`)

test.each([
  ['a page in a source', SOURCE_FILE, `/** Source: ${NO_PAGE}. */`, `${NO_PAGE} is not in this repository`],
  ['a page in a test', TEST_FILE, `// ${NO_PAGE} says so`, `${NO_PAGE} is not in this repository`],
  ['a page in a page', OTHER_PAGE, `See \`${NO_PAGE}\`.`, `${NO_PAGE} is not in this repository`],
  [
    'a page by a path',
    TEST_FILE,
    `// docs/${PAGE}x docs/gone/${PAGE}`,
    `docs/gone/${PAGE} is not in this repository`,
  ],
  ['a section', SOURCE_FILE, `/** Source: ${PAGE} section 2. */`, `${PAGE} has no section 2`],
  ['a section of a section', TEST_FILE, `// ${PAGE} section 6.2`, `${PAGE} has no section 6.2`],
  ['a section by its number alone', OTHER_PAGE, `In \`${PAGE}\` 7 it is said.`, `${PAGE} has no section 7`],
  ['one section of several', SOURCE_FILE, `// ${PAGE} sections 1, 3 and 6.1`, `${PAGE} has no section 3`],
  [
    'a section behind the end of a line',
    SOURCE_FILE,
    `/**\n * See ${PAGE}\n * section 9.\n */`,
    `${PAGE} has no section 9`,
  ],
  [
    'a page beside an address',
    SOURCE_FILE,
    `// https://example.org/a.md and ${NO_PAGE}`,
    `${NO_PAGE} is not in this repository`,
  ],
  [
    'a file by its name alone',
    SOURCE_FILE,
    `// as ${GONE_NAME} does`,
    `no file ${GONE_NAME} is in this repository`,
  ],
  [
    'a file by folder and name',
    OTHER_PAGE,
    `\`db/${GONE_NAME}\``,
    `no file db/${GONE_NAME} is in this repository`,
  ],
  ['a file in a script', SCRIPT, `# see ${GONE_NAME}`, `no file ${GONE_NAME} is in this repository`],
  ['a decision', SOURCE_FILE, `// what ${DECISION} 13 says`, `there is no ${DECISION} 13`],
  ['a source in a page', OTHER_PAGE, `Code: \`${NO_SOURCE}\`.`, `${NO_SOURCE} is not in this repository`],
  ['a source in a test', TEST_FILE, `// as ${NO_SOURCE} does`, `${NO_SOURCE} is not in this repository`],
  ['a link', OTHER_PAGE, `[there](gone.txt)`, 'the link to gone.txt leads nowhere'],
  [
    'a heading of a linked page',
    OTHER_PAGE,
    `[there](${PAGE}#marks)`,
    `docs/protocol/${PAGE} has no heading for #marks`,
  ],
])('%s that does not resolve is a problem', (_, path, text, problem) => {
  const line = text.startsWith('/**\n') ? 2 : 1
  expect(citationProblems(path, text, root)).toEqual([`${path}:${line}: ${problem}`])
})

test.each([
  [SOURCE_FILE, `/** Source: ${PAGE} section 1, \`${PAGE}\` 6.1, docs/protocol/${PAGE}. */`],
  [SOURCE_FILE, `/**\n * See ${PAGE},\n * sections 1 and 6.1, and ${DECISION} 12.\n */`],
  [TEST_FILE, `// https://example.org/${NO_PAGE}, ${SOURCE}, ./${NO_SOURCE}`],
  [SOURCE_FILE, `// ${NAME}, domain/${NAME}, grey.c\nconst made = '${GONE_NAME}'`],
  [
    OTHER_PAGE,
    `[a](${PAGE}) [b](${PAGE}#stamps-and-the-journal) [c](https://example.org/x#y) commands/NAME.ts`,
  ],
])('a citation in %s that resolves is none', (path, text) => {
  expect(citationProblems(path, text, root)).toEqual([])
})
