import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { billOfMaterials } from '../../../packaging/bill-of-materials.js'

const root = join(import.meta.dirname, '../../..')

test('names every production dependency, also one that a development dependency needs, and no other', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; dev?: boolean }>
  }
  const wanted = new Set<string>()
  for (const [path, { version, dev }] of Object.entries(packages))
    if (path !== '' && !dev) wanted.add(`${path.split('node_modules/').at(-1)}@${version}`)
  expect(wanted.size).toBeGreaterThan(50)

  const text = billOfMaterials(root, (program: string, words: string[], cwd: string) =>
    execFileSync(program, words, { cwd, encoding: 'utf8' }),
  )
  const { bomFormat, components } = JSON.parse(text) as {
    bomFormat: string
    components: { name: string; version: string }[]
  }
  expect(bomFormat).toBe('CycloneDX')
  expect(new Set(components.map(({ name, version }) => `${name}@${version}`))).toEqual(wanted)
})
