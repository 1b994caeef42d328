import { expect, test } from 'vitest'
import { HostGatherer } from '../../../../src/daemon/grey/host-gatherer.js'
import { formatCidrs } from '../../../../src/ip/cidr-text.js'

function take(gatherer: HostGatherer): string[] {
  const { ipv4, ipv6 } = formatCidrs(gatherer.takeSet())
  return Buffer.concat([ipv4.text, ipv6.text]).toString().split('\n').slice(0, -1)
}

test('hosts of both families, each once in the set and each time in the count', () => {
  const gatherer = new HostGatherer()
  for (const ip of ['192.0.2.1', '2001:db8::1', '192.0.2.1', '255.255.255.255', 'ffff::1']) gatherer.add(ip)
  expect(gatherer.count).toBe(5)
  expect(take(gatherer)).toEqual(['192.0.2.1/32', '255.255.255.255/32', '2001:db8::1/128', 'ffff::1/128'])
})

test('after its set was taken it begins anew', () => {
  const gatherer = new HostGatherer()
  gatherer.add('192.0.2.1')
  take(gatherer)
  expect(gatherer.count).toBe(0)
  gatherer.add('2001:db8::1')
  expect([gatherer.count, take(gatherer)]).toEqual([1, ['2001:db8::1/128']])
})
