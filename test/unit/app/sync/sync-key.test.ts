import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import {
  createSyncKey,
  fingerprintOf,
  readSyncKeyFile,
  syncKeyFingerprint,
  syncKeyWarning,
} from '../../../../src/app/sync/sync-key.js'

const folder = mkdtempSync(join(tmpdir(), 'sync-key-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a new key is a random line that only its owner can read', () => {
  const path = join(folder, 'new')
  const other = join(folder, 'other')
  const fingerprint = createSyncKey(path)
  createSyncKey(other)
  expect(readFileSync(path, 'latin1')).toMatch(/^[0-9a-f]{64}\n$/)
  expect(readFileSync(path)).not.toEqual(readFileSync(other))
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(fingerprint).toMatch(/^SHA256:[0-9a-f]{32}$/)
  expect(syncKeyFingerprint(path)).toBe(fingerprint)
  expect(syncKeyWarning(path)).toBeUndefined()
})

test('an existing key is never replaced', () => {
  const path = join(folder, 'existing')
  writeFileSync(path, 'precious')
  expect(() => createSyncKey(path)).toThrow(`cannot create ${path}: File exists`)
  expect(readFileSync(path, 'latin1')).toBe('precious')
})

test('a missing folder is named with the fix', () => {
  const path = join(folder, 'missing', 'key')
  expect(() => createSyncKey(path)).toThrow(
    expect.objectContaining({
      code: 'ERR_SYNC_KEY_WRITE',
      hint: `create its folder first: mkdir -p ${folder}/missing`,
    }),
  )
})

test('any content is a key, an empty file is one, no file is none', () => {
  const path = join(folder, 'any')
  writeFileSync(path, Buffer.from([0, 255, 10, 13]))
  expect(readSyncKeyFile(path)).toEqual(Buffer.from([0, 255, 10, 13]))
  writeFileSync(path, '')
  expect(readSyncKeyFile(path)).toEqual(Buffer.alloc(0))
  expect(readSyncKeyFile(join(folder, 'nothing'))).toBeUndefined()
  expect(fingerprintOf(Buffer.alloc(0))).toBe('SHA256:e3b0c44298fc1c149afbf4c8996fb924')
})

test('a folder in place of the key is the original words', () => {
  expect(() => readSyncKeyFile(folder)).toThrow('failed to open sync key: Is a directory')
})

test('what an administrator should know is said', () => {
  const path = join(folder, 'open')
  writeFileSync(path, 'k')
  chmodSync(path, 0o644)
  expect(syncKeyWarning(path)).toBe(
    `the synchronisation key ${path} can be read by every user: chmod o= ${path}`,
  )
  chmodSync(path, 0o640)
  expect(syncKeyWarning(path)).toBeUndefined()
  expect(syncKeyWarning(join(folder, 'nothing'))).toBe(
    `no synchronisation key in ${folder}/nothing: anyone can forge messages`,
  )
})
