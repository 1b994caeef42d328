// The walks of docs/architecture.md: how a request goes through the files, one numbered line each.
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** The heading of the section of the walks, and that of one walk with the count that it states. */
const SECTION = /^## .*paths through the files$/m
const WALK = /^### (.+): (\d+) files?\b.*$/gm
/** A row of the table that compares: files that were there before, and those added since. */
const ROW = /^\| [^|]+ \| \d+ \| (\d+) \| (\d+): /gm
/** A step: its number, and the file that it is about. */
const STEP = /^(\d+)\. `([^`]+)`/
/** A file name in backticks; one without folders says too little. */
const FILE_NAME = /`([\w./-]+\.(?:ts|js|cjs))`/g

/**
 * One line for each walk of `page` that does not hold: a path that is not a file below `root` or is not written in
 * full, a step without a file, a file twice, a number out of order, or another count than that of the heading or than
 * the sum in the table that compares walks with earlier ones, if there is one.
 */
export function walkProblems(page, root = '.') {
  const start = page.search(SECTION)
  if (start < 0) return ['no section of paths through the files']
  const end = page.indexOf('\n## ', start + 1)
  const section = page.slice(start, end < 0 ? page.length : end)
  const walks = [...section.matchAll(WALK)]
  if (walks.length === 0) return ['no walk states its number of files']
  const sums = [...section.matchAll(ROW)].map(([, existing, added]) => Number(existing) + Number(added))
  return walks.flatMap(({ 1: name, 2: stated, index }, at) =>
    [
      ...stepProblems(section.slice(index, walks[at + 1]?.index), Number(stated), root),
      ...(sums.length > 0 && sums[at] !== Number(stated)
        ? [`the table counts ${sums[at] ?? 'nothing'}`]
        : []),
    ].map((problem) => `${name}: ${problem}`),
  )
}

function stepProblems(text, stated, root) {
  const problems = []
  const seen = new Set()
  let count = 0
  for (const line of text.split('\n')) {
    for (const [, path] of line.matchAll(FILE_NAME)) {
      if (!path.startsWith('src/')) problems.push(`${path} is not a full path`)
      else if (!existsSync(join(root, path))) problems.push(`${path} is not in this repository`)
    }
    if (!/^\d+\. /.test(line)) continue
    count += 1
    const [, number, path] = STEP.exec(line) ?? []
    if (path === undefined) problems.push(`step ${count} does not begin with a file`)
    else if (seen.has(path)) problems.push(`${path} is listed twice`)
    if (number !== undefined && Number(number) !== count) problems.push(`step ${number} should be ${count}`)
    seen.add(path)
  }
  if (count !== stated) problems.push(`${stated} files are stated, ${count} are listed`)
  return problems
}
