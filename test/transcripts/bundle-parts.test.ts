/** The bundle of spamdb is in two files: the calls that are made most read the first alone. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'bundle-parts-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const env = { ...process.env, SPAMD_DB: join(folder, 'db.sqlite') }
writeFileSync(env.SPAMD_DB, '')
/** Preloaded: names each file that is read whole, on standard error. */
const hook = join(folder, 'hook.cjs')
writeFileSync(
  hook,
  `const fs = require('node:fs')
const { readFileSync } = fs
fs.readFileSync = (path, ...rest) => {
  if (String(path).includes('fast')) fs.writeSync(2, 'READ ' + path + '\\n')
  return readFileSync(path, ...rest)
}`,
)

function run(...args: string[]) {
  const words = ['--require', hook, join(ROOT, 'bin/spamdb.js'), ...args]
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { env, encoding: 'utf8' })
  const scripts = [...stderr.matchAll(/^READ (.*\.cjs)$/gm)].map(([, path]) => basename(path!))
  return { status, stdout, scripts }
}

test('editing, looking up and listing addresses read the first part only', () => {
  expect(run('-a', '192.0.2.1')).toMatchObject({ status: 0, scripts: ['spamdb.cjs'] })
  for (const args of [['192.0.2.1'], ['--ip', '192.0.2.1'], []]) {
    const { status, stdout, scripts } = run(...args)
    expect({ status, scripts }).toEqual({ status: 0, scripts: ['spamdb.cjs'] })
    expect(stdout).toMatch(/^WHITE\|192\.0\.2\.1\|.*\n$/)
  }
  expect(run('-d', '192.0.2.1')).toMatchObject({ status: 0, scripts: ['spamdb.cjs'] })
})

test('what is in the second part finds the classes of the first: its errors are told as ever', () => {
  const parts = ['spamdb.cjs', 'spamdb-rest.cjs']
  expect(run('--count')).toEqual({ status: 0, stdout: '0\n', scripts: parts })
  expect(run('--json')).toMatchObject({ status: 0, scripts: parts })
  writeFileSync(join(folder, 'foreign'), 'no database')
  const foreign = spawnSync(
    process.execPath,
    [join(ROOT, 'bin/spamdb.js'), '--count', '--db', join(folder, 'foreign')],
    { env, encoding: 'utf8' },
  )
  expect(foreign).toMatchObject({ status: 1, stdout: '' })
  expect(foreign.stderr).toMatch(/^spamdb: cannot open .*foreign for reading: /)
})
