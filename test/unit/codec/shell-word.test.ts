import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { shellWord } from '../../../src/codec/shell-word.js'

describe('shellWord', () => {
  test.each([
    ['example.org', 'example.org'],
    ['user+x@example.org', 'user+x@example.org'],
    ['', "''"],
    ['<>', "'<>'"],
    ['-rf', "'-rf'"],
    ['~root', "'~root'"],
    ['=ls', "'=ls'"],
    ["o'neil@example.org", "'o'\\''neil@example.org'"],
    ['a!b', "'a'\\!'b'"],
    ['$(id)`id`;id&|#*?[x]{a,b}', "'$(id)`id`;id&|#*?[x]{a,b}'"],
    ['b\u00fccher.example', "'b\u00fccher.example'"],
  ])('%s', (text, word) => {
    expect(shellWord(text)).toBe(word)
  })

  test.each([
    'a\nb',
    'a\tb',
    'a\x1b[2Jb',
    'a\u0000b',
    'a\u202eb',
    'a\u200bb',
    'a\u2028b',
    'a\u00a0b',
    '\ufffd',
    '\ud800',
  ])('nothing for %j, which a terminal would not show as it is', (text) => {
    expect(shellWord(text)).toBeUndefined()
  })

  test('sh gives back what went in, and runs nothing', () => {
    const texts = fc.sample(
      fc.string({
        unit: fc.constantFrom(...Array.from(` !"#$%&'()*+,-./09:;<=>?@AZ[\\]^_\`az{|}~`), 'é'),
        maxLength: 12,
      }),
      500,
    )
    const words = texts.map((text) => shellWord(text))
    const { stdout, stderr } = spawnSync('sh', ['-c', `printf '%s\\0' ${words.join(' ')}`], {
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(stdout.split('\0').slice(0, -1)).toEqual(texts)
  })
})
