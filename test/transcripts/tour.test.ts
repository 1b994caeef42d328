/** `npm start` is the first thing that a new user does: its tour fails when one of the programs does not do what it says. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('the tour of npm start goes through to its end', () => {
  const root = join(import.meta.dirname, '../..')
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/tour.js'], {
    cwd: root,
    encoding: 'utf8',
  })
  expect({ status, stderr, end: stdout.includes('== Done.') }).toMatchObject({ status: 0, end: true })
})
