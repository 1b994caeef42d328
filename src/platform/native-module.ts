import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Where `npm install` builds our own modules, as seen from the sources and from the built programs. */
const FOLDERS = ['native/build/Release/', '../../../src/platform/native/build/Release/']

/** One of the modules of `native`; undefined if it is not built. */
export function loadNativeModule(name: string): unknown {
  const path = FOLDERS.map((folder) => fileURLToPath(new URL(`${folder}${name}.node`, import.meta.url))).find(
    (file) => existsSync(file),
  )
  return path === undefined ? undefined : createRequire(import.meta.url)(path)
}
