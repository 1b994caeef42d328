import { existsSync, readFileSync } from 'node:fs'

/** Version of the package, from its package.json above src/ or dist/src/. */
export function programVersion(): string {
  const root = ['../../package.json', '../../../package.json'].map((path) => new URL(path, import.meta.url))
  const text = readFileSync(root.find((url) => existsSync(url))!, 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
