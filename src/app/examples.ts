/** The files of docs/examples, which are installed with the programs. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AppError } from '../platform/app-error.js'

/** Text of a file below docs/examples. `ERR_INIT_EXAMPLES` if this installation lacks them. */
export function readExample(path: string): string {
  return readFileSync(join(examplesFolder(), path), 'utf8')
}

/** docs/examples of this package, beside src/ or dist/src/. */
function examplesFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url))
  const found = ['../..', '../../..']
    .map((path) => join(here, path, 'docs/examples'))
    .find((path) => existsSync(path))
  if (found === undefined) {
    throw new AppError('ERR_INIT_EXAMPLES', 'cannot find docs/examples of this package', {
      hint: 'install it again',
    })
  }
  return found
}

/** The folder of the programs that were called: `/usr/bin`. */
export function programFolder(): string {
  return dirname(process.argv[1] ?? '/usr/local/bin/spamdctl')
}
