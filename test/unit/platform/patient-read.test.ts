import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readConfiguration } from '../../../src/app/lists/read-configuration.js'
import { openFileFeed } from '../../../src/feeds/file-feed.js'
import { readWithoutWaiting } from '../../../src/platform/file-io.js'
import { PatientFile, readPatiently } from '../../../src/platform/patient-read.js'

let folder: string
let fifo: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-fifo-'))
  fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
})
afterEach(() => rmSync(folder, { recursive: true }))

const SHORT = { withoutWriterMs: 60, silenceMs: 120 }

describe('a FIFO', () => {
  test('that nobody writes to ends in an error', async () => {
    await expect(readPatiently(fifo, 100, SHORT)).rejects.toThrow(
      'a FIFO that nobody writes to (waited 0.06 seconds)',
    )
  })

  test('whose writer writes nothing ends in an error', async () => {
    const writer = openSync(fifo, constants.O_RDWR)
    await expect(readPatiently(fifo, 100, SHORT)).rejects.toThrow(
      'its writer wrote nothing (waited 0.12 seconds)',
    )
    closeSync(writer)
  })

  test('is read to its end, whatever its writer waits for', async () => {
    const file = await PatientFile.open(fifo)
    const writer = openSync(fifo, constants.O_WRONLY)
    const first = file.readUpTo(3)
    setImmediate(() => writeSync(writer, 'one'))
    expect(String(await first)).toBe('one')
    const rest = file.readUpTo(100)
    writeSync(writer, 'two')
    closeSync(writer)
    expect(String(await rest)).toBe('two')
    await file.close()
  })

  test('whose writer comes late is read', async () => {
    const reading = readPatiently(fifo, 100)
    // The open for writing waits until the other side is open.
    const script = `require('fs').writeFileSync(${JSON.stringify(fifo)}, 'late')`
    execFileSync(process.execPath, ['-e', script])
    expect(String(await reading)).toBe('late')
  })

  test('is taken as spamd.conf and as a list', async () => {
    const script = `require('fs').writeFileSync(process.argv[1], process.argv[2])`
    const write = (text: string) => execFileSync(process.execPath, ['-e', script, fifo, text])
    const configuration = readConfiguration(fifo)
    write('all:\\\n\t:a:\na:black:msg="x":method=file:file=/dev/null:\n')
    expect((await configuration).lists.map(({ name }) => name)).toEqual(['a'])
    const answer = await openFileFeed({ method: 'file', location: fifo })
    write('192.0.2.1\n')
    if (answer.kind !== 'body') throw new Error('no body')
    for await (const chunk of answer.body) expect(String(Buffer.from(chunk))).toBe('192.0.2.1\n')
  })
})

test('other files are read as they are, devices up to the limit', async () => {
  const file = join(folder, 'file')
  writeFileSync(file, Buffer.alloc(200_000, 'x'))
  expect((await readPatiently(file, 1_000_000)).length).toBe(200_000)
  expect((await readPatiently(file, 100)).length).toBe(100)
  expect((await readPatiently('/dev/null', 100)).length).toBe(0)
  expect((await readPatiently('/dev/zero', 100_000)).length).toBe(100_000)
  await expect(readPatiently(folder, 100)).rejects.toMatchObject({ code: 'EISDIR' })
  await expect(readPatiently(join(folder, 'none'), 100)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(() => readWithoutWaiting('/dev/zero')).toThrow('larger than 67108864 bytes')
})
