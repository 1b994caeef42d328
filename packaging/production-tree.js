import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/**
 * Puts the files of the checkout `root` that npm would publish into `target`, with the production dependencies, none
 * of them compiled. Of docs/, only the folders named in `docs` are kept. `work` is a folder for temporary files;
 * `run` starts a program with arguments in a folder and returns its output, or ends this program.
 */
export function layOutProductionTree({ root, work, target, docs, run }) {
  const [packed] = JSON.parse(
    run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', work, root]),
  )
  run('tar', ['-xzf', join(work, packed.filename), '-C', work])
  mkdirSync(dirname(target), { recursive: true })
  renameSync(join(work, 'package'), target)
  for (const entry of readdirSync(join(target, 'docs'))) {
    if (!docs.includes(entry)) rmSync(join(target, 'docs', entry), { recursive: true, force: true })
  }
  cpSync(join(root, 'package-lock.json'), join(target, 'package-lock.json'))
  run('npm', ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], target)
  removeDeveloperFiles(join(target, 'node_modules'))
}

/**
 * Removes files that are only needed to develop the dependencies: their command lines, and settings of linters and
 * npm.
 */
function removeDeveloperFiles(modules) {
  for (const entry of readdirSync(modules, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.name === '.bin' || /^\.(npmignore|eslintrc.*|editorconfig|github|nycrc)$/.test(entry.name)) {
      rmSync(path, { recursive: true, force: true })
    } else if (entry.name === 'package.json' && entry.isFile()) {
      const { bin = {}, main = 'index.js' } = JSON.parse(readFileSync(path, 'utf8'))
      for (const file of typeof bin === 'string' ? [bin] : Object.values(bin)) {
        if (resolve('/', file) !== resolve('/', main)) rmSync(join(entry.parentPath, file), { force: true })
      }
    }
  }
}
