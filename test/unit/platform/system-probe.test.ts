import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readSyncKeyFile } from '../../../src/app/sync/sync-key.js'
import { LiveSystem, parsePs } from '../../../src/platform/system-probe.js'
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

test('a program that is missing, one that may not be run, one that ends and one that dies', async () => {
  const system = new LiveSystem()
  expect(await system.run('/nonexistent/tool', [])).toEqual({
    kind: 'missing',
    reason: 'cannot run /nonexistent/tool: No such file or directory',
  })
  const plain = join(folder, 'plain')
  writeFileSync(plain, '', { mode: 0o644 })
  expect(await system.run(plain, [])).toMatchObject({ kind: 'failed', errno: 'EACCES' })
  expect(await system.run('/bin/sh', ['-c', 'echo out; echo err >&2; exit 3'])).toEqual({
    kind: 'ended',
    status: 3,
    stdout: 'out\n',
    stderr: 'err\n',
  })
  expect(await system.run('/bin/sh', ['-c', 'kill -9 $$'])).toEqual({
    kind: 'failed',
    reason: '/bin/sh died on SIGKILL',
  })
})

test('lines of ps: others are left out, a start that is no time is unknown', () => {
  const listing = [
    '    1     0 root     Thu Jan  1 00:01:00 1970 /sbin/init  splash',
    '  PID  PPID USER     STARTED COMMAND',
    '   25     1 _spamd   Xxx Jan 99 00:00:00 1970 spamd: child',
    '',
  ].join('\n')
  expect(parsePs(listing)).toEqual([
    { pid: 1, parentPid: 0, user: 'root', startedSec: 60, command: '/sbin/init  splash' },
    { pid: 25, parentPid: 1, user: '_spamd', startedSec: undefined, command: 'spamd: child' },
  ])
})
