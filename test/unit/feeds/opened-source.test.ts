import { fstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import {
  closeOpenedSources,
  type OpenedSource,
  openSourceAsRoot,
  readOpenedSource,
  sourceKey,
} from '../../../src/feeds/opened-source.js'

const folder = mkdtempSync(join(tmpdir(), 'opened-source-'))
afterAll(() => rmSync(folder, { recursive: true }))
const LIMITS = { maxBytes: 1 << 20, timeoutMs: 30_000 }

async function bytesOf(opened: OpenedSource): Promise<Buffer> {
  const answer = readOpenedSource(opened)
  const chunks: Uint8Array[] = []
  // The buffer is used again for the next piece.
  if (answer.kind === 'body') for await (const chunk of answer.body) chunks.push(Uint8Array.from(chunk))
  closeOpenedSources(new Map([['x', opened]]))
  return Buffer.concat(chunks)
}

/** More than one piece, no two alike. */
const LONG = Buffer.from(
  Array.from({ length: 60_000 }, (_, index) => `10.${index >> 8}.${index & 255}.1\n`).join(''),
)

describe('a source that root opened', () => {
  test('a file comes whole, from its first byte to its last', async () => {
    const path = join(folder, 'list')
    writeFileSync(path, LONG)
    expect(
      (await bytesOf(await openSourceAsRoot({ method: 'file', location: path }, LIMITS))).equals(LONG),
    ).toBe(true)
  })

  test('so does the output of a command, of which no file is left', async () => {
    const path = join(folder, 'list')
    writeFileSync(path, LONG)
    const opened = await openSourceAsRoot({ method: 'exec', location: `/bin/cat ${path}` }, LIMITS)
    expect(fstatSync((opened as { fd: number }).fd).nlink).toBe(0)
    expect((await bytesOf(opened)).equals(LONG)).toBe(true)
  })

  test.each([
    ['a file that is missing', { method: 'file', location: '/nonexistent/list' }, /No such file/],
    ['a command that fails', { method: 'exec', location: '/bin/false' }, /ended with status 1/],
    [
      'a command that prints too much',
      { method: 'exec', location: '/bin/cat /dev/zero' },
      /larger than 1048576/,
    ],
  ] as const)('%s is told when it is read, not when it is opened', async (_, source, reason) => {
    const opened = await openSourceAsRoot(source, LIMITS)
    expect(() => readOpenedSource(opened)).toThrow(reason)
  })

  test('a command may print as much as is allowed, and not one byte more', async () => {
    const path = join(folder, 'list')
    writeFileSync(path, LONG)
    const print = (maxBytes: number) =>
      openSourceAsRoot({ method: 'exec', location: `/bin/cat ${path}` }, { ...LIMITS, maxBytes })
    expect((await bytesOf(await print(LONG.length))).length).toBe(LONG.length)
    const refused = await print(LONG.length - 1)
    expect(() => readOpenedSource(refused)).toThrow(`larger than ${LONG.length - 1} bytes`)
  })

  test('what a command that succeeds says beside its output is passed on', async () => {
    const path = join(folder, 'chatty')
    writeFileSync(path, '#!/bin/sh\necho 192.0.2.1; echo careful >&2\n', { mode: 0o755 })
    const messages: string[] = []
    const opened = await openSourceAsRoot({ method: 'exec', location: path }, LIMITS, (text) => {
      messages.push(text)
    })
    expect(String(await bytesOf(opened))).toBe('192.0.2.1\n')
    expect(messages).toEqual(['careful\n'])
  })

  test('the same place by another method is another source', () => {
    expect(sourceKey({ method: 'file', location: '/a' })).not.toBe(
      sourceKey({ method: 'exec', location: '/a' }),
    )
  })
})
