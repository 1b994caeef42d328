import { describe, expect, test, vi } from 'vitest'
import { SocketChannel } from '../../../../src/daemon/process/socket-channel.js'
import type { ChildProcess } from '../../../../src/platform/run-process.js'

const TAKEN = '{"cmd":"NODE_HANDLE_ACK"}\n'
const LOST = '{"cmd":"NODE_HANDLE_NACK"}\n'

/** A child as Node keeps it, and the guarded channel to it. */
function channel() {
  const toNode: string[] = []
  const handle = {
    onread(buffer?: ArrayBuffer) {
      toNode.push(buffer === undefined ? 'end' : Buffer.from(buffer).toString())
    },
    pendingHandle: undefined as { close(): void } | null | undefined,
  }
  const sent: unknown[] = []
  const child = {
    [Symbol('kChannelHandle')]: handle,
    send: (message: object, _socket: unknown, _options: object, done: (error: Error | null) => void) => {
      sent.push(message)
      done(null)
    },
  } as unknown as ChildProcess
  const onForeign = vi.fn()
  const guarded = new SocketChannel(child, onForeign)
  expect(guarded.guard()).toBe(true)
  const come = (text: string): void => void handle.onread(new Uint8Array(Buffer.from(text)).buffer)
  const sendSocket = async (count = 1): Promise<void> => {
    for (let index = 0; index < count; index += 1) await guarded.send({ index }, {} as never)
  }
  return { handle, guarded, come, sendSocket, toNode, sent, onForeign }
}

describe('what Node must hear', () => {
  test('an answer for each socket that was sent, however it is cut', async () => {
    const { come, sendSocket, toNode, onForeign } = channel()
    await sendSocket(2)
    for (const character of TAKEN) come(character)
    come(TAKEN)
    expect(toNode.join('')).toBe(TAKEN + TAKEN)
    expect(onForeign).not.toHaveBeenCalled()
  })

  test('that a socket was lost, as often as Node sends it again', async () => {
    const { come, sendSocket, toNode, onForeign } = channel()
    await sendSocket()
    come(LOST + LOST + LOST)
    come(TAKEN)
    expect(toNode.join('')).toBe(LOST + LOST + LOST + TAKEN)
    expect(onForeign).not.toHaveBeenCalled()
  })

  test('the end of the channel', () => {
    const { handle, toNode } = channel()
    handle.onread()
    expect(toNode).toEqual(['end'])
  })
})

describe('what Node must not hear', () => {
  test.each([
    ['an answer without a socket', 0, TAKEN],
    ['one answer more than sockets', 1, TAKEN + TAKEN],
    ['a loss more than Node bears', 1, LOST.repeat(5)],
    ['a loss more, counted for each socket', 2, LOST + LOST + TAKEN + LOST.repeat(5)],
    ['a message', 1, '{"cmd":"NODE_HANDLE","type":"net.Socket"}\n'],
    ['the start of something else', 1, '{"cmd":"NODE_HANDLE_X'],
    ['no line at all', 1, 'x'.repeat(1 << 20)],
    ['an empty line', 1, '\n'],
    ['a message behind an answer', 2, `${TAKEN}{}\n`],
  ])('%s', async (_, sockets, text) => {
    const { come, sendSocket, toNode, onForeign } = channel()
    await sendSocket(sockets)
    come(text)
    expect(toNode).toEqual([])
    expect(onForeign).toHaveBeenCalledTimes(1)
  })

  test('a socket, which is closed', async () => {
    const { handle, come, sendSocket, toNode, onForeign } = channel()
    await sendSocket()
    const close = vi.fn()
    handle.pendingHandle = { close }
    come(TAKEN)
    expect(close).toHaveBeenCalledTimes(1)
    expect(handle.pendingHandle).toBeNull()
    expect(toNode).toEqual([])
    expect(onForeign).toHaveBeenCalledTimes(1)
  })

  test('anything behind the first foreign byte, and it is told once', async () => {
    const { come, sendSocket, toNode, onForeign } = channel()
    await sendSocket()
    come('x\n')
    come(TAKEN)
    come('y\n')
    expect(toNode).toEqual([])
    expect(onForeign).toHaveBeenCalledTimes(1)
  })
})

test('messages without a socket have no answer', async () => {
  const { guarded, come, sent, onForeign } = channel()
  await guarded.send({ a: 1 })
  expect(sent).toEqual([{ a: 1 }])
  come(TAKEN)
  expect(onForeign).toHaveBeenCalledTimes(1)
})

test('a Node that keeps its channel in another way is told of', () => {
  expect(new SocketChannel({} as ChildProcess, () => undefined).guard()).toBe(false)
  const other = { [Symbol('kChannelHandle')]: {} } as unknown as ChildProcess
  expect(new SocketChannel(other, () => undefined).guard()).toBe(false)
})
