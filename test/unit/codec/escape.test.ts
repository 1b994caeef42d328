import { expect, test } from 'vitest'
import { escapeControl, printableLines } from '../../../src/codec/escape.js'

test('nothing of a text can move a cursor or begin a line', () => {
  expect(escapeControl('a\x1b[2J\tb\r\nc\x7f\u009b\u00a0\xe4')).toBe(
    'a\\x1b[2J\\x09b\\x0d\\x0ac\\x7f\\x9b\u00a0\xe4',
  )
})

test('lines of a file keep their tabs, and no empty one at the end', () => {
  expect(printableLines('+\tpass\x1b\n \ton\r\n\n')).toEqual(['+\tpass\\x1b', ' \ton'])
  expect(printableLines('a\r\nb')).toEqual(['a\\x0d', 'b'])
})
