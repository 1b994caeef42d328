import { expect, test } from 'vitest'
import { formatBannerDate } from '../../../../src/daemon/smtp/banner-date.js'
import {
  connectedLine,
  disconnectedLine,
  formatListNames,
} from '../../../../src/daemon/smtp/connection-log.js'

const lists = (...names: string[]) => names.map((listName) => ({ listName, message: '' }))

test('lines of clients on no list and on lists', () => {
  expect(connectedLine('192.0.2.1', { total: 3, black: 1 }, undefined)).toBe('192.0.2.1: connected (3/1)')
  expect(connectedLine('2001:db8::1', { total: 3, black: 1 }, ' a b')).toBe(
    '2001:db8::1: connected (3/1), lists: a b',
  )
  expect(disconnectedLine('192.0.2.1', 12, undefined)).toBe('192.0.2.1: disconnected after 12 seconds.')
  expect(disconnectedLine('192.0.2.1', 12, ' a')).toBe('192.0.2.1: disconnected after 12 seconds. lists: a')
})

test('names beyond some 75 characters become dots, and the text stays below 80', () => {
  expect(formatListNames(lists('nixspam', 'uatraps'))).toBe(' nixspam uatraps')
  expect(formatListNames(lists('x'.repeat(74)))).toBe(` ${'x'.repeat(74)}`)
  expect(formatListNames(lists('x'.repeat(75)))).toBe(' ...')
  expect(formatListNames(lists('x'.repeat(40), 'y'.repeat(40), 'z'))).toBe(` ${'x'.repeat(40)} ... z`)
  expect(formatListNames(lists(...Array.from({ length: 100 }, () => 'long-list-name'))).length).toBe(79)
})

test('control characters of a name are shown, not printed', () => {
  expect(formatListNames(lists('a\x1b[31m'))).toBe(' a\\x1b[31m')
})

test('the date of the banner pads the day with a space', () => {
  const date = new Date(2026, 10, 2, 7, 3, 9)
  expect(formatBannerDate(date.getTime() / 1000)).toBe('Mon Nov  2 07:03:09 2026')
  expect(formatBannerDate(new Date(2026, 11, 25, 23, 59, 59).getTime() / 1000)).toBe(
    'Fri Dec 25 23:59:59 2026',
  )
})
