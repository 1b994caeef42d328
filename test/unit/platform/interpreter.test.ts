/** Which file is started again with our rights: never one that the folder of the moment or a word could choose. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { interpreterPath } from '../../../src/platform/interpreter.js'

/** What Node makes of `node` on OpenBSD in a folder of an attacker's. */
const fooled = { platform: 'openbsd', argv0: 'node', execPath: '/home/eve/node' }
const isProgram = (path: string): boolean => path === '/usr/local/bin/node' || path.startsWith('/home/eve/')

test.each([
  {
    name: 'the system knows the file',
    traces: { ...fooled, platform: 'linux', execPath: '/usr/bin/node' },
    want: '/usr/bin/node',
  },
  {
    name: 'by its name: as PATH says, not the file in the current folder',
    traces: fooled,
    want: '/usr/local/bin/node',
  },
  { name: 'by a whole path', traces: { ...fooled, argv0: '/opt/node/bin/node' }, want: '/opt/node/bin/node' },
  {
    name: 'by a path from here, which the caller meant',
    traces: { ...fooled, argv0: './node' },
    want: '/home/eve/node',
  },
])('$name', ({ traces, want }) => {
  const searchPath = ':.:home/eve:/usr/bin:/usr/local/bin'
  expect(interpreterPath({ ...traces, searchPath }, isProgram)).toBe(want)
})

test.each([
  { name: 'an empty PATH', searchPath: '' },
  { name: 'a PATH of relative folders', searchPath: '.:bin:../home/eve' },
  { name: 'a PATH without it', searchPath: '/usr/bin' },
])('$name: refused with a hint', ({ searchPath }) => {
  expect(() => interpreterPath({ ...fooled, searchPath }, isProgram)).toThrow(
    expect.objectContaining({ code: 'ERR_INTERPRETER', hint: expect.stringContaining('PATH') }),
  )
})

test('a word that is no name of a program is looked up like one', () => {
  const traces = { ...fooled, argv0: '-node', searchPath: '/usr/local/bin' }
  expect(() => interpreterPath(traces, isProgram)).toThrow('cannot tell which node runs this program')
})

test('folders and files that cannot be executed are passed over', () => {
  const base = mkdtempSync(join(tmpdir(), 'interpreter-'))
  const [folder, plain, good] = ['folder', 'plain', 'good'].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ]
  try {
    for (const path of [folder, plain, good]) mkdirSync(path)
    mkdirSync(join(folder, 'node'))
    writeFileSync(join(plain, 'node'), '', { mode: 0o644 })
    writeFileSync(join(good, 'node'), '')
    chmodSync(join(good, 'node'), 0o755)
    expect(interpreterPath({ ...fooled, searchPath: [folder, plain, good].join(':') })).toBe(
      join(good, 'node'),
    )
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
})
