/** What spamlogd really reads from: files, pipes, its own rights. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { hasCaptureCapability, systemSpamlogdParts } from '../../../../src/daemon/spamlogd/spamlogd-parts.js'

const folder = mkdtempSync(join(tmpdir(), 'spamlogd-parts-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const { openReplay } = systemSpamlogdParts()

describe('a capture to replay', () => {
  test('a file comes whole, in pieces of one buffer, and can wait', async () => {
    const bytes = Buffer.from(Array.from({ length: 600_000 }, (_, n) => n % 251))
    const path = join(folder, 'capture')
    writeFileSync(path, bytes)
    const source = openReplay(path)
    expect(source.isFile).toBe(true)
    const pieces: Buffer[] = []
    for await (const chunk of source.chunks) pieces.push(Buffer.from(chunk))
    expect(pieces.length).toBeGreaterThan(1)
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
  })

  test('a pipe can be ended early, without an error', async () => {
    const path = join(folder, 'pipe')
    execFileSync('mkfifo', [path])
    // Opened for both, so that neither side waits for the other.
    const writer = openSync(path, 'r+')
    const source = openReplay(path)
    expect(source.isFile).toBe(false)
    const chunks = source.chunks[Symbol.asyncIterator]()
    const next = chunks.next()
    source.abort()
    // The read under way ends.
    writeSync(writer, 'x')
    closeSync(writer)
    expect(await next).toEqual({ done: true, value: undefined })
  })

  test.each([
    ['a folder', '.', 'Is a directory'],
    ['nothing', 'nowhere', 'No such file or directory'],
  ])('%s is an error', (_, name, reason) => {
    const path = join(folder, name)
    expect(() => openReplay(path)).toThrow(
      expect.objectContaining({ code: 'ERR_CAPTURE_OPEN', message: `${path}: ${reason}` }),
    )
  })
})

describe('the right to capture', () => {
  test.each([
    ['CAP_NET_ADMIN', 1n << 12n, true],
    ['CAP_NET_RAW', 1n << 13n, true],
    ['both', 3n << 12n, true],
    ['all others', ~(3n << 12n) & 0x1ff_ffff_ffffn, false],
    ['none', 0n, false],
  ])('%s', (name, bits, mayCapture) => {
    const path = join(folder, `status-${name.replaceAll(' ', '-')}`)
    const effective = bits.toString(16).padStart(16, '0')
    writeFileSync(path, `Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${effective}\nCapBnd:\t0\n`)
    expect(hasCaptureCapability(path)).toBe(mayCapture)
  })

  test('a system that does not tell gives none', () => {
    const path = join(folder, 'status-of-another-system')
    writeFileSync(path, 'Name:\tnode\n')
    expect([hasCaptureCapability(path), hasCaptureCapability(join(folder, 'nowhere'))]).toEqual([
      false,
      false,
    ])
  })
})
