// Citations of pages, their sections, decisions and files in a source, a test or a page: what does not resolve.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const NUMBER = '[0-9]+(?:\\.[0-9]+)?'
/** What may stand between a page and its section: blanks, and the start of the next line of a comment. */
const GAP = '(?:[ \\t]|\\n[ \\t]*(?:\\*|//|#)?)+'

/** The name of a page, with or without folders, and the sections that are named after it. */
const PAGE = new RegExp(
  '(?<![\\w/.@-])((?:[\\w.-]+/)*[\\w-]+(?:\\.[\\w-]+)*\\.md)\\b`?' +
    `(?:,?${GAP}sections?${GAP}(${NUMBER}(?:(?:, | and | to )${NUMBER})*)| (${NUMBER})\\b)?`,
  'g',
)
/** A decision: `ADR 12`. */
const DECISION = /\bADR ([0-9]+)\b/g
/** A file of this repository by its path. */
const FILE =
  /(?<![\w/.@{}$-])((?:src|test|bench|scripts|commands|docs|packaging|bin)\/[\w./-]*[\w-]\.(?:ts|js|cjs|mjs|py|sh|h|c|html|json))\b/g
/**
 * A file of this repository by its name, or by the last part of its path. Not what is imported (`./name.js`), or part of
 * another word. C files by their name alone are those of the original programs.
 */
const NAME =
  /(?<![\w/.@{}$*:-])(?!(?:dist|src|test|bench|scripts|commands|docs|packaging|bin)\/)((?:[\w-]+\/)*[a-z][\w-]*(?:\.[a-z][\w-]*)*\.(?:ts|js|cjs|mjs|py|sh))(?![\w/-]|\.\w)/g
/** Code, whose names may be of files that a test makes: names are looked for in its comments alone. */
const CODE = /\.(?:ts|js|cjs|c|h)$/
const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*$/gm
/** The target of a link in a page, and the heading in it. */
const LINK = /\]\(([^)\s#]*)(?:#([^)\s]*))?\)/g

/** Where a page may be that is cited by its name only. */
const placesOf = (page, citing) =>
  ['.', dirname(citing), 'docs', 'docs/protocol', 'docs/adr'].map((folder) => join(folder, page))

const FOLDERS = ['src', 'commands', 'bench', 'test', 'scripts', 'docs', 'packaging', 'bin']
const endings = new Map()

/** What the paths of the files below `root` end with: the name, the folder and the name, and so on. */
function endingsBelow(root) {
  let found = endings.get(root)
  if (found !== undefined) return found
  found = new Set(readdirSync(root))
  endings.set(root, found)
  for (const folder of FOLDERS) {
    if (!existsSync(join(root, folder))) continue
    for (const path of readdirSync(join(root, folder), { recursive: true })) {
      const parts = [folder, ...path.split('/')]
      for (let start = 0; start < parts.length; start += 1) found.add(parts.slice(start).join('/'))
    }
  }
  return found
}

/** The anchors of a page, as GitHub makes them of its headings. */
const anchorsOf = (page) =>
  [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

/**
 * One line for each citation in `text`, the content of the file `path`, that does not resolve. Paths are relative to
 * `root`, the repository.
 */
export function citationProblems(path, text, root = '.') {
  const problems = []
  // Addresses of the world outside keep their length, so that places stay right.
  const own = text.replaceAll(/https?:\/\/[^\s)>'"`]+/g, (url) => ' '.repeat(url.length))
  const report = (at, problem) => problems.push(`${path}:${own.slice(0, at).split('\n').length}: ${problem}`)
  const isThere = (file) => existsSync(join(root, file))

  for (const { 1: page, 2: sections, 3: bareSection, index } of own.matchAll(PAGE)) {
    const place = placesOf(page, path).find(isThere)
    if (place === undefined) {
      report(index, `${page} is not in this repository`)
      continue
    }
    const content = readFileSync(join(root, place), 'utf8')
    for (const [section] of (sections ?? bareSection ?? '').matchAll(new RegExp(NUMBER, 'g'))) {
      const heading = new RegExp(`^#+ ${section.replace('.', '\\.')}\\.? `, 'm')
      if (!heading.test(content)) report(index, `${page} has no section ${section}`)
    }
  }
  for (const { 1: number, index } of own.matchAll(DECISION)) {
    const start = `${number.padStart(4, '0')}-`
    if (!readdirSync(join(root, 'docs/adr')).some((name) => name.startsWith(start)))
      report(index, `there is no ADR ${number}`)
  }
  for (const { 1: file, index } of own.matchAll(FILE)) {
    // `commands/NAME.ts` stands for any of them.
    if (!/\/[A-Z]+\.\w+$/.test(file) && !isThere(file)) report(index, `${file} is not in this repository`)
  }
  for (const { 0: part, index: start } of CODE.test(path) ? own.matchAll(COMMENT) : [{ 0: own, index: 0 }]) {
    for (const { 1: name, index } of part.matchAll(NAME))
      if (!endingsBelow(root).has(name)) report(start + index, `no file ${name} is in this repository`)
  }
  if (path.endsWith('.md')) {
    for (const { 1: target, 2: anchor, index } of own.matchAll(LINK)) {
      const page = target === '' ? path : join(dirname(path), target)
      if (!isThere(page)) report(index, `the link to ${target} leads nowhere`)
      else if (anchor !== undefined && !anchorsOf(readFileSync(join(root, page), 'utf8')).includes(anchor))
        report(index, `${page} has no heading for #${anchor}`)
    }
  }
  return problems
}
