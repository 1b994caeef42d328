// Fails when an export of a documented layer has no doc comment, when a command lacks its summary or examples,
// when a command is in no manual page, when mandoc finds fault with a manual page, or when a page, section, decision or
// file that a source, a test or another page cites is not in this repository (citations.js), when an export for tests
// does not say why (internal-exports.js), or when docs/architecture.md lists folders in another order than the layer
// check enforces, or walks through files that are not there or not as many as it says (walks.js).
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { citationProblems } from './citations.js'
import { FOLDERS } from './folder-order.cjs'
import { internalExportProblems } from './internal-exports.js'
import { walkProblems } from './walks.js'

const DOCUMENTED_LAYERS = ['ip', 'codec', 'domain', 'db', 'firewall', 'platform', 'app']
const problems = []

function filesBelow(folder, ending) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

const hasComment = (node, text) =>
  (ts.getLeadingCommentRanges(text, node.pos) ?? []).some((range) => text.startsWith('/**', range.pos))

/** True for a type that a `const` of the same doc comment explains (`export type X = (typeof XS)[number]`). */
const isDerivedType = (node, text) =>
  ts.isTypeAliasDeclaration(node) && /\(typeof [A-Z_]+\)\[number\]/.test(text.slice(node.pos, node.end))

for (const layer of DOCUMENTED_LAYERS) {
  for (const path of filesBelow(join('src', layer), '.ts')) {
    const text = readFileSync(path, 'utf8')
    const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
    const startsWithComment = text.startsWith('/**')
    let groupEnd = -1
    for (const [index, node] of source.statements.entries()) {
      const isExported = (ts.getModifiers(node) ?? []).some(
        (modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword,
      )
      // One comment may stand over a run of constants without blank lines between them.
      const isInGroup = ts.isVariableStatement(node) && text.slice(groupEnd, node.getStart(source)) === '\n'
      if (ts.isVariableStatement(node) && (hasComment(node, text) || isInGroup)) groupEnd = node.end
      if (!isExported || hasComment(node, text) || isInGroup || isDerivedType(node, text)) continue
      if (index === 0 && startsWithComment) continue
      if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) {
        // The shape documents itself when the file opens with its story.
        if (startsWithComment) continue
      }
      const name = node.name?.text ?? node.declarationList?.declarations[0]?.name.getText(source) ?? 'export'
      const { line } = source.getLineAndCharacterOfPosition(node.getStart(source))
      problems.push(`${path}:${line + 1}: ${name} has no doc comment`)
    }
  }
}

const manuals = filesBelow('docs/man', '')
const manualText = manuals.map((path) => readFileSync(path, 'utf8')).join('\n')
for (const path of filesBelow('commands', '.ts')) {
  const text = readFileSync(path, 'utf8')
  for (const part of ['summary', 'examples']) {
    if (!new RegExp(`static override (readonly )?${part}\\b`).test(text)) problems.push(`${path}: no ${part}`)
  }
  const command = path
    .replace(/^commands\//, '')
    .replace(/(\/index)?\.ts$/, '')
    .replaceAll('/', ' ')
  const words = command.split(' ').join('\\s+')
  if (!new RegExp(`(^|[\\s.])${words}\\b`, 'm').test(manualText))
    problems.push(`${path}: \`${command}\` is in no manual page`)
}
for (const path of manuals) {
  const lint = spawnSync('mandoc', ['-Tlint', '-Wwarning', path], { encoding: 'utf8' })
  if (lint.error !== undefined) problems.push(`${path}: cannot run mandoc: ${lint.error.message}`)
  else if (lint.status !== 0) problems.push(lint.stdout.trim())
}

const architecture = readFileSync('docs/architecture.md', 'utf8')
for (const [, layer, table] of architecture.matchAll(
  /^\| folder of `src\/(\w+)` .*\n\|---.*\n((?:\|.*\n)+)/gm,
)) {
  const listed = [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, folder]) => folder)
  if (listed.join() !== FOLDERS[layer].join())
    problems.push(
      `docs/architecture.md: folders of src/${layer} are not in the order of scripts/folder-order.cjs`,
    )
}

for (const problem of walkProblems(architecture)) problems.push(`docs/architecture.md: ${problem}`)

/** Files without an ending, or of any, that people read: the pages' examples, what packages install, the gate. */
const anyBelow = (folder) => filesBelow(folder, '').filter((path) => !/\.(pcap|png)$/.test(path))

const CITING = [
  ...['src', 'commands', 'bench', 'test'].flatMap((folder) => filesBelow(folder, '.ts')),
  ...['test', 'scripts', 'bin', 'bench'].flatMap((folder) => filesBelow(folder, '.js')),
  ...['test', 'scripts'].flatMap((folder) => filesBelow(folder, '.sh')),
  ...['src', 'test'].flatMap((folder) => ['.c', '.h'].flatMap((ending) => filesBelow(folder, ending))),
  ...filesBelow('bench', '.py'),
  ...filesBelow('docs', '.md'),
  ...['docs/examples', 'packaging'].flatMap(anyBelow),
  ...manuals,
  ...readdirSync('.').filter((name) => /\.(md|cjs)$|^eslint\.config\.js$/.test(name)),
  ...['test/golden/README.md', '.ci/run'].filter((path) => existsSync(path)),
]
for (const path of new Set(CITING)) problems.push(...citationProblems(path, readFileSync(path, 'utf8')))

const SOURCES = ['src', 'commands'].flatMap((folder) => filesBelow(folder, '.ts'))
problems.push(...internalExportProblems(new Map(SOURCES.map((path) => [path, readFileSync(path, 'utf8')]))))

for (const problem of problems) console.error(problem)
console.error(
  problems.length === 0
    ? 'docs: every export, command and manual page is in order'
    : `docs: ${problems.length} problems`,
)
process.exit(problems.length === 0 ? 0 : 1)
