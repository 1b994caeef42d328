import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { gatheredInput } from '../../../src/platform/gathered-input.js'

async function read(input: AsyncIterable<Uint8Array>): Promise<Buffer[]> {
  const pieces: Buffer[] = []
  for await (const piece of input) pieces.push(Buffer.from(piece))
  return pieces
}

test('pieces that come without pause are handed on as few', async () => {
  const input = new PassThrough()
  const output = read(gatheredInput(input))
  for (let index = 0; index < 1000; index += 1) input.write(`192.0.2.${index}\n`)
  input.end()
  const pieces = await output
  expect(pieces.length).toBeLessThan(10)
  expect(Buffer.concat(pieces).toString().split('\n')).toHaveLength(1001)
})

test('no piece waits for more than eight megabytes, and a reader that comes late gets two of them at most', async () => {
  const input = new PassThrough()
  const output = read(gatheredInput(input))
  for (let index = 0; index < 300; index += 1) {
    if (!input.write(Buffer.alloc(65_536, index)))
      await new Promise((resolve) => input.once('drain', resolve))
  }
  input.end()
  const pieces = await output
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(2 * 8 * 1_048_576)
  const whole = Buffer.concat(pieces)
  expect(whole).toHaveLength(300 * 65_536)
  for (let index = 0; index < 300; index += 1) expect(whole[index * 65_536]).toBe(index % 256)
})

test('what trickles in is handed on without waiting for the next piece', async () => {
  const input = new PassThrough()
  const iterator = gatheredInput(input)[Symbol.asyncIterator]()
  for (const line of ['192.0.2.1\n', 'trap@example.org\n']) {
    input.write(line)
    expect(String((await iterator.next()).value)).toBe(line)
  }
  const closed = new Promise((resolve) => input.once('close', resolve))
  await iterator.return?.()
  await closed
  expect(input.destroyed).toBe(true)
})

test('an error of the input reaches the reader, an empty input is an end', async () => {
  const broken = new PassThrough()
  const output = read(gatheredInput(broken))
  broken.destroy(new Error('EIO'))
  await expect(output).rejects.toThrow('EIO')
  const empty = new PassThrough()
  empty.end()
  expect(await read(gatheredInput(empty))).toEqual([])
})
