import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { InterfaceIndexes, listInterfaces } from '../../../src/platform/interface-index.js'
import { ManualClock } from '../../support/manual-clock.js'

const folder = mkdtempSync(join(tmpdir(), 'interfaces-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('an index is read again after a second, so a new interface of the same name is noticed', () => {
  const clock = new ManualClock()
  const { indexOf } = new InterfaceIndexes(clock, folder)
  expect(indexOf('em0')).toBeUndefined()
  mkdirSync(join(folder, 'em0'))
  writeFileSync(join(folder, 'em0', 'ifindex'), '7\n')
  expect(indexOf('em0')).toBeUndefined()
  clock.advance(1)
  expect(indexOf('em0')).toBe(7)
  writeFileSync(join(folder, 'em0', 'ifindex'), '8\n')
  expect(indexOf('em0')).toBe(7)
  clock.advance(1)
  expect(indexOf('em0')).toBe(8)
})

test('interfaces are listed by name; without the folder the system is asked another way', () => {
  mkdirSync(join(folder, 'a1'))
  expect(listInterfaces(folder)).toEqual(['a1', 'em0'])
  expect(listInterfaces(join(folder, 'none'))).toEqual(expect.any(Array))
})
