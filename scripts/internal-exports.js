// What the check of unused exports (knip.production.json) leaves out because of the tag `@internal`: an export for tests,
// which says why they cannot do without.

/** A doc comment with the tag, the line of the tag, and the name of the export below. */
const TAGGED =
  /\/\*\*(?:(?!\*\/).)*?@internal\b[ \t]*([^\n*]*)(?:(?!\*\/).)*?\*\/\s*export (?:async )?(?:function\*?|const|class|type|interface) (\w+)/gs

/**
 * The tags without a reason, and those of exports that other sources use, which need no exception. `sources` are the
 * texts of all sources by their path.
 */
export function internalExportProblems(sources) {
  const problems = []
  for (const [path, text] of sources) {
    for (const [, reason, name] of text.matchAll(TAGGED)) {
      if (reason.trim().split(/\s+/).length < 3) problems.push(`${path}: ${name}: @internal without a reason`)
      if (isImported(name, path, sources))
        problems.push(`${path}: ${name} is @internal, but other sources use it`)
    }
  }
  return problems
}

function isImported(name, path, sources) {
  const file = path.split('/').at(-1).replace(/\.ts$/, '.js')
  const importing = new RegExp(`import [^'"]*\\b${name}\\b[^'"]* from '[^']*/${file.replaceAll('.', '\\.')}'`)
  return [...sources].some(([other, text]) => other !== path && importing.test(text))
}
