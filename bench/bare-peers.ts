/** The bare peers of bench/spamd-smtp.ts: the cost of Node without any of spamd's work. */
import { createServer, type Server, type Socket } from 'node:net'

const SLOT_MS = 50
const SLOTS = 20
const BANNER = '220 mx.example.org ESMTP spamd IP-based SPAM blocker; Sun Nov 22 07:43:59 2026\r\n'

/** Writes one byte per second to every client, from one wheel of 20 slots, and does nothing else. */
export function createBareWheel(): Server {
  const slots: { socket: Socket; offset: number }[][] = Array.from({ length: SLOTS }, () => [])
  let current = 0
  const timer = setInterval(() => {
    current = (current + 1) % SLOTS
    slots[current] = slots[current]!.filter((client) => {
      if (client.socket.destroyed) return false
      client.socket.write(BANNER[client.offset % BANNER.length]!, 'latin1')
      client.offset += 1
      return true
    })
  }, SLOT_MS)
  return createServer((socket) => {
    socket.on('error', () => undefined)
    socket.resume()
    slots[current]!.push({ socket, offset: 0 })
  }).on('close', () => clearInterval(timer))
}

/** Answers every line with a fixed reply and closes the connection after DATA: no state, no database, no log. */
export function createBareReplies(): Server {
  return createServer((socket) => {
    socket.on('error', () => undefined)
    socket.write(BANNER, 'latin1')
    socket.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1').startsWith('DATA')) {
        socket.end('451 Temporary failure, please try again later.\r\n', 'latin1')
      } else socket.write('250 This is hurting you more than it is hurting me.\r\n', 'latin1')
    })
  })
}
