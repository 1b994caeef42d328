import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { BlockLists } from '../../../../src/daemon/lists/block-lists.js'
import { type ConfigServerOptions, createConfigServer } from '../../../../src/daemon/lists/config-server.js'
import { runConfigSession } from '../../../../src/daemon/lists/config-session.js'
import { freeMemory } from '../../../../src/platform/free-memory.js'
import { MemoryDebugOutput } from '../../../support/memory-debug-output.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { PATIENCE } from '../../../support/patience.js'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function started(options: Partial<ConfigServerOptions> = {}) {
  const logger = new MemoryLogger()
  const debug = new MemoryDebugOutput()
  const blockLists = new BlockLists({ logger, debug })
  const server = createConfigServer({ blockLists, logger, debug, needsReservedPort: false, ...options })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const open = async (): Promise<Socket> => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    await once(socket, 'connect')
    return socket.resume()
  }
  return { blockLists, logger, server, shown: () => debug.lines.map(({ line }) => line), open }
}

const LINE = 'bl;"m";inet;1;127.5.0.0/16\n'

test('a list takes effect when the client has closed, and the server closes after that', async () => {
  const { blockLists, open, shown } = await started()
  const socket = await open()
  socket.write(LINE)
  await new Promise((resolve) => setImmediate(resolve))
  expect(blockLists.match('127.5.6.7')).toEqual([])
  socket.end()
  await once(socket, 'close')
  expect(blockLists.match('127.5.6.7')).toHaveLength(1)
  expect(shown()).toEqual([
    'got configuration connection',
    'read 27 config bytes',
    'got configuration connection',
    'read 0 config bytes',
    'adding list bl; 1 entries',
    'added 127.5.0.0/16',
  ])
})

test.each([
  ['sorted', 1],
  ['in any order', 7919],
])(
  'of a large list that is %s only the list itself stays in memory, however often it comes',
  async (_, step) => {
    const { open, blockLists } = await started({ debug: undefined })
    const count = 300_003
    const tableBytes = count * 8
    const items = Array.from({ length: count }, (_, index) => {
      const place = (index * step) % count
      return `${1 + (place >> 15)}.${(place >> 7) & 255}.${(place & 127) << 1}.0/24`
    })
    const line = Buffer.from(`big;"m";inet;${count};${items.join(';')}\n`)
    const send = async (): Promise<void> => {
      const socket = await open()
      socket.end(line)
      await once(socket, 'close')
    }
    await send()
    // It closes when the list is in force, also one that is sorted over several turns.
    expect(blockLists.summaries()).toEqual([{ name: 'big', entryCount: count }])
    freeMemory()
    const before = process.memoryUsage().arrayBuffers
    for (let round = 0; round < 3; round += 1) {
      await send()
      await expect.poll(() => process.memoryUsage().arrayBuffers - before, PATIENCE).toBeLessThan(tableBytes)
    }
    expect(blockLists.summaries()).toEqual([{ name: 'big', entryCount: count }])
  },
)

test('a source port of 1024 or above is closed at once, unread', async () => {
  const { blockLists, open, shown } = await started({ needsReservedPort: true })
  const socket = await open()
  socket.on('error', () => undefined)
  socket.end(LINE)
  await once(socket, 'close')
  expect(shown()).toEqual([])
  expect(blockLists.summaries()).toEqual([])
})

test.each([
  [1023, 1],
  [1024, 0],
])('a source port of %i is one that root alone may bind: %i list', async (sourcePort, count) => {
  const { blockLists, server } = await started({ needsReservedPort: true })
  // Only root could come from there, and only if nobody else does.
  const front = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    server.emit('connection', Object.defineProperty(socket, 'remotePort', { value: sourcePort }))
  })
  servers.push(front)
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  const socket = connect((front.address() as AddressInfo).port, '127.0.0.1').resume()
  socket.on('error', () => undefined)
  socket.end(LINE)
  await once(socket, 'close')
  expect(blockLists.summaries()).toHaveLength(count)
})

test('a connection that is reset half-way changes nothing', async () => {
  const { blockLists, open, logger, shown } = await started()
  const broken = await open()
  broken.write(LINE)
  await vi.waitFor(() => expect(shown()).toContain('read 27 config bytes'), PATIENCE)
  broken.resetAndDestroy()
  const next = await open()
  next.end('l2;"m";inet;1;127.6.0.0/16\n')
  await once(next, 'close')
  expect(blockLists.summaries()).toEqual([{ name: 'l2', entryCount: 1 }])
  expect(logger.lines.map(({ message }) => message)).toEqual([
    'configuration connection dropped: Connection reset by peer; nothing was changed',
  ])
})

test('a last line without its end counts', async () => {
  const { blockLists, open } = await started()
  const socket = await open()
  socket.end(LINE.trimEnd())
  await once(socket, 'close')
  expect(blockLists.summaries()).toEqual([{ name: 'bl', entryCount: 1 }])
})

describe('a session', () => {
  const begun = async (text: string) => {
    const { blockLists, logger } = await started()
    const front = createServer({ allowHalfOpen: true, pauseOnConnect: true })
    servers.push(front)
    front.listen(0, '127.0.0.1')
    await once(front, 'listening')
    const client = connect((front.address() as AddressInfo).port, '127.0.0.1').resume()
    client.on('error', () => undefined)
    client.write(text)
    const [socket] = (await once(front, 'connection')) as [Socket]
    const outcome = runConfigSession(socket, { blockLists, logger })
    await once(socket, 'data')
    return { blockLists, logger, client, socket, outcome }
  }

  test('whose socket is closed here, as at the end of spamd, ends and changes nothing', async () => {
    const { blockLists, logger, client, socket, outcome } = await begun(LINE)
    socket.destroy()
    expect(await outcome).toBeUndefined()
    expect(blockLists.summaries()).toEqual([])
    // And one that is closed already.
    expect(await runConfigSession(socket, { blockLists, logger })).toBeUndefined()
    client.destroy()
  })

  test('of a client that goes before its answer was no failure', async () => {
    const { blockLists, logger, client, socket, outcome } = await begun(LINE)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    client.end()
    expect(await outcome).toEqual([{ result: 'added', name: 'bl', entryCount: 1 }])
    client.resetAndDestroy()
    const answering = setInterval(() => socket.write('the answer'), 5)
    await closed
    clearInterval(answering)
    expect(blockLists.summaries()).toHaveLength(1)
    expect(logger.lines).toEqual([])
  })
})

test('an idle client is dropped and does not hold up the next', async () => {
  const { blockLists, open, logger } = await started({ idleTimeoutMs: 30 })
  const idle = await open()
  idle.write('bl;"m";inet;1;')
  const next = await open()
  next.end(LINE)
  await Promise.all([once(idle, 'close'), once(next, 'close')])
  expect(blockLists.summaries()).toEqual([{ name: 'bl', entryCount: 1 }])
  expect(logger.lines[0]?.message).toBe('configuration connection dropped: timed out; nothing was changed')
})

test('more bytes than allowed are refused', async () => {
  const { blockLists, open, logger } = await started({ maxBytes: LINE.length - 1 })
  const socket = await open()
  socket.on('error', () => undefined)
  socket.end(LINE)
  await once(socket, 'close')
  expect(blockLists.summaries()).toEqual([])
  expect(logger.lines[0]?.message).toBe(
    'configuration connection dropped: more than 26 bytes; nothing was changed',
  )
})

test('as many bytes as allowed are not too many', async () => {
  const { blockLists, open } = await started({ maxBytes: LINE.length })
  const socket = await open()
  socket.end(LINE)
  await once(socket, 'close')
  expect(blockLists.summaries()).toHaveLength(1)
})

describe('several clients at once', () => {
  test('are not read before their turn', async () => {
    const { blockLists, open, shown } = await started()
    const first = await open()
    first.write('l1;"m";inet;1;')
    await vi.waitFor(() => expect(shown()).toHaveLength(2), PATIENCE)
    const second = await open()
    second.end('l2;"m";inet;1;127.6.0.0/16\n')
    await once(second, 'finish')
    // One that came later was accepted: the second as well.
    const third = await open()
    third.end()
    first.end('127.5.0.0/16\n')
    await Promise.all([first, second, third].map((socket) => once(socket, 'close')))
    expect(blockLists.summaries().map(({ name }) => name)).toEqual(['l1', 'l2'])
  })
  test('are served in turn', async () => {
    const { blockLists, open } = await started()
    const sockets = await Promise.all(Array.from({ length: 10 }, open))
    await Promise.all(
      sockets.map((socket, index) => {
        socket.end(`l${index};"m";inet;1;127.5.0.0/16\n`)
        return once(socket, 'close')
      }),
    )
    expect(
      blockLists
        .summaries()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(Array.from({ length: 10 }, (_, index) => `l${index}`))
  })
})
