import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { addToCrontab } from '../../../../src/app/doctor/schedule.js'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'schedule-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** Like crontab(1) with the table in a file: -l prints it, - or a file replaces it. */
const CRONTAB = `#!/bin/sh
table=$(dirname "$0")/table
case $1 in
-l) cat "$table" ;;
*) cat "$1" >"$table.new" && mv "$table.new" "$table" ;;
esac
`

test.each([
  ['a table', '0 4 * * * /root/backup\n'],
  ['no table', undefined],
])('the command that adds a line to %s keeps what is in it', (_name, before) => {
  writeFileSync(join(folder, 'crontab'), CRONTAB)
  chmodSync(join(folder, 'crontab'), 0o755)
  if (before !== undefined) writeFileSync(join(folder, 'table'), before)
  const line = '17 * * * * /usr/local/bin/spamd-setup >/dev/null'
  execFileSync('sh', ['-c', addToCrontab(line)], {
    cwd: folder,
    env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
    stdio: 'ignore',
  })
  expect(readFileSync(join(folder, 'table'), 'utf8')).toBe(`${before ?? ''}${line}\n`)
})
