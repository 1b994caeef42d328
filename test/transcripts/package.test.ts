/** What `npm pack` makes: a package whose programs start and whose manual pages are found. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/program-run.js'

const root = join(import.meta.dirname, '../..')
const folder = temporaryFolder('spamdctl-package')
const unpacked = join(folder, 'package')
const declared = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  bin: Record<string, string>
  man: string[]
  scripts: Record<string, string>
}

/** The folder of the build; a build anew makes another one. */
const builtBefore = statSync(join(root, 'dist')).ino

beforeAll(() => {
  const packed = spawnSync('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
  })
  expect(packed.status, packed.stderr).toBe(0)
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'))!
  expect(spawnSync('tar', ['-xzf', archive], { cwd: folder }).status).toBe(0)
  symlinkSync(join(root, 'node_modules'), join(unpacked, 'node_modules'))
})

describe('the package', () => {
  test.each(Object.entries(declared.bin))('has %s, which starts', (name, path) => {
    const ran = spawnSync(process.execPath, [join(unpacked, path), '--version'], { encoding: 'utf8' })
    expect(ran.stderr).toBe('')
    expect(ran.status).toBe(0)
    expect(ran.stdout).toContain(name)
  })

  test('has the bundles of the programs that start fast, and of the daemons', () => {
    const names = [
      'spamdb',
      'spamdb-parts',
      'spamd-setup',
      'spamd',
      'spamd-child',
      'spamlogd',
      'store-worker',
    ]
    expect(readdirSync(join(unpacked, 'dist/fast'))).toEqual(
      expect.arrayContaining(names.map((name) => `${name}.cjs`)),
    )
  })

  test('the bundle of spamdb leaves the server and readable listings to a second one', () => {
    const [first, parts] = ['spamdb', 'spamdb-parts'].map((name) =>
      readFileSync(join(unpacked, 'dist/fast', `${name}.cjs`), 'latin1'),
    ) as [string, string]
    for (const path of ['dist/src/db/postgres/open-pg-store.js', 'dist/src/cli/spamdb/entry-renderers.js']) {
      expect(first).toContain(`require("part:${path}")`)
      expect(parts).toContain(`"${path}":()=>`)
    }
  })

  test.each([
    ['spamd', 'spamd-child'],
    ['spamd-child', 'store-worker'],
    ['spamlogd', 'store-worker'],
  ])('the bundle of %s starts that of %s, not the modules', (name, started) => {
    const text = readFileSync(join(unpacked, 'dist/fast', `${name}.cjs`), 'latin1')
    expect(text).toContain(`dist/fast/${started}.cjs`)
    expect(text).not.toContain(`/${started}.js`)
  })

  test('has every manual page, and names it for man(1)', () => {
    const pages = readdirSync(join(root, 'docs/man')).map((name) => `docs/man/${name}`)
    expect([...declared.man].sort()).toEqual(pages.sort())
    expect(pages.filter((page) => !existsSync(join(unpacked, page)))).toEqual([])
  })

  test('has licence, change log and no tests', () => {
    expect(
      ['LICENSE', 'CHANGELOG.md', 'README.md', 'oclif.manifest.json'].filter(
        (name) => !existsSync(join(unpacked, name)),
      ),
    ).toEqual([])
    expect(existsSync(join(unpacked, 'test'))).toBe(false)
  })

  test('is built before it is packed, but not anew: other tests run these programs', () => {
    expect(declared.scripts.prepack).toBe('sh scripts/setup.sh')
    expect(statSync(join(root, 'dist')).ino).toBe(builtBefore)
  })
})
