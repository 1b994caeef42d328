/** Which entry a typed key names, and keys on lines. */
import { describe, expect, test } from 'vitest'
import { planEdits } from '../../../../src/app/database/edit-entries.js'
import { keyOfLine, readKeyLines } from '../../../../src/app/database/key-lines.js'
import { MAX_KEY_BYTES, parseTypedKey } from '../../../../src/app/database/typed-key.js'

describe('a key', () => {
  const tuple = { kind: 'tuple', ip: '192.0.2.1', helo: 'h', from: '<a@b>', to: '<c@d>' }
  test.each<[string, object | undefined]>([
    ['192.0.2.1', { kind: 'host', ip: '192.0.2.1' }],
    ['192.000.002.001', { kind: 'host', ip: '192.0.2.1' }],
    ['2001:DB8::1', { kind: 'host', ip: '2001:db8::1' }],
    ['192.0.2.0/24', { kind: 'pool', ip: '192.0.2.0/24' }],
    ['192.0.2.1/24', { kind: 'spamtrap', address: '192.0.2.1/24' }],
    ['a/24@192.0.2.0', { kind: 'spamtrap', address: 'a/24@192.0.2.0' }],
    ['<Trap@Example.ORG>', { kind: 'spamtrap', address: 'trap@example.org' }],
    ['192.0.2.1\nh\n<a@b>\n<c@d>', tuple],
    ['192.000.002.001\nh\n<a@b>\n<c@d>', tuple],
    // As older releases wrote it.
    ['192.0.2.1\n<a@b>\n<c@d>', { ...tuple, helo: '' }],
    ['192.0.2.1\nh\n<a@b>\n<c@d>\nmore', { ...tuple, to: '<c@d>\nmore' }],
    ['name\nh\nf\nt', { kind: 'tuple', ip: 'name', helo: 'h', from: 'f', to: 't' }],
    ['192.0.2.1\nh', undefined],
    ['trap@example.org\0', undefined],
    ['x'.repeat(MAX_KEY_BYTES + 1), undefined],
  ])('%j', (text, key) => {
    expect(parseTypedKey(text)).toEqual(key)
  })

  test('may be as long as one argument', () => {
    const longest = 'x'.repeat(MAX_KEY_BYTES)
    expect(parseTypedKey(longest)).toEqual({ kind: 'spamtrap', address: longest })
  })
})

test('all tuples of a key are deleted up to the same length', () => {
  const planOf = (key: string) => {
    const request = { operation: 'delete', kind: 'GREY', allTuples: true } as unknown as Parameters<
      typeof planEdits
    >[1]
    return planEdits([key], request, 0)
  }
  const [longest, longer] = ['x'.repeat(MAX_KEY_BYTES), 'x'.repeat(MAX_KEY_BYTES + 1)]
  expect(JSON.stringify(planOf(longest))).toContain('delete-tuples')
  for (const key of [longer, 'a\0b']) expect(JSON.stringify(planOf(key))).toContain('no-entry')
})

describe('keys on lines', () => {
  async function batches(...pieces: string[]): Promise<string[][]> {
    const input = async function* () {
      for (const piece of pieces) yield Buffer.from(piece, 'latin1')
    }
    const found: string[][] = []
    for await (const batch of readKeyLines(input())) found.push([...batch])
    return found
  }

  test('each piece of input that ends a line gives its batch at once', async () => {
    expect(await batches('a\nb\n', 'c', 'd\n', '', 'e')).toEqual([['a', 'b'], ['cd'], ['e']])
    expect(await batches('a\n')).toEqual([['a'], []])
  })

  test('blanks, comments, empty lines and carriage returns are left out, wherever a piece ends', async () => {
    const text = ' a \r\n# no\n\n\tb # why\nc#d\r\n  #\ne'
    for (let at = 0; at <= text.length; at += 1)
      expect((await batches(text.slice(0, at), text.slice(at))).flat(), `cut at ${at}`).toEqual([
        'a',
        'b',
        'c#d',
        'e',
      ])
  })

  test.each([
    ['a', 'a'],
    ['', ''],
    ['#a', ''],
    ['a #b', 'a'],
    ['a\t#b', 'a'],
    ['a#b', 'a#b'],
    [' \ta\t ', 'a'],
    ['a\r', 'a'],
    ['\xa0a\xa0', '\xa0a\xa0'],
  ])('%j is %j', (line, key) => {
    expect(keyOfLine(line)).toBe(key)
  })
})
