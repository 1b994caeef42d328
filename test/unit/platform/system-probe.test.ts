import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readSyncKeyFile } from '../../../src/app/sync/sync-key.js'
import { LiveSystem } from '../../../src/platform/system-probe.js'
import { temporaryFolder } from '../../support/program-run.js'

const folder = temporaryFolder('system-probe')

test('a FIFO in the place of a file is told at once, where reading it would never end', () => {
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  expect(new LiveSystem().readFile(fifo)).toEqual({ kind: 'unreadable', reason: 'a FIFO, not a file' })
  expect(() => readSyncKeyFile(fifo)).toThrow('failed to open sync key: a FIFO, not a file')
})

test('a file is read whole, a missing one and a folder are told', () => {
  const file = join(folder, 'file')
  writeFileSync(file, Buffer.alloc(300_000, 0xe9))
  expect(new LiveSystem().readFile(file)).toEqual({ kind: 'text', text: '\u00e9'.repeat(300_000) })
  expect(readSyncKeyFile(file.replace('file', 'none'))).toBeUndefined()
  expect(new LiveSystem().readFile(join(folder, 'none'))).toEqual({ kind: 'missing' })
  expect(new LiveSystem().readFile(folder)).toEqual({ kind: 'unreadable', reason: 'Is a directory' })
})
