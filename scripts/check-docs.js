// Fails when an export of a documented layer has no doc comment, when a command lacks its summary or examples,
// when a command is in no manual page, when mandoc finds fault with a manual page, or when a page or section
// that a source, a test or another page cites is not in this repository.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'

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

/** The name of a page, with or without folders, and the section that is named behind it. */
const CITATION =
  /(?<![\w/.-])((?:[\w.-]+\/)*[\w-]+(?:\.[\w-]+)*\.md)\b`?(?:,? sections? ([0-9]+(?:\.[0-9]+)?)| ([0-9]+(?:\.[0-9]+)?)\b)?/g

/** Where a page may lie that is cited by its name alone. */
const placesOf = (page, citing) =>
  ['.', dirname(citing), 'docs', 'docs/protocol', 'docs/adr'].map((folder) => join(folder, page))

function checkCitations(path) {
  const text = readFileSync(path, 'utf8')
  for (const [index, line] of text.split('\n').entries()) {
    // Addresses of the world outside, and pages that tests make up.
    if (/https?:\/\//.test(line)) continue
    for (const [, page, section, bareSection] of line.matchAll(CITATION)) {
      const place = placesOf(page, path).find((candidate) => existsSync(candidate))
      if (place === undefined) {
        problems.push(`${path}:${index + 1}: ${page} is not in this repository`)
        continue
      }
      const wanted = section ?? bareSection
      if (wanted === undefined) continue
      const heading = new RegExp(`^#+ ${wanted.replace('.', '\\.')}\\.? `, 'm')
      if (!heading.test(readFileSync(place, 'utf8')))
        problems.push(`${path}:${index + 1}: ${page} has no section ${wanted}`)
    }
  }
}

const CITING = [
  ...['src', 'commands', 'bench', 'test'].flatMap((folder) => filesBelow(folder, '.ts')),
  ...['test', 'scripts', 'bin', 'bench'].flatMap((folder) => filesBelow(folder, '.js')),
  ...filesBelow('docs', '.md'),
  ...readdirSync('.').filter((name) => name.endsWith('.md')),
  'test/golden/README.md',
]
for (const path of CITING) checkCitations(path)

for (const problem of problems) console.error(problem)
console.error(
  problems.length === 0
    ? 'docs: every export, command and manual page is in order'
    : `docs: ${problems.length} problems`,
)
process.exit(problems.length === 0 ? 0 : 1)
