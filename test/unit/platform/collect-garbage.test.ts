/** This Node and the better-sqlite3 that is installed get along: see src/platform/native/object-wrap.h. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('statements and databases can be collected as garbage between two events', () => {
  const probe = join(import.meta.dirname, '../../../scripts/collect-garbage.js')
  const { status, signal, stderr } = spawnSync(process.execPath, ['--expose-gc', probe], { encoding: 'utf8' })
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' })
})
