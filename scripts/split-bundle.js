/**
 * Splits a program into what every call loads and what only import() reaches: V8 reads the text and the code cache of a
 * bundle whole, so that what most calls never use cost `spamdb KEY` a twentieth of its time.
 */
import { relative, resolve } from 'node:path'
import { build } from 'esbuild'

/** How the first bundle names a module of the second one. */
export const PART = 'part:'

/**
 * How the modules of the entry of `options` are split, as paths relative to `root`: those that it reaches without import(), or
 * through import() of one of `kept` alone (`first`), what import() loads beyond them (`roots`), and what that needs of the first.
 */
export async function splitModules(options, kept, root) {
  const { metafile } = await build({ ...options, metafile: true, write: false })
  const importsOf = (path) =>
    (metafile.inputs[path]?.imports ?? []).filter(({ external }) => external !== true)
  const eager = reach(['<stdin>'], importsOf, () => false)
  const first = reach(eager, importsOf, (path) => kept.includes(path))
  const lost = kept.find((path) => !first.has(path))
  if (lost !== undefined) throw new Error(`nothing loads ${lost} with import()`)
  const roots = new Set()
  const used = new Set()
  for (const path of Object.keys(metafile.inputs)) {
    for (const imported of importsOf(path)) {
      if (first.has(path) && !first.has(imported.path)) roots.add(imported.path)
      if (!first.has(path) && first.has(imported.path)) used.add(imported.path)
    }
  }
  const shared = []
  for (const path of used) {
    shared.push({ path, names: eager.has(path) ? await exportsOf(resolve(root, path)) : undefined })
  }
  return { first, roots, shared }
}

function reach(starts, importsOf, isKept) {
  const found = new Set(starts)
  for (const path of found) {
    for (const imported of importsOf(path)) {
      if (imported.kind !== 'dynamic-import' || isKept(imported.path)) found.add(imported.path)
    }
  }
  return found
}

async function exportsOf(path) {
  const { metafile } = await build({
    entryPoints: [path],
    bundle: false,
    metafile: true,
    write: false,
    format: 'esm',
  })
  return Object.values(metafile.outputs)[0].exports
}

/** For the first bundle: modules of the second one stay outside. */
export function leaveOut({ roots }, root) {
  return {
    name: 'leave-out',
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ path, resolveDir, kind }) => {
        const found = relative(root, resolve(resolveDir, path))
        return kind === 'dynamic-import' && roots.has(found)
          ? { path: PART + found, external: true }
          : undefined
      })
    },
  }
}

/** For the second bundle: modules of the first one are given to it. */
export function takeShared({ first }, root) {
  return {
    name: 'take-shared',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
        const found = relative(root, resolve(resolveDir, path))
        return first.has(found) ? { path: found, namespace: 'shared' } : undefined
      })
      onLoad({ filter: /./, namespace: 'shared' }, ({ path }) => ({
        contents: `module.exports = __shared[${JSON.stringify(path)}]`,
      }))
    },
  }
}

/** The code of the first entry that gives its modules to the second bundle; those of import() are not loaded by that. */
export function sharingCode({ shared }) {
  const imports = []
  const values = []
  for (const [index, { path, names }] of shared.entries()) {
    const key = JSON.stringify(path)
    if (names === undefined) values.push(`get ${key}() { return require(${JSON.stringify(`./${path}`)}) }`)
    else {
      const given = (name) => `shared${index}_${name}`
      imports.push(
        `import { ${names.map((name) => `${name} as ${given(name)}`).join(', ')} } from './${path}'`,
      )
      values.push(
        `${key}: { __esModule: true, ${names.map((name) => `${name}: ${given(name)}`).join(', ')} }`,
      )
    }
  }
  return `${imports.join('\n')}\nexport const shareModules = () => ({ ${values.join(', ')} })`
}

/** The entry of the second bundle. */
export function partsEntry({ roots }) {
  const loaders = [...roots].map(
    (path) => `${JSON.stringify(path)}: () => require(${JSON.stringify(`./${path}`)})`,
  )
  return `export const parts = { ${loaders.join(', ')} }`
}
