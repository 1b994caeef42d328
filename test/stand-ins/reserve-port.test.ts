/** Ports for the programs of tests. */
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { reservePort } from '../support/reserve-port.js'

test('a port is free for the program, and reserved once', async () => {
  const ports: number[] = []
  for (let count = 0; count < 50; count += 1) ports.push(await reservePort())
  expect(new Set(ports).size).toBe(50)
  for (const port of ports.slice(0, 5)) {
    expect(port).toBeLessThan(32_768)
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', resolve)
    })
    await new Promise((resolve) => server.close(resolve))
  }
})
