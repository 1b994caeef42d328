/** A real HTTP(S) server with scripted answers, for everything that can go wrong with a list. */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { join } from 'node:path'

export interface ListServer {
  /** `127.0.0.1:PORT`, or `[::1]:PORT`, for `file=` (with colons escaped for spamd.conf). */
  host: string
  port: number
  /** Every request so far: path, headers. */
  requests: { url: string; headers: IncomingMessage['headers']; atMs: number }[]
  close(): Promise<void>
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** Self-signed for localhost and 127.0.0.1, made for these tests, valid for 100 years. */
const TLS_CERTIFICATE_PATH = join(import.meta.dirname, 'localhost.crt')
const TLS_KEY_PATH = join(import.meta.dirname, 'localhost.key')

/** Starts a server on a free port of the loopback address; `answer` may look at `request.url`. */
export async function startListServer(
  answer: Answer,
  options: { isTls?: boolean; host?: '127.0.0.1' | '::1' } = {},
): Promise<ListServer> {
  const requests: ListServer['requests'] = []
  const listener: RequestListener = (request, response) => {
    requests.push({ url: request.url ?? '', headers: request.headers, atMs: performance.now() })
    response.on('error', () => undefined)
    answer(request, response)
  }
  const server =
    options.isTls === true
      ? createTlsServer(
          { key: readFileSync(TLS_KEY_PATH), cert: readFileSync(TLS_CERTIFICATE_PATH) },
          listener,
        )
      : createServer(listener)
  const host = options.host ?? '127.0.0.1'
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    host: host === '::1' ? `[::1]:${port}` : `127.0.0.1:${port}`,
    port,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

/** A server that sends given bytes instead of HTTP once a request has arrived. */
export async function startRawServer(answer: (socket: Socket, head: string) => void): Promise<ListServer> {
  const requests: ListServer['requests'] = []
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.once('data', (head) => {
      requests.push({ url: '', headers: {}, atMs: performance.now() })
      answer(socket, head.toString('latin1'))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    host: `127.0.0.1:${port}`,
    port,
    requests,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}
