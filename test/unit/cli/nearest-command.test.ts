/** What is said to a word that is no command. */
import { expect, test } from 'vitest'
import { nearestCommand } from '../../../src/cli/oclif-program.js'

const NAMES = [
  'status',
  'stats',
  'doctor',
  'why',
  'undo',
  'log',
  'lists',
  'lists catalogue',
  'sync-status',
  'spamdb',
]

test.each([
  ['statsu', 'stats'],
  ['statu', 'status'],
  ['docter', 'doctor'],
  ['doc', 'doctor'],
  ['wyh', undefined],
  ['wh', 'why'],
  ['undoo', 'undo'],
  ['spamd-db', 'spamdb'],
  ['lists catalog', 'lists catalogue'],
  ['zzz', undefined],
  ['l', undefined],
  ['', undefined],
])('%j: %s', (word, expected) => {
  expect(nearestCommand(word, NAMES)).toBe(expected)
})
