import { promises as dns, type ResolverOptions } from 'node:dns'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DnsClient } from '../../../src/platform/dns-client.js'
import { TestDnsServer } from '../../support/dns-server.js'
import { ManualClock } from '../../support/manual-clock.js'

let server: TestDnsServer
let client: DnsClient
beforeEach(async () => {
  server = new TestDnsServer({ 'a.example': { records: [{ type: 'A', value: '192.0.2.1' }] } })
  await server.start()
  client = new DnsClient({ clock: new ManualClock(), servers: [server.place] })
})
afterEach(() => {
  client.close()
  server.stop()
})

test('a question that is open, or answered, is asked once, and counted as from the cache', async () => {
  const ask = () => client.ask({ type: 'A', name: 'a.example' })
  const found = { status: 'found', values: ['192.0.2.1'] }
  expect(client.counters).toEqual({ asked: 0, answered: 0, cached: 0, failed: 0, refused: 0 })
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([found, found, found])
  expect(client.counters).toEqual({ asked: 1, answered: 1, cached: 2, failed: 0, refused: 0 })
  expect(await ask()).toEqual(found)
  expect(client.counters).toEqual({ asked: 1, answered: 1, cached: 3, failed: 0, refused: 0 })
  expect(server.asked).toHaveLength(1)
})

test('the servers of the system are read again after a minute, given ones are not', async () => {
  let madeCount = 0
  const { Resolver } = dns
  class Counted extends Resolver {
    constructor(options?: ResolverOptions) {
      super(options)
      madeCount += 1
      this.setServers([server.place])
    }
  }
  dns.Resolver = Counted
  try {
    for (const [servers, counts] of [
      [[], [1, 1, 2, 2, 3]],
      [[server.place], [1, 1, 1, 1, 1]],
    ] as const) {
      madeCount = 0
      const clock = new ManualClock()
      // Another start than 0.
      clock.advance(30)
      const own = new DnsClient({ clock, servers })
      const seen: number[] = []
      for (const sec of [0, 59, 1, 59, 1]) {
        clock.advance(sec)
        await own.ask({ type: 'A', name: `n${seen.length}.example` })
        seen.push(madeCount)
      }
      expect(seen).toEqual(counts)
      own.close()
    }
  } finally {
    dns.Resolver = Resolver
  }
})
