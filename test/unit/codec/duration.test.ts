import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatDuration, MAX_DURATION_SEC, parseDuration } from '../../../src/codec/duration.js'

describe('parseDuration', () => {
  test.each([
    ['0', 0],
    ['90', 90],
    ['90s', 90],
    ['25m', 1500],
    ['4h', 14_400],
    ['36d', 3_110_400],
    ['2w', 1_209_600],
    ['1d12h', 129_600],
    ['1w2d3h4m5s', 788_645],
    [String(MAX_DURATION_SEC), MAX_DURATION_SEC],
  ])('%s is %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds)
  })

  test.each([
    '',
    ' 4h',
    '4h ',
    '4 h',
    '-4h',
    '+4h',
    '1.5h',
    '4H',
    '4x',
    'h',
    '12h1d',
    '1h1h',
    'never',
    '٣h',
    String(MAX_DURATION_SEC + 1),
    `${'9'.repeat(30)}w`,
    '1'.repeat(100_000),
  ])('%j is refused', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })

  test('any text: a number within the limit or undefined', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const seconds = parseDuration(text)
        if (seconds === undefined) return true
        return Number.isInteger(seconds) && seconds >= 0 && seconds <= MAX_DURATION_SEC
      }),
    )
  })
})

describe('formatDuration', () => {
  test.each([
    [0, '0s'],
    [59, '59s'],
    [90, '1m 30s'],
    [3600, '1h'],
    [86_400 * 36, '36d'],
    [86_400 + 3600 * 2 + 59, '1d 2h'],
    [86_400 + 59, '1d'],
    [-90, '-1m 30s'],
  ])('%d is %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text)
  })

  test('what it prints without loss is read back', () => {
    fc.assert(
      fc.property(fc.nat(86_399), (seconds) => {
        const text = formatDuration(seconds).replaceAll(' ', '')
        expect(seconds - parseDuration(text)!).toBeGreaterThanOrEqual(0)
        expect(seconds - parseDuration(text)!).toBeLessThan(60)
      }),
    )
  })
})
