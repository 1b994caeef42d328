/** The digest of a tuple is of its bytes, however its text is hashed: rows on a server are found by it. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { digestOf } from '../../../src/db/postgres/pg-rows.js'

test.each([
  ['mx.example.org', '<a@example.org>', '<b@example.net>'],
  ['mx.ex\xe4mple.org', '<\xff@example.org>', ''],
  ['\x7f', '\x80', '\x01'],
])('of %j, %j and %j', (helo, from, to) => {
  const bytes = Buffer.from(`${helo}\0${from}\0${to}`, 'latin1')
  const expected = createHash('sha256').update(bytes).digest('hex').slice(0, 32)
  expect(digestOf({ ip: '192.0.2.1', helo, from, to })).toBe(expected)
})
