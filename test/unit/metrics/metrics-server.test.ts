/** The HTTP server of --metrics: its answers, and that no client can hurt it. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { MetricsServer } from '../../../src/daemon/metrics/metrics-server.js'
import { ManualClock } from '../../support/manual-clock.js'
import { waitFor } from '../../support/spamd/wait-for.js'

let server: MetricsServer
let clock: ManualClock
let collections: number
let reasons: string[]
const sockets: Socket[] = []

beforeEach(async () => {
  clock = new ManualClock()
  collections = 0
  reasons = []
  await serve({ host: '127.0.0.1', port: 0 })
})
afterEach(() => {
  server.stop()
  for (const socket of sockets.splice(0)) socket.destroy()
})

async function serve(place: { host: string; port: number } | { path: string }): Promise<void> {
  server = new MetricsServer({
    place,
    clock,
    metrics: () => {
      collections += 1
      return `m ${collections}\n`
    },
    notReadyReasons: () => reasons,
  })
  await server.start()
}

interface Client {
  socket: Socket
  text: () => string
  closed: () => boolean
}

function open(target: number | string = server.port!): Client {
  const socket = typeof target === 'number' ? connect(target, '127.0.0.1') : connect(target)
  sockets.push(socket)
  let text = ''
  let isClosed = false
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    isClosed = true
  })
  return { socket, text: () => text, closed: () => isClosed }
}

async function ask(request: string, target?: number | string): Promise<string> {
  const client = open(target)
  client.socket.write(request)
  await waitFor(client.closed, () => `the end of ${client.text()}`)
  return client.text()
}
const get = (path: string): Promise<string> => ask(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)

describe('answers', () => {
  test('/metrics in the form of Prometheus', async () => {
    const answer = await get('/metrics?x=1')
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toContain('content-type: text/plain; version=0.0.4; charset=utf-8\r\n')
    expect(answer).toMatch(/\r\n\r\nm 1\n$/)
  })

  test('/healthz and /readyz', async () => {
    expect(await get('/healthz')).toMatch(/200 OK.*\r\n\r\nok\n$/s)
    expect(await get('/readyz')).toMatch(/200 OK.*\r\n\r\nready\n$/s)
    reasons = ['the database cannot be written']
    expect(await get('/readyz')).toMatch(
      /503 Service Unavailable.*\r\n\r\nnot ready: the database cannot be written\n$/s,
    )
  })

  test('HEAD has no body, other methods and paths are refused', async () => {
    expect(await ask('HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(
      /200 OK.*content-length: 4\r\n.*\r\n\r\n$/s,
    )
    expect(await ask('POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx')).toMatch(
      /405 Method Not Allowed.*allow: GET, HEAD\r\n/s,
    )
    expect(await get('/../etc/passwd')).toMatch(/404 Not Found/)
    expect(await get('http://[::')).toMatch(/404 Not Found/)
  })

  test('by a Unix socket, which goes with the server', async () => {
    server.stop()
    const folder = mkdtempSync(join(tmpdir(), 'metrics-'))
    try {
      const path = join(folder, 'metrics.sock')
      await serve({ path })
      expect(statSync(path).mode & 0o777).toBe(0o660)
      expect(await ask('GET /healthz HTTP/1.0\r\n\r\n', path)).toMatch(/\r\n\r\nok\n$/)
      server.stop()
      expect(() => statSync(path)).toThrow('ENOENT')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('a connection that has ended leaves no timer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { socket } = open()
      socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
      await once(socket, 'close')
      // The server hears of its end a turn of the loop later, or some.
      while (vi.getTimerCount() > 0) await new Promise((resolve) => setImmediate(resolve))
    } finally {
      vi.useRealTimers()
    }
  })

  test('a place that is taken is an error with a hint', async () => {
    const first = server
    await expect(serve({ host: '127.0.0.1', port: first.port! })).rejects.toMatchObject({
      code: 'ERR_METRICS_LISTEN',
      message: expect.stringMatching(/^--metrics 127\.0\.0\.1, port \d+: Address already in use$/) as string,
      hint: expect.stringContaining('choose another place') as string,
    })
    first.stop()
  })
})

describe('hostile clients', () => {
  test('numbers are gathered once a second, however many ask', async () => {
    for (let count = 0; count < 10; count += 1) await get('/metrics')
    expect(collections).toBe(1)
    clock.advance(1)
    expect(await get('/metrics')).toMatch(/m 2\n$/)
  })

  test('a header beyond 8 KiB, binary and half a request end the connection', async () => {
    await ask(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
    await ask(Buffer.from([0, 255, 22, 3, 1, 2, 0, 1, 0]).toString('latin1'))
    const half = open()
    half.socket.end('GET /metrics HT')
    await waitFor(half.closed, () => 'the end of half a request')
    expect(collections).toBe(0)
    expect(await get('/healthz')).toMatch(/ok\n$/)
  })

  test('a second request in one connection is not answered', async () => {
    const answer = await ask('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50))
    expect(answer.match(/200 OK/g)).toHaveLength(1)
  })

  test('a body without an end is not waited for', async () => {
    const answer = await ask('GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe')
    expect(answer).toMatch(/200 OK/)
  })

  test('silent and slow clients hold a slot for seconds, and sixteen at most', async () => {
    const silent = Array.from({ length: 15 }, () => open())
    const slow = open()
    slow.socket.write('GET /metrics HTTP/1.1\r\n')
    const drip = setInterval(() => slow.socket.write('X: y\r\n'), 100)
    try {
      await waitFor(
        () => silent.every(({ socket }) => !socket.connecting),
        () => 'fifteen connections',
      )
      const beyond = open()
      await waitFor(beyond.closed, () => 'the end of the seventeenth')
      await waitFor(
        () => slow.closed() && silent.every(({ closed }) => closed()),
        () => 'the end of all',
        20_000,
      )
    } finally {
      clearInterval(drip)
    }
    expect(collections).toBe(0)
    expect(await get('/healthz')).toMatch(/ok\n$/)
  }, 30_000)
})
