import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

interface LockEntry {
  integrity?: string
  resolved?: string
  link?: boolean
  optional?: boolean
}

const { packages } = JSON.parse(
  readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8'),
) as { packages: Record<string, LockEntry> }

test('whatever is installed everywhere is compared with what was locked', () => {
  // Builds for other systems, which npm did not ask for here, are the optional ones.
  const loose = Object.entries(packages).filter(
    ([path, { integrity, link, optional }]) =>
      path !== '' && link !== true && optional !== true && !/^sha(512|384)-/.test(integrity ?? ''),
  )
  expect(loose.map(([path]) => path)).toEqual([])
})

test('nothing comes from elsewhere than the registry', () => {
  for (const { resolved } of Object.values(packages))
    if (resolved !== undefined) expect(resolved).toMatch(/^https:\/\/registry\.npmjs\.org\//)
})
