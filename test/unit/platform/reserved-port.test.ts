import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectFromReservedPort } from '../../../src/platform/reserved-port.js'

const LOOPBACK = '127.0.0.1'
const IS_ROOT = process.getuid?.() === 0
if (!IS_ROOT) process.stderr.write('reserved-port: skipped: ports below 1024 need root\n')

let server: Server
let accepted: Socket[]

beforeEach(async () => {
  accepted = []
  server = createServer((socket) => accepted.push(socket))
  server.listen(0, LOOPBACK)
  await once(server, 'listening')
})

afterEach(() => {
  for (const socket of accepted) socket.destroy()
  server.close()
})

function connectHere(): Promise<Socket> {
  const { port } = server.address() as { port: number }
  return connectFromReservedPort({ host: LOOPBACK, port, localAddress: LOOPBACK })
}

describe.runIf(IS_ROOT)('as root', () => {
  test('the source port is below 1024, and each connection has its own', async () => {
    const sockets = [await connectHere(), await connectHere(), await connectHere()]
    const ports = sockets.map(({ localPort }) => localPort!)
    expect(new Set(ports).size).toBe(3)
    for (const port of ports) expect(port).toSatisfy((value: number) => value >= 512 && value <= 1023)
    for (const socket of sockets) socket.destroy()
  })

  test('a refused connection is told at once, not tried from port to port', async () => {
    const { port } = server.address() as { port: number }
    server.close()
    await expect(
      connectFromReservedPort({ host: LOOPBACK, port, localAddress: LOOPBACK }),
    ).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    })
  })
})
