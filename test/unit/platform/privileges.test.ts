import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isRoot, ownRights } from '../../../src/platform/privileges.js'
import { temporaryFolder } from '../../support/program-run.js'

const folder = temporaryFolder('privileges')
const IS_ROOT = process.geteuid?.() === 0

test.each([
  ['CapEff:\t0000000000001000\n', true],
  ['Name:\tnode\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n', true],
  ['CapEff:\t0000000000000800\nCapPrm:\t0000000000001000\n', false],
  ['CapEff:\t0000000000002000\n', false],
  ['Name:\tnode\n', false],
])('%j: may change the packet filter: %s', (status, hasNetAdmin) => {
  const path = join(folder, 'status')
  writeFileSync(path, status)
  expect(ownRights(path)).toEqual({ isRoot: IS_ROOT, hasNetAdmin })
})

test('where there is no such file, only root has rights', () => {
  expect(ownRights('/nonexistent/status')).toEqual({ isRoot: IS_ROOT, hasNetAdmin: false })
  expect(isRoot()).toBe(IS_ROOT)
})
