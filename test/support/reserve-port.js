/**
 * Ports for programs that need a port number. Binding port 0, closing it and passing the number on is a race: before
 * the program binds it, another test may get the same one, or a connection may use it as its source. So the number is
 * below those that the system assigns by itself, and a listener on another loopback address reserves it against all
 * users of this module until this process ends.
 */
import { createServer } from 'node:net'

/** Above the services of services(5), below the first port that Linux or a BSD assigns by itself. */
const FIRST_PORT = 10_000
const LAST_PORT = 32_000
/** An address on which none of our programs listens. */
const HOLDING_ADDRESS = process.platform === 'linux' ? '127.255.255.254' : '127.0.0.1'
const TRIES = 200

/** A port that nobody else uses or reserves, for TCP and UDP on 127.0.0.1. */
export async function reservePort() {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT))
    const holder = await listen(port, HOLDING_ADDRESS)
    if (holder === undefined) continue
    // Other systems have only one loopback address: the reserving listener would occupy the port.
    const isOne = HOLDING_ADDRESS === '127.0.0.1'
    if (isOne) await close(holder)
    else holder.unref()
    const probe = isOne ? undefined : await listen(port, '127.0.0.1')
    if (probe !== undefined) await close(probe)
    if (isOne || probe !== undefined) return port
    await close(holder)
  }
  throw new Error('no port is free')
}

function listen(port, host) {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)))
    server.listen(port, host, () => resolve(server))
  })
}

function close(server) {
  return new Promise((resolve) => server.close(resolve))
}
