/** Whether local sources are there, and whether the user of spamd-setup may use them. */
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkSources } from '../../../../src/app/lists/check-sources.js'
import type { ConfiguredList } from '../../../../src/app/lists/configured-list.js'
import type { ListSource } from '../../../../src/app/lists/list-source.js'
import { findUser } from '../../../../src/platform/privileges.js'
import { skipUnlessRoot } from '../../../support/skip-unless.js'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'check-sources-'))
  chmodSync(folder, 0o755)
})
afterAll(() => rmSync(folder, { recursive: true }))

function listOf(source: Partial<ListSource> | undefined): ConfiguredList {
  return { name: 'a', source: source && { name: 'a', ...source } } as ConfiguredList
}

const check = (...sources: (Partial<ListSource> | undefined)[]) => checkSources(sources.map(listOf), 'nobody')

function fileOf(mode: number, uid = 0, gid = 0): string {
  const path = join(folder, 'file')
  rmSync(path, { force: true })
  writeFileSync(path, '')
  chownSync(path, uid, gid)
  chmodSync(path, mode)
  return path
}

describe('what is not there', () => {
  test('is told once for each source, however often it is named', async () => {
    const [file, exec] = [
      { method: 'file', location: '/nonexistent/x' },
      { method: 'exec', location: ' \t/nonexistent/y -q' },
    ] as const
    expect(await check(file, exec, file, undefined)).toEqual([
      {
        message: "Can't open /nonexistent/x by file method: No such file or directory",
        hint: 'list a of spamd.conf',
        isError: true,
      },
      {
        message: 'cannot run /nonexistent/y: No such file or directory',
        hint: 'list a of spamd.conf',
        isError: true,
      },
    ])
  })

  test('is not looked for on servers, nor in PATH', async () => {
    expect(
      await check(
        { method: 'https', location: 'nonexistent/x' },
        { method: 'ftp', location: '/nonexistent/x' },
        { method: 'exec', location: 'nonexistent -q' },
        { method: 'exec', location: '' },
      ),
    ).toEqual([])
  })

  test('a relative path begins at the root', async () => {
    expect(await check({ method: 'file', location: 'etc/passwd' })).toEqual([])
  })
})

describe.skipIf(skipUnlessRoot('changes owners'))('who may read a file, and run a program', () => {
  test.each([
    ['the owner', 'user', 'other', 0o400, 0o100],
    ['the group', 'other', 'group', 0o040, 0o010],
    ['all others', 'other', 'other', 0o004, 0o001],
    // The first that fits decides, as in the kernel.
    ['the owner, also in the group', 'user', 'group', 0o400, 0o100],
  ] as const)('%s', async (_name, owner, group, readable, runnable) => {
    const { uid, gid, name } = (await findUser('nobody'))!
    const place = [owner === 'user' ? uid : 12_345, group === 'group' ? gid : 12_345] as const
    const refused = (verb: string, path: string) => [
      {
        message: `${name}, the user of spamd-setup, may not ${verb} ${path}`,
        hint: `let others ${verb} it, or add :as_root: to list a`,
        isError: true,
      },
    ]
    for (const [method, bit, verb] of [
      ['file', readable, 'read'],
      ['exec', runnable, 'run'],
    ] as const) {
      // Root itself runs only what somebody may run.
      const others = (method === 'file' ? 0o444 : 0o111) & ~bit
      const may = fileOf(bit, ...place)
      expect(await check({ method, location: may })).toEqual([])
      const mayNot = fileOf(others, ...place)
      expect(await check({ method, location: mayNot })).toEqual(refused(verb, mayNot))
      expect(await check({ method, location: mayNot, isAsRoot: true })).toEqual([])
    }
  })

  test('root as that user may read everything; without the user nothing is said', async () => {
    const list = listOf({ method: 'file', location: fileOf(0o000) })
    expect(await checkSources([list], 'root')).toEqual([])
    expect(await checkSources([list], 'no-such-user')).toEqual([])
  })
})
