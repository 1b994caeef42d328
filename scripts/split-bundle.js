/**
 * Splits a program into what every call loads and what only import() reaches: V8 reads the text and the code cache of a
 * bundle whole, so that what most calls never use cost `spamdb KEY` a twentieth of its time.
 */
import { relative, resolve } from 'node:path'
import { build } from 'esbuild'

/** How the first bundle names a module of the second one. */
export const PART = 'part:'

/**
 * Modules that the entry of `options` reaches without import(), and those that only import() loads from them, as paths
 * relative to `root`.
 */
export async function splitModules(options, root) {
  const { metafile } = await build({ ...options, metafile: true, write: false })
  const first = new Set(['<stdin>'])
  const roots = new Set()
  const used = new Set()
  const importsOf = (path) =>
    (metafile.inputs[path]?.imports ?? []).filter(({ external }) => external !== true)
  for (const path of first) {
    for (const imported of importsOf(path)) if (imported.kind !== 'dynamic-import') first.add(imported.path)
  }
  for (const path of Object.keys(metafile.inputs)) {
    for (const imported of importsOf(path)) {
      if (first.has(path) && !first.has(imported.path)) roots.add(imported.path)
      if (!first.has(path) && first.has(imported.path)) used.add(imported.path)
    }
  }
  const shared = new Map()
  for (const path of used) shared.set(path, await exportsOf(resolve(root, path)))
  return { first, roots, shared }
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

/** The code of the first entry that gives its modules to the second bundle. */
export function sharingCode({ shared }) {
  const modules = [...shared].map(([path, names], index) => ({ path, names, prefix: `shared${index}_` }))
  const imports = modules.map(
    ({ path, names, prefix }) =>
      `import { ${names.map((name) => `${name} as ${prefix}${name}`).join(', ')} } from './${path}'`,
  )
  const values = modules.map(
    ({ path, names, prefix }) =>
      `${JSON.stringify(path)}: { __esModule: true, ${names.map((name) => `${name}: ${prefix}${name}`).join(', ')} }`,
  )
  return `${imports.join('\n')}\nexport const shareModules = () => ({ ${values.join(', ')} })`
}

/** The entry of the second bundle. */
export function partsEntry({ roots }) {
  const loaders = [...roots].map(
    (path) => `${JSON.stringify(path)}: () => require(${JSON.stringify(`./${path}`)})`,
  )
  return `export const parts = { ${loaders.join(', ')} }`
}
