/** What is said to a word that is no command. */
import { expect, test } from 'vitest'
import { nearestCommand, plainRefusal } from '../../../src/cli/oclif-program.js'

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
  'failover plan',
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
  ['faillover', 'failover plan'],
  ['zzz', undefined],
  ['l', undefined],
  ['', undefined],
])('%j: %s', (word, expected) => {
  expect(nearestCommand(word, NAMES)).toBe(expected)
})

test.each([
  ['Command failover:x not found.', 'command failover x not found', 'failover x'],
  ['command zzz not found', 'command zzz not found', 'zzz'],
  ['Some other refusal.', 'Some other refusal', undefined],
])('%j is told in the words that were typed', (text, message, words) => {
  expect(plainRefusal(text)).toEqual({ message, words })
})
